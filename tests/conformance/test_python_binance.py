"""python-binance, unmodified: every call of its USD-M futures side."""

from __future__ import annotations

import asyncio
from types import GeneratorType
from typing import Any

import pytest
from binance.client import Client
from binance.exceptions import BinanceAPIException

from tests.conformance.stage import BinanceAccount, Stage
from tests.conformance.table import Row, check, made

pytestmark = pytest.mark.slow
NAME = "python-binance"


def client_of(account: BinanceAccount) -> Client:
    """Point a client at the simulator; nothing else of it is changed."""
    client = Client(account.api_key, account.api_secret, ping=False)
    client.FUTURES_URL = f"{account.base}/fapi"
    client.FUTURES_DATA_URL = f"{account.base}/futures/data"
    return client


def test_every_call_has_a_row() -> None:
    offered = [name for name in dir(Client) if name.startswith("futures_") and not name.startswith("futures_coin_")]
    check(NAME, offered)


@pytest.mark.parametrize("row", made(NAME), ids=lambda row: row.call)
async def test_call_ends_as_its_row_says(row: Row, stage: Stage) -> None:
    account = await asyncio.to_thread(stage.binance)
    found = await asyncio.to_thread(_outcome, account, row)

    assert found == row.refusal


def _outcome(account: BinanceAccount, row: Row) -> str | None:
    """Return the code of the refusal, None when the call worked."""
    client = client_of(account)
    try:
        arguments = row.resolved(account.arrange)
        answer: Any = getattr(client, row.call)(**arguments)
        if isinstance(answer, GeneratorType):
            list(answer)
        _check_items(answer)
    except BinanceAPIException as refusal:
        return str(refusal.code)
    finally:
        client.close_connection()
        client.loop.close()
    return None


def _check_items(answer: Any) -> None:
    """Fail for an answer to a batch in which something was refused."""
    for item in answer if isinstance(answer, list) else ():
        assert not (isinstance(item, dict) and item.get("code", 200) != 200), item
