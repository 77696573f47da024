"""The exchange's clock as we know it: what it said last, carried on by our monotonic time. Our own clock may step.

A clock that the venue drives does not step, and runs as fast as the venue: it carries the time on instead.
"""

from datetime import datetime, timedelta

from patriot.kernel.clock import Clock, ReplayClock, VenueDriven, from_epoch_ms, to_epoch_ms

ASKED_EVERY_SECONDS = 60.0
EPOCH = from_epoch_ms(0)
NOTEWORTHY = timedelta(seconds=1)  # further ahead than this the venue refuses a request
ALLOWANCE = timedelta(minutes=1)  # a moment on record may come from a life in which our clock was off


class VenueTime:
    """Times for requests. The clock of a replay is the venue's own, moved by it, and is never corrected."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._follows_venue = isinstance(clock, ReplayClock)
        self._driven_by_venue = isinstance(clock, VenueDriven)
        self._heard: tuple[datetime, timedelta] | None = None  # the venue's time, and what had passed here then
        self._asked_at: float | None = None
        self._furthest_ahead = timedelta()  # of our clock before the venue's, ever

    def now(self) -> datetime:
        """Return the venue's time of this moment."""
        if self._heard is None:
            return self._clock.now()
        venue_time, passed_then = self._heard
        return venue_time + (self._passed() - passed_then)

    def stamp(self, moment: datetime) -> int:
        """Return a recent moment of our Clock as the venue's milliseconds: never one that is still to come."""
        now = self.now()
        return to_epoch_ms(min(moment + (now - self._clock.now()), now))

    def reading_from(self, moment: datetime) -> int:
        """Return from which of the venue's milliseconds to read, so that nothing since a moment is missed.

        The moment may be the venue's, or of our Clock however wrong that was; what is read twice is harmless.
        """
        if self._follows_venue:
            return to_epoch_ms(moment)
        return to_epoch_ms(moment - self._furthest_ahead - ALLOWANCE)

    def measured(self, venue_time: datetime, *, asked_at: float) -> timedelta:
        """Take an answer to a question of a monotonic time; half of the way there and back is taken as the way back.

        Returns by how much our idea of the venue's time was wrong.
        """
        if self._follows_venue:
            return timedelta()
        before, heard_at = self.now(), self._clock.monotonic()
        self._heard = venue_time + timedelta(seconds=(heard_at - asked_at) / 2), self._passed()
        self._furthest_ahead = max(self._furthest_ahead, self._clock.now() - self._heard[0])
        return self._heard[0] - before

    def is_due(self) -> bool:
        """Return whether the venue should be asked now; whoever is told so asks, and the others go on."""
        if self._follows_venue:
            return False
        now = self._clock.monotonic()
        due = self._asked_at is None or now - self._asked_at >= ASKED_EVERY_SECONDS
        if due:
            self._asked_at = now
        return due

    def _passed(self) -> timedelta:
        """Return how long something that never steps has run, in the venue's seconds."""
        if self._driven_by_venue:
            return self._clock.now() - EPOCH
        return timedelta(seconds=self._clock.monotonic())
