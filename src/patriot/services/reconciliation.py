"""The reconciliation part of the accounts service: money without a record becomes an event and an alarm."""

from uuid import UUID

from patriot.accounts.commands import RecordReconciliation
from patriot.accounts.policies import MoneyEvent, MoneyWatch, reconcile
from patriot.kernel.codec import EVENTS
from patriot.kernel.eventstore import Context
from patriot.kernel.ids import derived_id
from patriot.kernel.projection import Recorded
from patriot.kernel.subscription import Subscription
from patriot.services.ports import Ports
from patriot.services.tails import fold_to_checkpoint

TAIL = "reconciliation"
EVENT_TYPES = frozenset(EVENTS.name_of_class(cls) for cls in MoneyEvent.__args__)


class ReconciliationService:
    """One tail over fills, transfers, funding and samples. The halt that follows is the risk service's."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._watch = MoneyWatch()
        self._newest: UUID | None = None
        self._found: list[RecordReconciliation] = []
        self.tail = Subscription(ports.feed, ports.checkpoints, TAIL, self._take, EVENT_TYPES)

    async def run(self) -> None:
        """Serve until cancelled."""
        await fold_to_checkpoint(self._ports, TAIL, EVENT_TYPES, self._fold)
        await self.tail.run()

    def _fold(self, recorded: Recorded) -> None:
        if recorded.envelope.event_id != self._newest:  # it comes again when the store went away meanwhile
            self._newest = recorded.envelope.event_id
            self._found = reconcile(self._watch, recorded.event)

    async def _take(self, recorded: Recorded) -> None:
        self._fold(recorded)
        cause = recorded.envelope
        for command in self._found:
            if command.unexplained:
                self._ports.alerts.critical(
                    "money.unexplained",
                    account_id=command.account_id,
                    unexplained=command.unexplained,
                    sampled_at=command.sampled_at,
                )
            context = Context(
                correlation_id=derived_id("reconciliation", cause.event_id),
                causation_id=cause.event_id,
                user_id=command.user_id,
                account_id=command.account_id,
            )
            await self._ports.bus.dispatch(command, context)
