"""What a service with in-memory books does at its start: fold the log up to where its tail will go on."""

from collections.abc import Callable

from patriot.kernel.eventstore import START
from patriot.kernel.projection import Recorded
from patriot.services.ports import Ports

PAGE_EVENTS = 2_000


async def fold_to_checkpoint(
    ports: Ports, name: str, event_types: frozenset[str], fold: Callable[[Recorded], None]
) -> None:
    """Hand every event that the tail `name` has already passed to `fold`, in log order."""
    end = await ports.checkpoints.load(name)
    feed, place = ports.feed, START
    while not feed.reached(place, end):
        page = await feed.read(place, PAGE_EVENTS, event_types)
        for envelope in page.events:
            if feed.reached(end, envelope.place):
                fold(Recorded.of(envelope))
        if not page.events:
            return
        place = page.next
