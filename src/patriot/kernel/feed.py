"""The log feed as a port: all events in one order, read from any place in it, and how far each reader has come.

A place is opaque: text that only the feed which gave it can read or order, so that a feed with one position (the event
store's own log) and one with a position per partition (a broker) look the same to every reader. Two adapters pass one
contract suite: `kernel/memory.py` and `adapters/postgres/feed.py`.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from patriot.kernel.eventstore import START, Envelope, Place

PAGE_EVENTS = 1_000


@dataclass(frozen=True, slots=True)
class Page:
    """Events in log order, and the place to read on from: that of the last one, or behind it what nobody asked for."""

    events: list[Envelope]
    next: Place


class LogFeed(Protocol):
    """Where readers follow history. A page of fewer events than asked for ends at what can be read now."""

    async def read(self, after: Place, limit: int = PAGE_EVENTS, event_types: frozenset[str] | None = None) -> Page:
        """Return events behind a place, ascending; never one that a late commit could precede."""
        ...

    def scan(self, after: Place = START, page: int = PAGE_EVENTS) -> AsyncIterator[list[Envelope]]:
        """Yield pages up to the end, as the record itself has them: for rebuilds and for proving history."""
        ...

    async def wait(self, after: Place, timeout_seconds: float) -> None:
        """Return when an event behind the place may be readable, or after the time-out; a hint, never a promise."""
        ...

    async def newest(self) -> Place:
        """Return the place of the newest committed event, readable yet or not; `START` for an empty log.

        A reader that stands there has nothing left to do.
        """
        ...

    def reached(self, place: Place, target: Place) -> bool:
        """Tell whether a reader that stands at `place` has passed everything up to `target`."""
        ...

    def distance(self, place: Place, newest: Place) -> int:
        """Return about how many events lie between two places: for metrics, not for decisions."""
        ...


class Checkpoints(Protocol):
    """How far a named reader that is not a projection (a policy, an effect) has come in the log."""

    async def load(self, name: str) -> Place:
        """Return the stored place; the start of the log for a new reader."""
        ...

    async def save(self, name: str, place: Place) -> None:
        """Store the place, durably."""
        ...
