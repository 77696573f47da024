"""After a start or a gap: every order of open brackets is compared with the exchange, and lost legs are found."""

import asyncio
from datetime import datetime
from functools import partial

from patriot.kernel.clock import Clock
from patriot.kernel.tasks import Background
from patriot.orders.asking import OrderInquiry
from patriot.orders.client_ids import client_order_id, leg_order_id
from patriot.orders.commands import RecordExpired, RecordSubmitted
from patriot.orders.decider import OVER, UNSENT, WORKING
from patriot.orders.events import OrderCreated
from patriot.orders.known import KnownOrders
from patriot.orders.legs import CONDITIONAL_LEGS, fits, is_conditional, leg_command
from patriot.orders.patience import DeskPatience
from patriot.orders.ports import OrderVenue
from patriot.orders.reports import LOST_LEGS, ReportTaker
from patriot.orders.sending import OrderSender
from patriot.trading.reports import VenueStatus
from patriot.trading.terms import Leg, OrderId


class OrderRecovery:
    """Brings what is known of one account's orders in step with its exchange."""

    def __init__(
        self,
        venue: OrderVenue,
        known: KnownOrders,
        taker: ReportTaker,
        inquiry: OrderInquiry,
        sender: OrderSender,
        clock: Clock,
        patience: DeskPatience,
        tasks: Background,
    ) -> None:
        self._venue = venue
        self._known = known
        self._taker = taker
        self._inquiry = inquiry
        self._sender = sender
        self._clock = clock
        self._patience = patience
        self._tasks = tasks

    async def recover(self, *, takeover: bool) -> None:
        """Compare every order of open brackets with the exchange, and take what it says.

        `takeover`: another process may have sent requests that are still on their way, for a receive window.
        """
        if takeover:
            self._sender.inherited |= {entry.order_id for entry in self._known.open_entries()}
            await asyncio.gather(*(self._adopt_lost_legs(entry) for entry in self._known.open_entries()))
        under_way = self._known.under_way(OVER)
        await asyncio.gather(*(self._recover_order(created, takeover=takeover) for created in under_way))
        since: dict[str, datetime] = {}
        for entry in self._known.open_entries():
            since[entry.symbol] = min(since.get(entry.symbol, entry.created_at), entry.created_at)
        for symbol, moment in since.items():
            await self._inquiry.until_answered(partial(self._inquiry.collect_trades, symbol, moment))
        for symbol in since:
            await self._list_resting(symbol)

    async def check_resting(self) -> None:
        """See that the working orders of open brackets still work: what ended them may not have been told.

        Errors: ExchangeError.
        """
        for symbol in self._known.open_symbols():
            working = [  # before the list is asked for: what is accepted meanwhile need not be on it
                created for created in self._known.working(symbol) if not self._inquiry.is_asking(created.order_id)
            ]
            listed = await self._list_resting(symbol)
            missing = [created for created in working if created.client_order_id not in listed]
            await asyncio.gather(*(self._check_missing(created) for created in missing))

    async def _list_resting(self, symbol: str) -> set[str]:
        """Take every resting order of a symbol, and return their client ids."""
        reports = await self._venue.open_orders(symbol)
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

    async def _recover_order(self, created: OrderCreated, *, takeover: bool) -> None:
        order_id = created.order_id
        status = self._known[order_id].status
        if status in UNSENT and created.leg is Leg.ENTRY:
            self._tasks.start(self._sender.submit(created))  # never sent: being sent would have been written first
            return
        if status in UNSENT:  # a leg goes out at once: only the note of it was lost
            self._known.decide(RecordSubmitted(order_id, 1, created.created_at))
        found = await self._inquiry.find_again(created)
        if found is not None or status in WORKING or self._inquiry.is_asking(order_id):
            self._cancel_again(order_id, created)
        else:
            self._inquiry.find_out(created, "Restarted", (self._patience.predecessor,) if takeover else None)

    def _cancel_again(self, order_id: OrderId, created: OrderCreated) -> None:
        """Carry out a wish to cancel that was noted and perhaps never sent."""
        order = self._known[order_id]
        if order.cancel_reason is not None and order.status in WORKING:
            self._tasks.start(self._sender.cancel(created, order.cancel_reason))

    async def _adopt_lost_legs(self, entry: OrderCreated) -> None:
        """Find legs that reached the exchange and not the log: their ids were fixed by the entry."""
        for leg in (Leg.STOP, Leg.TARGET, Leg.CLOSE, Leg.EMERGENCY):
            first = self._known.next_sequence(entry, leg)
            for sequence in range(first, first + LOST_LEGS):
                if not await self.adopt_lost_leg(entry, leg, sequence):
                    break

    async def adopt_lost_leg(self, entry: OrderCreated, leg: Leg, sequence: int) -> bool:
        """Take over one order of a leg, and as not known those before it; False if there is none."""
        if leg_order_id(entry.order_id, leg, sequence) in self._known:
            return True
        client_id = client_order_id(entry.client_id_prefix, leg, sequence)
        find = partial(self._venue.find_order, entry.symbol, client_id, conditional=leg in CONDITIONAL_LEGS)
        report = await self._inquiry.until_answered(find)
        if report is None:
            return False
        if not fits(entry, self._known[entry.order_id].filled, leg, report):
            self._known.note_foreign(client_id)
            return False
        for number in range(1, sequence + 1):  # without a gap, so that a reader of the log finds them all
            order_id = leg_order_id(entry.order_id, leg, number)
            if order_id not in self._known:
                self._known.decide(leg_command(entry, leg, number, report.quantity, report.at))
                self._known.decide(RecordSubmitted(order_id, 1, report.at))
                if number < sequence:
                    self._inquiry.find_out(self._known.created(order_id), "Restarted")
        self._taker.on_order(report)
        return True
