"""What the stream host allows a socket: how long, how fast, how often, how much; and the live-subscribe protocol."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from patriot.kernel.clock import FakeClock
from patriot.sim.binance.streams import MAX_ATTEMPTS
from tests.sim.binance.client import Sim, flat, running_sim, write_dump
from tests.sim.binance.listeners import listen_key, listening, settled
from tests.support import eventually

pytestmark = pytest.mark.integration


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def live(tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sim]:
    """A venue whose clock runs by itself, as fast as the test moves it."""
    monkeypatch.setattr("patriot.sim.server.HOUSEKEEPING_SECONDS", 0.01)
    data = write_dump(tmp_path / "BTCUSDT.csv", flat("100.0", 2))
    async with running_sim(data, speed=1, clock=clock) as sim:
        yield sim


async def closed_with(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    """Read until the socket closes, answering nothing; return the code."""
    async with asyncio.timeout(5):
        while (await socket.receive()).type not in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED):
            pass
    return socket.close_code


# ---------------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize("path", ["/market/ws/btcusdt@aggTrade", "/private/ws", "/ws-fapi/v1"])
async def test_socket_is_closed_after_a_day(live: Sim, clock: FakeClock, path: str) -> None:
    async with live.http.ws_connect(live.streams + path) as socket:
        await socket.send_json({"method": "anything", "id": 1})
        assert (await socket.receive_json())["id"] == 1
        clock.advance(timedelta(hours=24))

        assert await closed_with(socket) == 1001


async def test_socket_that_answers_no_ping_for_ten_minutes_is_closed(live: Sim, clock: FakeClock) -> None:
    async with live.http.ws_connect(f"{live.streams}/market/ws", autoping=False) as mute:
        clock.advance(timedelta(minutes=3))
        async with asyncio.timeout(5):
            assert (await mute.receive()).type is aiohttp.WSMsgType.PING
        await mute.pong(b"not what the ping carried")
        clock.advance(timedelta(minutes=7))

        assert await closed_with(mute) == 1008


async def test_socket_that_answers_pings_stays_open(live: Sim, clock: FakeClock) -> None:
    async with live.http.ws_connect(f"{live.streams}/market/ws", autoping=False) as socket:
        for _ in range(5):
            clock.advance(timedelta(minutes=3))
            async with asyncio.timeout(5):
                ping = await socket.receive()
            assert ping.type is aiohttp.WSMsgType.PING
            await socket.pong(ping.data)
            await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 1})
            async with asyncio.timeout(5):
                assert (await socket.receive_json())["id"] == 1


async def test_eleventh_frame_of_a_second_closes_the_socket(live: Sim) -> None:
    async with live.http.ws_connect(f"{live.streams}/market/ws") as socket:
        for number in range(11):
            await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})

        assert await closed_with(socket) == 1008


async def test_ten_frames_in_each_second_are_answered(live: Sim, clock: FakeClock) -> None:
    async with listening(live, "/market/ws") as market:
        for number in range(30):
            if number % 10 == 0:
                clock.advance(timedelta(seconds=1))
            assert (await market.ask({"method": "LIST_SUBSCRIPTIONS", "id": number}))["id"] == number


async def test_address_that_connects_too_often_is_refused_until_later(live: Sim, clock: FakeClock) -> None:
    for _ in range(MAX_ATTEMPTS):
        async with live.http.get(f"{live.rest}/market/ws", headers={"Upgrade": "websocket"}) as answer:
            assert answer.status == 400  # no handshake: an attempt all the same
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await live.http.ws_connect(f"{live.streams}/market/ws")
    clock.advance(timedelta(minutes=5))
    await (await live.http.ws_connect(f"{live.streams}/market/ws")).close()

    assert refused.value.status == 429


async def test_stepped_replay_closes_no_socket_however_long_it_takes(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("patriot.sim.server.HOUSEKEEPING_SECONDS", 0.01)
    data = write_dump(tmp_path / "BTCUSDT.csv", flat("100.0", 3))
    async with running_sim(data, clock=clock) as sim, listening(sim, "/market/ws/btcusdt@aggTrade") as market:
        clock.advance(timedelta(hours=48))
        await sim.step(1)
        await eventually(lambda: market.messages)

        assert not market.closed


async def test_streams_above_the_limit_of_a_connection_are_refused_together(sim: Sim) -> None:
    names = [f"s{number}usdt@aggTrade" for number in range(1_025)]
    async with listening(sim, "/market/ws") as market:
        assert "error" in await market.ask({"method": "SUBSCRIBE", "params": names, "id": 1})
        assert (await market.ask({"method": "SUBSCRIBE", "params": names[1:], "id": 2}))["result"] is None
        assert len((await market.ask({"method": "LIST_SUBSCRIPTIONS", "id": 3}))["result"]) == 1_024


async def test_frame_that_is_too_large_closes_the_socket(sim: Sim) -> None:
    async with sim.http.ws_connect(f"{sim.streams}/market/ws") as socket:
        await socket.send_str("x" * 100_000)

        assert await closed_with(socket) == 1009


async def test_message_longer_than_a_short_frame_arrives_whole(sim: Sim) -> None:
    await sim.step(1)
    async with listening(sim, "/public/ws/btcusdt@depth") as book:
        await sim.step(2)
        await settled(sim)

    assert len(book.messages[0]["b"]) + len(book.messages[0]["a"]) > 2_000


# ---------------------------------------------------------------------------------------------------- protocol


async def test_envelope_is_a_property_of_the_connection(sim: Sim) -> None:
    async with listening(sim, "/market/ws/btcusdt@aggTrade") as market:
        before = await market.ask({"method": "GET_PROPERTY", "params": ["combined"], "id": 1})
        changed = await market.ask({"method": "SET_PROPERTY", "params": ["combined", True], "id": 2})
        after = await market.ask({"method": "GET_PROPERTY", "params": ["combined"], "id": 3})
        await sim.step(1)
        await settled(sim)

    assert (before["result"], changed["result"], after["result"]) == (False, None, True)
    assert {m["stream"] for m in market.messages} == {"btcusdt@aggTrade"}


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ('{"method": "LIST_SUBSCRIPTIONS", "id": -1}', 2),
        ("{", 3),
        ('{"method": "DANCE", "id": 1}', 2),
        ('{"id": 1}', 2),
        ('{"method": "SUBSCRIBE", "params": [1], "id": 1}', 2),
        ('{"method": "SUBSCRIBE", "params": [], "id": {}}', 2),
        ('{"method": "SET_PROPERTY", "params": ["combined", 1], "id": 1}', 1),
        ('{"method": "SET_PROPERTY", "params": ["color", true], "id": 1}', 0),
        ('{"method": "GET_PROPERTY", "params": [], "id": 1}', 2),
    ],
)
async def test_bad_frame_is_answered_with_the_code_of_what_is_wrong(sim: Sim, frame: str, code: int) -> None:
    async with listening(sim, "/market/ws") as market:
        await market.socket.send_str(frame)
        await eventually(lambda: market.messages)

    assert market.messages[0]["error"]["code"] == code


async def test_listen_keys_can_be_subscribed_to_with_their_events(sim: Sim) -> None:
    trader = await sim.trader()
    key = await listen_key(trader)
    async with listening(sim, "/private/ws") as private:
        await private.ask({"method": "SUBSCRIBE", "params": [f"{key}@ACCOUNT_UPDATE"], "id": 1})
        await trader.market("BUY", "0.010")
        await settled(sim)
        heard = len(private.messages)
        await private.ask({"method": "UNSUBSCRIBE", "params": [key], "id": 2})
        await trader.market("SELL", "0.010")
        await settled(sim)

    assert heard > 0
    assert {m["e"] for m in private.messages} == {"ACCOUNT_UPDATE"}
    assert len(private.messages) == heard
