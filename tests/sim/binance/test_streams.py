"""WebSocket of the Binance face over real sockets: which entry serves what, and every private message in order."""

import asyncio
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from patriot.kernel.clock import FakeClock
from patriot.sim.binance.listen_keys import ListenKeys
from tests.sim.binance.client import START_MS, Sim, Trader, running_sim, write_dump
from tests.sim.binance.listeners import listen_key, listening, settled
from tests.support import eventually

pytestmark = pytest.mark.integration

MINUTE_MS = 60_000


# ---------------------------------------------------------------------------------------------------- market


async def test_kline_of_a_stepped_replay_comes_once_and_closed(sim: Sim) -> None:
    async with listening(sim, "/market/ws/btcusdt@kline_15m") as market:
        await sim.step(15)
        await settled(sim)

    assert [(m["e"], m["k"]["i"], m["k"]["x"], m["k"]["t"]) for m in market.messages] == [
        ("kline", "15m", True, START_MS)
    ]
    assert market.messages[0]["k"]["T"] == START_MS + 15 * MINUTE_MS - 1
    assert market.messages[0]["k"]["c"] == "40000.0"


async def test_combined_connection_wraps_messages_in_an_envelope(sim: Sim) -> None:
    async with listening(sim, "/market/stream?streams=btcusdt@aggTrade/btcusdt@markPrice@1s") as market:
        await sim.step(1)
        await settled(sim)

    assert {m["stream"] for m in market.messages} == {"btcusdt@aggTrade", "btcusdt@markPrice@1s"}
    mark = [m["data"] for m in market.messages if m["data"]["e"] == "markPriceUpdate"]
    assert (mark[0]["p"], mark[0]["i"]) == ("40000.00", "40000.00")


async def test_stream_on_the_wrong_entry_stays_silent(sim: Sim) -> None:
    async with (
        listening(sim, "/public/ws/btcusdt@aggTrade") as wrong,
        listening(sim, "/market/ws/btcusdt@bookTicker") as wrong_too,
        listening(sim, "/public/ws/btcusdt@bookTicker") as right,
        listening(sim, "/public/stream?streams=btcusdt@depth5@100ms") as depth,
    ):
        await sim.step(1)
        await settled(sim)

    assert (wrong.messages, wrong_too.messages) == ([], [])
    assert right.messages[0]["e"] == "bookTicker"
    assert [len(m["data"]["b"]) for m in depth.messages][-1] == 5
    updates = [m["data"] for m in depth.messages]
    assert [later["pu"] for later in updates[1:]] == [earlier["u"] for earlier in updates[:-1]]


async def test_subscribe_list_and_unsubscribe_frames_are_answered(sim: Sim) -> None:
    async with listening(sim, "/market/ws") as market:
        assert await market.ask({"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade"], "id": 1}) == {
            "result": None,
            "id": 1,
        }
        assert (await market.ask({"method": "LIST_SUBSCRIPTIONS", "id": 2}))["result"] == ["btcusdt@aggTrade"]
        await sim.step(1)
        await settled(sim)
        heard = len(market.messages)
        await market.ask({"method": "UNSUBSCRIBE", "params": ["btcusdt@aggTrade"], "id": 3})
        await sim.step(2)
        await settled(sim)

        assert heard > 0
        assert len(market.messages) == heard


@pytest.mark.parametrize("frame", ["{", "[]", '{"method": "DANCE", "id": 1}', '{"method": "SUBSCRIBE", "params": 7}'])
async def test_bad_frame_is_answered_with_an_error_and_the_stream_goes_on(sim: Sim, frame: str) -> None:
    async with listening(sim, "/market/ws/btcusdt@aggTrade") as market:
        await market.socket.send_str(frame)
        await eventually(lambda: market.messages)
        await sim.step(1)
        await settled(sim)

    assert "error" in market.messages[0]
    assert market.messages[-1]["e"] == "aggTrade"


# ---------------------------------------------------------------------------------------------------- private


async def test_fill_is_told_as_order_and_account_update(sim: Sim, trader: Trader) -> None:
    async with listening(sim, f"/private/ws/{await listen_key(trader)}") as private:
        placed = (await trader.market("BUY", "0.010")).body
        await settled(sim)

    orders = private.named("ORDER_TRADE_UPDATE")
    assert [(m["o"]["x"], m["o"]["X"]) for m in (orders[0], orders[-1])] == [("NEW", "NEW"), ("TRADE", "FILLED")]
    assert {m["o"]["i"] for m in orders} == {placed["orderId"]}
    fills = [m["o"] for m in orders if m["o"]["x"] == "TRADE"]
    assert sum(float(fill["l"]) for fill in fills) == pytest.approx(0.01)
    assert all(fill["N"] == "USDT" and float(fill["n"]) > 0 for fill in fills)
    account = private.named("ACCOUNT_UPDATE")[-1]["a"]
    assert (account["m"], account["P"][0]["s"], account["P"][0]["pa"]) == ("ORDER", "BTCUSDT", "0.010")
    assert account["B"][0]["wb"] == (await trader.signed("GET", "/fapi/v3/account")).body["totalWalletBalance"]


async def test_stop_is_told_from_new_to_finished_with_the_order_it_became(sim: Sim, trader: Trader) -> None:
    await trader.market("BUY", "0.010")
    algo = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "STOP_MARKET",
        "algoType": "CONDITIONAL",
        "clientAlgoId": "s-1",
    }
    async with listening(sim, f"/private/ws?listenKey={await listen_key(trader)}") as private:
        await trader.signed(
            "POST", "/fapi/v1/algoOrder", **algo, triggerPrice="39200", quantity="0.010", reduceOnly="true"
        )
        await sim.step(16)
        await settled(sim)

    told = [(m["o"]["caid"], m["o"]["X"]) for m in private.named("ALGO_UPDATE")]
    assert (told[0], told[-1]) == (("s-1", "NEW"), ("s-1", "FINISHED"))
    actual = private.named("ALGO_UPDATE")[-1]["o"]["ai"]
    filled = [m["o"] for m in private.named("ORDER_TRADE_UPDATE") if m["o"]["X"] == "FILLED"]
    assert [str(order["i"]) for order in filled] == [actual]


async def test_events_parameter_is_an_allow_list(sim: Sim, trader: Trader) -> None:
    key = await listen_key(trader)
    async with (
        listening(sim, f"/private/ws?listenKey={key}&events=ACCOUNT_UPDATE") as some,
        listening(sim, f"/private/stream?streams={key}@ORDER_TRADE_UPDATE") as named,
    ):
        await trader.market("BUY", "0.010")
        await settled(sim)

    assert {m["e"] for m in some.messages} == {"ACCOUNT_UPDATE"}
    assert {(m["stream"], m["data"]["e"]) for m in named.messages} == {(key, "ORDER_TRADE_UPDATE")}


async def test_one_account_never_hears_another(sim: Sim, trader: Trader) -> None:
    stranger = await sim.trader()
    async with listening(sim, f"/private/ws/{await listen_key(stranger)}") as private:
        await trader.market("BUY", "0.010")
        await settled(sim)

    assert private.messages == []


async def test_unknown_listen_key_opens_and_stays_silent(sim: Sim, trader: Trader) -> None:
    async with listening(sim, "/private/ws/madeup") as private:
        await trader.market("BUY", "0.010")
        await settled(sim)

        assert private.messages == []
        assert not private.closed


async def test_closed_listen_key_is_told_and_the_socket_stays_open(sim: Sim, trader: Trader) -> None:
    key = await listen_key(trader)
    again = await listen_key(trader)
    async with listening(sim, f"/private/ws/{key}") as private:
        await trader.send("DELETE", "/fapi/v1/listenKey", "")
        await settled(sim)

        assert again == key
        assert [m["listenKey"] for m in private.named("listenKeyExpired")] == [key]
        assert not private.closed


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_listen_key_that_there_is_not_can_neither_be_extended_nor_closed(trader: Trader, method: str) -> None:
    never_had = await trader.send(method, "/fapi/v1/listenKey", "")
    await listen_key(trader)
    closed = await trader.send("DELETE", "/fapi/v1/listenKey", "")
    no_more = await trader.send(method, "/fapi/v1/listenKey", "")

    assert (closed.status, closed.body) == (200, {})
    assert [(answer.status, answer.body["code"]) for answer in (never_had, no_more)] == [(400, -1125)] * 2


async def test_listen_key_ends_after_an_hour_without_extension() -> None:
    clock = FakeClock()
    keys = ListenKeys(clock)
    first = keys.open(1, lambda: "a")
    clock.advance(timedelta(minutes=59))
    assert keys.extend(1) == first
    clock.advance(timedelta(minutes=59))
    assert keys.active(1) == first
    assert keys.expired() == []
    clock.advance(timedelta(minutes=1))

    assert keys.active(1) is None
    assert keys.close(1) is None
    assert keys.expired() == [(1, "a")]
    assert keys.open(1, lambda: "b") == "b"


async def test_running_clock_updates_the_open_bar(tmp_path: Path) -> None:
    data = write_dump(tmp_path / "BTCUSDT.csv", [("1.0", "4.0", "1.0", "2.0")] * 100)
    async with running_sim(data, speed=2_000) as sim, listening(sim, "/market/ws/btcusdt@kline_1m") as market:
        await eventually(lambda: any(m["k"]["x"] for m in market.messages))
        await eventually(lambda: any(not m["k"]["x"] for m in market.messages))


async def test_quiet_stream_is_pinged_every_three_minutes(tmp_path: Path) -> None:
    clock = FakeClock()
    data = write_dump(tmp_path / "BTCUSDT.csv", [("1.0", "1.0", "1.0", "1.0")] * 3)
    async with (
        running_sim(data, clock=clock) as sim,
        sim.http.ws_connect(f"{sim.streams}/market/ws", autoping=False) as ws,
    ):
        clock.advance(timedelta(minutes=3))
        async with asyncio.timeout(5):
            assert (await ws.receive()).type is aiohttp.WSMsgType.PING


async def test_expired_listen_key_is_told_to_its_stream(tmp_path: Path) -> None:
    clock = FakeClock()
    data = write_dump(tmp_path / "BTCUSDT.csv", [("1.0", "1.0", "1.0", "1.0")] * 3)
    async with running_sim(data, clock=clock) as sim:
        key = await listen_key(await sim.trader())
        async with listening(sim, f"/private/ws/{key}") as private:
            clock.advance(timedelta(minutes=60))
            await eventually(lambda: private.named("listenKeyExpired"))


# ---------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(("fault", "copies"), [("drop", 0), ("duplicate", 2), ("delay", 1)])
async def test_stream_fault_hits_the_named_event_once(sim: Sim, trader: Trader, fault: str, copies: int) -> None:
    async with listening(sim, f"/private/ws/{await listen_key(trader)}") as private:
        body = {"stream": fault, "event": "ACCOUNT_UPDATE", "times": 1, "delay_ms": 50}
        assert (await sim.control("POST", "/faults", body)).status == 200
        await trader.market("BUY", "0.010")
        await settled(sim)
        at_once = len(private.named("ACCOUNT_UPDATE"))
        await trader.market("BUY", "0.010")
        await eventually(lambda: len(private.named("ACCOUNT_UPDATE")) >= copies + 1)
        await settled(sim)

    assert len(private.named("ACCOUNT_UPDATE")) == copies + 1
    assert at_once == (copies if fault != "delay" else 0)


async def test_disconnect_fault_closes_the_socket(sim: Sim, trader: Trader) -> None:
    async with listening(sim, f"/private/ws/{await listen_key(trader)}") as private:
        await sim.control("POST", "/faults", {"stream": "disconnect", "uid": trader.uid})
        await trader.market("BUY", "0.010")
        await eventually(lambda: private.closed)

    assert len((await trader.signed("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")).body) > 0
