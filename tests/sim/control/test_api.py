"""The control API over a real socket: accounts, clock, barrier, faults, state."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.sim.binance.client import START_MS, Sim, flat, running_sim, write_dump

pytestmark = pytest.mark.integration

MINUTE_MS = 60_000


@pytest.fixture
async def sim(tmp_path: Path) -> AsyncIterator[Sim]:
    bars = [*flat("40000.0", 10), ("40000.0", "40600.0", "39000.0", "39500.0"), *flat("39500.0", 489)]
    async with running_sim(write_dump(tmp_path / "BTCUSDT-1m.csv", bars)) as running:
        yield running


async def test_stranger_is_turned_away_everywhere(sim: Sim) -> None:
    for method, path in [("GET", "/state"), ("GET", "/health"), ("POST", "/accounts"), ("POST", "/clock")]:
        assert (await sim.control(method, path, {}, token="guess")).status == 401


async def test_account_is_made_with_its_balance_and_rights(sim: Sim) -> None:
    body = {"venue": "binance", "balance": "1234.5", "permissions": ["read", "trade", "withdraw"]}
    made = await sim.control("POST", "/accounts", body)
    again = await sim.control("POST", "/accounts", {"venue": "binance", "balance": "1"})

    state = (await sim.control("GET", "/state")).body
    assert set(made.body) == {"uid", "api_key", "api_secret"}
    assert (len(made.body["api_key"]), len(made.body["api_secret"])) == (64, 64)
    assert again.body["uid"] != made.body["uid"]
    account = state["accounts"][str(made.body["uid"])]
    assert (account["wallet"], account["equity"]) == ("1234.5", "1234.5")
    assert state["keys"][str(made.body["uid"])][0]["permissions"] == ["read", "trade", "withdraw"]
    assert made.body["api_secret"] not in str(state)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/accounts", {"venue": "nasdaq", "balance": "1"}, 422),
        ("/accounts", {"venue": "binance", "balance": "NaN"}, 422),
        ("/accounts", {"venue": "binance", "balance": "-1"}, 422),
        ("/accounts", {"venue": "binance", "balance": 10000.5}, 422),
        ("/accounts", {"venue": "binance", "balance": "1", "permissions": ["fly"]}, 422),
        ("/accounts", [], 422),
        ("/transfers", {"uid": 99, "amount": "1"}, 404),
        ("/transfers", {"uid": 1, "amount": "1e400"}, 422),
        ("/permissions", {"api_key": "nobody", "permissions": []}, 404),
        ("/clock", {"until_ms": -1}, 422),
        ("/clock", {"until_ms": "soon"}, 422),
        ("/faults", {}, 422),
        ("/faults", {"fault": "503_before", "stream": "drop"}, 422),
        ("/faults", {"fault": "503_before", "times": 0}, 422),
        ("/nowhere", {}, 404),
    ],
)
async def test_bad_body_is_refused_with_one_clear_error(sim: Sim, path: str, body: object, status: int) -> None:
    answer = await sim.control("POST", path, body)

    assert answer.status == status
    assert answer.body["detail"]
    assert (await sim.control("GET", "/state")).body["accounts"] == {}


async def test_transfers_move_the_wallet_and_show_as_income(sim: Sim) -> None:
    trader = await sim.trader("1000")
    deposit = await sim.control("POST", "/transfers", {"uid": trader.uid, "amount": "250.5"})
    withdrawal = await sim.control("POST", "/transfers", {"uid": str(trader.uid), "amount": "-100"})
    too_much = await sim.control("POST", "/transfers", {"uid": trader.uid, "amount": "-5000"})

    assert (deposit.body["wallet"], withdrawal.body["wallet"]) == ("1250.5", "1150.5")
    assert too_much.status == 409
    rows = (await trader.signed("GET", "/fapi/v1/income", incomeType="TRANSFER")).body
    assert [row["income"] for row in rows][-2:] == ["250.5", "-100"]


async def test_right_that_a_key_gains_later_is_seen_by_the_key(sim: Sim) -> None:
    trader = await sim.trader()
    body = {"api_key": trader.api_key, "permissions": ["read", "trade", "transfer"]}
    await sim.control("POST", "/permissions", body)

    may = (await trader.signed("GET", "/sapi/v1/account/apiRestrictions")).body
    assert (may["permitsUniversalTransfer"], may["enableFutures"]) == (True, True)


async def test_clock_stands_still_between_steps_and_stops_where_it_is_told(sim: Sim) -> None:
    first = (await sim.public("/fapi/v1/time")).body["serverTime"]
    done = await sim.step(7)

    assert first == START_MS + 1_000
    assert (done["now_ms"], done["bars_played"], done["bars_left"]) == (START_MS + 7 * MINUTE_MS, 7, 493)
    assert done["stopped_by"] == []
    assert (await sim.public("/fapi/v1/time")).body["serverTime"] == START_MS + 7 * MINUTE_MS


async def test_clock_stops_at_the_close_of_a_quarter(sim: Sim) -> None:
    done = await sim.step(60, stop_on_activity=True)

    assert (done["now_ms"], done["stopped_by"]) == (START_MS + 15 * MINUTE_MS, ["kline:BTCUSDT:15m"])


async def test_clock_stops_inside_a_bar_when_an_order_fills(sim: Sim) -> None:
    trader = await sim.trader()
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    await trader.signed("POST", "/fapi/v1/order", **order, price="39400", quantity="0.010")

    done = await sim.step(14, stop_on_activity=True)

    assert done["stopped_by"] == [f"private:{trader.uid}"]
    assert START_MS + 10 * MINUTE_MS < done["now_ms"] < START_MS + 11 * MINUTE_MS
    assert done["bars_played"] == 10


async def test_funding_is_settled_at_its_hour_and_after_the_recording_ended(sim: Sim) -> None:
    trader = await sim.trader()
    await trader.market("BUY", "0.010")

    await sim.step(17 * 60)

    rows = (await trader.signed("GET", "/fapi/v1/income", incomeType="FUNDING_FEE")).body
    rates = (await sim.public("/fapi/v1/fundingRate", symbol="BTCUSDT")).body
    assert [row["time"] for row in rows] == [START_MS + 8 * 3_600_000, START_MS + 16 * 3_600_000]
    assert [rate["fundingTime"] for rate in rates] == [row["time"] for row in rows]
    assert (await sim.public("/fapi/v1/ticker/price", symbol="BTCUSDT")).body["price"] == "39500.00"
    bars = (await sim.public("/fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit=1500)).body
    assert len(bars) == 500


async def test_how_the_clock_is_driven_changes_nothing(tmp_path: Path) -> None:
    states = []
    data = write_dump(tmp_path / "BTCUSDT.csv", [*flat("40000.0", 3), ("40000.0", "41000.0", "39000.0", "40500.0")] * 5)
    for stride in (1, 20):
        async with running_sim(data) as sim:
            trader = await sim.trader()
            order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "newClientOrderId": "a"}
            await trader.signed("POST", "/fapi/v1/order", **order, price="39400", quantity="0.010")
            for minute in range(stride, 21, stride):
                await sim.step(minute)
            states.append((await sim.control("GET", "/state")).body["accounts"])

    assert states[0] == states[1]
    assert len(states[0]["1"]["trades"]) > 0


async def test_activity_counts_what_changed_the_venue(sim: Sim) -> None:
    trader = await sim.trader()
    before = (await sim.control("POST", "/barrier", {})).body["activity"]
    await trader.signed("GET", "/fapi/v3/account")
    assert (await sim.control("POST", "/barrier", {})).body["activity"] == before
    await trader.market("BUY", "0.010")
    refused = await trader.market("BUY", "0.0001")

    assert refused.status == 400
    assert (await sim.control("POST", "/barrier", {})).body["activity"] == before + 1


async def test_barrier_fails_when_a_stream_does_not_answer(sim: Sim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patriot.sim.control.api.BARRIER_SECONDS", 0.2)
    async with sim.http.ws_connect(f"{sim.streams}/market/ws/btcusdt@aggTrade", autoping=False):
        assert (await sim.control("POST", "/barrier", {})).status == 504


@pytest.mark.parametrize(("fault", "placed"), [("503_before", 0), ("503_after", 1)])
async def test_failure_does_not_tell_whether_the_order_was_placed(sim: Sim, fault: str, placed: int) -> None:
    trader = await sim.trader()
    await sim.control("POST", "/faults", {"match": {"method": "POST", "path": "/fapi/v1/order"}, "fault": fault})

    answer = await trader.market("BUY", "0.010")

    assert (answer.status, answer.body["code"]) == (503, -1000)
    assert len((await trader.signed("GET", "/fapi/v1/allOrders", symbol="BTCUSDT")).body) == placed
    assert (await trader.market("BUY", "0.010")).status == 200


@pytest.mark.parametrize(("fault", "placed"), [("timeout_before", 0), ("timeout_after", 1)])
async def test_timeout_does_not_tell_whether_the_order_was_placed(sim: Sim, fault: str, placed: int) -> None:
    trader = await sim.trader()
    await sim.control("POST", "/faults", {"match": {"path": "/fapi/v1/order", "method": "POST"}, "fault": fault})

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await trader.market("BUY", "0.010")

    assert len((await trader.signed("GET", "/fapi/v1/allOrders", symbol="BTCUSDT")).body) == placed


async def test_faults_are_cleared(sim: Sim) -> None:
    await sim.control("POST", "/faults", {"fault": "503_before", "times": 100})
    await sim.control("DELETE", "/faults")

    assert (await sim.public("/fapi/v1/ping")).status == 200


async def test_clock_that_runs_by_itself_is_not_moved_by_hand(tmp_path: Path) -> None:
    async with running_sim(write_dump(tmp_path / "BTCUSDT.csv", flat("1.0", 3)), speed=60) as sim:
        answer = await sim.control("POST", "/clock", {"until_ms": START_MS})

    assert answer.status == 422
    assert "--speed step" in answer.body["detail"]


async def test_body_that_is_no_json_is_refused(sim: Sim) -> None:
    url = f"http://127.0.0.1:{sim.server.control_port}/clock"
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data=b"{", headers={"Authorization": "Bearer control-token"}) as response,
    ):
        assert response.status == 422
