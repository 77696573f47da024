"""pybit, unmodified: every REST call of market, order, position, account and user."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pybit.exceptions import FailedRequestError, InvalidRequestError
from pybit.unified_trading import HTTP

from tests.conformance.stage import BybitAccount, Stage
from tests.conformance.table import Row, check, made

pytestmark = pytest.mark.slow
NAME = "pybit"
OWN_TOOLS = {"prepare_payload", "prepare_file_payload"}  # make no request


def client_of(account: BybitAccount) -> HTTP:
    """Point a client at the simulator; nothing else of it is changed."""
    client = HTTP(api_key=account.api_key, api_secret=account.api_secret, max_retries=1, retry_codes={0})
    client.endpoint = account.base
    return client


def test_every_call_has_a_row() -> None:
    functions = {name for kind in HTTP.__mro__ for name, member in vars(kind).items() if callable(member)}
    check(NAME, {name for name in functions if not name.startswith("_")} - OWN_TOOLS)


@pytest.mark.parametrize("row", made(NAME), ids=lambda row: row.call)
async def test_call_ends_as_its_row_says(row: Row, stage: Stage) -> None:
    account = await asyncio.to_thread(stage.bybit)
    found = await asyncio.to_thread(_outcome, account, row)

    assert found == row.refusal


def _outcome(account: BybitAccount, row: Row) -> str | None:
    """Return the code of the refusal, None when the call worked."""
    arguments = row.resolved(account.arrange)
    try:
        answer: Any = getattr(client_of(account), row.call)(**arguments)
    except (InvalidRequestError, FailedRequestError) as refusal:
        return str(refusal.status_code)
    for item in answer["retExtInfo"].get("list", ()) if isinstance(answer.get("retExtInfo"), dict) else ():
        assert item["code"] == 0, answer
    return None
