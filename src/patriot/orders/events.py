"""Facts of orders (stream type ORDER, one stream per order). A bracket is an entry and the legs around its position."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from patriot.kernel.codec import event
from patriot.kernel.eventstore import StreamKey
from patriot.kernel.ids import derived_id
from patriot.trading.terms import (
    AccountId,
    Exchange,
    Leg,
    OrderId,
    OrderType,
    Side,
    SignalId,
    StrategyId,
    TimeInForce,
    UserId,
)

STREAM_TYPE = "ORDER"


def order_stream(order_id: OrderId) -> StreamKey:
    """Return the stream of an order."""
    return StreamKey(STREAM_TYPE, order_id)


def entry_order_id(signal_id: SignalId, account_id: AccountId) -> OrderId:
    """Return the order id of a signal's entry on an account: the same one however often it is asked for."""
    return OrderId(derived_id("order", signal_id, account_id, Leg.ENTRY))


class RejectStage(StrEnum):
    LOCAL = "LOCAL"  # never sent
    EXCHANGE = "EXCHANGE"  # the exchange's final no, or proven absent after the receive window


class CancelReason(StrEnum):
    USER = "USER"
    STRATEGY = "STRATEGY"
    RISK = "RISK"
    EMERGENCY = "EMERGENCY"
    EXCHANGE = "EXCHANGE"
    EXPIRED_IOC_FOK = "EXPIRED_IOC_FOK"
    OCO_SIBLING = "OCO_SIBLING"
    RESIZED = "RESIZED"


@event("order.created")
@dataclass(frozen=True, slots=True)
class OrderCreated:
    """An order was decided on. Its `client_order_id` is fixed here, before the wire is touched.

    For an entry, `client_id_prefix` also fixes the ids of every leg that may ever stand around its position
    (`orders/client_ids.py`), and `stop_price`, `take_profit_price` are the absolute prices of its protection.
    `group_id` is the order id of the bracket's entry; `sequence` counts the orders of one leg from 1.
    """

    order_id: OrderId
    group_id: OrderId
    leg: Leg
    sequence: int
    user_id: UserId
    account_id: AccountId
    strategy_id: StrategyId | None
    signal_id: SignalId | None
    exchange: Exchange
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal  # base asset
    price: Decimal | None
    trigger_price: Decimal | None
    time_in_force: TimeInForce | None
    reduce_only: bool
    client_order_id: str
    client_id_prefix: str
    stop_price: Decimal | None
    take_profit_price: Decimal | None
    reference_price: Decimal | None  # the signal's price, for slippage
    valid_until: datetime | None  # an entry is not sent after this
    created_at: datetime


@event("order.approved")
@dataclass(frozen=True, slots=True)
class OrderApproved:
    order_id: OrderId


@event("order.denied")
@dataclass(frozen=True, slots=True)
class OrderDenied:
    """PATRIOT refused before sending; `value` and `limit` say by how much, where the reason has them."""

    order_id: OrderId
    account_id: AccountId
    reason_code: str
    value: Decimal | None
    limit: Decimal | None


@event("order.submitted")
@dataclass(frozen=True, slots=True)
class OrderSubmitted:
    """From here on the order may exist on the exchange. The request carries `submitted_at` as its time."""

    order_id: OrderId
    client_order_id: str
    attempt: int
    submitted_at: datetime


@event("order.accepted")
@dataclass(frozen=True, slots=True)
class OrderAccepted:
    """Resting or working on the exchange. `venue_order_id` of a conditional order is its algo id, prefixed `algo:`."""

    order_id: OrderId
    account_id: AccountId
    venue_order_id: str
    accepted_at: datetime


@event("order.rejected")
@dataclass(frozen=True, slots=True)
class OrderRejected:
    order_id: OrderId
    account_id: AccountId
    stage: RejectStage
    reason_code: str
    exchange_code: int | None
    exchange_message: str | None
    rejected_at: datetime


@event("order.submission_unknown")
@dataclass(frozen=True, slots=True)
class OrderSubmissionUnknown:
    """Sent, and no clear answer came. Left only by asking the exchange."""

    order_id: OrderId
    client_order_id: str
    error_class: str
    last_attempt_at: datetime


@event("order.trigger_fired")
@dataclass(frozen=True, slots=True)
class OrderTriggered:
    """A conditional order became a working one with a venue order id of its own."""

    order_id: OrderId
    account_id: AccountId
    venue_order_id: str
    fired_at: datetime


@event("order.filled")
@dataclass(frozen=True, slots=True)
class OrderFilled:
    """One execution. Units: quantity base asset; commission in its own asset (negative: rebate); PnL quote."""

    order_id: OrderId
    group_id: OrderId
    leg: Leg
    user_id: UserId
    account_id: AccountId
    strategy_id: StrategyId | None
    exchange: Exchange
    symbol: str
    side: Side
    trade_id: str
    venue_order_id: str
    quantity: Decimal
    price: Decimal
    commission: Decimal
    commission_asset: str
    realized_pnl: Decimal
    is_maker: bool
    cumulative_quantity: Decimal
    filled_at: datetime


@event("order.cancel_requested")
@dataclass(frozen=True, slots=True)
class OrderCancelRequested:
    order_id: OrderId
    reason_code: CancelReason
    requested_at: datetime


@event("order.canceled")
@dataclass(frozen=True, slots=True)
class OrderCanceled:
    order_id: OrderId
    account_id: AccountId
    reason_code: CancelReason
    cumulative_quantity: Decimal
    canceled_at: datetime


@event("order.expired")
@dataclass(frozen=True, slots=True)
class OrderExpired:
    order_id: OrderId
    account_id: AccountId
    cumulative_quantity: Decimal
    expired_at: datetime


OrderEvent = (
    OrderCreated
    | OrderApproved
    | OrderDenied
    | OrderSubmitted
    | OrderAccepted
    | OrderRejected
    | OrderSubmissionUnknown
    | OrderTriggered
    | OrderFilled
    | OrderCancelRequested
    | OrderCanceled
    | OrderExpired
)
