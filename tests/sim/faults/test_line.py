"""What a client sees of every fault of messages, on both venues."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.sim.binance.client import MINUTE_MS, Sim, running_sim, write_dump
from tests.sim.faults.clients import BinanceClient, Client, Stream, client_on, fault, row_of, settled
from tests.support import eventually

pytestmark = pytest.mark.integration


@pytest.fixture
async def sim(tmp_path: Path) -> AsyncIterator[Sim]:
    bars = [("40000.0", "40100.0", "39900.0", "40050.0")] * 60
    async with running_sim(write_dump(tmp_path / "BTCUSDT-1m.csv", bars)) as running:
        yield running


@pytest.fixture(params=["binance", "bybit"])
async def client(sim: Sim, request: pytest.FixtureRequest) -> Any:
    return await client_on(sim, request.param)


async def heard(client: Any, stream: Stream) -> list[str]:
    """Return the events that have come, in order."""
    await settled(client.sim)
    return [message.get("e", message.get("topic")) for message in stream.messages]


async def order_told(client: Any, stream: Stream, name: str) -> list[str]:
    """Place an order and return what came of it."""
    stream.messages.clear()
    assert (await client.place(name)).code == 0
    return await heard(client, stream)


async def test_dropped_message_never_comes_and_the_others_do(client: Any) -> None:
    async with client.listening() as stream:
        usual = await order_told(client, stream, "a")
        await fault(client.sim, stream="drop", event=client.position_event, uid=client.uid)
        told = await order_told(client, stream, "b")
        again = await order_told(client, stream, "c")

    without = usual.copy()
    without.remove(client.position_event)
    assert told == without
    assert again == usual


async def test_doubled_message_comes_twice_in_a_row(client: Any) -> None:
    async with client.listening() as stream:
        await fault(client.sim, stream="duplicate", event=client.position_event)
        await order_told(client, stream, "a")
        first, second, *_ = stream.named(client.position_event)

    assert first == second


async def test_late_message_comes_behind_later_ones(client: Any) -> None:
    async with client.listening() as stream:
        usual = await order_told(client, stream, "a")
        await fault(client.sim, stream="delay", event=client.position_event, min_ms=40, max_ms=80)
        told = await order_told(client, stream, "b")
        await eventually(lambda: stream.named(client.position_event))

    assert client.position_event not in told
    assert usual.count(client.position_event) == 1


async def test_swapped_message_comes_behind_the_next_one(client: Any) -> None:
    async with client.listening() as stream:
        usual = await order_told(client, stream, "a")
        await fault(client.sim, stream="reorder", uid=client.uid)
        told = await order_told(client, stream, "b")

    assert told == [usual[1], usual[0], *usual[2:]]


async def test_count_skips_the_first_messages(client: Any) -> None:
    async with client.listening() as stream:
        row = await fault(client.sim, stream="drop", event=client.order_event, after=1, times=1)
        await order_told(client, stream, "a")
        await order_told(client, stream, "b")

    told = await row_of(client.sim, row["id"])
    assert (told["seen"], told["hits"], told["state"]) == (2, 1, "over")


async def test_socket_is_closed_at_a_message(client: Any) -> None:
    async with client.listening() as stream:
        await fault(client.sim, stream="disconnect", uid=client.uid)
        await client.place("a")
        await eventually(lambda: stream.closed)

    assert await client.placed() == ["a"]


async def test_cut_line_says_no_word(client: Any) -> None:
    async with client.listening() as stream:
        row = await fault(client.sim, action="disconnect", uid=client.uid, abrupt=True)
        await eventually(lambda: stream.closed)

    assert row["state"] == "over"
    assert stream.socket.close_code == 1006  # no close frame came


async def test_all_sockets_or_those_of_one_account_are_closed_at_once(client: Any) -> None:
    other = await client_on(client.sim, client.venue)
    async with client.listening() as mine, other.listening() as theirs:
        await fault(client.sim, action="disconnect", venue=client.venue, uid=other.uid)
        await eventually(lambda: theirs.closed)
        assert client.order_event in await order_told(client, mine, "a")
        assert not mine.closed
        await fault(client.sim, action="disconnect", venue=client.venue)
        await eventually(lambda: mine.closed)


async def test_silent_socket_sends_heartbeats_and_nothing_else(client: Any) -> None:
    async with client.listening() as stream:
        row = await fault(client.sim, stream="silent", venue=client.venue)
        assert await order_told(client, stream, "a") == []  # the barrier's ping was answered all the same
        assert not stream.closed
        await client.sim.control("DELETE", f"/faults/{row['id']}")
        assert client.order_event in await order_told(client, stream, "b")


async def test_silence_covers_public_messages_and_ends_with_venue_time(client: Any) -> None:
    sim = client.sim
    async with sim.http.ws_connect(client.socket_address()) as socket:
        stream = Stream(socket)
        reading = asyncio.create_task(stream.read())
        if client.venue == "bybit":
            await socket.send_json({"op": "subscribe", "args": ["publicTrade.BTCUSDT"]})
            await eventually(lambda: stream.messages)
        stream.messages.clear()
        await fault(sim, stream="silent", for_ms=5 * MINUTE_MS)
        await sim.step(4)
        await settled(sim)
        silent = len(stream.messages)
        await sim.step(8)
        await settled(sim)
        reading.cancel()

    assert silent == 0
    assert stream.messages


async def test_public_messages_of_one_topic_are_lost(sim: Sim) -> None:
    async with sim.http.ws_connect(f"{sim.streams}/market/ws/btcusdt@aggTrade") as socket:
        await fault(sim, stream="drop", channel="public", symbol="BTCUSDT", times=3)
        await sim.step(3)
        async with asyncio.timeout(5):
            first = json.loads((await socket.receive()).data)

    assert first["a"] > 3  # aggregate trades are numbered from 1


# ---------------------------------------------------------------------------------------------------- listen keys


@pytest.mark.parametrize(("announced", "events"), [(True, ["listenKeyExpired"]), (False, [])])
async def test_expired_listen_key_leaves_an_open_and_silent_socket(
    sim: Sim, announced: bool, events: list[str]
) -> None:
    client: BinanceClient = await client_on(sim, "binance")
    async with client.listening() as stream:
        await fault(sim, action="expire_listen_key", uid=client.uid, announced=announced)
        assert await heard(client, stream) == events
        assert await order_told(client, stream, "a") == []
        assert not stream.closed
    async with client.listening() as fresh:
        assert "ORDER_TRADE_UPDATE" in await order_told(client, fresh, "b")


async def test_account_without_a_listen_key_cannot_lose_it(sim: Sim) -> None:
    client: Client = await client_on(sim, "binance")
    answer = await sim.control("POST", "/faults", {"action": "expire_listen_key", "uid": client.uid})

    assert answer.status == 404


async def test_socket_that_a_ban_keeps_out_comes_in_later(sim: Sim) -> None:
    row = await fault(sim, fault="ban", venue="binance")
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await sim.http.ws_connect(f"{sim.streams}/market/ws/btcusdt@aggTrade")
    await sim.control("DELETE", f"/faults/{row['id']}")

    async with sim.http.ws_connect(f"{sim.streams}/market/ws/btcusdt@aggTrade") as socket:
        assert not socket.closed
