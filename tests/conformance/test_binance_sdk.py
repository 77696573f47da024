"""The exchange's own Python connector for USD-M futures, unmodified: every REST call; its models check the answers."""

from __future__ import annotations

import asyncio
import inspect
import re
from typing import Any

import pytest
from binance_common.configuration import ConfigurationRestAPI
from binance_common.errors import Error
from binance_sdk_derivatives_trading_usds_futures.rest_api import DerivativesTradingUsdsFuturesRestAPI

from tests.conformance.stage import BinanceAccount, Stage
from tests.conformance.table import Row, check, made

pytestmark = pytest.mark.slow
NAME = "binance-sdk"


def client_of(account: BinanceAccount) -> Any:
    """Point a client at the simulator; nothing else of it is changed."""
    configuration = ConfigurationRestAPI(account.api_key, account.api_secret, base_path=account.base, retries=0)
    return DerivativesTradingUsdsFuturesRestAPI(configuration)


def test_every_call_has_a_row() -> None:
    functions = inspect.getmembers(DerivativesTradingUsdsFuturesRestAPI, inspect.isfunction)
    check(NAME, [name for name, _ in functions if not name.startswith("_")])


@pytest.mark.parametrize("row", made(NAME), ids=lambda row: row.call)
async def test_call_ends_as_its_row_says(row: Row, stage: Stage) -> None:
    account = await asyncio.to_thread(stage.binance)
    found = await asyncio.to_thread(_outcome, account, row)

    assert found == row.refusal


def _outcome(account: BinanceAccount, row: Row) -> str | None:
    """Return the code of the refusal, None when the call worked and its model took the answer."""
    arguments = row.resolved(account.arrange)
    try:
        answer = getattr(client_of(account), row.call)(**arguments)
        answer = answer.data() if callable(answer.data) else answer.data
    except Error as refusal:
        code = re.search(r"-\d+", str(refusal))
        return code[0] if code else str(refusal)
    for item in answer if isinstance(answer, list) else ():
        assert getattr(item, "code", None) in (None, 200), item
    return None
