"""What risk knows from the log, as execution asks for it: what an entry is measured against."""

from decimal import Decimal

from patriot.accounts.events import AccountStatus, account_stream
from patriot.execution.followers import BookEvent, FollowerBook
from patriot.kernel.bus import decode_all
from patriot.kernel.eventstore import EventStore
from patriot.orders.events import OrderCreated
from patriot.risk.commands import AccountRisk, EffectiveLimits
from patriot.risk.events import HaltLevel, halt_stream
from patriot.risk.halts import HALT, scopes_over, strongest
from patriot.risk.policies import RiskWatch
from patriot.strategies.events import StrategyStatus, strategy_stream
from patriot.trading.terms import AccountId, StrategyId, UserId


class WatchedRisk:
    """`execution/ports.py RiskFacts` over a watch that the service folds from the log."""

    def __init__(self, watch: RiskWatch) -> None:
        self._watch = watch

    def limits_for(self, user_id: UserId, account_id: AccountId, strategy_id: StrategyId) -> EffectiveLimits:
        """Return the strictest limits of all scopes, shared ones as this account's part."""
        return self._watch.limits.effective(user_id, account_id, strategy_id)

    def halt_for(self, user_id: UserId, account_id: AccountId, strategy_id: StrategyId) -> HaltLevel | None:
        """Return the strongest halt of all scopes; H1 until the log has been read."""
        return self._watch.halts.level_for(user_id, account_id, strategy_id)

    def risk_of(self, account_id: AccountId, equity: Decimal) -> AccountRisk | None:
        """Return what losses are measured against, or None before the first sample."""
        return self._watch.days.risk_of(account_id, equity)


async def halt_in_log(
    store: EventStore, user_id: UserId, account_id: AccountId, strategy_id: StrategyId
) -> HaltLevel | None:
    """Return the strongest halt of all scopes that the log holds by now, however far a tail has come."""
    streams = [halt_stream(*scope) for scope in scopes_over(user_id, account_id, strategy_id)]
    return strongest([HALT.fold(decode_all(await store.read_stream(stream))).level for stream in streams])


async def may_still_enter(store: EventStore, entry: OrderCreated) -> bool:
    """Tell whether nothing that the log holds by now forbids an entry that was placed before.

    A halt, the states of strategy and account, or that the account follows no more. Errors: StoreUnavailable.
    """
    if entry.strategy_id is None:
        return True
    book = FollowerBook()
    for stream in (account_stream(entry.account_id), strategy_stream(entry.strategy_id)):
        for event in decode_all(await store.read_stream(stream)):
            if isinstance(event, BookEvent):
                book.apply(event)
    strategy = book.strategies.get(entry.strategy_id)
    if strategy is None or strategy.status is not StrategyStatus.ACTIVE or entry.account_id not in strategy.followers:
        return False
    if book.accounts.get(entry.account_id) is not AccountStatus.ACTIVE:
        return False
    return await halt_in_log(store, entry.user_id, entry.account_id, entry.strategy_id) is None
