"""The private stream against a real simulator: what a trader must hear, and what happens when the line breaks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path

import pytest

from patriot.trading.reports import MoneyMoved, OrderReport, PrivateReport, StreamResumed, TradeReport, VenueStatus
from patriot.trading.terms import Side
from tests.adapters.exchanges.binance.venue_kit import Connection, bars_at, connected, market_order, stop_order
from tests.support import eventually

pytestmark = pytest.mark.integration

CRASH = bars_at(*["40000"] * 3, *["38000"] * 3)


@pytest.fixture
async def exchange(tmp_path: Path) -> AsyncIterator[Connection]:
    async with connected(tmp_path, CRASH) as connection:
        yield connection


class Listener:
    """Collects reports in a task of its own; `gate` holds it inside the handling of a report."""

    def __init__(self, exchange: Connection) -> None:
        self.heard: list[PrivateReport] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._exchange = exchange
        self._task = asyncio.ensure_future(self._listen())

    async def _listen(self) -> None:
        async for report in self._exchange.venue.account.reports():
            await self.gate.wait()
            self.heard.append(report)

    async def heard_about(self, wanted: Callable[[PrivateReport], bool]) -> PrivateReport:
        """Wait until a report of this kind was heard and return the first."""
        await eventually(lambda: any(wanted(report) for report in self.heard))
        return next(report for report in self.heard if wanted(report))

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})


@pytest.fixture
async def listener(exchange: Connection) -> AsyncIterator[Listener]:
    listening = Listener(exchange)
    await listening.heard_about(lambda report: isinstance(report, StreamResumed))
    yield listening
    await listening.stop()


async def test_fill_is_heard_as_a_trade_and_as_the_state_of_its_order(exchange: Connection, listener: Listener) -> None:
    await exchange.venue.orders.place(market_order("m-1", Side.BUY, "0.010"), exchange.now)

    trade = await listener.heard_about(lambda report: isinstance(report, TradeReport))
    assert isinstance(trade, TradeReport)
    assert (trade.client_order_id, trade.quantity, trade.commission_asset) == ("m-1", Decimal("0.010"), "USDT")
    filled = await listener.heard_about(
        lambda report: isinstance(report, OrderReport) and report.status is VenueStatus.FILLED
    )
    assert isinstance(filled, OrderReport)
    assert filled.executed_quantity == Decimal("0.010")


async def test_trade_heard_and_trade_asked_for_are_the_same_record(exchange: Connection, listener: Listener) -> None:
    await exchange.venue.orders.place(market_order("m-1", Side.BUY, "0.010"), exchange.now)
    heard = await listener.heard_about(lambda report: isinstance(report, TradeReport))

    (asked,) = await exchange.venue.orders.trades("BTCUSDT", exchange.now)

    assert isinstance(heard, TradeReport)
    assert heard.trade_id == asked.trade_id
    for name in ("venue_order_id", "quantity", "price", "commission", "commission_asset", "realized_pnl", "is_maker"):
        assert getattr(heard, name) == getattr(asked, name), name


async def test_fired_stop_is_heard_under_the_client_id_we_gave_it(exchange: Connection, listener: Listener) -> None:
    await exchange.venue.orders.place(market_order("m-1", Side.BUY, "0.010"), exchange.now)
    await exchange.venue.orders.place(stop_order("s-1", Side.SELL, "0.010", "39000"), exchange.now)

    await exchange.step(5)

    trade = await listener.heard_about(lambda r: isinstance(r, TradeReport) and r.client_order_id == "s-1")
    fired = await listener.heard_about(lambda r: isinstance(r, OrderReport) and r.triggered_order_id is not None)
    assert isinstance(trade, TradeReport)
    assert isinstance(fired, OrderReport)
    assert fired.client_order_id == "s-1"
    assert fired.triggered_order_id == trade.venue_order_id
    assert trade.realized_pnl < 0


async def test_transfer_is_heard_as_moved_money(exchange: Connection, listener: Listener) -> None:
    await exchange.sim.control("POST", "/transfers", {"uid": exchange.trader.uid, "amount": "500"})

    moved = await listener.heard_about(lambda report: isinstance(report, MoneyMoved))

    assert isinstance(moved, MoneyMoved)
    assert moved.reason == "DEPOSIT"


async def test_trade_moves_no_other_money(exchange: Connection, listener: Listener) -> None:
    await exchange.venue.orders.place(market_order("m-1", Side.BUY, "0.010"), exchange.now)
    await exchange.sim.control("POST", "/transfers", {"uid": exchange.trader.uid, "amount": "500"})

    await listener.heard_about(lambda report: isinstance(report, MoneyMoved))

    assert [report.reason for report in listener.heard if isinstance(report, MoneyMoved)] == ["DEPOSIT"]


async def test_lost_line_is_opened_again_and_says_so(exchange: Connection, listener: Listener) -> None:
    fault = {"stream": "disconnect", "event": "ORDER_TRADE_UPDATE", "times": 1}
    assert (await exchange.sim.control("POST", "/faults", fault)).status == 200

    await exchange.venue.orders.place(market_order("m-1", Side.BUY, "0.010"), exchange.now)
    await eventually(lambda: sum(isinstance(report, StreamResumed) for report in listener.heard) == 2)
    await exchange.venue.orders.place(market_order("m-2", Side.BUY, "0.010"), exchange.now)

    await listener.heard_about(lambda r: isinstance(r, TradeReport) and r.client_order_id == "m-2")
    assert exchange.venue.account.stream.gaps == 1


async def test_expired_listen_key_opens_the_stream_with_a_new_one(exchange: Connection, listener: Listener) -> None:
    await exchange.trader.send("DELETE", "/fapi/v1/listenKey", "")  # the socket stays open and silent

    await eventually(lambda: sum(isinstance(report, StreamResumed) for report in listener.heard) == 2)
    await exchange.venue.orders.place(market_order("m-1", Side.BUY, "0.010"), exchange.now)

    await listener.heard_about(lambda report: isinstance(report, TradeReport))


async def test_ping_is_answered_only_after_everything_before_it_was_handled(
    exchange: Connection, listener: Listener
) -> None:
    listener.gate.clear()
    await exchange.venue.orders.place(market_order("m-1", Side.BUY, "0.010"), exchange.now)
    barrier = asyncio.ensure_future(exchange.sim.control("POST", "/barrier", {}))
    await exchange.sim.public("/fapi/v1/ping")  # the ping has been sent when a later request is answered
    assert not barrier.done()

    listener.gate.set()

    assert (await barrier).status == 200
    assert any(isinstance(report, TradeReport) for report in listener.heard)
