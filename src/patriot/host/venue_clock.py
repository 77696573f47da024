"""The time of a platform whose exchange is a simulator: the simulator's own, in whatever year, at whatever speed."""

from datetime import datetime, timedelta

from patriot.kernel.clock import Clock, VenueDriven


class VenueClock(VenueDriven):
    """Runs on from what the venue last said, as fast as the venue does; never backwards. Waiting is in real seconds."""

    def __init__(self, machine: Clock, venue_now: datetime, speed: int) -> None:
        self._machine = machine
        self._speed = speed
        self._said, self._heard_at = venue_now, machine.monotonic()
        self._newest = venue_now

    def set(self, venue_now: datetime) -> None:
        """Go on from the venue's time as it is now: a simulator that was down comes back where it stood."""
        self._said, self._heard_at = venue_now, self._machine.monotonic()

    def now(self) -> datetime:
        """Return the venue's time."""
        passed = self._machine.monotonic() - self._heard_at
        self._newest = max(self._newest, self._said + timedelta(seconds=passed * self._speed))
        return self._newest

    def monotonic(self) -> float:
        """Return the machine's count of seconds."""
        return self._machine.monotonic()
