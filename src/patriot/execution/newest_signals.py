"""The newest signals, and who followed when they came and has not told what became of them. Execution's fold, pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from patriot.execution.events import SignalRouted
from patriot.strategies.events import SignalGenerated
from patriot.trading.terms import AccountId, SignalId, StrategyId

REMEMBERED = timedelta(minutes=10)  # of the exchange, before the newest; an account answers in half a minute

SignalEvent = SignalGenerated | SignalRouted


@dataclass(slots=True)
class NewestSignals:
    """What a start finds of signals whose shares were left to owners that may have died since.

    Who follows later is not meant by a signal of before.
    """

    signals: dict[SignalId, SignalGenerated] = field(default_factory=dict)
    unanswered: dict[SignalId, list[AccountId]] = field(default_factory=dict)  # of those signals, the followers
    last: dict[StrategyId, SignalId] = field(default_factory=dict)

    def apply(self, event: SignalEvent, followers: Sequence[AccountId]) -> None:
        """Take the next event of the log; `followers` of its strategy as the log has them then."""
        match event:
            case SignalGenerated():
                self._forget_before(event)
                self.last[event.strategy_id] = event.signal_id
                if followers:
                    self.signals[event.signal_id] = event
                    self.unanswered[event.signal_id] = list(followers)
            case SignalRouted() if event.signal_id in self.signals:
                told = {account.account_id for account in event.accounts}
                left = [one for one in self.unanswered[event.signal_id] if one not in told]
                self.unanswered[event.signal_id] = left
                if not left:
                    self._forget(event.signal_id)

    def overtaken(self, signal: SignalGenerated) -> bool:
        """Tell whether its strategy has spoken since."""
        return self.last.get(signal.strategy_id, signal.signal_id) != signal.signal_id

    def _forget_before(self, newest: SignalGenerated) -> None:
        for signal_id, signal in list(self.signals.items()):
            if newest.bar_closed_at - signal.bar_closed_at > REMEMBERED:
                self._forget(signal_id)

    def _forget(self, signal_id: SignalId) -> None:
        del self.signals[signal_id], self.unanswered[signal_id]
