"""Wishes to one order. A person's may be refused; a report from the exchange is a fact and is recorded."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from patriot.orders.events import CancelReason, RejectStage
from patriot.risk.commands import AccountRisk, EffectiveLimits
from patriot.risk.events import ExposureRefused, ExposureReserved, HaltLevel
from patriot.trading.terms import (
    AccountId,
    Exchange,
    Leg,
    OrderId,
    OrderType,
    Side,
    SignalId,
    StrategyId,
    UserId,
)


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """Open a bracket. Risk, the gate, answers into `verdict`; facts that it needs arrive inside."""

    order_id: OrderId
    user_id: UserId
    account_id: AccountId
    strategy_id: StrategyId | None
    signal_id: SignalId | None
    exchange: Exchange
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None
    stop_price: Decimal
    take_profit_price: Decimal | None
    reference_price: Decimal
    valid_until: datetime
    risk: AccountRisk | None
    limits: EffectiveLimits
    halt: HaltLevel | None
    at: datetime
    verdict: ExposureReserved | ExposureRefused | None = None


@dataclass(frozen=True, slots=True)
class OpenLeg:
    """Record an order of a bracket that reduces its position: a stop, a target, a way out. Never refused."""

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
    quantity: Decimal
    trigger_price: Decimal | None
    client_id_prefix: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordSubmitted:
    order_id: OrderId
    attempt: int
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordAccepted:
    order_id: OrderId
    venue_order_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordRejected:
    order_id: OrderId
    stage: RejectStage
    reason_code: str
    exchange_code: int | None
    exchange_message: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordUnknown:
    order_id: OrderId
    error_class: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordTriggered:
    order_id: OrderId
    venue_order_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordFill:
    order_id: OrderId
    trade_id: str
    venue_order_id: str
    quantity: Decimal
    price: Decimal
    commission: Decimal
    commission_asset: str
    realized_pnl: Decimal
    is_maker: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class RequestCancel:
    order_id: OrderId
    reason_code: CancelReason
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordCanceled:
    order_id: OrderId
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordExpired:
    order_id: OrderId
    at: datetime


OrderCommand = (
    PlaceOrder
    | OpenLeg
    | RecordSubmitted
    | RecordAccepted
    | RecordRejected
    | RecordUnknown
    | RecordTriggered
    | RecordFill
    | RequestCancel
    | RecordCanceled
    | RecordExpired
)
