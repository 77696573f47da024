"""The newest signals, and who followed when they came and has not told what became of them. Execution's fold, pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from patriot.execution.events import SignalRouted
from patriot.strategies.events import SignalGenerated
from patriot.trading.terms import AccountId, SignalId

REMEMBERED_SIGNALS = 20  # an account answers within half a minute, or never

SignalEvent = SignalGenerated | SignalRouted


@dataclass(slots=True)
class NewestSignals:
    """What a start finds of signals whose shares were left to owners that may have died since.

    Who follows later is not meant by a signal of before.
    """

    signals: dict[SignalId, SignalGenerated] = field(default_factory=dict)
    unanswered: dict[SignalId, list[AccountId]] = field(default_factory=dict)

    def apply(self, event: SignalEvent, followers: Sequence[AccountId]) -> None:
        """Take the next event of the log; `followers` of its strategy as the log has them then."""
        match event:
            case SignalGenerated():
                self.signals[event.signal_id] = event
                self.unanswered[event.signal_id] = list(followers)
                if len(self.signals) > REMEMBERED_SIGNALS:
                    oldest = next(iter(self.signals))
                    del self.signals[oldest], self.unanswered[oldest]
            case SignalRouted():
                told = {account.account_id for account in event.accounts}
                left = [one for one in self.unanswered.get(event.signal_id, []) if one not in told]
                if event.signal_id in self.unanswered:
                    self.unanswered[event.signal_id] = left
