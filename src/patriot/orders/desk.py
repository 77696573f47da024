"""One account's desk: sends orders, takes the exchange's reports, asks when it does not know. Safe through any crash.

What the desk knows is in `known.py`, and each of its trades in a module of its own: `sending.py`, `asking.py`,
`reports.py`, `recovery.py`. Protection never waits for the database. Two things do wait: an entry is durable before the
desk sees it, and is noted as submitted before the wire is touched.
"""

from collections.abc import Awaitable, Callable, Iterable
from decimal import Decimal

from patriot.kernel.clock import Clock
from patriot.kernel.errors import ExchangeRefused
from patriot.kernel.tasks import Background
from patriot.orders.asking import OrderInquiry
from patriot.orders.client_ids import LegId, group_of
from patriot.orders.decider import UNSENT
from patriot.orders.events import CancelReason, OrderCreated, OrderEvent
from patriot.orders.journal import Journal
from patriot.orders.known import KnownOrders, OrderListener
from patriot.orders.patience import DeskPatience
from patriot.orders.ports import OrderVenue, PositionReader
from patriot.orders.recovery import OrderRecovery
from patriot.orders.reports import ReportTaker
from patriot.orders.sending import OrderSender
from patriot.trading.reports import OrderReport, TradeReport
from patriot.trading.steps import Reached, pass_by
from patriot.trading.terms import Leg, OrderId, Urgency

SKIPPED = 8  # numbers of a leg; less than a block of those that are read together (`history.py`)


class OrderDesk:
    """Every order of one account's open brackets, and the way to its exchange."""

    def __init__(
        self,
        venue: OrderVenue,
        positions: PositionReader,
        journal: Journal,
        clock: Clock,
        listener: OrderListener,
        patience: DeskPatience | None = None,
        reached: Reached = pass_by,
    ) -> None:
        patience = patience or DeskPatience()
        self.tasks = Background()
        self.on_answered: Callable[[str], None] = _nobody_listens
        # told of refused placements and cancels, and of those cancels whose order works all the same
        self.on_refused: Callable[[OrderCreated, ExchangeRefused], None] = _nobody_listens
        self.on_cancel_refused: Callable[[OrderCreated, ExchangeRefused], None] = _nobody_listens
        self.on_read: Callable[[str, ExchangeRefused | None], None] = _nobody_listens
        self.prepare_again: Callable[[OrderCreated], Awaitable[bool]] = _as_it_is
        self.known = KnownOrders(journal, listener)
        self.taker = ReportTaker(self.known, reached, self._fetch_trades, self._adopt_lost_leg)
        self.inquiry = OrderInquiry(venue, positions, self.known, self.taker, clock, patience, self.tasks)
        self.sender = OrderSender(venue, self.known, self.taker, self.inquiry, clock, patience, reached, self)
        self._recovery = OrderRecovery(
            venue, self.known, self.taker, self.inquiry, self.sender, self, clock, patience, self.tasks
        )

    def _fetch_trades(self, created: OrderCreated) -> None:
        self.tasks.start(self.inquiry.collect_reported_trades(created))

    def _adopt_lost_leg(self, entry: OrderCreated, named: LegId, report: OrderReport | None) -> None:
        self.tasks.start(self._recovery.adopt_lost_leg(entry, named, report))

    @property
    def strays(self) -> list[str]:
        """Return client ids of ours that no open bracket here explains."""
        return self.known.strays

    def bracket_of(self, client_id: str) -> OrderId:
        """Return the bracket that a client id of ours names, known here or not."""
        return group_of(client_id)

    @property
    def foreign(self) -> set[str]:
        """Return client ids of resting orders that are not ours: seen, never touched."""
        return self.known.foreign

    @property
    def contested(self) -> set[str]:
        """Return client ids of orders that the exchange does not know although its books speak for them."""
        return self.known.contested

    def adopt(self, events: Iterable[OrderEvent]) -> None:
        """Take over durable events: of an entry just placed, or of open brackets at a start."""
        self.known.adopt(events)

    def forget(self, group_id: OrderId) -> None:
        """Stop looking after a bracket that is over."""
        symbols = self.known.open_symbols()
        self.known.forget(group_id)
        for symbol in set(symbols) - set(self.known.open_symbols()):
            self._recovery.forget(symbol)

    async def submit(self, created: OrderCreated) -> None:
        """Send an approved entry and return when the exchange has answered, or is known not to answer."""
        await self.sender.submit(created)

    async def resume(self, created: OrderCreated) -> None:
        """Send an entry of an earlier life, since which somebody may have set the account otherwise."""
        if await self.prepare_again(created):
            await self.sender.submit(created)
        elif self.known[created.order_id].status in UNSENT:  # another recovery may have resumed it meanwhile
            self.sender.reject_locally(created, "ACCOUNT_NOT_PREPARED")

    async def open_leg(self, entry: OrderCreated, leg: Leg, sequence: int, quantity: Decimal) -> float | None:
        """Send an order that reduces a position, at once; return None, or in how many seconds the next may go.

        Where a predecessor's legs could not be learnt, it goes out above the numbers that they may have.
        """
        if self._recovery.may_lack_legs_of(entry.symbol):
            sequence = max(sequence, self.known.next_sequence(entry, leg) + SKIPPED)
        return await self.sender.open_leg(entry, leg, sequence, quantity)

    async def cancel(self, created: OrderCreated, reason: CancelReason) -> None:
        """Cancel a resting order."""
        await self.sender.cancel(created, reason)

    def on_order(self, report: OrderReport) -> None:
        """Take the state of an order."""
        self.taker.on_order(report)

    def on_trade(self, trade: TradeReport) -> None:
        """Take one execution."""
        self.taker.on_trade(trade)

    async def check_resting(self, urgency: Urgency) -> None:
        """See that the working orders of open brackets still work. Errors: ExchangeError but for what is refused."""
        await self._recovery.check_resting(urgency)

    async def recover(self, *, takeover: bool) -> None:
        """Learn of open brackets what protection needs."""
        await self._recovery.recover(takeover=takeover)

    def count_on_nothing(self) -> None:
        """Take what was being sent in an earlier life for unknown."""
        self._recovery.count_on_nothing()

    async def catch_up(self, *, search: bool) -> None:
        """Fetch the executions of open brackets, and find lost orders of theirs."""
        await self._recovery.catch_up(search=search)

    def inherit_no_more(self) -> None:
        """Take it that nothing of an earlier owner comes any more: what is refused now is refused to us."""
        self.sender.inherited.clear()

    def doubt(self, symbol: str) -> None:
        """Have lost legs of a symbol found before the next leg of its brackets goes out."""
        self._recovery.doubt(symbol)

    async def find_lost_legs(self, symbol: str) -> bool:
        """Find a predecessor's legs on a symbol, unless that was done; return whether it was done now."""
        return await self._recovery.find_lost_legs(symbol)

    async def search(self, symbol: str, urgency: Urgency = Urgency.PROTECTION, *, strays: bool = False) -> bool:
        """Find lost orders of ours on a symbol; with `strays` also of brackets that are not known here.

        Return whether the exchange told them; it may refuse to.
        """
        return await self._recovery.search(symbol, urgency, strays=strays)


async def _as_it_is(_created: OrderCreated) -> bool:
    return True


def _nobody_listens(*_about: object) -> None:
    """Do nothing."""
