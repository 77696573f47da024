"""The risk service: watches every account's money and raises or lifts the halts that follow from it."""

from patriot.kernel.codec import EVENTS
from patriot.kernel.eventstore import Actor, ActorType, Context
from patriot.kernel.ids import derived_id
from patriot.kernel.projection import Recorded
from patriot.kernel.subscription import Subscription
from patriot.risk.policies import RiskWatch, WatchedEvent, watch_money
from patriot.services.ports import Ports
from patriot.services.tails import fold_to_checkpoint

TAIL = "risk"
EVENT_TYPES = frozenset(EVENTS.name_of_class(cls) for cls in WatchedEvent.__args__)
RISK_ENGINE = Actor(ActorType.RISK_ENGINE, "risk")


class RiskService:
    """One tail over equity, transfers, what nothing explains, limits and halts."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._watch = RiskWatch()
        self.tail = Subscription(ports.feed, ports.checkpoints, TAIL, self._take, EVENT_TYPES)

    async def run(self) -> None:
        """Serve until cancelled."""
        await fold_to_checkpoint(self._ports, TAIL, EVENT_TYPES, lambda one: self._watch.apply(one.event))
        await self.tail.run()

    async def _take(self, recorded: Recorded) -> None:
        cause = recorded.envelope
        for command in watch_money(self._watch, recorded.event):
            context = Context(
                correlation_id=derived_id("risk", cause.event_id),
                causation_id=cause.event_id,
                user_id=cause.context.user_id,
                account_id=cause.context.account_id,
                actor=RISK_ENGINE,
            )
            await self._ports.bus.dispatch(command, context)
