"""Wishes to a strategy, to the division of one account among strategies, and to the record of a signal."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from patriot.strategies.events import SignalAction
from patriot.trading.terms import AccountId, Exchange, SignalId, StrategyId, UserId


@dataclass(frozen=True, slots=True)
class CreateStrategy:
    """`parameters` may be incomplete: the event carries every one, so that new defaults change no running strategy."""

    strategy_id: StrategyId
    name: str
    kind: str
    exchange: Exchange
    symbol: str
    interval: str
    parameters: dict[str, str]
    risk_per_trade_fraction: Decimal
    max_leverage: Decimal
    fee_rate: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class ConfigureStrategy:
    """Replace the parameters. They count from the next bar on, with a fresh virtual position."""

    strategy_id: StrategyId
    parameters: dict[str, str]
    risk_per_trade_fraction: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class PauseStrategy:
    strategy_id: StrategyId
    reason_code: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ResumeStrategy:
    strategy_id: StrategyId
    at: datetime


@dataclass(frozen=True, slots=True)
class StopStrategy:
    """The emergency stop: for good."""

    strategy_id: StrategyId
    reason_code: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AssignStrategy:
    """Let an account follow a strategy. Without the owner's consent (`consented_at`) it is refused."""

    strategy_id: StrategyId
    assignment_id: UUID
    user_id: UserId
    account_id: AccountId
    allocation_fraction: Decimal
    risk_multiplier: Decimal
    consented_at: datetime | None
    at: datetime


@dataclass(frozen=True, slots=True)
class ChangeAllocation:
    strategy_id: StrategyId
    account_id: AccountId
    allocation_fraction: Decimal
    risk_multiplier: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class UnassignStrategy:
    strategy_id: StrategyId
    account_id: AccountId
    reason_code: str
    at: datetime
    assignment_id: UUID | None = None  # this one only; None: whichever there is


StrategyCommand = (
    CreateStrategy
    | ConfigureStrategy
    | PauseStrategy
    | ResumeStrategy
    | StopStrategy
    | AssignStrategy
    | ChangeAllocation
    | UnassignStrategy
)


@dataclass(frozen=True, slots=True)
class ReserveAllocation:
    """Hold a part of an account for a strategy; replaces what the strategy held of it."""

    account_id: AccountId
    strategy_id: StrategyId
    allocation_fraction: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class ReleaseAllocation:
    account_id: AccountId
    strategy_id: StrategyId
    at: datetime


AllocationCommand = ReserveAllocation | ReleaseAllocation


@dataclass(frozen=True, slots=True)
class RecordSignal:
    """Record a signal, once: another one under the same id changes nothing."""

    signal_id: SignalId
    strategy_id: StrategyId
    exchange: Exchange
    symbol: str
    action: SignalAction
    reference_price: Decimal
    stop_price: Decimal | None
    take_profit_price: Decimal | None
    confidence: Decimal
    indicators: dict[str, str]
    bar_closed_at: datetime
    generated_at: datetime
    valid_until: datetime
