"""Which stream each command of this domain goes to."""

from patriot.audit.commands import PublishRoot
from patriot.audit.decider import LOG_ROOTS
from patriot.audit.events import ROOTS
from patriot.kernel.bus import CommandBus, Handler


def register(bus: CommandBus) -> None:
    """Register every command of this domain."""
    bus.handle(PublishRoot, Handler(lambda _: ROOTS, LOG_ROOTS, None, lambda c: c.at))
