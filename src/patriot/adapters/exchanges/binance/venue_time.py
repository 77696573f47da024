"""The exchange's clock as we know it: our own, and by how much theirs is off."""

from datetime import datetime, timedelta

from patriot.kernel.clock import Clock, ReplayClock, to_epoch_ms


class VenueTime:
    """Times for requests. The clock of a replay is the venue's own, moved by it, and is never corrected."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._follows_venue = isinstance(clock, ReplayClock)
        self._offset = timedelta()

    def now(self) -> datetime:
        """Return the venue's time of this moment."""
        return self._clock.now() + self._offset

    def stamp(self, moment: datetime) -> int:
        """Return a moment of our Clock as the venue's milliseconds."""
        return to_epoch_ms(moment + self._offset)

    def measured(self, venue_time: datetime, *, asked_at: datetime) -> None:
        """Correct the offset from an answer; half of the way there and back is taken as the way back."""
        if not self._follows_venue:
            answered_at = self._clock.now()
            self._offset = venue_time - (asked_at + (answered_at - asked_at) / 2)
