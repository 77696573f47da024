"""pybit's sockets, unmodified: every stream receives, every order by socket is answered."""

from __future__ import annotations

import asyncio
import queue
from typing import Any

import pytest
from pybit import _websocket_trading, unified_trading
from pybit.unified_trading import WebSocket, WebSocketTrading

from tests.conformance.stage import Stage, meanwhile
from tests.conformance.table import Row, check, made

pytestmark = pytest.mark.slow
STREAMS, ORDERS = "pybit-ws", "pybit-trade"
TOOLS = {"exit", "get_subscription_topics", "is_connected", "subscribe", "unsubscribe"}
PRIVATE = {
    "order_stream",
    "execution_stream",
    "fast_execution_stream",
    "position_stream",
    "wallet_stream",
    "greek_stream",
}
SECONDS = 20.0
QUIET_SECONDS = 1.0


def test_every_stream_has_a_row() -> None:
    check(STREAMS, {name for name in dir(WebSocket) if not name.startswith("_")} - TOOLS)


def test_every_order_has_a_row() -> None:
    check(ORDERS, {name for name in dir(WebSocketTrading) if not name.startswith("_")} - TOOLS)


@pytest.fixture(autouse=True)
def _addresses(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the sockets at the simulator; nothing else of them is changed."""
    host = f"ws://127.0.0.1:{stage.bybit_port}/v5"
    monkeypatch.setattr(unified_trading, "PUBLIC_WSS", f"{host}/public/{{CHANNEL_TYPE}}")
    monkeypatch.setattr(unified_trading, "PRIVATE_WSS", f"{host}/private")
    monkeypatch.setattr(_websocket_trading, "TRADE_WSS", f"{host}/trade")


@pytest.mark.parametrize("row", made(STREAMS), ids=lambda row: row.call)
async def test_stream_ends_as_its_row_says(row: Row, stage: Stage) -> None:
    account = await asyncio.to_thread(stage.bybit)
    received: queue.Queue[Any] = queue.Queue()
    kind = "private" if row.call in PRIVATE else "linear"
    client = await asyncio.to_thread(
        WebSocket, kind, testnet=False, api_key=account.api_key, api_secret=account.api_secret
    )
    try:
        arguments = await asyncio.to_thread(row.resolved, account.arrange)
        await asyncio.to_thread(getattr(client, row.call), callback=received.put, **arguments)
        async with meanwhile(account, row.meanwhile):
            seconds = QUIET_SECONDS if row.is_silent else SECONDS
            message = await asyncio.to_thread(_received, received, seconds)
    finally:
        await asyncio.to_thread(client.exit)

    assert (message is None) == row.is_silent


@pytest.mark.parametrize("row", made(ORDERS), ids=lambda row: row.call)
async def test_order_ends_as_its_row_says(row: Row, stage: Stage) -> None:
    account = await asyncio.to_thread(stage.bybit)
    received: queue.Queue[Any] = queue.Queue()
    client = await asyncio.to_thread(
        WebSocketTrading, testnet=False, api_key=account.api_key, api_secret=account.api_secret
    )
    try:
        arguments = await asyncio.to_thread(row.resolved, account.arrange)
        method = getattr(client, row.call)
        await asyncio.to_thread(method, received.put, error_callback=received.put, **arguments)
        answer = await asyncio.to_thread(_received, received, SECONDS)
    finally:
        await asyncio.to_thread(client.exit)

    found = None if answer["retCode"] == 0 else str(answer["retCode"])
    assert found == row.refusal


def _received(messages: queue.Queue[Any], seconds: float) -> Any:
    try:
        return messages.get(timeout=seconds)
    except queue.Empty:
        return None
