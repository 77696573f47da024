"""Who follows which strategy, and how: execution's own fold of strategy and account events. Pure."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from uuid import UUID

from patriot.accounts.events import AccountLinked, AccountStatus, AccountStatusChanged, AccountUnlinked
from patriot.strategies.events import (
    AllocationChanged,
    StrategyAssigned,
    StrategyConfigChanged,
    StrategyCreated,
    StrategyPaused,
    StrategyResumed,
    StrategyStatus,
    StrategyStopped,
    StrategyUnassigned,
)
from patriot.trading.terms import AccountId, SignalId, StrategyId, UserId, VenueId


@dataclass(frozen=True, slots=True)
class Follower:
    account_id: AccountId
    user_id: UserId
    assignment_id: UUID
    allocation_fraction: Decimal
    risk_multiplier: Decimal


@dataclass(frozen=True, slots=True)
class FollowedStrategy:
    strategy_id: StrategyId
    symbol: str
    status: StrategyStatus
    risk_per_trade_fraction: Decimal
    max_leverage: Decimal
    followers: dict[AccountId, Follower] = field(default_factory=dict)


BookEvent = (
    StrategyCreated
    | StrategyConfigChanged
    | StrategyPaused
    | StrategyResumed
    | StrategyStopped
    | StrategyAssigned
    | AllocationChanged
    | StrategyUnassigned
    | AccountLinked
    | AccountStatusChanged
    | AccountUnlinked
)


@dataclass(slots=True)
class FollowerBook:
    """The current followers of every strategy; the status of every account, and where it trades."""

    strategies: dict[StrategyId, FollowedStrategy] = field(default_factory=dict)
    accounts: dict[AccountId, AccountStatus] = field(default_factory=dict)
    suspended: dict[AccountId, str] = field(default_factory=dict)  # and why
    venues: dict[AccountId, VenueId] = field(default_factory=dict)

    def apply(self, event: BookEvent) -> None:
        """Take the next event of the log."""
        match event:
            case AccountLinked():
                self.accounts[event.account_id] = AccountStatus.ACTIVE
                self.venues[event.account_id] = event.exchange
            case AccountStatusChanged():
                self.accounts[event.account_id] = event.new_status
                self.suspended.pop(event.account_id, None)
                if event.new_status is AccountStatus.SUSPENDED:
                    self.suspended[event.account_id] = event.reason_code
            case AccountUnlinked():
                self.accounts[event.account_id] = AccountStatus.UNLINKED
                self.suspended.pop(event.account_id, None)
            case StrategyCreated():
                self.strategies[event.strategy_id] = FollowedStrategy(
                    event.strategy_id,
                    event.symbol,
                    StrategyStatus.ACTIVE,
                    event.risk_per_trade_fraction,
                    event.max_leverage,
                )
            case _:
                self._apply_to_strategy(self.strategies[event.strategy_id], event)

    def _apply_to_strategy(self, strategy: FollowedStrategy, event: BookEvent) -> None:
        match event:
            case StrategyConfigChanged():
                strategy = replace(strategy, risk_per_trade_fraction=event.risk_per_trade_fraction)
            case StrategyPaused():
                strategy = replace(strategy, status=StrategyStatus.PAUSED)
            case StrategyResumed():
                strategy = replace(strategy, status=StrategyStatus.ACTIVE)
            case StrategyStopped():
                strategy = replace(strategy, status=StrategyStatus.STOPPED)
            case StrategyAssigned():
                assignment = (event.assignment_id, event.allocation_fraction, event.risk_multiplier)
                follower = Follower(event.account_id, event.user_id, *assignment)
                strategy = replace(strategy, followers=strategy.followers | {event.account_id: follower})
            case AllocationChanged():
                follower = replace(
                    strategy.followers[event.account_id],
                    allocation_fraction=event.allocation_fraction,
                    risk_multiplier=event.risk_multiplier,
                )
                strategy = replace(strategy, followers=strategy.followers | {event.account_id: follower})
            case StrategyUnassigned():
                left = {key: value for key, value in strategy.followers.items() if key != event.account_id}
                strategy = replace(strategy, followers=left)
            case _:
                return
        self.strategies[strategy.strategy_id] = strategy

    def in_turn(self, strategy_id: StrategyId, signal_id: SignalId) -> list[Follower]:
        """Return the followers in the order this signal serves them: rotated, so that nobody is always first."""
        strategy = self.strategies.get(strategy_id)
        if strategy is None or not strategy.followers:
            return []
        ordered = sorted(strategy.followers.values(), key=lambda follower: follower.account_id)
        start = signal_id.int % len(ordered)
        return ordered[start:] + ordered[:start]
