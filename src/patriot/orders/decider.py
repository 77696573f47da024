"""The life of one order, from the decision to place it to its last fill. Pure: time and verdicts arrive inside."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import assert_never

from patriot.kernel.aggregate import Decider
from patriot.kernel.errors import CommandRefused
from patriot.kernel.money import ZERO
from patriot.orders.client_ids import client_id_prefix, client_order_id
from patriot.orders.commands import (
    OpenLeg,
    OrderCommand,
    PlaceOrder,
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
from patriot.orders.events import (
    CancelReason,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderCancelRequested,
    OrderCreated,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmissionUnknown,
    OrderSubmitted,
    OrderTriggered,
    RejectStage,
)
from patriot.risk.events import ExposureRefused
from patriot.trading.terms import Leg


class Status(StrEnum):
    NONE = "none"
    CREATED = "created"  # decided, not approved: only between two events of one append
    APPROVED = "approved"
    DENIED = "denied"
    SUBMITTED = "submitted"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"


SENT = frozenset({Status.SUBMITTED, Status.UNKNOWN})  # the exchange may or may not have it
WORKING = frozenset({Status.ACCEPTED, Status.PARTIALLY_FILLED})
OVER = frozenset({Status.DENIED, Status.FILLED, Status.CANCELED, Status.REJECTED, Status.EXPIRED})
UNSENT = frozenset({Status.APPROVED})
PROVEN_ABSENT = "PROVEN_ABSENT"  # the reason of a rejection that only the exchange's silence speaks for


@dataclass(frozen=True, slots=True)
class Order:
    """What `decide` reads. Quantities in base asset."""

    status: Status = Status.NONE
    created: OrderCreated | None = None
    quantity: Decimal = ZERO
    filled: Decimal = ZERO  # may pass the order's quantity: an overfill is still a fact
    trade_ids: frozenset[str] = frozenset()
    attempt: int = 0
    submitted_at: datetime | None = None
    venue_order_ids: tuple[str, ...] = ()  # oldest first; a triggered conditional order has two
    cancel_reason: CancelReason | None = None
    superseded: tuple[str, ...] = ()  # the ids of an order that was over when another went out under its client id
    presumed_absent: bool = False  # rejected by us, or for the exchange's silence: its own word still overrules that


def decide(order: Order, command: OrderCommand) -> list[OrderEvent]:
    """Return what a command changes. Errors: CommandRefused for a wish that the order's state does not allow."""
    match command:
        case PlaceOrder():
            return _place(order, command)
        case OpenLeg():
            return _open_leg(order, command)
        case RequestCancel():
            return _request_cancel(order, command)
        case _ if order.created is None:
            raise CommandRefused(f"{type(command).__name__} on an order that is {order.status}")
        case RecordFill():
            return _record_fill(order, order.created, command)
        case RecordSubmitted():
            return _record_submitted(order, order.created, command)
        case _:
            return _record_report(order, order.created, command)


def _place(order: Order, c: PlaceOrder) -> list[OrderEvent]:
    if order.status is not Status.NONE:
        return []  # the same intent again: it has its order
    if c.quantity <= 0:
        raise CommandRefused(f"quantity: expected above 0, found {c.quantity}")
    if (c.reference_price - c.stop_price) * c.side.sign <= 0:
        raise CommandRefused(f"stop_price: {c.stop_price} is on the wrong side of {c.reference_price} for a {c.side}")
    if c.verdict is None:
        raise CommandRefused("risk gave no verdict")
    prefix = client_id_prefix(c.order_id)
    created = OrderCreated(
        order_id=c.order_id,
        group_id=c.order_id,
        leg=Leg.ENTRY,
        sequence=1,
        user_id=c.user_id,
        account_id=c.account_id,
        strategy_id=c.strategy_id,
        signal_id=c.signal_id,
        exchange=c.exchange,
        symbol=c.symbol,
        side=c.side,
        order_type=c.order_type,
        quantity=c.quantity,
        price=c.price,
        trigger_price=None,
        time_in_force=None,
        reduce_only=False,
        client_order_id=client_order_id(prefix, Leg.ENTRY, 1),
        client_id_prefix=prefix,
        stop_price=c.stop_price,
        take_profit_price=c.take_profit_price,
        reference_price=c.reference_price,
        valid_until=c.valid_until,
        created_at=c.at,
    )
    if isinstance(c.verdict, ExposureRefused):
        verdict = c.verdict
        return [created, OrderDenied(c.order_id, c.account_id, verdict.reason_code, verdict.value, verdict.limit)]
    return [created, OrderApproved(c.order_id)]


def _open_leg(order: Order, c: OpenLeg) -> list[OrderEvent]:
    if order.status is not Status.NONE:
        return []
    return [
        OrderCreated(
            order_id=c.order_id,
            group_id=c.group_id,
            leg=c.leg,
            sequence=c.sequence,
            user_id=c.user_id,
            account_id=c.account_id,
            strategy_id=c.strategy_id,
            signal_id=c.signal_id,
            exchange=c.exchange,
            symbol=c.symbol,
            side=c.side,
            order_type=c.order_type,
            quantity=c.quantity,
            price=None,
            trigger_price=c.trigger_price,
            time_in_force=None,
            reduce_only=True,
            client_order_id=client_order_id(c.client_id_prefix, c.leg, c.sequence),
            client_id_prefix=c.client_id_prefix,
            stop_price=None,
            take_profit_price=None,
            reference_price=None,
            valid_until=None,
            created_at=c.at,
        ),
        OrderApproved(c.order_id),
    ]


def _request_cancel(order: Order, c: RequestCancel) -> list[OrderEvent]:
    if order.status in OVER or order.cancel_reason is not None:
        return []  # already done, or asked for: repeating is not an error
    if order.status is Status.NONE:
        raise CommandRefused(f"RequestCancel on an order that is {order.status}")
    return [OrderCancelRequested(c.order_id, c.reason_code, c.at)]


def _record_fill(order: Order, created: OrderCreated, c: RecordFill) -> list[OrderEvent]:
    if c.trade_id in order.trade_ids:
        return []  # exchanges repeat themselves after a reconnect
    return [
        OrderFilled(
            order_id=c.order_id,
            group_id=created.group_id,
            leg=created.leg,
            user_id=created.user_id,
            account_id=created.account_id,
            strategy_id=created.strategy_id,
            exchange=created.exchange,
            symbol=created.symbol,
            side=created.side,
            trade_id=c.trade_id,
            venue_order_id=c.venue_order_id,
            quantity=c.quantity,
            price=c.price,
            commission=c.commission,
            commission_asset=c.commission_asset,
            realized_pnl=c.realized_pnl,
            is_maker=c.is_maker,
            cumulative_quantity=order.filled + c.quantity,
            filled_at=c.at,
        )
    ]


def _record_submitted(order: Order, created: OrderCreated, c: RecordSubmitted) -> list[OrderEvent]:
    if (c.attempt, c.at) == (order.attempt, order.submitted_at):
        return []  # the same request noted again: the store had gone away after the commit
    if order.status not in UNSENT | SENT or c.attempt != order.attempt + 1:
        raise CommandRefused(f"submission {c.attempt} of an order that is {order.status} after {order.attempt}")
    return [OrderSubmitted(c.order_id, created.client_order_id, c.attempt, c.at)]


def _record_report(order: Order, created: OrderCreated, command: OrderCommand) -> list[OrderEvent]:
    match command:
        case RecordAccepted() as c:
            known = order.status in OVER | WORKING and not order.presumed_absent
            if known and not _is_another(order, created, c.venue_order_id):
                return []
            return [OrderAccepted(c.order_id, created.account_id, c.venue_order_id, c.at)]
        case RecordTriggered() as c:
            if c.venue_order_id in order.venue_order_ids:
                return []
            return [OrderTriggered(c.order_id, created.account_id, c.venue_order_id, c.at)]
        case RecordRejected() as c:
            if order.status in OVER | WORKING:
                return []  # it had been accepted: a later refusal answers a repeat of the request
            rejected = OrderRejected(
                c.order_id, created.account_id, c.stage, c.reason_code, c.exchange_code, c.exchange_message, c.at
            )
            return [rejected]
        case RecordUnknown() as c:
            if order.status is not Status.SUBMITTED and order.status not in WORKING:
                return []  # one that worked may be gone without a word: then nothing is known of it
            return [OrderSubmissionUnknown(c.order_id, created.client_order_id, c.error_class, c.at)]
        case RecordCanceled() as c:
            if order.status in OVER:
                return []
            reason = order.cancel_reason or CancelReason.EXCHANGE
            return [OrderCanceled(c.order_id, created.account_id, reason, order.filled, c.at)]
        case RecordExpired() as c:
            return [] if order.status in OVER else [OrderExpired(c.order_id, created.account_id, order.filled, c.at)]
        case _:
            raise CommandRefused(f"{type(command).__name__} is not a report")


def _is_another(order: Order, created: OrderCreated, venue_order_id: str) -> bool:
    """Tell whether a leg that ended unfilled was sent again: by an owner that did not know yet that it is none."""
    ended = order.status in (Status.CANCELED, Status.EXPIRED) and not order.filled
    return ended and created.reduce_only and bool(order.venue_order_ids) and venue_order_id not in order.venue_order_ids


def evolve(order: Order, event: OrderEvent) -> Order:
    """Return the order after an event."""
    match event:
        case OrderCreated():
            return replace(order, status=Status.CREATED, created=event, quantity=event.quantity)
        case OrderApproved():
            return replace(order, status=Status.APPROVED)
        case OrderDenied():
            return replace(order, status=Status.DENIED)
        case OrderSubmitted():
            return replace(order, status=Status.SUBMITTED, attempt=event.attempt, submitted_at=event.submitted_at)
        case OrderSubmissionUnknown():
            return replace(order, status=Status.UNKNOWN)
        case OrderAccepted():
            again = order.status in (Status.CANCELED, Status.EXPIRED)  # another of this client id
            return replace(
                order,
                status=Status.ACCEPTED,
                cancel_reason=None if again else order.cancel_reason,
                superseded=order.venue_order_ids if again else order.superseded,
                venue_order_ids=(*order.venue_order_ids, event.venue_order_id),
                presumed_absent=False,
            )
        case OrderTriggered():
            return replace(order, venue_order_ids=(*order.venue_order_ids, event.venue_order_id))
        case OrderRejected():
            presumed = event.reason_code == PROVEN_ABSENT or event.stage is RejectStage.LOCAL
            return replace(order, status=Status.REJECTED, presumed_absent=presumed)
        case OrderFilled():
            return _evolve_fill(order, event)
        case OrderCancelRequested():
            return replace(order, cancel_reason=event.reason_code)
        case OrderCanceled():
            return replace(order, status=Status.CANCELED)
        case OrderExpired():
            return replace(order, status=Status.EXPIRED)
        case _:
            assert_never(event)


def _evolve_fill(order: Order, event: OrderFilled) -> Order:
    filled = order.filled + event.quantity
    status = order.status
    if filled >= order.quantity:
        status = Status.FILLED
    elif status not in OVER or order.presumed_absent:
        status = Status.PARTIALLY_FILLED
    known = order.venue_order_ids
    return replace(
        order,
        status=status,
        filled=filled,
        presumed_absent=False,
        trade_ids=order.trade_ids | {event.trade_id},
        venue_order_ids=known if event.venue_order_id in known else (*known, event.venue_order_id),
    )


ORDER: Decider[Order, OrderCommand, OrderEvent] = Decider(initial=Order(), decide=decide, evolve=evolve)
