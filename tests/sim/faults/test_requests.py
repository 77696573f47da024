"""What a client sees of every fault of requests, on both venues."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from patriot.sim.faults.rules import Faults, RestFault, RestRule, Term
from tests.sim.binance.client import MINUTE_MS, START_MS, Sim, flat, running_sim, write_dump
from tests.sim.faults.clients import Client, client_on, fault, row_of

pytestmark = pytest.mark.integration

VENUES = ("binance", "bybit")


@pytest.fixture
async def sim(tmp_path: Path) -> AsyncIterator[Sim]:
    async with running_sim(write_dump(tmp_path / "BTCUSDT-1m.csv", flat("40000.0", 60))) as running:
        yield running


@pytest.fixture(params=VENUES)
async def client(sim: Sim, request: pytest.FixtureRequest) -> Client:
    opened: Client = await client_on(sim, request.param)
    return opened


def on_orders(client: Client) -> dict[str, Any]:
    return {"venue": client.venue, "match": {"method": "POST", "path": client.order_path}}


# status and code by venue: what a client is told
ANSWERS: list[tuple[dict[str, Any], dict[str, tuple[int, int]]]] = [
    ({"fault": "503_before"}, {"binance": (503, -1000), "bybit": (503, 10016)}),
    ({"fault": "error_before", "status": 500}, {"binance": (500, -1000), "bybit": (500, 10016)}),
    ({"fault": "error_before", "status": 502}, {"binance": (502, -1001), "bybit": (502, 10016)}),
    ({"fault": "error_before", "status": 504}, {"binance": (504, -1007), "bybit": (504, 10000)}),
    ({"fault": "refuse", "code": -2010, "message": "no"}, {"binance": (400, -2010), "bybit": (200, -2010)}),
    ({"fault": "rate_limit"}, {"binance": (429, -1003), "bybit": (200, 10006)}),
    ({"fault": "overload", "times": 1}, {"binance": (503, -1008), "bybit": (200, 429)}),
    ({"fault": "maintenance", "times": 1}, {"binance": (503, 1), "bybit": (200, 10016)}),
]


@pytest.mark.parametrize(
    ("wish", "told"), ANSWERS, ids=lambda value: "-".join(map(str, value.values())) if "fault" in value else ""
)
async def test_refusing_venue_says_so_and_executes_nothing(
    client: Client, wish: dict[str, Any], told: dict[str, tuple[int, int]]
) -> None:
    scope = {"venue": client.venue} if wish["fault"] == "maintenance" else on_orders(client)
    await fault(client.sim, **wish, **scope)

    answer = await client.place("lost")

    assert (answer.status, answer.code) == told[client.venue]
    assert await client.placed() == []
    assert (await client.place("found")).code == 0


@pytest.mark.parametrize("kind", ["503_after", "error_after"])
async def test_failure_after_the_fact_leaves_an_order_behind(client: Client, kind: str) -> None:
    await fault(client.sim, fault=kind, **on_orders(client))

    assert (await client.place("found")).status == 503
    assert await client.placed() == ["found"]


@pytest.mark.parametrize(("kind", "placed"), [("drop_before", []), ("drop_after", ["order"])])
async def test_line_that_is_closed_does_not_tell_whether_the_order_was_placed(
    client: Client, kind: str, placed: list[str]
) -> None:
    await fault(client.sim, fault=kind, **on_orders(client))

    with pytest.raises(aiohttp.ClientConnectionError):
        await client.place("order")

    assert await client.placed() == placed


@pytest.mark.parametrize(("kind", "placed"), [("timeout_before", []), ("timeout_after", ["order"])])
async def test_line_that_is_held_gives_no_answer(client: Client, kind: str, placed: list[str]) -> None:
    await fault(client.sim, fault=kind, **on_orders(client))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await client.place("order")

    assert await client.placed() == placed


async def test_held_line_ends_when_its_time_is_over(client: Client) -> None:
    await fault(client.sim, fault="timeout_before", delay_ms=30, **on_orders(client))

    with pytest.raises(aiohttp.ClientConnectionError):
        await client.place("order")


async def test_gateway_answers_with_a_page_instead_of_json(client: Client) -> None:
    await fault(client.sim, fault="error_before", status=502, html=True, **on_orders(client))

    answer = await client.place("order")

    assert (answer.status, answer.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    assert "502 Bad Gateway" in answer.text


async def test_rate_limit_tells_when_to_come_back(client: Client) -> None:
    await fault(client.sim, fault="rate_limit", retry_after_seconds=7, **on_orders(client))

    headers = (await client.place("order")).headers

    if client.venue == "binance":
        assert headers["Retry-After"] == "7"
    else:
        now_ms = (await client.sim.control("GET", "/health")).body["now_ms"]
        assert headers["X-Bapi-Limit-Reset-Timestamp"] == str(now_ms + 7_000)
        assert headers["X-Bapi-Limit-Status"] == "0"


async def test_banned_address_gets_no_answer_of_any_kind_and_no_socket(client: Client) -> None:
    await fault(client.sim, fault="ban", venue=client.venue, retry_after_seconds=120, for_ms=MINUTE_MS)

    answers = [await client.place("order"), await client.send("GET", client.time_path)]

    if client.venue == "binance":
        assert [(answer.status, answer.code) for answer in answers] == [(418, -1003)] * 2
        assert answers[0].headers["Retry-After"] == "120"
        assert f"banned until {START_MS + 1_000 + 120_000}" in answers[0].text
    else:
        assert [answer.status for answer in answers] == [403] * 2
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.sim.http.ws_connect(client.socket_address())
    assert refused.value.status == (418 if client.venue == "binance" else 403)

    await client.sim.step(2)
    assert (await client.place("order")).code == 0


async def test_overloaded_venue_takes_reductions_all_the_same(client: Client) -> None:
    await client.place("entry")
    await fault(client.sim, fault="overload", times=5, **on_orders(client))

    entry = await client.place("more")
    way_out = await client.place("out", reduce_only=True)

    assert entry.code in (-1008, 429)
    assert way_out.code == 0


async def test_maintenance_closes_sockets_and_lets_none_in_until_it_ends(client: Client) -> None:
    async with client.sim.http.ws_connect(client.socket_address()) as socket:
        row = await fault(client.sim, fault="maintenance", venue=client.venue)
        async with asyncio.timeout(5):
            while (await socket.receive()).type is not aiohttp.WSMsgType.CLOSE:
                pass
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await client.sim.http.ws_connect(client.socket_address())
    assert "maintenance" in (await client.send("GET", client.time_path)).text or client.venue == "bybit"

    assert (await client.sim.control("DELETE", f"/faults/{row['id']}")).status == 200
    assert (await client.send("GET", client.time_path)).code == 0
    async with client.sim.http.ws_connect(client.socket_address()):
        pass


async def test_latency_lies_between_its_ends_and_goes_together_with_another_fault(client: Client) -> None:
    await fault(client.sim, fault="delay", min_ms=60, max_ms=90, times=2, venue=client.venue)
    await fault(client.sim, fault="503_before", venue=client.venue)

    loop = asyncio.get_running_loop()
    started = loop.time()
    failed = await client.send("GET", client.time_path)
    late = await client.send("GET", client.time_path)

    assert (failed.status, late.status) == (503, 200)
    assert loop.time() - started >= 0.12


async def test_latency_is_the_same_for_the_same_seed() -> None:
    def drawn(seed: int) -> list[int]:
        faults = Faults(lambda: 0, lambda: 0.0, seed)
        faults.add(RestRule(fault=RestFault.DELAY, min_ms=0, max_ms=1_000, term=Term(times=None)))
        hits = [faults.on_request("binance", "GET", "/", None, "") for _ in range(8)]
        return [hit.delay_ms for hit in hits if hit is not None]

    assert drawn(1) == drawn(1) != drawn(2)
    assert len(set(drawn(1))) > 4


# ---------------------------------------------------------------------------------------------------- limits


async def test_rule_is_about_one_account_or_key_only(sim: Sim, client: Client) -> None:
    other: Client = await client_on(sim, client.venue)
    await fault(sim, fault="503_before", uid=other.uid, times=9)
    await fault(sim, fault="rate_limit", api_key=other.api_key, times=9)

    assert (await client.place("mine")).code == 0
    assert (await other.place("theirs")).status == 503


async def test_rule_is_about_one_venue_only(sim: Sim) -> None:
    binance, bybit = [await client_on(sim, venue) for venue in VENUES]
    await fault(sim, fault="503_before", venue="bybit", times=9)

    assert (await binance.send("GET", binance.time_path)).status == 200
    assert (await bybit.send("GET", bybit.time_path)).status == 503


async def test_rule_about_a_symbol_reads_query_and_body(client: Client) -> None:
    row = await fault(client.sim, fault="503_before", symbol="BTCUSDT")

    assert (await client.send("GET", client.time_path, "symbol=ETHUSDT")).status == 200
    assert (await client.place("order")).status == 503
    assert (await row_of(client.sim, row["id"]))["hits"] == 1


async def test_path_with_a_star_stands_for_all_that_begin_so(client: Client) -> None:
    start = client.order_path.rpartition("/")[0]
    await fault(client.sim, fault="503_before", venue=client.venue, match={"path": f"{start}/*"}, times=1)

    elsewhere = "/fapi/v3/account" if client.venue == "binance" else client.time_path
    assert (await client.send("GET", elsewhere)).status != 503
    assert (await client.place("order")).status == 503


async def test_rule_skips_the_first_matches_and_then_hits_so_many(client: Client) -> None:
    row = await fault(client.sim, fault="503_before", after=2, times=2, match={"path": client.time_path})

    answers = [(await client.send("GET", client.time_path)).status for _ in range(6)]

    assert answers == [200, 200, 503, 503, 200, 200]
    told = await row_of(client.sim, row["id"])
    assert (told["state"], told["seen"], told["hits"]) == ("over", 4, 2)


async def test_rule_holds_in_its_span_of_venue_time(client: Client) -> None:
    sim = client.sim
    span = {"from_ms": START_MS + 2 * MINUTE_MS, "until_ms": START_MS + 4 * MINUTE_MS}
    row = await fault(sim, fault="503_before", venue=client.venue, **span)
    states, answers = [], []
    for minute in (1, 3, 5):
        await sim.step(minute)
        states.append((await row_of(sim, row["id"]))["state"])
        answers.append([(await client.send("GET", client.time_path)).status for _ in range(2)])

    assert states == ["waiting", "in_force", "over"]
    assert answers == [[200, 200], [503, 503], [200, 200]]


async def test_rule_ends_after_real_seconds(client: Client) -> None:
    await fault(client.sim, fault="503_before", venue=client.venue, seconds=0.05)
    assert (await client.send("GET", client.time_path)).status == 503

    await asyncio.sleep(0.06)

    assert (await client.send("GET", client.time_path)).status == 200


# ---------------------------------------------------------------------------------------------------- the list


async def test_fault_is_ended_by_its_number_and_unknown_numbers_are_refused(client: Client) -> None:
    sim = client.sim
    row = await fault(sim, fault="503_before", venue=client.venue, times=9)

    assert (await sim.control("DELETE", f"/faults/{row['id']}")).status == 200
    assert (await client.send("GET", client.time_path)).status == 200
    assert (await sim.control("DELETE", f"/faults/{row['id']}")).status == 404
    assert (await sim.control("DELETE", "/faults/x")).status == 422


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({}, "fault"),
        ({"fault": "delay", "action": "halt", "symbol": "BTCUSDT"}, "fault"),
        ({"fault": "delay", "skew_ms": 5}, "skew_ms"),
        ({"fault": "delay", "min_ms": 9, "max_ms": 1}, "max_ms"),
        ({"fault": "delay", "delay_ms": 600_001}, "delay_ms"),
        ({"fault": "error_before", "status": 200}, "status"),
        ({"fault": "ban", "seconds": 0}, "seconds"),
        ({"fault": "ban", "until_ms": 1, "for_ms": 1}, "for_ms"),
        ({"fault": "ban", "venue": "nasdaq"}, "venue"),
        ({"fault": "explode"}, "fault"),
        ({"fault": "delay", "colour": "red"}, "colour"),
        ({"stream": "drop", "times": 0}, "times"),
        ({"stream": "drop", "match": {"path": "/x"}}, "match"),
        ({"action": "halt"}, "symbol"),
        ({"action": "halt", "symbol": "DOGEBTC"}, "symbol"),
        ({"action": "partial_fills", "symbol": "BTCUSDT"}, "parts"),
        ({"action": "price_shock"}, "factor"),
        ({"action": "price_shock", "factor": "1000"}, "factor"),
        ({"action": "change_instrument", "symbol": "BTCUSDT"}, "tick_size"),
        ({"action": "change_instrument", "symbol": "BTCUSDT", "tick_size": "fine"}, "tick_size"),
        ({"action": "revoke_key"}, "api_key"),
        ({"action": "revoke_key", "api_key": "nobody"}, "api_key"),
        ({"action": "set_permissions", "uid": 1}, "permissions"),
        ({"action": "clock_skew", "skew_ms": 90_000_000}, "skew_ms"),
    ],
)
async def test_wish_that_cannot_be_is_refused_by_the_name_of_its_field(
    sim: Sim, wish: dict[str, Any], field: str
) -> None:
    answer = await sim.control("POST", "/faults", wish)

    assert answer.status in (404, 422)
    assert field in answer.body["detail"]
    assert (await sim.control("GET", "/faults")).body["faults"] == []
