"""The exchange's earlier Python connector (binance-futures-connector), unmodified: every call of UMFutures."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from typing import Any

import pytest

from tests.conformance.stage import BinanceAccount, Stage
from tests.conformance.table import Row, check, made

pytestmark = pytest.mark.slow
NAME = "binance-connector"
OWN_TOOLS = {"query", "limit_request", "sign_request", "limited_encoded_sign_request", "send_request"}
# It shares its package's name with python-binance; these modules are its own.
UMFutures: Any = importlib.import_module("binance.um_futures").UMFutures
ClientError: Any = importlib.import_module("binance.error").ClientError


def test_every_call_has_a_row() -> None:
    functions = {name for name, _ in inspect.getmembers(UMFutures, inspect.isfunction) if not name.startswith("_")}
    check(NAME, functions - OWN_TOOLS)


@pytest.mark.parametrize("row", made(NAME), ids=lambda row: row.call)
async def test_call_ends_as_its_row_says(row: Row, stage: Stage) -> None:
    account = await asyncio.to_thread(stage.binance)
    found = await asyncio.to_thread(_outcome, account, row)

    assert found == row.refusal


def _outcome(account: BinanceAccount, row: Row) -> str | None:
    """Return the code of the refusal, None when the call worked."""
    arguments = row.resolved(account.arrange)
    client = UMFutures(account.api_key, account.api_secret, base_url=account.base)
    try:
        answer = getattr(client, row.call)(**arguments)
    except ClientError as refusal:
        return str(refusal.error_code)
    finally:
        client.session.close()
    for item in answer if isinstance(answer, list) else ():
        assert not (isinstance(item, dict) and int(item.get("code", 200)) != 200), item
    return None
