"""ccxt on both faces, unmodified: every path of USD-M futures and of v5 that it knows, its unified calls, its sockets.

A watch call has to receive, an order call by socket has to be answered.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import ccxt.pro as ccxt
import pytest

from tests.conformance.ccxt_clients import CLIENTS, call, client_of, code_of, unified_calls
from tests.conformance.stage import Account, Stage, meanwhile
from tests.conformance.table import Row, check, made

pytestmark = pytest.mark.slow
PATHS = {
    "binance": re.compile(r"fapi(public|private|data)(v\d)?_"),
    "bybit": re.compile(r"(public|private)_(get|post)_v5_"),
}
ROWS = [row for venue in CLIENTS for name in (f"ccxt-{venue}", f"ccxt-{venue}-ws") for row in made(name)]
SECONDS = 20.0  # for an answer, or the first message


def by_socket(name: str) -> bool:
    return "watch" in name.lower() or name.endswith("Ws")


@pytest.mark.parametrize("venue", CLIENTS)
def test_every_call_has_a_row(venue: str) -> None:
    client = CLIENTS[venue]()
    unified = unified_calls(client)
    sockets = {name for name in unified if by_socket(name)}
    check(f"ccxt-{venue}", unified - sockets | {path for path in dir(client) if PATHS[venue].match(path)})
    check(f"ccxt-{venue}-ws", sockets)


async def account_for(row: Row, stage: Stage) -> Account:
    return await asyncio.to_thread(stage.binance if "binance" in row.client else stage.bybit)


@pytest.fixture(scope="module")
def markets(stage: Stage) -> dict[str, Any]:
    """What a client makes of each venue's instruments, read once for all calls."""

    async def load(account: Account) -> Any:
        client = client_of(account)
        try:
            return list((await client.load_markets()).values())
        finally:
            await client.close()

    return {account.venue: asyncio.run(load(account)) for account in (stage.binance(), stage.bybit())}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.client}-{row.call}")
async def test_call_ends_as_its_row_says(row: Row, stage: Stage, markets: dict[str, Any]) -> None:
    account = await account_for(row, stage)
    client = client_of(account)
    client.set_markets(markets[account.venue])
    try:
        arguments = await asyncio.to_thread(row.resolved, account.arrange)
        async with asyncio.timeout(SECONDS), meanwhile(account, row.meanwhile):
            if row.call.startswith("unWatch"):
                await call(client, row.call.replace("unWatch", "watch"), arguments)
            answer = await call(client, row.call, arguments)
        found = _refusal_in(answer)
        assert answer or not by_socket(row.call)
    except ccxt.BaseError as error:
        found = code_of(error)
    finally:
        await client.close()

    assert found == row.refusal


def _refusal_in(answer: Any) -> str | None:
    """Return the code of a refusal that the client hands on as it came: of one wish in a batch, of a bare path."""
    for item in answer if isinstance(answer, list) else ():
        if isinstance(item, dict) and int(item.get("code", 200)) < 0:
            return str(item["code"])
    code = answer.get("retCode", "0") if isinstance(answer, dict) else "0"
    return None if code == "0" else str(code)
