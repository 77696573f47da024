"""What waits for a venue time: whoever drives the clock stops there and lets it happen."""

from collections.abc import Sequence
from typing import Protocol


class Timed(Protocol):
    @property
    def next_ms(self) -> int | None:
        """When the next thing is due, in venue time; None when nothing is."""
        ...

    def on_time(self, now_ms: int) -> None:
        """Do what is due by now."""
        ...


class Timetable:
    """Several such things as one; of what is due together, the first part goes first."""

    def __init__(self, parts: Sequence[Timed] = ()) -> None:
        self._parts = parts

    @property
    def next_ms(self) -> int | None:
        return min((due for part in self._parts if (due := part.next_ms) is not None), default=None)

    def on_time(self, now_ms: int) -> None:
        for part in self._parts:
            part.on_time(now_ms)

    def stop_before(self, until_ms: int) -> int:
        """Return how far the clock may go: to the time asked for, or to what is due before it."""
        due = self.next_ms
        return until_ms if due is None else min(until_ms, due)
