"""ccxt on the Bybit face, unmodified: every path of the v5 API that it knows, and its unified calls."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import ccxt as sync_ccxt
import ccxt.async_support as ccxt
import pytest

from tests.conformance.ccxt_clients import call, code_of, on_bybit, unified_calls
from tests.conformance.stage import Stage
from tests.conformance.table import Row, check, made

pytestmark = pytest.mark.slow
NAME = "ccxt-bybit"


def test_every_call_has_a_row() -> None:
    client = sync_ccxt.bybit()
    paths = {name for name in dir(client) if re.match(r"(public|private)_(get|post)_v5_", name)}
    check(NAME, paths | unified_calls(client))


@pytest.fixture(scope="module")
def markets(stage: Stage) -> Any:
    """What the client makes of instruments-info, read once for all calls."""

    async def load() -> Any:
        client = on_bybit(stage.bybit())
        try:
            return list((await client.load_markets()).values())
        finally:
            await client.close()

    return asyncio.run(load())


@pytest.mark.parametrize("row", made(NAME), ids=lambda row: row.call)
async def test_call_ends_as_its_row_says(row: Row, stage: Stage, markets: Any) -> None:
    account = await asyncio.to_thread(stage.bybit)
    client = on_bybit(account)
    client.set_markets(markets)
    try:
        arguments = await asyncio.to_thread(row.resolved, account.arrange)
        answer = await call(client, row.call, arguments)
        found = None if not isinstance(answer, dict) or answer.get("retCode", "0") == "0" else answer["retCode"]
    except ccxt.BaseError as error:
        found = code_of(error)
    finally:
        await client.close()

    assert found == row.refusal
