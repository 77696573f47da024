"""The money side of an account: settings on the simulator, long histories on a scripted venue."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from patriot.accounts.ports import ApiKey
from patriot.adapters.exchanges.binance.budget import RateBudget
from patriot.adapters.exchanges.binance.session import BinanceSession
from patriot.adapters.exchanges.binance.signing import Signer
from patriot.adapters.exchanges.binance.venue import BinanceAccountSession
from patriot.kernel.clock import FakeClock, to_epoch_ms
from patriot.kernel.errors import ExchangeRefused, ExchangeUnavailable
from patriot.trading.reports import AccountSettings, SymbolSettings
from patriot.trading.terms import Side
from tests.adapters.exchanges.binance.venue_kit import (
    SYMBOL,
    Connection,
    bars_at,
    connected,
    market_order,
    quick_backoff,
)

pytestmark = pytest.mark.integration

Row = dict[str, Any]  # a parse boundary: what the wire carries
PAGE = 1_000


@pytest.fixture
async def exchange(tmp_path: Path) -> AsyncIterator[Connection]:
    async with connected(tmp_path, bars_at(*["40000"] * 3)) as connection:
        yield connection


async def settings_of(exchange: Connection) -> tuple[str, int]:
    (row,) = (await exchange.trader.signed("GET", "/fapi/v1/symbolConfig", symbol=SYMBOL)).body
    return row["marginType"], row["leverage"]


async def test_symbol_is_prepared_with_isolated_margin_and_leverage(exchange: Connection) -> None:
    for _ in range(2):  # already so is success
        await exchange.venue.account.prepare_symbol(SYMBOL, 7)
        assert await settings_of(exchange) == ("ISOLATED", 7)


async def test_open_position_in_cross_margin_is_left_as_it_is(exchange: Connection) -> None:
    await exchange.trader.signed("POST", "/fapi/v1/marginType", symbol=SYMBOL, marginType="CROSSED")
    await exchange.venue.orders.place(market_order("m-1", Side.BUY, "0.010"), exchange.now)
    before = await settings_of(exchange)
    assert before[0] == "CROSSED"

    with pytest.raises(ExchangeRefused):
        await exchange.venue.account.prepare_symbol(SYMBOL, 7)

    assert await settings_of(exchange) == before


async def test_account_tells_its_rights_and_its_position_mode(exchange: Connection) -> None:
    rights = await exchange.venue.account.permissions()
    assert (rights.read, rights.trade, rights.withdraw, rights.transfer) == (True, True, False, False)

    assert await exchange.venue.account.account_settings() == AccountSettings(hedge_mode=False, multi_assets=False)
    await exchange.trader.signed("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")
    assert (await exchange.venue.account.account_settings()).hedge_mode


async def test_setting_that_the_client_changed_is_read(exchange: Connection) -> None:
    await exchange.venue.account.prepare_symbol(SYMBOL, 7)
    assert await exchange.venue.account.symbol_settings(SYMBOL) == SymbolSettings(leverage=7, isolated=True)

    await exchange.trader.signed("POST", "/fapi/v1/leverage", symbol=SYMBOL, leverage="100")
    await exchange.trader.signed("POST", "/fapi/v1/marginType", symbol=SYMBOL, marginType="CROSSED")

    assert await exchange.venue.account.symbol_settings(SYMBOL) == SymbolSettings(leverage=100, isolated=False)


async def test_snapshot_shows_wallet_and_open_positions(exchange: Connection) -> None:
    await exchange.venue.orders.place(market_order("m-1", Side.SELL, "0.010"), exchange.now)
    snapshot = await exchange.venue.account.snapshot()

    (position,) = snapshot.positions
    assert (position.quantity, position.mark_price) == (Decimal("-0.010"), Decimal(40_000))
    assert snapshot.wallet_balance < 10_000  # the commission
    assert snapshot.equity == snapshot.wallet_balance + position.unrealized_pnl


@dataclass
class Script:
    """A venue with a long memory."""

    income: list[Row] = field(default_factory=list)
    trades: list[Row] = field(default_factory=list)

    async def answer_income(self, request: web.Request) -> web.Response:
        start = int(request.query["startTime"])
        return web.json_response([row for row in self.income if row["time"] >= start][:PAGE])

    async def answer_trades(self, request: web.Request) -> web.Response:
        query = request.query
        if "fromId" in query:
            found = [row for row in self.trades if row["id"] >= int(query["fromId"])]
        else:
            start, end = int(query["startTime"]), int(query["endTime"])
            assert end - start <= 7 * 86_400_000
            found = [row for row in self.trades if start <= row["time"] <= end]
        return web.json_response(found[:PAGE])


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[tuple[BinanceAccountSession, FakeClock]]:
    app, clock = web.Application(), FakeClock()
    routes: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
        "/fapi/v1/income": script.answer_income,
        "/fapi/v1/userTrades": script.answer_trades,
    }
    for path, answer in routes.items():
        app.router.add_route("*", path, answer)
    server = TestServer(app)
    await server.start_server()
    try:
        async with aiohttp.ClientSession() as http:
            base, budget = f"127.0.0.1:{server.port}", RateBudget(clock, weight_per_minute=None)
            signer = Signer(ApiKey("k" * 64, "s" * 64))
            session = BinanceSession(f"http://{base}", f"ws://{base}", http, signer, clock=clock, budget=budget)
            yield BinanceAccountSession.open(session, backoff=quick_backoff(), silence_seconds=0.01), clock
    finally:
        await server.close()


def income_row(number: int, at_ms: int) -> Row:
    return {
        "symbol": "",
        "incomeType": "TRANSFER",
        "income": "1",
        "asset": "USDT",
        "time": at_ms,
        "tranId": number,
    }


def trade_row(number: int, at_ms: int) -> Row:
    return {
        "symbol": SYMBOL,
        "id": number,
        "orderId": 1,
        "side": "BUY",
        "price": "40000.00",
        "qty": "0.001",
        "realizedPnl": "0",
        "commission": "0.02",
        "commissionAsset": "USDT",
        "time": at_ms,
        "maker": False,
    }


async def test_income_over_many_pages_is_given_once_each() -> None:
    script = Script()
    async with scripted(script) as (venue, clock):
        start = to_epoch_ms(clock.now())
        script.income = [income_row(number, start + number // 3) for number in range(2 * PAGE + 5)]

        found = await venue.account.income(clock.now())

    assert [record.record_id for record in found[:2]] == ["TRANSFER:0", "TRANSFER:1"]
    assert len({record.record_id for record in found}) == len(found) == 2 * PAGE + 5


async def test_income_that_cannot_be_told_apart_is_said_and_not_cut() -> None:
    script = Script()
    async with scripted(script) as (venue, clock):
        script.income = [income_row(number, to_epoch_ms(clock.now())) for number in range(PAGE + 5)]
        with pytest.raises(ExchangeUnavailable, match="one instant"):
            await venue.account.income(clock.now())


@pytest.mark.parametrize("weeks_ago", [0, 1, 5])
async def test_trades_over_many_pages_and_weeks_are_given_once_each(weeks_ago: int) -> None:
    script = Script()
    async with scripted(script) as (venue, clock):
        first = to_epoch_ms(clock.now() - timedelta(weeks=weeks_ago))
        last = to_epoch_ms(clock.now())
        script.trades = [trade_row(number, first) for number in range(PAGE + 5)] + [trade_row(PAGE + 5, last)]

        found = await venue.orders.trades(SYMBOL, clock.now() - timedelta(weeks=6))

    assert [trade.trade_id for trade in found] == [str(number) for number in range(PAGE + 6)]
