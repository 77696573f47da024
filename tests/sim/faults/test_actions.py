"""What a client sees of every fault of the venue itself, on both venues, and what a restart keeps of it."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from patriot.kernel.clock import SystemClock, to_epoch_ms
from tests.sim.binance.client import MINUTE_MS, START_MS, Sim, flat, running_sim, write_dump
from tests.sim.faults.clients import SYMBOL, Stream, client_on, fault, row_of, settled
from tests.support import eventually

pytestmark = pytest.mark.integration

FILTERS = {"binance": "/fapi/v1/exchangeInfo", "bybit": "/v5/market/instruments-info"}


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write_dump(tmp_path / "BTCUSDT-1m.csv", flat("40000.0", 120))


@pytest.fixture
async def sim(recording: Path) -> AsyncIterator[Sim]:
    async with running_sim(recording) as running:
        yield running


@pytest.fixture(params=["binance", "bybit"])
async def client(sim: Sim, request: pytest.FixtureRequest) -> Any:
    return await client_on(sim, request.param)


async def tick_size(client: Any) -> str:
    query = "" if client.venue == "binance" else f"category=linear&symbol={SYMBOL}"
    body = (await client.send("GET", FILTERS[client.venue], query)).body
    if client.venue == "bybit":
        return str(body["result"]["list"][0]["priceFilter"]["tickSize"])
    filters = next(row["filters"] for row in body["symbols"] if row["symbol"] == SYMBOL)
    return str(next(row["tickSize"] for row in filters if row["filterType"] == "PRICE_FILTER"))


async def account_state(client: Any) -> Any:
    return (await client.sim.control("GET", "/state")).body["accounts"][str(client.uid)]


# ---------------------------------------------------------------------------------------------------- clock


async def test_skewed_clock_is_told_and_requests_are_checked_against_it(client: Any) -> None:
    now_ms = (await client.sim.control("GET", "/health")).body["now_ms"]
    row = await fault(client.sim, action="clock_skew", venue=client.venue, skew_ms=-10_000)

    assert await client.time() == now_ms - 10_000
    refused = await client.place("a")
    assert refused.code == (-1021 if client.venue == "binance" else 10002)

    await client.sim.control("DELETE", f"/faults/{row['id']}")
    assert await client.time() == now_ms
    assert (await client.place("b")).code == 0


async def test_messages_of_a_skewed_venue_carry_its_clock(client: Any) -> None:
    now_ms = (await client.sim.control("GET", "/health")).body["now_ms"]
    await fault(client.sim, action="clock_skew", venue=client.venue, skew_ms=3_000)
    async with client.listening() as stream, client.sim.http.ws_connect(client.socket_address()) as socket:
        market = Stream(socket)
        reading = asyncio.create_task(market.read())
        if client.venue == "bybit":
            await socket.send_json({"op": "subscribe", "args": [f"publicTrade.{SYMBOL}", f"orderbook.1.{SYMBOL}"]})
            await eventually(lambda: len(market.messages) == 2)
        assert (await client.place("a")).code == 0
        await client.sim.step(1)
        await settled(client.sim)
        reading.cancel()

    next_tick_ms = START_MS + 20_000
    assert stream.messages[0]["E" if client.venue == "binance" else "creationTime"] == now_ms + 3_000
    if client.venue == "binance":
        assert market.named("aggTrade")[0]["E"] == next_tick_ms + 3_000
    else:
        assert market.named(f"publicTrade.{SYMBOL}")[0]["data"][0]["T"] == next_tick_ms + 3_000
        assert market.named(f"orderbook.1.{SYMBOL}")[0]["cts"] == START_MS + 1_000 + 3_000


async def test_skewed_bybit_measures_no_request_by_the_true_clock_of_the_machine() -> None:
    async with running_sim(None, speed=1) as sim:
        client = await client_on(sim, "bybit")
        asked = {"method": "GET", "path": "/v5/user/query-api"}
        before = await client.signed(**asked, at_ms=to_epoch_ms(SystemClock().now()))
        await fault(sim, action="clock_skew", venue="bybit", skew_ms=-120_000)
        refused = await client.signed(**asked, at_ms=to_epoch_ms(SystemClock().now()))

    assert (before.code, refused.code) == (0, 10002)


async def test_skew_ends_with_its_venue_time(client: Any) -> None:
    await fault(client.sim, action="clock_skew", venue=client.venue, skew_ms=5_000, for_ms=MINUTE_MS)
    await client.sim.step(3)

    assert await client.time() == START_MS + 3 * MINUTE_MS


# ---------------------------------------------------------------------------------------------------- market


async def test_orders_fill_in_many_parts_until_it_ends(client: Any) -> None:
    row = await fault(client.sim, action="partial_fills", venue=client.venue, symbol=SYMBOL, parts=5)
    async with client.listening() as stream:
        await client.place("a")
        await settled(client.sim)
        storm = [trade for trade in (await account_state(client))["trades"] if trade["client_order_id"] == "a"]
        told = len(stream.named(client.order_event))
    await client.sim.control("DELETE", f"/faults/{row['id']}")
    await client.place("b")
    usual = [trade for trade in (await account_state(client))["trades"] if trade["client_order_id"] == "b"]

    assert len(storm) == 5
    assert sum(Decimal(trade["quantity"]) for trade in storm) == Decimal("0.01")
    assert len(usual) == 1
    assert told >= (5 if client.venue == "binance" else 1)


async def test_halted_symbol_takes_no_order_and_lets_cancels_pass(client: Any) -> None:
    assert (await client.place("resting", price="39000")).code == 0
    await fault(client.sim, action="halt", symbol=SYMBOL, venue=client.venue)

    refused = await client.place("a")
    canceled = await cancel(client, "resting")

    assert refused.code != 0
    assert refused.status in (200, 400)
    assert canceled.code == 0
    await fault(client.sim, action="resume", symbol=SYMBOL, venue=client.venue)
    assert (await client.place("b")).code == 0


async def cancel(client: Any, name: str) -> Any:
    if client.venue == "binance":
        return await client.signed("DELETE", client.order_path, symbol=SYMBOL, origClientOrderId=name)
    return await client.signed("POST", "/v5/order/cancel", category="linear", symbol=SYMBOL, orderLinkId=name)


async def test_changed_filter_is_told_and_enforced_and_taken_back(client: Any) -> None:
    before = await tick_size(client)
    row = await fault(client.sim, action="change_instrument", symbol=SYMBOL, venue=client.venue, tick_size="5")

    assert Decimal(await tick_size(client)) == 5
    refused = await client.place("a", price="39001")
    accepted = await client.place("b", price="39005")
    assert (refused.code != 0, accepted.code) == (True, 0)

    await client.sim.control("DELETE", f"/faults/{row['id']}")
    assert Decimal(await tick_size(client)) == Decimal(before)


async def test_price_shock_liquidates_who_stands_too_near(client: Any) -> None:
    sim = client.sim
    poor = await client_on(sim, client.venue, "25")
    await poor.place("entry")  # 400 USDT on 20 of margin
    await sim.step(1)
    row = await fault(sim, action="price_shock", symbol=SYMBOL, factor="0.8", minutes=5)
    await sim.step(3)
    held = (await account_state(poor))["positions"]
    low = (await sim.control("GET", f"/view?venue={client.venue}&symbol={SYMBOL}")).body["ticker"]["last"]
    await sim.step(12)
    back = (await sim.control("GET", f"/view?venue={client.venue}&symbol={SYMBOL}")).body["ticker"]["last"]

    assert row["state"] == "over"
    assert held == []
    assert Decimal(low) < Decimal("33000")
    assert Decimal(back) == 40_000


async def test_cascade_tells_each_account_of_its_liquidation_the_nearest_first(client: Any) -> None:
    sim = client.sim
    near, far = [await client_on(sim, client.venue, balance) for balance in ("25", "45")]
    for poor in (near, far):
        assert (await poor.place("entry")).code == 0
    async with near.listening() as of_near, far.listening() as of_far:
        await fault(sim, action="price_shock", symbol=SYMBOL, factor="0.92", minutes=5)
        await settled(sim)
        first = (liquidations(near, of_near), liquidations(far, of_far))
        await fault(sim, action="price_shock", symbol=SYMBOL, factor="0.8", minutes=5)
        await settled(sim)
        second = (liquidations(near, of_near), liquidations(far, of_far))

    assert (bool(first[0]), bool(first[1])) == (True, False)
    assert second[0] == first[0]
    assert second[1]


def liquidations(client: Any, stream: Stream) -> list[Any]:
    """Return the ids of the orders with which the venue closed a position, as the account's stream tells them."""
    if client.venue == "binance":
        orders = [message["o"] for message in stream.named(client.order_event)]
        return [order["i"] for order in orders if order["c"].startswith("autoclose-")]
    rows = [row for message in stream.named(client.order_event) for row in message["data"]]
    return [row["orderId"] for row in rows if row["createType"] == "CreateByLiq"]


async def test_drained_insurance_fund_is_empty(client: Any) -> None:
    await fault(client.sim, action="drain_insurance", venue=client.venue)

    pools = (await client.sim.control("GET", "/state")).body["pools"]
    assert pools[client.venue]["insurance"] == "0"


# ---------------------------------------------------------------------------------------------------- keys


async def test_revoked_key_is_one_the_venue_does_not_know(client: Any) -> None:
    more = (await client.sim.control("POST", f"/accounts/{client.uid}/keys", {"permissions": ["read", "trade"]})).body
    second = type(client)(client.sim, client.uid, more["api_key"], more["api_secret"])
    assert (await second.place("before")).code == 0
    await fault(client.sim, action="revoke_key", api_key=client.api_key)

    refused = await client.place("a")
    assert refused.code in (-2015, 10003)
    assert (await second.place("b")).code == 0


async def test_revoked_key_closes_sockets_of_bybit_and_leaves_the_listen_key_of_binance(client: Any) -> None:
    more = (await client.sim.control("POST", f"/accounts/{client.uid}/keys", {"permissions": ["read", "trade"]})).body
    second = type(client)(client.sim, client.uid, more["api_key"], more["api_secret"])
    async with client.listening() as stream:
        await fault(client.sim, action="revoke_key", api_key=client.api_key)
        if client.venue == "bybit":
            await eventually(lambda: stream.closed)
            return
        assert (await second.place("a")).code == 0
        await settled(client.sim)
        assert stream.named(client.order_event)
        assert (await client.send("PUT", "/fapi/v1/listenKey")).code == -2015


async def test_newest_key_of_an_account_is_revoked_by_its_number(client: Any) -> None:
    await fault(client.sim, action="revoke_key", uid=client.uid)

    assert (await client.place("a")).code in (-2015, 10003)


async def test_key_gains_the_right_to_withdraw_and_loses_it_again(client: Any) -> None:
    rights = ["read", "trade", "withdraw"]
    row = await fault(client.sim, action="set_permissions", api_key=client.api_key, permissions=rights)
    gained = await may_withdraw(client)
    await client.sim.control("DELETE", f"/faults/{row['id']}")

    assert (gained, await may_withdraw(client)) == (True, False)


async def may_withdraw(client: Any) -> bool:
    if client.venue == "binance":
        return bool((await client.signed("GET", "/sapi/v1/account/apiRestrictions")).body["enableWithdrawals"])
    told = (await client.signed("GET", "/v5/user/query-api")).body["result"]
    return "Withdraw" in told["permissions"]["Wallet"]


async def test_key_that_may_only_read_places_nothing(client: Any) -> None:
    await fault(client.sim, action="set_permissions", api_key=client.api_key, permissions=["read"])

    assert (await client.place("a")).code in (-2015, 10005)


# ---------------------------------------------------------------------------------------------------- times


async def test_action_begins_and_ends_at_its_venue_times(client: Any) -> None:
    sim = client.sim
    span = {"from_ms": START_MS + 2 * MINUTE_MS, "until_ms": START_MS + 4 * MINUTE_MS}
    row = await fault(sim, action="halt", symbol=SYMBOL, venue=client.venue, **span)
    seen = []
    for minute in (1, 3, 5):
        await sim.step(minute)
        seen.append(((await row_of(sim, row["id"]))["state"], (await client.place(f"at-{minute}")).code == 0))

    assert seen == [("waiting", True), ("in_force", False), ("over", True)]


async def test_maintenance_of_a_later_time_closes_sockets_then(client: Any) -> None:
    sim = client.sim
    async with client.listening() as stream:
        span = {"from_ms": START_MS + 2 * MINUTE_MS, "for_ms": MINUTE_MS}
        await fault(sim, fault="maintenance", venue=client.venue, **span)
        await sim.step(1)
        await settled(sim)
        assert not stream.closed
        await sim.step(2)
        await eventually(lambda: stream.closed)
    assert (await client.place("a")).code != 0
    await sim.step(4)
    assert (await client.place("b")).code == 0


async def test_action_ends_after_real_seconds(client: Any) -> None:
    row = await fault(client.sim, action="clock_skew", venue=client.venue, skew_ms=1_000, seconds=0.05)
    await asyncio.sleep(0.1)

    assert (await row_of(client.sim, row["id"]))["state"] == "over"
    assert await client.time() == START_MS + 1_000


async def test_clearing_takes_back_whatever_can_be_taken_back(client: Any) -> None:
    sim = client.sim
    await fault(sim, action="halt", symbol=SYMBOL)
    await fault(sim, action="clock_skew", skew_ms=700)
    await fault(sim, fault="503_before", times=9)
    await sim.control("DELETE", "/faults")

    assert await client.time() == START_MS + 1_000
    assert (await client.place("a")).code == 0
    assert (await sim.control("GET", "/faults")).body["faults"] == []


# ---------------------------------------------------------------------------------------------------- restart


@pytest.mark.parametrize("venue", ["binance", "bybit"])
async def test_halt_filters_and_revoked_keys_survive_a_restart_and_rules_do_not(
    recording: Path, tmp_path: Path, venue: str
) -> None:
    journal = tmp_path / "journal"
    async with running_sim(recording, journal=journal) as sim:
        client = await client_on(sim, venue)
        gone = await client_on(sim, venue)
        await fault(sim, action="change_instrument", symbol=SYMBOL, venue=venue, tick_size="5")
        await fault(sim, action="halt", symbol=SYMBOL, venue=venue)
        await fault(sim, action="partial_fills", symbol=SYMBOL, venue=venue, parts=3)
        await fault(sim, action="revoke_key", api_key=gone.api_key)
        await fault(sim, fault="503_before", times=100)
        await fault(sim, action="clock_skew", skew_ms=9_000)
    async with running_sim(recording, journal=journal) as sim:
        again = type(client)(sim, client.uid, client.api_key, client.secret)
        lost = type(gone)(sim, gone.uid, gone.api_key, gone.secret)

        assert (await sim.control("GET", "/faults")).body["faults"] == []
        assert await again.time() == START_MS + 1_000
        assert Decimal(await tick_size(again)) == 5
        assert (await lost.place("a")).code in (-2015, 10003)
        assert (await again.place("b")).code != 0
        await fault(sim, action="resume", symbol=SYMBOL, venue=venue)
        assert (await again.place("c")).code == 0
        assert len((await account_state(again))["trades"]) == 3
