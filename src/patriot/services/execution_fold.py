"""What execution knows from the log: whose accounts are linked, who follows which strategy, what risk allows.

Pure, and kept now and then (`kernel/policy.py Keep`): a start that protects must not wait for a fold of the whole log.
"""

from dataclasses import dataclass, field

from patriot.accounts.events import AccountLinked
from patriot.execution.followers import BookEvent, FollowerBook
from patriot.execution.newest_signals import NewestSignals, SignalEvent
from patriot.kernel.codec import EVENTS
from patriot.risk.policies import RiskWatch, WatchedEvent
from patriot.services.account import LinkedAccount
from patriot.trading.terms import AccountId

FOLDED: tuple[type, ...] = (*BookEvent.__args__, *WatchedEvent.__args__, *SignalEvent.__args__)
EVENT_TYPES = frozenset(EVENTS.name_of_class(cls) for cls in FOLDED)


@dataclass(slots=True)
class ExecutionFold:
    """The state of execution's tail."""

    book: FollowerBook = field(default_factory=FollowerBook)
    watch: RiskWatch = field(default_factory=RiskWatch)
    linked: dict[AccountId, LinkedAccount] = field(default_factory=dict)
    newest: NewestSignals = field(default_factory=NewestSignals)

    def apply(self, event: object) -> None:
        """Take the next event of the log."""
        if isinstance(event, BookEvent):
            self.book.apply(event)
        if isinstance(event, WatchedEvent):
            self.watch.apply(event)
        if isinstance(event, SignalEvent):
            strategy = self.book.strategies.get(event.strategy_id)
            self.newest.apply(event, [] if strategy is None else sorted(strategy.followers))
        if isinstance(event, AccountLinked):
            self.linked[event.account_id] = LinkedAccount(event.account_id, event.user_id, event.exchange)
