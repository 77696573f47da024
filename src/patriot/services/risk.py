"""The risk service: watches every account's money and raises or lifts the halts that follow from it."""

from patriot.kernel.codec import EVENTS
from patriot.kernel.eventstore import Actor, ActorType, Context
from patriot.kernel.ids import derived_id
from patriot.kernel.policy import Keep, PolicyRunner
from patriot.kernel.projection import Recorded
from patriot.risk.policies import RiskWatch, WatchCommand, WatchedEvent, watch_money
from patriot.services.engine import Engine
from patriot.services.ports import Ports

TAIL = "risk"
EVENT_TYPES = frozenset(EVENTS.name_of_class(cls) for cls in WatchedEvent.__args__)
RISK_ENGINE = Actor(ActorType.RISK_ENGINE, "risk")


class RiskService(Engine):
    """One tail over equity, transfers, what nothing explains, limits and halts."""

    tail: PolicyRunner[list[WatchCommand]]

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._watch = RiskWatch()
        keep = Keep(ports.snapshots, RiskWatch, lambda: self._watch, self._take_up)
        self.tail = PolicyRunner(ports.feed, ports.checkpoints, TAIL, EVENT_TYPES, self._fold, self._react, keep)

    async def run(self) -> None:
        """Serve until cancelled."""
        await self.tail.run()

    def _take_up(self, watch: RiskWatch) -> None:
        self._watch = watch

    def _fold(self, recorded: Recorded) -> list[WatchCommand]:
        return watch_money(self._watch, recorded.event)

    async def _react(self, recorded: Recorded, commands: list[WatchCommand]) -> None:
        cause = recorded.envelope
        for command in commands:
            context = Context(
                correlation_id=derived_id("risk", cause.event_id),
                causation_id=cause.event_id,
                user_id=cause.context.user_id,
                account_id=cause.context.account_id,
                actor=RISK_ENGINE,
            )
            await self._ports.bus.dispatch(command, context)
