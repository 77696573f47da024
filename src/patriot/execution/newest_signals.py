"""The newest signals, and which accounts have told what became of them: execution's own fold. Pure."""

from dataclasses import dataclass, field

from patriot.execution.events import SignalRouted
from patriot.strategies.events import SignalGenerated
from patriot.trading.terms import AccountId, SignalId

REMEMBERED_SIGNALS = 20  # an account answers within half a minute, or never

SignalEvent = SignalGenerated | SignalRouted


@dataclass(slots=True)
class NewestSignals:
    """What a start finds of signals whose shares were left to owners that may have died since."""

    signals: dict[SignalId, SignalGenerated] = field(default_factory=dict)
    answered: dict[SignalId, list[AccountId]] = field(default_factory=dict)

    def apply(self, event: SignalEvent) -> None:
        """Take the next event of the log."""
        match event:
            case SignalGenerated():
                self.signals[event.signal_id] = event
                self.answered[event.signal_id] = []
                if len(self.signals) > REMEMBERED_SIGNALS:
                    oldest = next(iter(self.signals))
                    del self.signals[oldest], self.answered[oldest]
            case SignalRouted():
                if event.signal_id in self.answered:
                    self.answered[event.signal_id] += [account.account_id for account in event.accounts]
