"""What became of an order: asked of the exchange by client order id, patiently."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from patriot.kernel.clock import Clock
from patriot.kernel.errors import ExchangeError
from patriot.kernel.patience import patiently
from patriot.kernel.tasks import Background
from patriot.orders.commands import RecordCanceled, RecordRejected, RecordUnknown
from patriot.orders.decider import PROVEN_ABSENT, SENT, WORKING
from patriot.orders.events import OrderCreated, RejectStage
from patriot.orders.known import KnownOrders
from patriot.orders.legs import is_conditional
from patriot.orders.patience import DeskPatience
from patriot.orders.ports import OrderVenue
from patriot.orders.reports import ReportTaker
from patriot.trading.reports import OrderReport
from patriot.trading.terms import Leg, OrderId

T = TypeVar("T")
TRADE_OVERLAP = timedelta(seconds=5)  # trades are asked for from a little before the order they belong to


class OrderInquiry:
    """Questions about one account's orders; what the answers say is taken like any report."""

    def __init__(
        self,
        venue: OrderVenue,
        known: KnownOrders,
        taker: ReportTaker,
        clock: Clock,
        patience: DeskPatience,
        tasks: Background,
    ) -> None:
        self.resend: Callable[[OrderCreated], Awaitable[None]]
        self._venue = venue
        self._known = known
        self._taker = taker
        self._clock = clock
        self._patience = patience
        self._tasks = tasks
        self._asking: set[OrderId] = set()

    def is_asking(self, order_id: OrderId) -> bool:
        """Return whether an order's fate is being asked for."""
        return order_id in self._asking

    def find_out(self, created: OrderCreated, reason: str, delays: tuple[float, ...] | None = None) -> None:
        """Note that an order's outcome is unknown, and ask until it is known."""
        self._known.decide(RecordUnknown(created.order_id, reason, self._clock.now()))
        if created.order_id in self._asking:
            return
        self._asking.add(created.order_id)
        if delays is None:
            delays = self._patience.entry if created.leg is Leg.ENTRY else self._patience.protection
        self._tasks.start(self._ask_until_known(created, delays))

    async def _ask_until_known(self, created: OrderCreated, delays: tuple[float, ...]) -> None:
        """Ask by client order id. Absent after the last delay is proven absent: the receive window has lapsed."""
        waited, found = 0.0, False
        for delay in delays:
            await asyncio.sleep(delay - waited)
            waited = delay
            found = await self.until_answered(partial(self.find, created)) is not None
            if found:
                break
        self._asking.discard(created.order_id)
        if found or self._known[created.order_id].status not in SENT:
            return
        if created.valid_until is not None and self._clock.now() <= created.valid_until:
            await self.resend(created)
        else:
            now = self._clock.now()
            self._known.decide(RecordRejected(created.order_id, RejectStage.EXCHANGE, PROVEN_ABSENT, None, None, now))

    async def find(self, created: OrderCreated) -> OrderReport | None:
        """Ask the exchange for one order and take what it says; None if it has none with this client id.

        Errors: ExchangeError.
        """
        report = await self._venue.find_order(
            created.symbol, created.client_order_id, conditional=is_conditional(created)
        )
        if report is not None:
            self._taker.on_order(report)
        return report

    async def find_again(self, created: OrderCreated) -> OrderReport | None:
        """Ask for an order; one that rested and that the exchange does not know any more, asked twice, is over."""
        for pause in (self._patience.gone, None):
            report = await self.until_answered(partial(self.find, created))
            if report is not None or self._known[created.order_id].status not in WORKING:
                return report
            if pause is not None:
                await asyncio.sleep(pause)
        if not self._taker.awaits_trades_of(created.order_id):
            self._known.decide(RecordCanceled(created.order_id, self._clock.now()))
        return None

    async def until_answered(self, question: Callable[[], Awaitable[T]]) -> T:
        """Repeat a question until the exchange answers at all."""
        return await patiently(
            question,
            pauses=self._patience.retry,
            errors=(ExchangeError, TimeoutError),
            answer_seconds=self._patience.answer,
        )

    async def collect_trades(self, symbol: str, since: datetime) -> None:
        """Take the executions of a symbol from a time on. Errors: ExchangeError."""
        for trade in await self._venue.trades(symbol, since - TRADE_OVERLAP):
            self._taker.on_trade(trade)

    async def collect_reported_trades(self, created: OrderCreated) -> None:
        """Fetch the executions that a report has told of, if the stream does not bring them."""
        await asyncio.sleep(self._patience.trades)
        pauses = iter(self._patience.retry)
        while self._taker.awaits_trades_of(created.order_id):
            await self.until_answered(partial(self.collect_trades, created.symbol, created.created_at))
            if self._taker.awaits_trades_of(created.order_id):
                await asyncio.sleep(next(pauses, self._patience.retry[-1]))
