"""What the exchange of fast tests and the real adapter before a simulated venue must do alike: the same cases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from patriot.adapters.exchanges.binance.budget import RateBudget
from patriot.adapters.exchanges.binance.session import BinanceSession
from patriot.adapters.exchanges.binance.signing import Signer
from patriot.adapters.exchanges.binance.venue import BinanceAccountSession
from patriot.kernel.errors import ExchangeRefused
from patriot.orders.ports import OrderVenue
from patriot.simulation.loop import VirtualClock, run_virtually
from patriot.simulation.venue import SimulatedVenue
from patriot.trading.reports import OrderReport, PrivateReport, StreamResumed, TradeReport, VenueOrder, VenueStatus
from patriot.trading.terms import OrderType, Side
from tests.execution.exchange import Exchange
from tests.orders.kit import PREFIX

pytestmark = pytest.mark.unit

D = Decimal
ENTRY, STOP, CLOSE = f"{PREFIX}e1", f"{PREFIX}s1", f"{PREFIX}c1"
QUANTITY = D("0.010")


@dataclass
class Account:
    """One account under test; `trigger` makes the market reach the stop."""

    orders: OrderVenue
    account: Any  # `Session` and `PositionReader`
    trigger: Callable[[], None]
    clock: VirtualClock

    async def place(self, client_id: str, quantity: Decimal = QUANTITY) -> OrderReport:
        side = Side.BUY if client_id == ENTRY else Side.SELL
        stop = client_id == STOP
        order = VenueOrder(
            client_id, "BTCUSDT", side, OrderType.STOP_MARKET if stop else OrderType.MARKET, quantity,
            reduce_only=client_id != ENTRY, trigger_price=D(39_000) if stop else None,
        )  # fmt: skip
        return await self.orders.place(order, self.clock.now())


@asynccontextmanager
async def fake() -> AsyncIterator[Account]:
    exchange = Exchange()
    yield Account(exchange, exchange, lambda: exchange.execute(STOP), exchange.clock)


@asynccontextmanager
async def adapter() -> AsyncIterator[Account]:
    clock = VirtualClock()
    venue = SimulatedVenue(1, clock)
    await venue.start()
    _, key = venue.open_account(D(10_000))
    async with aiohttp.ClientSession() as http:
        signer = Signer(key)
        session = BinanceSession(venue.url, venue.ws_url, http, signer, clock=clock, budget=RateBudget(clock))
        opened = BinanceAccountSession.open(session)
        yield Account(opened.orders, opened.account, lambda: venue.move("BTCUSDT", D("-0.05")), clock)


Opening = Callable[[], AbstractAsyncContextManager[Account]]


@pytest.fixture(params=[fake, adapter], ids=["fake", "adapter"])
def play(request: pytest.FixtureRequest) -> Callable[[Callable[[Account], Awaitable[None]]], None]:
    opening: Opening = request.param

    def run(script: Callable[[Account], Awaitable[None]]) -> None:
        async def day() -> None:
            async with opening() as account:
                await script(account)

        run_virtually(day())

    return run


Play = Callable[[Callable[[Account], Awaitable[None]]], None]


def test_entry_is_executed_found_by_its_id_and_shown_as_a_position(play: Play) -> None:
    async def script(account: Account) -> None:
        placed = await account.place(ENTRY)
        found = await account.orders.find_order("BTCUSDT", ENTRY, conditional=False)
        (trade,) = await account.orders.trades("BTCUSDT", placed.at)
        snapshot = await account.account.snapshot()

        assert found is not None
        assert (found.status, found.executed_quantity, found.side) == (VenueStatus.FILLED, QUANTITY, Side.BUY)
        assert (placed.client_order_id, placed.conditional) == (ENTRY, False)
        assert (trade.venue_order_id, trade.quantity, trade.side) == (found.venue_order_id, QUANTITY, Side.BUY)
        assert trade.client_order_id == "", "executions are told by the venue's number of their order"
        assert snapshot.position("BTCUSDT") == QUANTITY
        assert await account.orders.open_orders("BTCUSDT") == []

    play(script)


def test_stop_rests_until_it_is_canceled_and_cannot_be_canceled_again(play: Play) -> None:
    async def script(account: Account) -> None:
        await account.place(ENTRY)
        placed = await account.place(STOP)
        assert (placed.status, placed.conditional, placed.executed_quantity) == (VenueStatus.NEW, True, D(0))
        for listed in (await account.orders.open_orders("BTCUSDT"), await account.orders.open_orders()):
            assert [(one.client_order_id, one.quantity, one.conditional) for one in listed] == [(STOP, QUANTITY, True)]
        assert await account.orders.open_orders("ETHUSDT") == []

        await account.orders.cancel("BTCUSDT", STOP, conditional=True)
        with pytest.raises(ExchangeRefused):
            await account.orders.cancel("BTCUSDT", STOP, conditional=True)
        found = await account.orders.find_order("BTCUSDT", STOP, conditional=True)
        recent = {one.client_order_id: one.status for one in await account.orders.recent_orders("BTCUSDT")}

        assert found is not None
        assert found.status is VenueStatus.CANCELED
        assert recent == {ENTRY: VenueStatus.FILLED, STOP: VenueStatus.CANCELED}
        assert await account.orders.open_orders("BTCUSDT") == []

    play(script)


def test_stop_that_was_reached_executes_under_a_number_that_its_report_names(play: Play) -> None:
    async def script(account: Account) -> None:
        entry = await account.place(ENTRY)
        await account.place(STOP)
        account.trigger()
        await asyncio.sleep(1)

        found = await account.orders.find_order("BTCUSDT", STOP, conditional=True)
        trades = await account.orders.trades("BTCUSDT", entry.at)

        assert found is not None
        assert (found.status, found.executed_quantity) == (VenueStatus.FILLED, QUANTITY)
        assert [trade.side for trade in trades] == [Side.BUY, Side.SELL]
        assert found.triggered_order_id == trades[1].venue_order_id
        assert (await account.account.snapshot()).position("BTCUSDT") == 0

    play(script)


def test_what_is_not_there_is_not_found_and_not_reduced(play: Play) -> None:
    async def script(account: Account) -> None:
        assert await account.orders.find_order("BTCUSDT", ENTRY, conditional=False) is None
        assert await account.orders.find_order("BTCUSDT", STOP, conditional=True) is None
        with pytest.raises(ExchangeRefused):
            await account.orders.cancel("BTCUSDT", ENTRY, conditional=False)
        with pytest.raises(ExchangeRefused) as refused:
            await account.place(CLOSE)
        assert refused.value.code == -2022
        assert await account.orders.trades("BTCUSDT", account.clock.now()) == []

    play(script)


def test_stream_tells_first_that_it_stands_and_then_of_orders_and_executions(play: Play) -> None:
    async def script(account: Account) -> None:
        heard: list[PrivateReport] = []

        async def listen() -> None:
            async for report in account.account.reports():
                heard.append(report)

        listening = asyncio.create_task(listen())
        await asyncio.sleep(1)
        assert [type(report) for report in heard] == [StreamResumed]
        await account.place(ENTRY)
        await asyncio.sleep(1)
        listening.cancel()

        orders = [report for report in heard if isinstance(report, OrderReport)]
        trades = [report for report in heard if isinstance(report, TradeReport)]
        assert [one.client_order_id for one in orders] == [ENTRY] * len(orders)
        assert orders[-1].status is VenueStatus.FILLED
        assert [(one.client_order_id, one.quantity) for one in trades] == [(ENTRY, QUANTITY)]

    play(script)


def test_order_that_reduces_by_more_than_is_held_takes_what_there_is(play: Play) -> None:
    async def script(account: Account) -> None:
        await account.place(ENTRY)
        closed = await account.place(CLOSE, QUANTITY * 2)

        assert (await account.account.snapshot()).position("BTCUSDT") == 0
        assert (closed.executed_quantity, closed.status) == (QUANTITY, VenueStatus.EXPIRED)

    play(script)
