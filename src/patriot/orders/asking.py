"""What became of an order: asked of the exchange by client order id, patiently, and never against what can be seen.

An order whose outcome is unknown is not sent again. It is watched, with its trades and its position, until it is found
or was absent long enough to be recorded so.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import chain, repeat
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
from patriot.orders.ports import OrderVenue, PositionReader
from patriot.orders.reports import ReportTaker
from patriot.trading.reports import OrderReport
from patriot.trading.terms import Leg, OrderId, OrderType, Urgency

T = TypeVar("T")
TRADE_OVERLAP = timedelta(seconds=5)  # trades are asked for from a little before the order they belong to


class OrderInquiry:
    """Questions about one account's orders; what the answers say is taken like any report."""

    def __init__(
        self,
        venue: OrderVenue,
        positions: PositionReader,
        known: KnownOrders,
        taker: ReportTaker,
        clock: Clock,
        patience: DeskPatience,
        tasks: Background,
    ) -> None:
        self._venue = venue
        self._positions = positions
        self._known = known
        self._taker = taker
        self._clock = clock
        self._patience = patience
        self._tasks = tasks
        self._watched: set[OrderId] = set()
        self._asked_on: set[OrderId] = set()  # young orders that no list shows, and of which nothing was answered

    def is_watching(self, order_id: OrderId) -> bool:
        """Return whether an order's fate is being asked for."""
        return order_id in self._watched

    def find_out(self, created: OrderCreated, reason: str, *, waited_seconds: float | None = None) -> None:
        """Note that an order's outcome is unknown, and ask until it is known.

        `waited_seconds` since it was sent, by a clock that does not step; else by the time in the log.
        """
        self._known.decide(RecordUnknown(created.order_id, reason, self._clock.now()))
        self.watch(created, waited_seconds=waited_seconds)

    def watch(self, created: OrderCreated, *, waited_seconds: float | None = None) -> None:
        """Ask for an order until all is known of it that protection waits for."""
        if created.order_id in self._watched:
            return
        self._watched.add(created.order_id)
        waited = self._age(created) if waited_seconds is None else waited_seconds
        self._tasks.start(self._watch(created, waited))
        if created.leg is Leg.ENTRY:
            self._tasks.start(self._tell_later(created, waited))

    async def _tell_later(self, created: OrderCreated, waited: float) -> None:
        """Have it told in time that nothing tells of an entry: what says that it is not there may lag, all together."""
        await asyncio.sleep(self._patience.untold - waited)
        if created.order_id in self._watched and not self.is_settled(created):
            self._known.tell_untold(created.order_id)

    async def _watch(self, created: OrderCreated, waited: float) -> None:
        try:
            delays = self._patience.entry if created.leg is Leg.ENTRY else self._patience.protection
            begun = [waited] if waited > self._patience.untold else []  # who begins so late asks at once
            for delay in [*begun, *(delay for delay in delays if delay > waited)]:
                await asyncio.sleep(delay - waited)
                waited = delay
                if await self._is_known(created):
                    return
            while not await self._is_absent(created):
                await asyncio.sleep(self._patience.evidence)
                if await self._is_known(created):
                    return
        finally:
            self._watched.discard(created.order_id)
            self._known.contested.discard(created.client_order_id)
        now = self._clock.now()
        if self._known[created.order_id].venue_order_ids:
            self._known.decide(RecordCanceled(created.order_id, now))  # the exchange had it once
        else:
            self._known.decide(RecordRejected(created.order_id, RejectStage.EXCHANGE, PROVEN_ABSENT, None, None, now))

    def _age(self, created: OrderCreated) -> float:
        sent_at = self._known[created.order_id].submitted_at or created.created_at
        return max(0.0, (self._clock.now() - sent_at).total_seconds())

    async def _is_known(self, created: OrderCreated) -> bool:
        """Ask once; meanwhile an entry's position, if there is one, counts as executed, so that it is protected."""
        if self.is_settled(created):
            return True
        look = self._tasks.start(self._look_at_position(created)) if created.leg is Leg.ENTRY else None
        try:
            found = await self.until_answered(partial(self.find, created))
        finally:
            if look is not None:
                look.cancel()
        if found is not None and (self.is_settled(created) or not _executes_at_once(created)):
            return True
        if created.leg is Leg.ENTRY:
            await self._count_position(created)
        return self.is_settled(created)

    async def _look_at_position(self, created: OrderCreated) -> None:
        """See what an entry holds while the question for the order itself is not answered."""
        for pause in chain(self._patience.position, repeat(self._patience.position[-1])):
            await asyncio.sleep(pause)
            await self._count_position(created)

    async def _count_position(self, created: OrderCreated) -> None:
        """Count what an entry holds as executed, if the exchange says in time what that is."""
        with suppress(TimeoutError):
            held = await self.soon(partial(self._held, created))
            if held > 0 and not self.is_settled(created):
                self._known.tell_executed(created.order_id, min(held, created.quantity), over=False)

    def is_settled(self, created: OrderCreated) -> bool:
        """Return whether all is known that protection waits for: of a market order, also that it has executed."""
        order = self._known[created.order_id]
        if order.status in SENT:
            return False
        silent = order.status in WORKING and not self._taker.awaits_end_of(created.order_id)
        return not (silent and _executes_at_once(created))

    async def _is_absent(self, created: OrderCreated) -> bool:
        """Tell whether nothing speaks for an order that queries do not know: no list, no position, no exit's trade.

        What is not answered in time speaks for it too.
        """
        try:
            listed = await self.soon(partial(self._list_recent, created.symbol))
            if created.client_order_id in listed or self.is_settled(created):
                return False
            if created.leg is not Leg.ENTRY:
                return True
            held = await self.soon(partial(self._held, created))
        except TimeoutError:
            return False
        exited = self._known.exit_traded(created.group_id) and self._age(created) < self._patience.contested
        if held > 0 or exited:  # an exit that was sent ahead of its position may have taken somebody else's
            self._known.contested.add(created.client_order_id)
            return False
        return not self.is_settled(created)

    async def _list_recent(self, symbol: str) -> set[str]:
        reports = await self._venue.recent_orders(symbol, urgency=Urgency.POSITION)
        for report in reports:
            if self._known.is_known(report.client_order_id):
                self._taker.on_order(report)
        return {report.client_order_id for report in reports}

    async def _held(self, created: OrderCreated) -> Decimal:
        """Return the position on an order's symbol; negative if it is the other way."""
        snapshot = await self._positions.snapshot(urgency=Urgency.PROTECTION)
        return snapshot.position(created.symbol) * created.side.sign

    async def find(self, created: OrderCreated) -> OrderReport | None:
        """Ask the exchange for one order and take what it says; None if it has none with this client id.

        Errors: ExchangeError.
        """
        report = await self._venue.find_order(
            created.symbol,
            created.client_order_id,
            conditional=is_conditional(created),
            urgency=Urgency.PROTECTION,
        )
        if report is not None:
            self._taker.on_order(report)
        return report

    async def is_there(self, created: OrderCreated) -> bool:
        """Ask once, and not for long; False if the exchange does not know the order, or does not say in time."""
        try:
            async with asyncio.timeout(self._patience.question):
                return await self.find(created) is not None
        except (ExchangeError, TimeoutError):
            return False

    async def find_again(self, created: OrderCreated) -> OrderReport | None:
        """Ask for an order that a list does not show, and not for long: nothing that protects waits for one answer.

        The fate of one that rested is unknown when the exchange, asked twice, does not know it or does not say. Queries
        may lag behind an acceptance; what was accepted longer ago than that they must know.
        """
        report, heard = await self._ask_twice(created)
        status = self._known[created.order_id].status
        if report is not None or status not in WORKING or self._taker.awaits_trades_of(created.order_id):
            return report
        if not self._is_young(created):
            self.find_out(created, "Vanished")
        elif not heard and created.order_id not in self._asked_on:
            self._asked_on.add(created.order_id)
            self._tasks.start(self._ask_on(created))
        return None

    async def _ask_twice(self, created: OrderCreated) -> tuple[OrderReport | None, bool]:
        """Return what the exchange has, and whether it said so both times."""
        heard = True
        for pause in (self._patience.gone, None):
            try:
                report = await self.soon(partial(self.find, created))
            except TimeoutError:
                heard, report = False, None
            if report is not None or self._known[created.order_id].status not in WORKING:
                return report, heard
            if pause is not None:
                await asyncio.sleep(pause)
        return None, heard

    async def _ask_on(self, created: OrderCreated) -> None:
        """Ask on, until the exchange says something, or the order is old enough to be doubted."""
        try:
            heard = False
            while not heard and self._is_young(created):
                _, heard = await self._ask_twice(created)
        finally:
            self._asked_on.discard(created.order_id)
        if not heard:
            await self.find_again(created)

    def _is_young(self, created: OrderCreated) -> bool:
        """Tell whether lists and queries may still lag behind the acceptance of an order."""
        age = (self._clock.now() - self._known.accepted_at(created.order_id)).total_seconds()
        return age <= self._patience.lag

    async def soon(self, question: Callable[[], Awaitable[T]]) -> T:
        """Repeat a question for a moment. Errors: TimeoutError if the exchange does not answer it."""
        async with asyncio.timeout(self._patience.soon):
            return await self.until_answered(question)

    async def until_answered(
        self, question: Callable[[], Awaitable[T]], *, final: tuple[type[ExchangeError], ...] = ()
    ) -> T:
        """Repeat a question until the exchange answers at all. Errors: `final`, which end it."""
        return await patiently(
            question,
            pauses=self._patience.retry,
            errors=(ExchangeError, TimeoutError),
            final=final,
            answer_seconds=self._patience.answer,
        )

    async def collect_trades(self, symbol: str, since: datetime, urgency: Urgency = Urgency.POSITION) -> None:
        """Take the executions of a symbol from a time on. Errors: ExchangeError."""
        for trade in await self._venue.trades(symbol, since - TRADE_OVERLAP, urgency=urgency):
            self._taker.on_trade(trade)

    async def collect_reported_trades(self, created: OrderCreated) -> None:
        """Fetch the executions that a report has told of, if the stream does not bring them."""
        await asyncio.sleep(self._patience.trades)
        pauses = iter(self._patience.retry)
        while self._taker.awaits_trades_of(created.order_id):
            await self.until_answered(partial(self.collect_trades, created.symbol, created.created_at))
            if self._taker.awaits_trades_of(created.order_id):
                await asyncio.sleep(next(pauses, self._patience.retry[-1]))


def _executes_at_once(created: OrderCreated) -> bool:
    return created.order_type is OrderType.MARKET
