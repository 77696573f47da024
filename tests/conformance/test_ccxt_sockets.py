"""ccxt's sockets on both faces, unmodified: every watch call receives, every order call by socket is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import ccxt.pro as ccxt
import pytest

from tests.conformance.ccxt_clients import call, code_of, on_binance, on_bybit, unified_calls
from tests.conformance.stage import Account, Stage, meanwhile
from tests.conformance.table import Row, check, made

pytestmark = pytest.mark.slow
NAMES = {"ccxt-binance-ws": ccxt.binanceusdm, "ccxt-bybit-ws": ccxt.bybit}
SECONDS = 20.0  # for the first message


@pytest.mark.parametrize("name", NAMES)
def test_every_call_has_a_row(name: str) -> None:
    check(name, {call for call in unified_calls(NAMES[name]()) if "watch" in call or call.endswith("Ws")})


def client_of(account: Account) -> Any:
    make: Callable[..., Any] = on_binance if "Binance" in type(account).__name__ else on_bybit
    return make(account, ccxt)


@pytest.fixture(scope="module")
def markets(stage: Stage) -> dict[str, Any]:
    """What a client makes of each venue's instruments, read once for all calls."""

    async def load(account: Account) -> Any:
        client = client_of(account)
        try:
            return list((await client.load_markets()).values())
        finally:
            await client.close()

    accounts = {"ccxt-binance-ws": stage.binance(), "ccxt-bybit-ws": stage.bybit()}
    return {name: asyncio.run(load(account)) for name, account in accounts.items()}


@pytest.mark.parametrize(
    "row", [row for name in NAMES for row in made(name)], ids=lambda row: f"{row.client}-{row.call}"
)
async def test_call_ends_as_its_row_says(row: Row, stage: Stage, markets: dict[str, Any]) -> None:
    account: Account = await asyncio.to_thread(stage.binance if "binance" in row.client else stage.bybit)
    client = client_of(account)
    client.set_markets(markets[row.client])
    try:
        arguments = await asyncio.to_thread(row.resolved, account.arrange)
        async with asyncio.timeout(SECONDS), meanwhile(account, row.meanwhile):
            answer = await call(client, row.call, arguments)
        assert answer
        found = None
    except ccxt.BaseError as error:
        found = code_of(error)
    finally:
        await client.close()

    assert found == row.refusal
