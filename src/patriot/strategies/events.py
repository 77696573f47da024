"""Facts of strategies (STRATEGY), of accounts divided among them (ALLOCATION), and of their signals (SIGNAL)."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from patriot.kernel.codec import event
from patriot.kernel.eventstore import StreamKey
from patriot.trading.terms import AccountId, Exchange, SignalId, StrategyId, UserId

STREAM_TYPE = "STRATEGY"
SIGNAL_STREAM_TYPE = "SIGNAL"
ALLOCATION_STREAM_TYPE = "ALLOCATION"  # stream id: the account id


def allocation_stream(account_id: AccountId) -> StreamKey:
    """Return the stream that divides an account among strategies."""
    return StreamKey(ALLOCATION_STREAM_TYPE, account_id)


def signal_stream(signal_id: SignalId) -> StreamKey:
    """Return the stream of a signal."""
    return StreamKey(SIGNAL_STREAM_TYPE, signal_id)


def strategy_stream(strategy_id: StrategyId) -> StreamKey:
    """Return the stream of a strategy."""
    return StreamKey(STREAM_TYPE, strategy_id)


class StrategyStatus(StrEnum):
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    STOPPED = "STOPPED"


class SignalAction(StrEnum):
    BUY = "BUY"
    SELL = "SELL"
    CLOSE = "CLOSE"


@event("strategy.created")
@dataclass(frozen=True, slots=True)
class StrategyCreated:
    """`kind` names the code (`strategies/catalogue.py`); parameters are its own, as decimal strings."""

    strategy_id: StrategyId
    name: str
    kind: str
    exchange: Exchange
    symbol: str
    interval: str  # of its bars: "15m", "1h", ...
    parameters: dict[str, str]
    risk_per_trade_fraction: Decimal  # of the allocated equity, lost if the stop is hit
    max_leverage: Decimal
    fee_rate: Decimal  # fraction of profit above the high-water mark
    created_at: datetime


@event("strategy.config_changed")
@dataclass(frozen=True, slots=True)
class StrategyConfigChanged:
    strategy_id: StrategyId
    parameters: dict[str, str]
    risk_per_trade_fraction: Decimal
    config_version: int
    changed_at: datetime


@event("strategy.paused")
@dataclass(frozen=True, slots=True)
class StrategyPaused:
    strategy_id: StrategyId
    reason_code: str
    paused_at: datetime


@event("strategy.resumed")
@dataclass(frozen=True, slots=True)
class StrategyResumed:
    strategy_id: StrategyId
    resumed_at: datetime


@event("strategy.stopped")
@dataclass(frozen=True, slots=True)
class StrategyStopped:
    """Emergency stop: no signals any more, and followers' positions are closed."""

    strategy_id: StrategyId
    reason_code: str
    stopped_at: datetime


@event("strategy.assigned")
@dataclass(frozen=True, slots=True)
class StrategyAssigned:
    """An account follows a strategy, with its owner's consent. `allocation_fraction` is of the account's equity."""

    strategy_id: StrategyId
    assignment_id: UUID
    user_id: UserId
    account_id: AccountId
    allocation_fraction: Decimal
    risk_multiplier: Decimal
    consented_at: datetime
    assigned_at: datetime


@event("strategy.allocation_changed")
@dataclass(frozen=True, slots=True)
class AllocationChanged:
    strategy_id: StrategyId
    assignment_id: UUID
    account_id: AccountId
    allocation_fraction: Decimal
    risk_multiplier: Decimal
    changed_at: datetime


@event("strategy.unassigned")
@dataclass(frozen=True, slots=True)
class StrategyUnassigned:
    strategy_id: StrategyId
    assignment_id: UUID
    user_id: UserId
    account_id: AccountId
    reason_code: str
    unassigned_at: datetime


StrategyEvent = (
    StrategyCreated
    | StrategyConfigChanged
    | StrategyPaused
    | StrategyResumed
    | StrategyStopped
    | StrategyAssigned
    | AllocationChanged
    | StrategyUnassigned
)


@event("allocation.reserved")
@dataclass(frozen=True, slots=True)
class AllocationReserved:
    """A part of the account belongs to a strategy now; a later one for the same strategy replaces it."""

    account_id: AccountId
    strategy_id: StrategyId
    allocation_fraction: Decimal
    reserved_at: datetime


@event("allocation.released")
@dataclass(frozen=True, slots=True)
class AllocationReleased:
    account_id: AccountId
    strategy_id: StrategyId
    released_at: datetime


AllocationEvent = AllocationReserved | AllocationReleased


@event("strategy.signal_generated")
@dataclass(frozen=True, slots=True)
class SignalGenerated:
    """What a strategy wants, once per strategy, symbol and bar close. Prices are quote per base, absolute.

    `signal_id` is derived from (strategy, symbol, bar_closed_at), so a restarted runner repeats nothing.
    """

    signal_id: SignalId
    strategy_id: StrategyId
    exchange: Exchange
    symbol: str
    action: SignalAction
    reference_price: Decimal
    stop_price: Decimal | None  # required for BUY and SELL
    take_profit_price: Decimal | None
    confidence: Decimal
    indicators: dict[str, str]
    bar_closed_at: datetime
    generated_at: datetime
    valid_until: datetime


SignalEvent = SignalGenerated
