"""python-binance's sockets, unmodified: every stream receives, every request by socket is answered."""

from __future__ import annotations

import asyncio

import pytest
from binance.async_client import AsyncClient
from binance.exceptions import BinanceAPIException, BinanceWebsocketUnableToConnect
from binance.ws.streams import BinanceSocketManager

from tests.conformance.stage import BinanceAccount, Stage, meanwhile
from tests.conformance.table import Row, check, made

pytestmark = pytest.mark.slow
NAME = "python-binance-ws"
SECONDS = 20.0  # for the first message
# Streams of the futures host that do not say so in their names.
OF_FUTURES = {"symbol_mark_price_socket", "all_mark_price_socket"}


def client_of(account: BinanceAccount) -> AsyncClient:
    """Point a client at the simulator; nothing else of it is changed."""
    client = AsyncClient(account.api_key, account.api_secret)
    client.FUTURES_URL = f"{account.base}/fapi"
    client.ws_future._url = f"{account.base.replace('http', 'ws')}/ws-fapi/v1"
    return client


def manager_of(client: AsyncClient, account: BinanceAccount) -> BinanceSocketManager:
    """Point a socket manager at the simulator; nothing else of it is changed."""
    manager = BinanceSocketManager(client)
    manager.FSTREAM_URL = f"{account.base.replace('http', 'ws')}/"
    return manager


async def close(client: AsyncClient) -> None:
    """Close both connections; by itself the client waits ten seconds for its reader."""
    await client.close_connection()
    if client.ws_future._handle_read_loop:
        client.ws_future._handle_read_loop.cancel()
        client.ws_future._handle_read_loop = None
    await client.ws_future.close()


def test_every_call_has_a_row() -> None:
    streams = {name for name in dir(BinanceSocketManager) if "futures" in name and not name.startswith("_")}
    requests = {name for name in dir(AsyncClient) if name.startswith("ws_futures")}
    check(NAME, streams | OF_FUTURES | requests)


@pytest.mark.parametrize("row", made(NAME), ids=lambda row: row.call)
async def test_call_ends_as_its_row_says(row: Row, stage: Stage) -> None:
    account = await asyncio.to_thread(stage.binance)
    client = client_of(account)
    try:
        arguments = await asyncio.to_thread(row.resolved, account.arrange)
        async with asyncio.timeout(SECONDS):
            if row.call.startswith("ws_futures"):
                assert await getattr(client, row.call)(**arguments)
            else:
                async with (
                    getattr(manager_of(client, account), row.call)(**arguments) as socket,
                    meanwhile(account, row.meanwhile),
                ):
                    message = await socket.recv()
                    assert message.get("e") != "error", message
        found = None
    except (BinanceAPIException, BinanceWebsocketUnableToConnect) as refusal:
        found = str(getattr(refusal, "code", refusal))
    finally:
        await close(client)

    assert found == row.refusal
