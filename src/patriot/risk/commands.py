"""Wishes to the risk of one account, and to limits and halts."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from patriot.risk.events import HaltLevel, ReasonCode, Scope, Severity
from patriot.trading.terms import AccountId, OrderId, StrategyId, UserId


@dataclass(frozen=True, slots=True)
class EffectiveLimits:
    """The strictest of GLOBAL, USER, ACCOUNT and STRATEGY for one entry. Units: quote asset; fractions of 1."""

    max_position_notional: Decimal
    max_total_exposure: Decimal
    max_leverage: Decimal
    max_daily_loss_fraction: Decimal
    max_drawdown_fraction: Decimal


@dataclass(frozen=True, slots=True)
class AccountRisk:
    """What an account is worth when an entry is decided, beside what it would be worth without a loss.

    Units: its quote asset, of now: a loss fraction is that of the trading, whatever flowed in or out since.
    """

    equity: Decimal
    day_start_equity: Decimal  # had nothing been won or lost since the day's start
    peak_equity: Decimal  # had nothing been lost since the peak


@dataclass(frozen=True, slots=True)
class ReserveExposure:
    """May this entry go out? Facts, limits and halts arrive inside; `risk` is None when equity is not known."""

    account_id: AccountId
    order_id: OrderId
    strategy_id: StrategyId | None
    symbol: str
    notional: Decimal
    risk: AccountRisk | None
    limits: EffectiveLimits
    halt: HaltLevel | None
    at: datetime


@dataclass(frozen=True, slots=True)
class RestoreExposure:
    """An entry that was held for over lives: what it has at stake counts again, whatever the limits say."""

    account_id: AccountId
    order_id: OrderId
    strategy_id: StrategyId | None
    symbol: str
    notional: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class ReleaseExposure:
    account_id: AccountId
    order_id: OrderId
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordViolation:
    """An account that is trading passed a limit; recorded once per type and UTC day."""

    account_id: AccountId
    user_id: UserId
    violation_type: ReasonCode
    severity: Severity
    current_value: Decimal
    limit_value: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class RebasePeak:
    """Two persons let an account trade on after a drawdown: it counts from now on from what is left.

    Units: quote asset; the peak in money of `measured_at`, the moment of the sample that both figures are taken from.
    """

    account_id: AccountId
    user_id: UserId
    old_peak: Decimal
    new_peak: Decimal
    reason: str
    requested_by: str
    approved_by: str
    measured_at: datetime
    at: datetime


RiskCommand = ReserveExposure | RestoreExposure | ReleaseExposure | RecordViolation | RebasePeak


@dataclass(frozen=True, slots=True)
class SetLimit:
    """Set one limit of one scope. `limits_id` is the stream: risk/events.py `limits_stream_id(scope, reference)`."""

    limits_id: UUID
    scope: Scope
    reference: str
    name: str
    value: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class HaltTrading:
    """Raise a halt. `reference` is the user, account or strategy id; empty for GLOBAL."""

    scope: Scope
    reference: str
    level: HaltLevel
    reason_code: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ResumeTrading:
    scope: Scope
    reference: str
    reason_code: str
    at: datetime


HaltCommand = HaltTrading | ResumeTrading
