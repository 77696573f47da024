"""What the exchange says of orders, however it comes: answers, queries, lists and the stream end here."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from patriot.orders.client_ids import LegId, leg_order_id, parse_client_order_id
from patriot.orders.commands import (
    RecordAccepted,
    RecordCanceled,
    RecordExpired,
    RecordFill,
    RecordRejected,
    RecordTriggered,
)
from patriot.orders.events import OrderCreated, RejectStage
from patriot.orders.known import KnownOrders
from patriot.trading.reports import OrderReport, TradeReport, VenueStatus
from patriot.trading.steps import Reached, Step
from patriot.trading.terms import OrderId

LOST_LEGS = 24  # so many orders of one leg can have reached the exchange and not the log; a higher number is forged
OVER_ON_EXCHANGE = frozenset({VenueStatus.FILLED, VenueStatus.CANCELED, VenueStatus.REJECTED, VenueStatus.EXPIRED})


class ReportTaker:
    """Takes reports into what is known; repeats and late ones are harmless."""

    def __init__(
        self,
        known: KnownOrders,
        reached: Reached,
        on_trades_missing: Callable[[OrderCreated], None],
        on_lost_leg: Callable[[OrderCreated, LegId, OrderReport | None], None],
    ) -> None:
        self._known = known
        self._reached = reached
        self._on_trades_missing = on_trades_missing
        self._on_lost_leg = on_lost_leg
        self._expected: dict[OrderId, OrderReport] = {}  # reports that are ahead of the executions known

    def awaits_trades_of(self, order_id: OrderId) -> bool:
        """Return whether a report told of executions that are not known yet."""
        return order_id in self._expected

    def awaits_end_of(self, order_id: OrderId) -> bool:
        """Return whether a report told that an order is over, ahead of the executions known."""
        report = self._expected.get(order_id)
        return report is not None and report.status in OVER_ON_EXCHANGE

    def on_order(self, report: OrderReport) -> None:
        """Take the state of an order."""
        created = self._ours(report.client_order_id, report.venue_order_id, report)
        if created is None:
            return
        order_id, at = created.order_id, report.at
        if report.venue_order_id in self._known[order_id].superseded:
            return  # of one that is over, as was told
        if report.triggered_order_id is not None:
            self._known.name_venue_id(report.triggered_order_id, order_id)
        if report.executed_quantity > self._known[order_id].filled:
            self._known.name_venue_id(
                report.venue_order_id, order_id
            )  # also of one that was refused, and is not accepted
            self._known.record(RecordAccepted(order_id, report.venue_order_id, at))
            self._expect_trades(created, report)
            return
        match report.status:
            case VenueStatus.REJECTED:
                self._known.record(RecordRejected(order_id, RejectStage.EXCHANGE, "EXCHANGE_REJECTED", None, None, at))
                self._known.record(RecordExpired(order_id, at))  # it had rested: turned down at its trigger
            case VenueStatus.CANCELED:
                self._known.record(RecordCanceled(order_id, at))
            case VenueStatus.EXPIRED:
                self._known.record(RecordExpired(order_id, at))
            case _:  # a status that this version does not know too: the exchange has the order
                self._known.record(RecordAccepted(order_id, report.venue_order_id, at))
                if report.triggered_order_id is not None:
                    self._known.record(RecordTriggered(order_id, report.triggered_order_id, at))

    def _expect_trades(self, created: OrderCreated, report: OrderReport) -> None:
        before = self._expected.get(created.order_id)
        if before is None or _progress(report) >= _progress(before):
            self._expected[created.order_id] = report  # an answer may be older than what the stream has told
            over = report.status in OVER_ON_EXCHANGE
            self._known.tell_executed(created.order_id, report.executed_quantity, over=over)
        if before is None:
            self._on_trades_missing(created)

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
        self._known.record(fill)
        expected = self._expected.get(created.order_id)
        if expected is not None and self._known[created.order_id].filled >= expected.executed_quantity:
            del self._expected[created.order_id]
            self.on_order(expected)

    def _ours(self, client_id: str, venue_order_id: str, report: OrderReport | None = None) -> OrderCreated | None:
        """Return the order that a report speaks of, by client id or, where the exchange leaves that out, by its own."""
        named = parse_client_order_id(client_id)
        if named is None:
            created = self._known.by_venue_id(venue_order_id)
            if created is None and client_id:
                self._known.note_foreign(client_id)
            return created
        entry = self._known.entry_of(named)
        if entry is None:
            self._known.note_stray(client_id)
            return None
        order_id = leg_order_id(entry.order_id, named.leg, named.sequence)
        if order_id in self._known:
            return self._known.created(order_id)
        if named.sequence < self._known.next_sequence(entry, named.leg) + LOST_LEGS:
            self._on_lost_leg(entry, named, report)  # a predecessor's, late on the wire
        else:
            self._known.note_foreign(client_id)
        return None


def _progress(report: OrderReport) -> tuple[Decimal, bool, datetime]:
    """Return what tells the later of two reports of one order: no clock alone does."""
    return report.executed_quantity, report.status in OVER_ON_EXCHANGE, report.at
