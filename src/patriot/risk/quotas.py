"""Who shares a limit that is wider than one account: accounts of a user, followers of a strategy, all that are linked.

No entry waits for another account's state, so such a limit is handed out in advance, in equal shares: whatever
accounts do with theirs, together they stay within it. Pure. Source: docs/adr/0009-exposure-quotas.md.
"""

from dataclasses import dataclass, field
from decimal import Decimal, localcontext

from patriot.accounts.events import AccountLinked, AccountUnlinked
from patriot.kernel.money import CENT, EXACT, ZERO
from patriot.strategies.events import StrategyAssigned, StrategyUnassigned
from patriot.trading.terms import AccountId, StrategyId, UserId

SharingEvent = AccountLinked | AccountUnlinked | StrategyAssigned | StrategyUnassigned


@dataclass(slots=True)
class Sharers:
    """An in-memory fold of linked accounts, by user, and of every strategy's followers."""

    _linked: set[AccountId] = field(default_factory=set)
    _of_user: dict[UserId, set[AccountId]] = field(default_factory=dict)
    _followers: dict[StrategyId, set[AccountId]] = field(default_factory=dict)

    def apply(self, event: SharingEvent) -> None:
        """Take in who came or went."""
        match event:
            case AccountLinked():
                self._linked.add(event.account_id)
                self._of_user.setdefault(event.user_id, set()).add(event.account_id)
            case AccountUnlinked():
                for sharers in (self._linked, *self._of_user.values(), *self._followers.values()):
                    sharers.discard(event.account_id)
            case StrategyAssigned():
                self._followers.setdefault(event.strategy_id, set()).add(event.account_id)
            case StrategyUnassigned():
                self._followers.get(event.strategy_id, set()).discard(event.account_id)

    def of_all(self) -> int:
        """Return how many accounts are linked."""
        return len(self._linked)

    def of_user(self, user_id: UserId) -> int:
        """Return how many accounts of a user are linked."""
        return len(self._of_user.get(user_id, ()))

    def of_strategy(self, strategy_id: StrategyId) -> int:
        """Return how many accounts follow a strategy."""
        return len(self._followers.get(strategy_id, ()))


def share(limit: Decimal, sharers: int) -> Decimal:
    """Return each sharer's part of a limit, rounded down to cents; nobody and one alone have all of it.

    >>> share(Decimal("10000"), 3)
    Decimal('3333.33')
    >>> share(Decimal("0.005"), 1)
    Decimal('0.005')
    """
    if sharers <= 1:
        return limit
    with localcontext(EXACT):
        return max(ZERO, limit // (sharers * CENT) * CENT)
