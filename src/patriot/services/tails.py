"""What a service with in-memory books does at its start: fold the log up to where its tail will go on."""

from collections.abc import Callable

from patriot.kernel.eventstore import LogPosition
from patriot.kernel.projection import Recorded
from patriot.services.ports import Ports

PAGE_EVENTS = 2_000


async def fold_to_checkpoint(
    ports: Ports, name: str, event_types: frozenset[str], fold: Callable[[Recorded], None]
) -> None:
    """Hand every event that the tail `name` has already passed to `fold`, in log order."""
    end = await ports.checkpoints.load(name)
    position = LogPosition()
    while position < end:
        page = await ports.store.read_log(position, PAGE_EVENTS, event_types)
        for envelope in page:
            if envelope.log_position <= end:
                fold(Recorded.of(envelope))
        if not page:
            return
        position = page[-1].log_position
