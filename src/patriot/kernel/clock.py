"""Time as a dependency: `now` is the world's time (the venue's in a replay), `monotonic` measures waiting.

This is the only module that reads a wall clock.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """What every component asks for the time."""

    def now(self) -> datetime:
        """Return the time of the world as an aware UTC datetime."""
        ...

    def monotonic(self) -> float:
        """Return seconds that only ever grow; for time-outs and leases, never for records."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class VenueDriven:
    """Marks a clock whose time runs as a venue's does, at whatever speed: monotonic seconds are not its seconds."""


class ReplayClock:
    """The venue's time while recorded prices are replayed; waiting is still measured in real seconds."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return time.monotonic()

    def move_to(self, moment: datetime) -> None:
        """Move forward to a moment of the recording; a moment in the past changes nothing."""
        self._now = max(self._now, moment)


class FakeClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: datetime = datetime(2030, 1, 2, 12, tzinfo=UTC)) -> None:
        self._now = now
        self._monotonic = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, step: timedelta) -> None:
        """Move both times forward."""
        self._now += step
        self._monotonic += step.total_seconds()


def from_epoch_ms(milliseconds: int) -> datetime:
    """Return the UTC datetime of Unix milliseconds.

    >>> from_epoch_ms(1_640_991_660_000).isoformat()
    '2021-12-31T23:01:00+00:00'
    """
    return EPOCH + timedelta(milliseconds=milliseconds)


def to_epoch_ms(moment: datetime) -> int:
    """Return Unix milliseconds of an aware datetime, rounded down."""
    return (moment - EPOCH) // timedelta(milliseconds=1)
