"""Facts of execution: what became of a signal on every account (stream type EXECUTION), and alarms of protection."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from patriot.kernel.codec import EVENTS, event
from patriot.kernel.eventstore import StreamKey
from patriot.kernel.ids import derived_id
from patriot.kernel.money import Money
from patriot.trading.terms import AccountId, OrderId, SignalId, StrategyId, UserId

STREAM_TYPE = "EXECUTION"  # stream id: made of the signal id and the account id
PROTECTION_STREAM_TYPE = "PROTECTION"  # stream id: the group id


def routing_stream(signal_id: SignalId, account_id: AccountId) -> StreamKey:
    """Return the stream of what became of a signal on one account."""
    return StreamKey(STREAM_TYPE, derived_id("routing", signal_id, account_id))


def protection_stream(group_id: OrderId) -> StreamKey:
    """Return the stream of a bracket's milestones."""
    return StreamKey(PROTECTION_STREAM_TYPE, group_id)


def unexplained_stream_id(account_id: AccountId, symbol: str) -> OrderId:
    """Return what stands in the place of a bracket for a position that no bracket explains."""
    return OrderId(derived_id("unexplained", account_id, symbol))


class Routing(StrEnum):
    SENT = "SENT"  # an order was decided on; see the order's own stream for its fate
    SKIPPED = "SKIPPED"
    DENIED = "DENIED"


@dataclass(frozen=True, slots=True)
class RoutedAccount:
    """One account's share of a signal."""

    account_id: AccountId
    routing: Routing
    order_id: OrderId | None
    reason_code: str | None
    quantity: Decimal | None


@event("execution.signal_routed")
@dataclass(frozen=True, slots=True)
class SignalRouted:
    """What became of a signal on one account, which alone is named; older records name all accounts of the signal."""

    signal_id: SignalId
    strategy_id: StrategyId
    accounts: tuple[RoutedAccount, ...]
    routed_at: datetime


@event("execution.position_protected")
@dataclass(frozen=True, slots=True)
class PositionProtected:
    """The stop for the first fill rests on the exchange; seconds are the larger of exchange and monotonic time."""

    group_id: OrderId
    account_id: AccountId
    symbol: str
    first_filled_at: datetime
    protected_at: datetime
    unprotected_seconds: Decimal


@event("position.close_requested")
@dataclass(frozen=True, slots=True)
class CloseRequested:
    """Someone wants the position flat: a signal, a person, a halt. Done however often the process restarts."""

    group_id: OrderId
    account_id: AccountId
    reason_code: str
    requested_at: datetime


@event("position.adjusted")
@dataclass(frozen=True, slots=True)
class PositionAdjusted:
    """The exchange holds less of a position than its orders explain: somebody else closed it. Units: base asset."""

    group_id: OrderId
    account_id: AccountId
    symbol: str
    expected: Decimal
    found: Decimal
    closed_elsewhere: Decimal  # of this position, all together
    adjusted_at: datetime


@event("position.unexplained")
@dataclass(frozen=True, slots=True)
class PositionUnexplained:
    """The exchange holds a position that no order of ours explains: a person must look, entries on it are refused.

    Units: base asset, signed; 0 when it is gone. Stream: one per account and symbol.
    """

    account_id: AccountId
    user_id: UserId
    symbol: str
    quantity: Decimal
    seen_at: datetime


@event("execution.protection_failed")
@dataclass(frozen=True, slots=True)
class ProtectionFailed:
    """Three tries to place a stop failed: the position is closed at market. CRITICAL."""

    group_id: OrderId
    account_id: AccountId
    user_id: UserId
    symbol: str
    attempts: int
    failed_at: datetime


@event("position.closed", 2)
@dataclass(frozen=True, slots=True)
class PositionClosed:
    """A bracket is over: flat, nothing rests. Units: base asset, quote per base, quote; commissions each in its asset.

    The first version had one figure for the commissions of all assets, in USDT by its word.
    """

    group_id: OrderId
    user_id: UserId
    account_id: AccountId
    strategy_id: StrategyId | None
    symbol: str
    quantity: Decimal
    entry_price: Decimal | None
    exit_price: Decimal | None
    realized_pnl: Decimal
    commissions: tuple[Money, ...]  # ascending by asset; positive: paid
    close_reason: str
    opened_at: datetime | None
    closed_at: datetime


@EVENTS.upcast("position.closed", 1)
def _with_commissions(fields: dict[str, Any]) -> dict[str, Any]:
    amount = fields.pop("commission")
    return fields | {"commissions": [{"amount": amount, "asset": "USDT"}] if Decimal(amount) else []}


ExecutionEvent = SignalRouted
ProtectionEvent = (
    PositionProtected | CloseRequested | PositionAdjusted | PositionUnexplained | ProtectionFailed | PositionClosed
)
