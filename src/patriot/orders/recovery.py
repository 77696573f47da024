"""After a start or a gap: every order of open brackets is compared with the exchange, and lost legs are found."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

from patriot.kernel.clock import Clock
from patriot.kernel.errors import ExchangeRefused
from patriot.kernel.tasks import Background
from patriot.orders.asking import OrderInquiry
from patriot.orders.client_ids import LegId, client_order_id, leg_order_id, parse_client_order_id
from patriot.orders.commands import RecordExpired, RecordSubmitted
from patriot.orders.decider import SENT, UNSENT, WORKING
from patriot.orders.events import OrderCreated
from patriot.orders.known import REMEMBERED_BRACKETS, KnownOrders
from patriot.orders.legs import CONDITIONAL_LEGS, fits, is_conditional, leg_command
from patriot.orders.patience import DeskPatience
from patriot.orders.ports import OrderVenue
from patriot.orders.reports import ReportTaker
from patriot.orders.sending import OrderSender
from patriot.trading.reports import OrderReport, VenueStatus
from patriot.trading.terms import Leg, OrderId, Urgency

T = TypeVar("T")
RESTING, EXECUTIONS, PAST_ORDERS = "what rests in {}", "executions in {}", "past orders in {}"  # for a person


class RecoveringDesk(Protocol):
    """What recovery asks of its desk."""

    on_read: Callable[[str, ExchangeRefused | None], None]

    async def resume(self, created: OrderCreated) -> None:
        """Send an entry that was never sent."""
        ...


class OrderRecovery:
    """Brings what is known of one account's orders in step with its exchange."""

    def __init__(
        self,
        venue: OrderVenue,
        known: KnownOrders,
        taker: ReportTaker,
        inquiry: OrderInquiry,
        sender: OrderSender,
        desk: RecoveringDesk,
        clock: Clock,
        patience: DeskPatience,
        tasks: Background,
    ) -> None:
        self._venue = venue
        self._known = known
        self._taker = taker
        self._inquiry = inquiry
        self._sender = sender
        self._desk = desk
        self._clock = clock
        self._patience = patience
        self._tasks = tasks
        self._unsearched: set[str] = set()  # symbols on which a predecessor's legs may be unknown
        self._waited_for: set[str] = set()  # those of which a leg has waited to know

    async def recover(self, *, takeover: bool) -> None:
        """Learn what rests, and what became of each order of open brackets that does not: all that protection needs.

        `takeover`: another process may have sent requests that are still on their way, for a receive window, and legs
        that the log does not know: an id of theirs must not be used again, which an exchange allows once they are over.
        Where all is covered they are found by `catch_up`, or before the next leg goes out.
        """
        if takeover:
            self._sender.inherited |= {entry.order_id for entry in self._known.open_entries()}
            self._unsearched.update(self._known.open_symbols())
        await asyncio.gather(*(self._recover_symbol(symbol, takeover) for symbol in self._known.open_symbols()))

    async def _recover_symbol(self, symbol: str, takeover: bool) -> None:
        """Recover the orders of one symbol: no other waits for what the exchange tells of it."""
        self._note_legs_sent(symbol)
        listed = await self._told(RESTING.format(symbol), partial(self._list_resting, symbol))
        if listed is None:
            self._count_on_nothing(symbol)
            self._resume_unsent(symbol)
            return
        if takeover and not self._known.is_covered(symbol, listed):
            await self.find_lost_legs(symbol)  # dearer than the list: it waits where every position has its stop
        await asyncio.gather(*(self._recover_order(one, listed) for one in self._known.under_way(symbol)))

    def _resume_unsent(self, symbol: str) -> None:
        for created in self._known.under_way(symbol):
            if self._known[created.order_id].status in UNSENT:
                self._tasks.start(self._desk.resume(created))  # being sent would have been written first
            else:
                self._cancel_again(created.order_id, created)

    async def _told(self, what: str, question: Callable[[], Awaitable[T]]) -> T | None:
        """Repeat a question until the exchange answers it; None where it refuses to, which is told."""
        try:
            answer = await self._inquiry.until_answered(question, final=(ExchangeRefused,))
        except ExchangeRefused as refusal:
            self._desk.on_read(what, refusal)
            return None
        self._desk.on_read(what, None)
        return answer

    def _note_legs_sent(self, symbol: str) -> None:
        for created in self._known.under_way(symbol):
            if created.leg is not Leg.ENTRY and self._known[created.order_id].status in UNSENT:
                # a leg goes out at once: only the note of it was lost
                self._known.decide(RecordSubmitted(created.order_id, 1, created.created_at))

    def count_on_nothing(self) -> None:
        """Take what an earlier life left open for unknown: the exchange does not say in time what became of it."""
        for symbol in self._known.open_symbols():
            self._count_on_nothing(symbol)

    def _count_on_nothing(self, symbol: str) -> None:
        self._note_legs_sent(symbol)
        for created in self._known.under_way(symbol):
            if self._known[created.order_id].status not in UNSENT:
                self._follow_up(created)

    def _follow_up(self, created: OrderCreated) -> None:
        """Ask for an order until all is known of it that protection waits for, if it is not."""
        if self._inquiry.is_watching(created.order_id):
            return
        if self._known[created.order_id].status in SENT:
            self._inquiry.find_out(created, "Restarted")
        elif not self._inquiry.is_settled(created):
            self._inquiry.watch(created)

    async def catch_up(self, *, search: bool) -> None:
        """Fetch the executions of open brackets; with `search` also orders of theirs that the log does not know."""
        since: dict[str, datetime] = {}
        for entry in self._known.open_entries():
            since[entry.symbol] = min(since.get(entry.symbol, entry.created_at), entry.created_at)
        await asyncio.gather(*(self._catch_up_on(symbol, moment, search) for symbol, moment in since.items()))

    async def _catch_up_on(self, symbol: str, since: datetime, search: bool) -> None:
        if search or symbol in self._unsearched:
            await self.search(symbol, Urgency.NORMAL)
        trades = partial(self._inquiry.collect_trades, symbol, since, Urgency.NORMAL)
        await self._told(EXECUTIONS.format(symbol), trades)

    def forget(self, symbol: str) -> None:
        """Take back what was told of a symbol that is not asked about any more."""
        for what in (RESTING, EXECUTIONS, PAST_ORDERS):
            self._desk.on_read(what.format(symbol), None)

    def doubt(self, symbol: str) -> None:
        """Have lost legs of a symbol found before the next leg of its brackets goes out."""
        self._unsearched.add(symbol)
        self._waited_for.discard(symbol)

    def may_lack_legs_of(self, symbol: str) -> bool:
        """Return whether a predecessor may have sent legs on a symbol that are not known here."""
        return symbol in self._unsearched

    async def find_lost_legs(self, symbol: str) -> bool:
        """Find what a predecessor sent on a symbol, if that was not done yet; return whether it was done now.

        A leg that protects does not wait for it for longer than a moment, and the next ones not at all.
        """
        if symbol in self._unsearched and symbol not in self._waited_for:
            self._waited_for.add(symbol)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience.soon):
                    return await self.search(symbol)
        return False

    async def search(self, symbol: str, urgency: Urgency = Urgency.PROTECTION, *, strays: bool = False) -> bool:
        """Take every recent order of a symbol that has an id of ours: lost legs, and orders given up as absent.

        With `strays` the newest of brackets that are not known here are noted too. Return whether the exchange told
        them; it may refuse to.
        """
        recent = partial(self._venue.recent_orders, symbol, urgency=urgency)
        reports = await self._told(PAST_ORDERS.format(symbol), recent)
        if reports is None:
            return False
        unknown: dict[str, str] = {}
        for report in sorted(reports, key=lambda report: report.at):  # an id that was used again: the last one counts
            named = parse_client_order_id(report.client_order_id)
            entry = self._known.entry_of(named) if named is not None else None
            if named is None:
                continue
            if entry is None:
                unknown.pop(named.prefix, None)
                unknown[named.prefix] = report.client_order_id
            elif self._known.is_known(report.client_order_id):
                self._taker.on_order(report)
            else:
                await self.adopt_lost_leg(entry, named, report)
        self._unsearched.discard(symbol)  # not before: whoever sends a leg meanwhile must not use an id found here
        for client_id in list(reversed(unknown.values()))[:REMEMBERED_BRACKETS] if strays else ():
            self._known.note_stray(client_id)
        return True

    async def check_resting(self, urgency: Urgency) -> None:
        """See that the working orders of open brackets still work: what ended them may not have been told.

        Errors: ExchangeError, once every symbol was tried; what is refused of one is told.
        """
        looks = [self._check_symbol(symbol, urgency) for symbol in self._known.open_symbols()]
        for error in await asyncio.gather(*looks, return_exceptions=True):
            if error is not None:
                raise error

    async def _check_symbol(self, symbol: str, urgency: Urgency) -> None:
        working = [  # before the list is asked for: what is accepted meanwhile need not be on it
            created for created in self._known.working(symbol) if not self._inquiry.is_watching(created.order_id)
        ]
        what = RESTING.format(symbol)
        try:
            listed = await self._list_resting(symbol, urgency)
        except ExchangeRefused as refusal:
            self._desk.on_read(what, refusal)
            return
        self._desk.on_read(what, None)
        missing = [created for created in working if created.client_order_id not in listed]
        await asyncio.gather(*(self._check_missing(created) for created in missing))

    async def _list_resting(self, symbol: str, urgency: Urgency = Urgency.PROTECTION) -> set[str]:
        """Take every resting order of a symbol, and return their client ids."""
        reports = await self._venue.open_orders(symbol, urgency=urgency)
        for report in reports:
            self._taker.on_order(report)
        return {report.client_order_id for report in reports}

    async def _check_missing(self, created: OrderCreated) -> None:
        """Learn what became of a working order that does not rest; a stop in a state unknown to us protects nobody."""
        if self._known[created.order_id].status not in WORKING:
            return
        report = await self._inquiry.find_again(created)
        if report is not None and report.status is VenueStatus.UNKNOWN and is_conditional(created):
            self._known.decide(RecordExpired(created.order_id, self._clock.now()))

    async def _recover_order(self, created: OrderCreated, listed: set[str]) -> None:
        order_id = created.order_id
        if self._known[order_id].status in UNSENT:
            self._tasks.start(self._desk.resume(created))  # never sent: being sent would have been written first
            return
        if created.client_order_id not in listed and not self._inquiry.is_watching(order_id):
            await self._inquiry.find_again(created)
        self._follow_up(created)
        self._cancel_again(order_id, created)

    def _cancel_again(self, order_id: OrderId, created: OrderCreated) -> None:
        """Carry out a wish to cancel that was noted and perhaps never sent."""
        order = self._known[order_id]
        if order.cancel_reason is not None and order.status in WORKING:
            self._tasks.start(self._sender.cancel(created, order.cancel_reason))

    async def adopt_lost_leg(self, entry: OrderCreated, named: LegId, listed: OrderReport | None) -> None:
        """Take over a leg that reached the exchange and not the log, and as not known those before it.

        `listed` stands where a query does not know the order yet.
        """
        client_id = client_order_id(entry.client_id_prefix, named.leg, named.sequence)
        find = partial(
            self._venue.find_order,
            entry.symbol,
            client_id,
            conditional=named.leg in CONDITIONAL_LEGS,
            urgency=Urgency.PROTECTION,
        )
        try:
            report = await self._inquiry.soon(find) or listed
        except TimeoutError:
            report = listed
        if report is None or self._known.is_known(client_id):
            return
        if not fits(entry, self._known[entry.order_id].filled, named.leg, report):
            self._known.note_foreign(client_id)
            return
        for number in range(1, named.sequence + 1):  # without a gap, so that a reader of the log finds them all
            order_id = leg_order_id(entry.order_id, named.leg, number)
            if order_id not in self._known:
                self._known.decide(leg_command(entry, named.leg, number, report.quantity, report.at))
                self._known.decide(RecordSubmitted(order_id, 1, report.at))
                if number < named.sequence:
                    self._inquiry.find_out(self._known.created(order_id), "Restarted")
        self._taker.on_order(report)
