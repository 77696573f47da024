"""The reconciliation part of the accounts service: money without a record becomes an event and an alarm."""

from patriot.accounts.commands import RecordReconciliation
from patriot.accounts.policies import MoneyEvent, MoneyWatch, reconcile
from patriot.kernel.codec import EVENTS
from patriot.kernel.eventstore import Context
from patriot.kernel.ids import derived_id
from patriot.kernel.policy import Keep, PolicyRunner
from patriot.kernel.projection import Recorded
from patriot.services.engine import Engine
from patriot.services.ports import Ports

TAIL = "reconciliation"
EVENT_TYPES = frozenset(EVENTS.name_of_class(cls) for cls in MoneyEvent.__args__)


class ReconciliationService(Engine):
    """One tail over fills, transfers, funding and samples. The halt that follows is the risk service's."""

    tail: PolicyRunner[list[RecordReconciliation]]

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._watch = MoneyWatch()
        keep = Keep(ports.snapshots, MoneyWatch, lambda: self._watch, self._take_up)
        self.tail = PolicyRunner(ports.feed, ports.checkpoints, TAIL, EVENT_TYPES, self._fold, self._react, keep)

    async def run(self) -> None:
        """Serve until cancelled."""
        await self.tail.run()

    def _take_up(self, watch: MoneyWatch) -> None:
        self._watch = watch

    def _fold(self, recorded: Recorded) -> list[RecordReconciliation]:
        return reconcile(self._watch, recorded.event)

    async def _react(self, recorded: Recorded, commands: list[RecordReconciliation]) -> None:
        cause = recorded.envelope
        for command in commands:
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
