"""One account's desk: sends orders, takes the exchange's reports, asks when it does not know. Safe through any crash.

The desk folds its account's orders in memory with the same decider as the log. A command is decided here first, so that
protection never waits for the database, and is made durable in the same order by the account's one writer.
Two things do wait: an entry is durable before the desk sees it, and is noted as submitted before the wire is touched.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TypeVar

from patriot.kernel.clock import Clock
from patriot.kernel.errors import ExchangeError, ExchangeRefused, ExchangeUnavailable, OutcomeUnknown
from patriot.kernel.tasks import Background
from patriot.orders.client_ids import client_id_prefix, client_order_id, leg_order_id, parse_client_order_id
from patriot.orders.commands import (
    OpenLeg,
    OrderCommand,
    RecordAccepted,
    RecordCanceled,
    RecordExpired,
    RecordFill,
    RecordRejected,
    RecordSubmitted,
    RecordTriggered,
    RecordUnknown,
    RequestCancel,
)
from patriot.orders.decider import ORDER, OVER, PROVEN_ABSENT, SENT, UNSENT, WORKING, Order
from patriot.orders.events import CancelReason, OrderAccepted, OrderCreated, OrderEvent, OrderFilled, RejectStage
from patriot.orders.journal import Journal
from patriot.orders.ports import OrderVenue
from patriot.trading.reports import OrderReport, TradeReport, VenueOrder, VenueStatus
from patriot.trading.steps import Reached, Step, pass_by
from patriot.trading.terms import Leg, OrderId, OrderType

T = TypeVar("T")
TRADE_OVERLAP = timedelta(seconds=5)  # trades are asked for from a little before the order they belong to
REMEMBERED_BRACKETS = 20
REMEMBERED_CLIENT_IDS = 1_000  # of orders that are not ours, or that no bracket explains
LOST_LEGS = 8  # how many orders of one leg can have reached the exchange and not the log; a higher number is forged
OVER_ON_EXCHANGE = frozenset({VenueStatus.FILLED, VenueStatus.CANCELED, VenueStatus.REJECTED, VenueStatus.EXPIRED})
_SENT_STEP = {Leg.ENTRY: Step.ORDER_SENT, Leg.STOP: Step.STOP_SENT, Leg.TARGET: Step.TARGET_SENT}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for answers, in seconds after the request; the last of each tuple decides."""

    entry: tuple[float, ...] = (0.3, 1, 2, 5, 10, 30)
    protection: tuple[float, ...] = (0.1, 0.3, 0.6, 1, 2, 4, 7)
    predecessor: float = 6  # receive window of 5 s and 1 s of clock skew: after it, a dead owner's request is refused
    answer: float = 0.6  # for an order's answer; then its outcome is unknown, and three such stops fit into 2 s
    trades: float = 0.3  # for executions that an answer has told of and the stream has not
    retry: tuple[float, ...] = (0.05, 0.2, 0.5, 1, 2)  # when the exchange did nothing
    gone: float = 0.5  # before the second question about an order that rested and is not known any more


class OrderDesk:
    """Every order of one account's open brackets, and the way to its exchange."""

    def __init__(
        self,
        venue: OrderVenue,
        journal: Journal,
        clock: Clock,
        listener: Callable[[OrderEvent], None],
        patience: Patience | None = None,
        reached: Reached = pass_by,
    ) -> None:
        self._venue = venue
        self._journal = journal
        self._clock = clock
        self._listener = listener
        self._patience = patience or Patience()
        self._reached = reached
        self._orders: dict[OrderId, Order] = {}
        self._by_venue_id: dict[str, OrderId] = {}
        self._entries: dict[str, OrderCreated] = {}  # prefix of the client ids -> the bracket's entry
        self._open: dict[str, None] = {}  # of those prefixes, the brackets that are not over
        self._closed: list[OrderId] = []
        self._expected: dict[OrderId, OrderReport] = {}  # reports that are ahead of the executions known
        self._asking: set[OrderId] = set()
        self._sending: set[OrderId] = set()
        self._canceling: set[OrderId] = set()
        self._inherited: set[OrderId] = set()  # brackets that a predecessor may have sent requests for
        self.tasks = Background()
        self.strays: list[str] = []  # client ids of ours that no open bracket here explains
        self.foreign: set[str] = set()  # client ids of resting orders that are not ours: seen, never touched
        self._newest_foreign: deque[str] = deque()

    # What the desk knows ----------------------------------------------------------------------------------------------

    def adopt(self, events: Iterable[OrderEvent]) -> None:
        """Take over durable events: of an entry just placed, or of open brackets at a start."""
        for event in events:
            self._take(event)

    def forget(self, group_id: OrderId) -> None:
        """Stop looking after a bracket that is over; the newest are remembered, for the reports that still come."""
        self._open.pop(client_id_prefix(group_id), None)
        self._closed.append(group_id)
        if len(self._closed) <= REMEMBERED_BRACKETS:
            return
        oldest = self._closed.pop(0)
        self._inherited.discard(oldest)
        self._entries.pop(client_id_prefix(oldest), None)
        for order_id, order in list(self._orders.items()):
            if order.created is not None and order.created.group_id == oldest:
                del self._orders[order_id]
                for venue_id in order.venue_order_ids:
                    self._by_venue_id.pop(venue_id, None)

    def _take(self, event: OrderEvent) -> None:
        order = ORDER.evolve(self._orders.get(event.order_id, ORDER.initial), event)
        self._orders[event.order_id] = order
        for venue_id in order.venue_order_ids[-1:]:
            self._by_venue_id[venue_id] = event.order_id
        if isinstance(event, OrderCreated) and event.leg is Leg.ENTRY:
            self._entries[event.client_id_prefix] = event
            self._open[event.client_id_prefix] = None
        self._open_again(order, event)
        self._listener(event)

    def _open_again(self, order: Order, event: OrderEvent) -> None:
        """Look after a bracket again of which an order that was declared over works or has traded."""
        if order.created is None or order.created.group_id not in self._closed:
            return
        if isinstance(event, OrderAccepted) or (isinstance(event, OrderFilled) and event.leg is Leg.ENTRY):
            self._closed.remove(order.created.group_id)
            self._open[order.created.client_id_prefix] = None

    def _apply(self, command: OrderCommand) -> None:
        """Decide on what the desk knows, have the command written, take the events."""
        events = ORDER.decide(self._orders.get(command.order_id, ORDER.initial), command)
        if events:
            self._journal.put(command)
        for event in events:
            self._take(event)

    # Sending ----------------------------------------------------------------------------------------------------------

    async def submit(self, created: OrderCreated) -> None:
        """Send an approved entry and return when the exchange has answered, or is known not to answer."""
        if created.order_id in self._sending:
            return
        self._sending.add(created.order_id)
        try:
            await self._submit(created)
        finally:
            self._sending.discard(created.order_id)

    async def _submit(self, created: OrderCreated) -> None:
        for pause in (*self._patience.retry, None):
            order = self._orders[created.order_id]
            command = RecordSubmitted(created.order_id, order.attempt + 1, self._clock.now())
            if not self._may_go_out(created):
                return
            events = ORDER.decide(order, command)
            await self._journal.written(command)
            self.adopt(events)
            self._reached(Step.ORDER_SUBMITTED)
            if not self._may_go_out(created) or await self._send(created, command.at):
                return
            if pause is not None:
                await asyncio.sleep(pause)
        self._reject_locally(created, "EXCHANGE_UNAVAILABLE")

    def _may_go_out(self, created: OrderCreated) -> bool:
        """End an entry that nobody wants any more, or that is too old; the exchange does not have it."""
        if self._orders[created.order_id].cancel_reason is not None:
            self._apply(RecordCanceled(created.order_id, self._clock.now()))
        elif created.valid_until is not None and self._clock.now() > created.valid_until:
            self._reject_locally(created, "SIGNAL_EXPIRED")
        else:
            return True
        return False

    async def open_leg(self, entry: OrderCreated, leg: Leg, sequence: int, quantity: Decimal) -> None:
        """Send an order that reduces a position, at once; the log learns of it at the same time, not before."""
        command = leg_command(entry, leg, sequence, quantity, self._clock.now())
        self._apply(command)
        self._apply(RecordSubmitted(command.order_id, 1, command.at))
        created = self._created(command.order_id)
        self._sending.add(command.order_id)
        try:
            if not await self._send(created, command.at):
                self._reject_locally(created, "EXCHANGE_UNAVAILABLE")
        finally:
            self._sending.discard(command.order_id)

    async def _send(self, created: OrderCreated, sent_at: datetime) -> bool:
        """Put one request on the wire; False if the exchange did nothing and the request may be repeated."""
        try:
            async with asyncio.timeout(self._patience.answer):
                report = await self._venue.place(venue_order(created), sent_at)
        except ExchangeRefused as refusal:
            await self._take_refusal(created, refusal)
        except ExchangeUnavailable:
            return False
        except (OutcomeUnknown, TimeoutError) as unknown:
            self._find_out(created, type(unknown).__name__)
        else:
            self._reached(_SENT_STEP.get(created.leg, Step.CLOSE_SENT))
            self.on_order(report)
            self._reached(Step.STOP_ACCEPTED if created.leg is Leg.STOP else Step.ORDER_ACCEPTED)
        return True

    async def _take_refusal(self, created: OrderCreated, refusal: ExchangeRefused) -> None:
        """Take a refusal as final, unless an earlier request with the same client id is what it collided with."""
        found = False
        if created.group_id in self._inherited or self._orders[created.order_id].attempt > 1:
            try:
                async with asyncio.timeout(self._patience.answer):
                    found = await self._look_up(created)
            except (ExchangeError, TimeoutError):
                self._find_out(created, "RefusedUnproven")
                return
        if not found:
            rejected = RecordRejected(
                created.order_id,
                RejectStage.EXCHANGE,
                "EXCHANGE_REFUSED",
                refusal.code,
                refusal.reason,
                self._clock.now(),
            )
            self._apply(rejected)

    def _find_out(self, created: OrderCreated, reason: str) -> None:
        self._apply(RecordUnknown(created.order_id, reason, self._clock.now()))
        self._ask(created)

    async def cancel(self, created: OrderCreated, reason: CancelReason) -> None:
        """Cancel a resting order. The exchange's report, not the request, makes it canceled."""
        self._apply(RequestCancel(created.order_id, reason, self._clock.now()))
        if created.order_id in self._canceling:
            return
        self._canceling.add(created.order_id)
        try:
            await self._cancel_patiently(created)
        finally:
            self._canceling.discard(created.order_id)

    async def _cancel_patiently(self, created: OrderCreated) -> None:
        pauses = iter(self._patience.retry)
        while self._orders[created.order_id].status not in OVER:
            try:
                await self._venue.cancel(created.symbol, created.client_order_id, conditional=is_conditional(created))
                self._reached(Step.CANCEL_SENT)
            except ExchangeRefused:
                pass  # it is not resting any more: the look-up below learns why
            except ExchangeError:
                await asyncio.sleep(next(pauses, self._patience.retry[-1]))
                continue
            await self._find_again(created)
            if self._orders[created.order_id].status in UNSENT:
                return  # it is not sent any more
            if self._orders[created.order_id].status not in OVER:
                await asyncio.sleep(next(pauses, self._patience.retry[-1]))

    def _reject_locally(self, created: OrderCreated, reason: str) -> None:
        self._apply(RecordRejected(created.order_id, RejectStage.LOCAL, reason, None, None, self._clock.now()))

    # Asking -----------------------------------------------------------------------------------------------------------

    def _ask(self, created: OrderCreated, delays: tuple[float, ...] | None = None) -> None:
        if created.order_id in self._asking:
            return
        self._asking.add(created.order_id)
        if delays is None:
            delays = self._patience.entry if created.leg is Leg.ENTRY else self._patience.protection
        self.tasks.start(self._ask_until_known(created, delays))

    async def _ask_until_known(self, created: OrderCreated, delays: tuple[float, ...]) -> None:
        """Ask by client order id. Absent after the last delay is proven absent: the receive window has lapsed."""
        waited, found = 0.0, False
        for delay in delays:
            await asyncio.sleep(delay - waited)
            waited = delay
            found = await self._look_up_patiently(created)
            if found:
                break
        self._asking.discard(created.order_id)
        if found or self._orders[created.order_id].status not in SENT:
            return
        if created.valid_until is not None and self._clock.now() <= created.valid_until:
            await self.submit(created)
        else:
            now = self._clock.now()
            self._apply(RecordRejected(created.order_id, RejectStage.EXCHANGE, PROVEN_ABSENT, None, None, now))

    async def _look_up_patiently(self, created: OrderCreated) -> bool:
        """Ask until the exchange answers at all."""
        return await self._patiently(lambda: self._look_up(created))

    async def _look_up(self, created: OrderCreated) -> bool:
        """Ask the exchange for one order and take what it says; False if it has none with this client id."""
        return await self._find(created) is not None

    async def _find(self, created: OrderCreated) -> OrderReport | None:
        report = await self._venue.find_order(
            created.symbol, created.client_order_id, conditional=is_conditional(created)
        )
        if report is not None:
            self.on_order(report)
        return report

    async def _find_again(self, created: OrderCreated) -> OrderReport | None:
        """Ask for an order; one that rested and that the exchange does not know any more, asked twice, is over."""
        for pause in (self._patience.gone, None):
            report = await self._patiently(partial(self._find, created))
            if report is not None or self._orders[created.order_id].status not in WORKING:
                return report
            if pause is not None:
                await asyncio.sleep(pause)
        if created.order_id not in self._expected:
            self._apply(RecordCanceled(created.order_id, self._clock.now()))
        return None

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Repeat a question until it is answered; a lost answer costs little at first, a slow one gets its time."""
        tries = 0
        while True:
            try:
                async with asyncio.timeout(self._patience.answer * 2 ** min(tries, 4)):
                    return await ask()
            except (ExchangeError, TimeoutError):
                await asyncio.sleep(self._patience.retry[min(tries, len(self._patience.retry) - 1)])
            tries += 1

    async def _collect_trades(self, symbol: str, since: datetime) -> None:
        for trade in await self._venue.trades(symbol, since - TRADE_OVERLAP):
            self.on_trade(trade)

    async def _collect_expected(self, created: OrderCreated) -> None:
        """Fetch the executions that a report has told of, if the stream does not bring them."""
        await asyncio.sleep(self._patience.trades)
        pauses = iter(self._patience.retry)
        while created.order_id in self._expected:
            await self._patiently(lambda: self._collect_trades(created.symbol, created.created_at))
            if created.order_id in self._expected:
                await asyncio.sleep(next(pauses, self._patience.retry[-1]))

    # Reports ----------------------------------------------------------------------------------------------------------

    def on_order(self, report: OrderReport) -> None:
        """Take the state of an order, from an answer, a query or the stream; repeats and late ones are harmless."""
        created = self._ours(report.client_order_id, report.venue_order_id)
        if created is None:
            return
        order_id, at = created.order_id, report.at
        if report.triggered_order_id is not None:
            self._by_venue_id[report.triggered_order_id] = order_id
        if report.executed_quantity > self._orders[order_id].filled:
            self._apply(RecordAccepted(order_id, report.venue_order_id, at))
            known = self._expected.get(order_id)
            if known is None or _progress(report) >= _progress(known):
                self._expected[order_id] = report  # an answer may be older than what the stream has told
            if known is None:
                self.tasks.start(self._collect_expected(created))
            return
        match report.status:
            case VenueStatus.REJECTED:
                self._apply(RecordRejected(order_id, RejectStage.EXCHANGE, "EXCHANGE_REJECTED", None, None, at))
                self._apply(RecordExpired(order_id, at))  # it had rested: the exchange turned it down at its trigger
            case VenueStatus.CANCELED:
                self._apply(RecordCanceled(order_id, at))
            case VenueStatus.EXPIRED:
                self._apply(RecordExpired(order_id, at))
            case _:  # a status that this version does not know too: the exchange has the order
                self._apply(RecordAccepted(order_id, report.venue_order_id, at))
                if report.triggered_order_id is not None:
                    self._apply(RecordTriggered(order_id, report.triggered_order_id, at))

    def on_trade(self, trade: TradeReport) -> None:
        """Take one execution; a fill is counted once however often it is reported."""
        created = self._ours(trade.client_order_id, trade.venue_order_id)
        if created is None:
            return
        self._reached(Step.FILL_RECEIVED)
        fill = RecordFill(
            order_id=created.order_id,
            trade_id=trade.trade_id,
            venue_order_id=trade.venue_order_id,
            quantity=trade.quantity,
            price=trade.price,
            commission=trade.commission,
            commission_asset=trade.commission_asset,
            realized_pnl=trade.realized_pnl,
            is_maker=trade.is_maker,
            at=trade.at,
        )
        self._apply(fill)
        expected = self._expected.get(created.order_id)
        if expected is not None and self._orders[created.order_id].filled >= expected.executed_quantity:
            del self._expected[created.order_id]
            self.on_order(expected)

    def _ours(self, client_id: str, venue_order_id: str) -> OrderCreated | None:
        """Return the order that a report speaks of, by client id or, where the exchange leaves that out, by its own."""
        named = parse_client_order_id(client_id)
        if named is None:
            order_id = self._by_venue_id.get(venue_order_id)
            if order_id is None and client_id:
                self._note_foreign(client_id)
            return self._created(order_id) if order_id is not None else None
        entry = self._entries.get(named.prefix)
        if entry is None:
            self.strays = [*self.strays, client_id][-REMEMBERED_CLIENT_IDS:]
            return None
        order_id = leg_order_id(entry.order_id, named.leg, named.sequence)
        if order_id in self._orders:
            return self._created(order_id)
        if named.sequence < self._next_sequence(entry, named.leg) + LOST_LEGS:
            self.tasks.start(
                self._adopt_lost_leg(entry, named.leg, named.sequence)
            )  # a predecessor's, late on the wire
        else:
            self._note_foreign(client_id)
        return None

    def _next_sequence(self, entry: OrderCreated, leg: Leg) -> int:
        """Return the number of the next order of a leg, as this desk knows it."""
        sequence = 1
        while leg_order_id(entry.order_id, leg, sequence) in self._orders:
            sequence += 1
        return sequence

    def _note_foreign(self, client_id: str) -> None:
        if client_id in self.foreign:
            return
        self.foreign.add(client_id)
        self._newest_foreign.append(client_id)
        if len(self._newest_foreign) > REMEMBERED_CLIENT_IDS:
            self.foreign.discard(self._newest_foreign.popleft())

    def _created(self, order_id: OrderId) -> OrderCreated:
        created = self._orders[order_id].created
        if created is None:
            raise LookupError(f"order {order_id} has no creation")
        return created

    # Recovery ---------------------------------------------------------------------------------------------------------

    async def recover(self, *, takeover: bool) -> None:
        """Compare every order of open brackets with the exchange, and take what it says.

        `takeover`: another process may have sent requests that are still on their way, for a receive window.
        """
        if takeover:
            self._inherited |= {self._entries[prefix].order_id for prefix in self._open}
            await asyncio.gather(*(self._adopt_lost_legs(self._entries[prefix]) for prefix in self._open))
        under_way = [
            order.created
            for order in self._orders.values()
            if order.created is not None and order.status not in OVER and order.created.order_id not in self._sending
        ]
        await asyncio.gather(*(self._recover_order(created, takeover=takeover) for created in under_way))
        since: dict[str, datetime] = {}
        for entry in (self._entries[prefix] for prefix in self._open):
            since[entry.symbol] = min(since.get(entry.symbol, entry.created_at), entry.created_at)
        for symbol, moment in since.items():
            await self._patiently(partial(self._collect_trades, symbol, moment))
        for symbol in since:
            await self._list_resting(symbol)

    async def check_resting(self) -> None:
        """See that the working orders of open brackets still work: what ended them may not have been told.

        Errors: ExchangeError.
        """
        for symbol in dict.fromkeys(self._entries[prefix].symbol for prefix in self._open):
            working = [  # before the list is asked for: what is accepted meanwhile need not be on it
                order.created
                for order_id, order in self._orders.items()
                if order.created is not None
                and order.created.symbol == symbol
                and order.status in WORKING
                and order_id not in self._sending | self._asking
            ]
            listed = await self._list_resting(symbol)
            missing = [created for created in working if created.client_order_id not in listed]
            await asyncio.gather(*(self._check_missing(created) for created in missing))

    async def _list_resting(self, symbol: str) -> set[str]:
        """Take every resting order of a symbol, and return their client ids."""
        reports = await self._venue.open_orders(symbol)
        for report in reports:
            self.on_order(report)
        return {report.client_order_id for report in reports}

    async def _check_missing(self, created: OrderCreated) -> None:
        """Learn what became of a working order that does not rest; a stop in a state unknown to us protects nobody."""
        if self._orders[created.order_id].status not in WORKING:
            return
        report = await self._find_again(created)
        if report is not None and report.status is VenueStatus.UNKNOWN and is_conditional(created):
            self._apply(RecordExpired(created.order_id, self._clock.now()))

    async def _recover_order(self, created: OrderCreated, *, takeover: bool) -> None:
        order_id = created.order_id
        status = self._orders[order_id].status
        if status in UNSENT and created.leg is Leg.ENTRY:
            self.tasks.start(self.submit(created))  # never sent: being sent would have been written first
            return
        if status in UNSENT:  # a leg goes out at once: only the note of it was lost
            self._apply(RecordSubmitted(order_id, 1, created.created_at))
        if await self._find_again(created) is not None or status in WORKING or order_id in self._asking:
            self._cancel_again(order_id, created)
        else:
            self._apply(RecordUnknown(order_id, "Restarted", self._clock.now()))
            self._ask(created, (self._patience.predecessor,) if takeover else None)

    def _cancel_again(self, order_id: OrderId, created: OrderCreated) -> None:
        """Carry out a wish to cancel that was noted and perhaps never sent."""
        order = self._orders[order_id]
        if order.cancel_reason is not None and order.status in WORKING:
            self.tasks.start(self.cancel(created, order.cancel_reason))

    async def _adopt_lost_legs(self, entry: OrderCreated) -> None:
        """Find legs that reached the exchange and not the log: their ids were fixed by the entry."""
        for leg in (Leg.STOP, Leg.TARGET, Leg.CLOSE, Leg.EMERGENCY):
            first = self._next_sequence(entry, leg)
            for sequence in range(first, first + LOST_LEGS):
                if not await self._adopt_lost_leg(entry, leg, sequence):
                    break

    async def _adopt_lost_leg(self, entry: OrderCreated, leg: Leg, sequence: int) -> bool:
        """Take over one order of a leg, and as not known those before it; False if there is none."""
        if leg_order_id(entry.order_id, leg, sequence) in self._orders:
            return True
        client_id = client_order_id(entry.client_id_prefix, leg, sequence)
        conditional = leg in (Leg.STOP, Leg.TARGET)
        report = await self._patiently(
            partial(self._venue.find_order, entry.symbol, client_id, conditional=conditional)
        )
        if report is None:
            return False
        if not self._fits(entry, leg, report):
            self._note_foreign(client_id)
            return False
        for number in range(1, sequence + 1):  # without a gap, so that a reader of the log finds them all
            order_id = leg_order_id(entry.order_id, leg, number)
            if order_id not in self._orders:
                self._apply(leg_command(entry, leg, number, report.quantity, report.at))
                self._apply(RecordSubmitted(order_id, 1, report.at))
                if number < sequence:
                    self._find_out(self._created(order_id), "Restarted")
        self.on_order(report)
        return True

    def _fits(self, entry: OrderCreated, leg: Leg, report: OrderReport) -> bool:
        """Tell whether an order can be a leg of a bracket: whoever trades by hand can borrow our ids."""
        held = max(entry.quantity, self._orders[entry.order_id].filled)
        return (
            report.symbol == entry.symbol
            and report.side is entry.side.opposite
            and report.conditional == (leg in (Leg.STOP, Leg.TARGET))
            and 0 < report.quantity <= held
        )


def _progress(report: OrderReport) -> tuple[Decimal, bool, datetime]:
    """Return what tells the later of two reports of one order: no clock alone does."""
    return report.executed_quantity, report.status in OVER_ON_EXCHANGE, report.at


def is_conditional(created: OrderCreated) -> bool:
    """Return whether an order waits on the exchange for its trigger price."""
    return created.trigger_price is not None


def venue_order(created: OrderCreated) -> VenueOrder:
    """Return the request that places an order."""
    return VenueOrder(
        client_order_id=created.client_order_id,
        symbol=created.symbol,
        side=created.side,
        order_type=created.order_type,
        quantity=created.quantity,
        reduce_only=created.reduce_only,
        price=created.price,
        trigger_price=created.trigger_price,
        time_in_force=created.time_in_force,
    )


def leg_command(entry: OrderCreated, leg: Leg, sequence: int, quantity: Decimal, at: datetime) -> OpenLeg:
    """Return the command that opens the n-th order of a leg of a bracket."""
    order_type, trigger_price = OrderType.MARKET, None
    if leg is Leg.STOP:
        order_type, trigger_price = OrderType.STOP_MARKET, entry.stop_price
    elif leg is Leg.TARGET:
        order_type, trigger_price = OrderType.TAKE_PROFIT, entry.take_profit_price
    return OpenLeg(
        order_id=leg_order_id(entry.order_id, leg, sequence),
        group_id=entry.order_id,
        leg=leg,
        sequence=sequence,
        user_id=entry.user_id,
        account_id=entry.account_id,
        strategy_id=entry.strategy_id,
        signal_id=entry.signal_id,
        exchange=entry.exchange,
        symbol=entry.symbol,
        side=entry.side.opposite,
        order_type=order_type,
        quantity=quantity,
        trigger_price=trigger_price,
        client_id_prefix=entry.client_id_prefix,
        at=at,
    )
