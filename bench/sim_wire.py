"""The simulator over its wires, on one core: orders a second by keep-alive, stream messages a second."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from bench import Figure, Server, rates
from bench._sim import Sim, running

CONNECTIONS = 8  # each with an account of its own
ORDERS = 4_000  # a run
SOCKETS = 20
SECONDS = 4.0  # of listening, a run
RUNS = 5
HURRY = 1_000_000  # venue seconds per second: as fast as it can
STREAMS = ("aggTrade", "bookTicker", "markPrice@1s")
Keys = dict[str, Any]


def binance_order(keys: Keys, number: int) -> bytes:
    """Return a signed request of a market order."""
    side = "BUY" if number % 2 else "SELL"
    order = f"symbol=BTCUSDT&side={side}&type=MARKET&quantity=0.01&newClientOrderId=b-{number}"
    text = f"{order}&recvWindow=60000&timestamp={int(time.time() * 1000)}"
    signature = hmac.new(keys["api_secret"].encode(), text.encode(), hashlib.sha256).hexdigest()
    body = f"{text}&signature={signature}"
    return (
        f"POST /fapi/v1/order HTTP/1.1\r\nHost: sim\r\nX-MBX-APIKEY: {keys['api_key']}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def bybit_order(keys: Keys, number: int) -> bytes:
    """Return a signed request of a market order."""
    side = "Buy" if number % 2 else "Sell"
    order = {"category": "linear", "symbol": "BTCUSDT", "side": side, "orderType": "Market", "qty": "0.01"}
    body, stamp = json.dumps({**order, "orderLinkId": f"b-{number}"}), str(int(time.time() * 1000))
    text = f"{stamp}{keys['api_key']}60000{body}"
    signature = hmac.new(keys["api_secret"].encode(), text.encode(), hashlib.sha256).hexdigest()
    return (
        f"POST /v5/order/create HTTP/1.1\r\nHost: sim\r\nX-BAPI-API-KEY: {keys['api_key']}\r\n"
        f"X-BAPI-TIMESTAMP: {stamp}\r\nX-BAPI-RECV-WINDOW: 60000\r\nX-BAPI-SIGN: {signature}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def send(port: int, requests: list[bytes]) -> int:
    """Send requests one after the other on one connection; every answer must be a success."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        body = await reader.readexactly(int(length))
        if b" 200 " not in head.partition(b"\r\n")[0] or body.startswith(b'{"retCode":1'):
            raise RuntimeError(f"an order was refused: {body[:200]!r}")
    writer.close()
    return len(requests)


async def order_figure(name: str, venue: str, make: Callable[[Keys, int], bytes], journal: Path | None) -> Figure:
    async with running(1, journal) as sim:
        port = sim.binance_port if venue == "binance" else sim.bybit_port
        accounts = [await sim.account(venue) for _ in range(CONNECTIONS)]
        numbers = iter(range(1_000_000_000))
        batches = [
            [[make(keys, next(numbers)) for _ in range(ORDERS // CONNECTIONS)] for keys in accounts]
            for _ in range(RUNS)
        ]

        async def run() -> int:
            return sum(await asyncio.gather(*(send(port, requests) for requests in batches.pop())))

        return Figure(name, "orders/s", await rates(run, RUNS), reach=2_000, note=f"{CONNECTIONS} connections")


class Counter(WSListener):  # type: ignore[misc]  # picows is a C extension without types
    """Counts the messages of one socket."""

    def __init__(self) -> None:
        self.messages = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT:
            self.messages += 1
        elif frame.msg_type is WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())


async def listening(sim: Sim, symbols: list[str]) -> tuple[list[WSTransport], list[Counter]]:
    transports, counters = [], []
    for number in range(SOCKETS):
        door = "public" if STREAMS[number % len(STREAMS)] == "bookTicker" else "market"
        names = "/".join(f"{symbol.lower()}@{STREAMS[number % len(STREAMS)]}" for symbol in symbols)
        url = f"ws://127.0.0.1:{sim.binance_port}/{door}/stream?streams={names}"
        transport, counter = await ws_connect(Counter, url)
        transports.append(transport)
        counters.append(counter)
    return transports, counters


async def message_figure() -> Figure:
    async with running(HURRY) as sim:
        transports, counters = await listening(sim, ["BTCUSDT", "ETHUSDT", "SOLUSDT"])

        async def run() -> int:
            before = sum(counter.messages for counter in counters)
            await asyncio.sleep(SECONDS)
            return sum(counter.messages for counter in counters) - before

        name = "simulator, stream messages"
        figure = Figure(name, "messages/s", await rates(run, RUNS), reach=20_000, note=f"{SOCKETS} sockets")
        for transport in transports:
            transport.disconnect()
        return figure


async def measure(server: Server) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="patriot-bench-sim-") as folder:
        return [
            await order_figure("simulator, Binance orders", "binance", binance_order, None),
            await order_figure("simulator, Binance orders, journaled", "binance", binance_order, Path(folder)),
            await order_figure("simulator, Bybit orders", "bybit", bybit_order, None),
            await message_figure(),
        ]
