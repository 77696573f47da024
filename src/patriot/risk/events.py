"""Facts of risk: exposure reserved or refused per account (stream type RISK), limits, halts (stream type HALT)."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from patriot.kernel.codec import event
from patriot.kernel.eventstore import StreamKey
from patriot.kernel.ids import derived_id
from patriot.trading.terms import AccountId, OrderId, StrategyId, UserId

STREAM_TYPE = "RISK"  # stream id: the account id
LIMITS_STREAM_TYPE = "RISK_LIMITS"
HALT_STREAM_TYPE = "HALT"


class ReasonCode(StrEnum):
    """Why an entry was refused, or an account skipped."""

    HALTED = "HALTED"
    SYMBOL_OWNED = "SYMBOL_OWNED"
    SYMBOL_NOT_TRADED = "SYMBOL_NOT_TRADED"  # by the account's exchange
    POSITION_OPEN = "POSITION_OPEN"
    POSITION_SIZE = "POSITION_SIZE"
    LEVERAGE = "LEVERAGE"
    DAILY_LOSS = "DAILY_LOSS"
    MAX_DRAWDOWN = "MAX_DRAWDOWN"
    TOTAL_EXPOSURE = "TOTAL_EXPOSURE"
    INSUFFICIENT_EQUITY = "INSUFFICIENT_EQUITY"
    ACCOUNT_NOT_ACTIVE = "ACCOUNT_NOT_ACTIVE"
    EQUITY_UNKNOWN = "EQUITY_UNKNOWN"
    EXCHANGE_UNAVAILABLE = "EXCHANGE_UNAVAILABLE"
    SYMBOL_IN_USE = "SYMBOL_IN_USE"  # the client trades it: its margin mode is not ours to switch
    FEE_OVERDUE = "FEE_OVERDUE"
    UNEXPLAINED_MONEY = "UNEXPLAINED_MONEY"
    BELOW_MIN_NOTIONAL = "BELOW_MIN_NOTIONAL"
    SIGNAL_EXPIRED = "SIGNAL_EXPIRED"
    NO_POSITION = "NO_POSITION"


class Scope(StrEnum):
    GLOBAL = "GLOBAL"
    USER = "USER"
    ACCOUNT = "ACCOUNT"
    STRATEGY = "STRATEGY"


class HaltLevel(StrEnum):
    H1 = "H1"  # no new entries
    H2 = "H2"  # and open entry orders are canceled
    H3 = "H3"  # and positions are closed at market


class Severity(StrEnum):
    """How bad a passed limit is; the action that follows is a policy's."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


def halt_stream(scope: Scope, reference: str) -> StreamKey:
    """Return the stream that holds the halts of one scope."""
    return StreamKey(HALT_STREAM_TYPE, derived_id("halt", scope, reference))


def risk_stream(account_id: AccountId) -> StreamKey:
    """Return the stream that holds an account's reservations."""
    return StreamKey(STREAM_TYPE, account_id)


def limits_stream_id(scope: Scope, reference: str) -> UUID:
    """Return the id of the stream that holds the limits of one scope."""
    return derived_id("limits", scope, reference)


@event("risk.exposure_reserved")
@dataclass(frozen=True, slots=True)
class ExposureReserved:
    """An entry may go out: the account's risk holds its notional (quote asset) and the symbol's ownership."""

    account_id: AccountId
    order_id: OrderId
    strategy_id: StrategyId | None
    symbol: str
    notional: Decimal


@event("risk.exposure_refused")
@dataclass(frozen=True, slots=True)
class ExposureRefused:
    account_id: AccountId
    order_id: OrderId
    strategy_id: StrategyId | None
    symbol: str
    reason_code: ReasonCode
    value: Decimal | None
    limit: Decimal | None


@event("risk.exposure_released")
@dataclass(frozen=True, slots=True)
class ExposureReleased:
    """The bracket of this entry is over: flat and nothing rests."""

    account_id: AccountId
    order_id: OrderId
    symbol: str


@event("risk.limit_set")
@dataclass(frozen=True, slots=True)
class LimitSet:
    """One limit of one scope. `reference` is the user, account or strategy id, empty for GLOBAL."""

    scope: Scope
    reference: str
    name: str  # a field of risk/commands.py EffectiveLimits
    value: Decimal
    set_at: datetime


LimitEvent = LimitSet


@event("trading.halted")
@dataclass(frozen=True, slots=True)
class TradingHalted:
    scope: Scope
    reference: str
    level: HaltLevel
    reason_code: str
    halted_at: datetime


@event("trading.resumed")
@dataclass(frozen=True, slots=True)
class TradingResumed:
    scope: Scope
    reference: str
    reason_code: str
    resumed_at: datetime


HaltEvent = TradingHalted | TradingResumed


@event("risk.violation")
@dataclass(frozen=True, slots=True)
class RiskViolation:
    """A limit was passed by an account that is trading already. Stream type RISK, of the account."""

    account_id: AccountId
    user_id: UserId
    violation_type: ReasonCode
    severity: Severity
    current_value: Decimal
    limit_value: Decimal
    detected_at: datetime


@event("risk.peak_rebased")
@dataclass(frozen=True, slots=True)
class PeakRebased:
    """Two persons let an account trade on after a drawdown, which counts from then on from `new_peak`.

    Both figures in the quote asset, as of the sample of `measured_at`; what lies between them is the loss until then.
    """

    account_id: AccountId
    user_id: UserId
    old_peak: Decimal
    new_peak: Decimal
    reason: str
    requested_by: str
    approved_by: str
    measured_at: datetime
    rebased_at: datetime


RiskEvent = ExposureReserved | ExposureRefused | ExposureReleased | RiskViolation | PeakRebased
