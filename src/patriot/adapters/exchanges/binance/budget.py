"""The request weight of one egress address, shared by every account behind it; a part is kept for the way out."""

import math

from patriot.kernel.clock import Clock
from patriot.kernel.errors import ExchangeUnavailable

WEIGHT_PER_MINUTE = 2_400  # REQUEST_WEIGHT of exchangeInfo rateLimits, read 2026-11-22
RESERVED_FRACTION = 0.25  # for cancels and reductions (docs: law of the way out)
WINDOW_SECONDS = 60.0
BAN_SECONDS = 120.0  # the venue's shortest ban, for a 418 without Retry-After


class RateBudget:
    """Count weight, follow what the venue says was used, and stop the whole address when it is banned.

    `weight_per_minute=None` counts without refusing: for a replay, whose minutes are not the venue's.
    """

    def __init__(self, clock: Clock, weight_per_minute: int | None = WEIGHT_PER_MINUTE) -> None:
        self._clock = clock
        self._limit = weight_per_minute
        self._window = -1
        self._used = 0
        self._closed_until = -math.inf

    @property
    def used(self) -> int:
        """Return the weight used in the running minute."""
        self._roll()
        return self._used

    def take(self, weight: int, *, urgent: bool) -> None:
        """Spend weight before a request; urgent ones (cancels, reductions) may spend the reserve.

        Errors: ExchangeUnavailable, with the seconds to wait, when the address is banned or the budget is spent.
        """
        self._roll()
        wait = self._closed_until - self._clock.monotonic()
        if wait > 0:
            raise ExchangeUnavailable("the exchange closed this address for a while", wait)
        if self._limit is not None:
            ceiling = self._limit if urgent else int(self._limit * (1 - RESERVED_FRACTION))
            if self._used + weight > ceiling:
                left = WINDOW_SECONDS - self._clock.monotonic() % WINDOW_SECONDS
                raise ExchangeUnavailable(f"request weight spent: {self._used} of {ceiling} this minute", left)
        self._used += weight

    def reported(self, used: int) -> None:
        """Take over the venue's own count of the running minute, when it is higher than ours."""
        self._roll()
        self._used = max(self._used, used)

    def banned(self, seconds: float | None) -> None:
        """Send nothing from this address for a while; every account behind it is meant."""
        until = self._clock.monotonic() + (BAN_SECONDS if seconds is None else seconds)
        self._closed_until = max(self._closed_until, until)

    def _roll(self) -> None:
        window = int(self._clock.monotonic() // WINDOW_SECONDS)
        if window != self._window:
            self._window, self._used = window, 0
