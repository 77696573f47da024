"""The exchange's own Python connector, its sockets: requests over the order socket, and every stream."""

from __future__ import annotations

import asyncio
import inspect
import re
from typing import Any

import pytest
from binance_common.configuration import ConfigurationWebSocketAPI, ConfigurationWebSocketStreams
from binance_common.models import WebsocketApiResponse
from binance_common.websocket import WebSocketAPIBase, WebSocketStreamBase
from binance_sdk_derivatives_trading_usds_futures.websocket_api import DerivativesTradingUsdsFuturesWebSocketAPI
from binance_sdk_derivatives_trading_usds_futures.websocket_streams import (
    DerivativesTradingUsdsFuturesWebSocketStreams,
)

from tests.conformance.stage import Stage, meanwhile
from tests.conformance.table import Row, check, made

pytestmark = pytest.mark.slow
REQUESTS, STREAMS = "binance-sdk-ws", "binance-sdk-streams"
OWN_TOOLS = {"send_message", "send_signed_message", "ping_server", "close_connection"}
STREAM_TOOLS = {"subscribe", "unsubscribe", "on", "list_subscribe", "ping_server", "close_connection"}
SECONDS = 20.0
QUIET_SECONDS = 1.0  # nothing comes of a stream that is accepted and has nothing to tell


def own(kind: type, base: type) -> set[str]:
    """Return the calls that a connector adds to what all of its kind can do."""
    return {
        name
        for name, _ in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") and not hasattr(base, name)
    }


def test_every_request_has_a_row() -> None:
    check(REQUESTS, own(DerivativesTradingUsdsFuturesWebSocketAPI, WebSocketAPIBase) - OWN_TOOLS)


def test_every_stream_has_a_row() -> None:
    check(STREAMS, own(DerivativesTradingUsdsFuturesWebSocketStreams, WebSocketStreamBase) - STREAM_TOOLS)


@pytest.mark.parametrize("row", made(REQUESTS), ids=lambda row: row.call)
async def test_request_ends_as_its_row_says(row: Row, stage: Stage) -> None:
    account = await asyncio.to_thread(stage.binance)
    arguments = await asyncio.to_thread(row.resolved, account.arrange)
    url = f"{account.base.replace('http', 'ws')}/ws-fapi/v1"
    client: Any = DerivativesTradingUsdsFuturesWebSocketAPI(
        ConfigurationWebSocketAPI(account.api_key, account.api_secret, stream_url=url)
    )
    try:
        async with asyncio.timeout(SECONDS):
            await client.create_connection()
            answer: WebsocketApiResponse[Any] = await getattr(client, row.call)(**arguments)
            assert answer.data()
        found = None
    except (ValueError, RuntimeError) as refusal:
        code = re.search(r"-\d+", str(refusal))
        found = code[0] if code else str(refusal)
    finally:
        await client.close_connection()

    assert found == row.refusal


@pytest.mark.parametrize("row", made(STREAMS), ids=lambda row: row.call)
async def test_stream_ends_as_its_row_says(row: Row, stage: Stage) -> None:
    account = await asyncio.to_thread(stage.binance)
    arguments = await asyncio.to_thread(row.resolved, account.arrange)
    client: Any = DerivativesTradingUsdsFuturesWebSocketStreams(
        ConfigurationWebSocketStreams(stream_url=account.base.replace("http", "ws"))
    )
    received: asyncio.Queue[Any] = asyncio.Queue()
    try:
        await client.create_connection()
        stream = await getattr(client, row.call)(**arguments)
        stream.on("message", received.put_nowait)
        async with meanwhile(account, row.meanwhile):
            try:
                async with asyncio.timeout(QUIET_SECONDS if row.is_silent else SECONDS):
                    message = await received.get()
            except TimeoutError:
                message = None
    finally:
        await client.close_connection()

    assert (message is None) == row.is_silent
