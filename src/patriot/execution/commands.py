"""Wishes of execution: to note what became of a signal, and the milestones of one position's protection."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from patriot.execution.events import RoutedAccount
from patriot.kernel.money import Money
from patriot.trading.terms import AccountId, OrderId, SignalId, StrategyId, UserId


@dataclass(frozen=True, slots=True)
class RecordRouting:
    signal_id: SignalId
    strategy_id: StrategyId
    account: RoutedAccount
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordProtected:
    group_id: OrderId
    account_id: AccountId
    symbol: str
    first_filled_at: datetime
    unprotected_seconds: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class RequestClose:
    group_id: OrderId
    account_id: AccountId
    reason_code: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordAdjustment:
    group_id: OrderId
    account_id: AccountId
    symbol: str
    expected: Decimal
    found: Decimal
    closed_elsewhere: Decimal  # all together, so that a repeat adds nothing
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordUnexplained:
    """`group_id` stands for the position: execution/events.py `unexplained_stream_id`."""

    group_id: OrderId
    account_id: AccountId
    user_id: UserId
    symbol: str
    quantity: Decimal  # signed; 0 when it is gone
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordProtectionFailed:
    group_id: OrderId
    account_id: AccountId
    user_id: UserId
    symbol: str
    attempts: int
    at: datetime


@dataclass(frozen=True, slots=True)
class CloseBracket:
    """The bracket is over. Gated by the account's risk, which releases its exposure in the same append."""

    group_id: OrderId
    user_id: UserId
    account_id: AccountId
    strategy_id: StrategyId | None
    symbol: str
    quantity: Decimal
    entry_price: Decimal | None
    exit_price: Decimal | None
    realized_pnl: Decimal
    commissions: tuple[Money, ...]
    close_reason: str
    opened_at: datetime | None
    at: datetime


ExecutionCommand = RecordRouting
ProtectionCommand = (
    RecordProtected | RequestClose | RecordAdjustment | RecordUnexplained | RecordProtectionFailed | CloseBracket
)
