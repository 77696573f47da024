"""The venue's request limits: weight per address and minute, orders per account and 10 seconds and minute.

They count on real time, since they protect a server and not a market; a stepped replay turns them off.
"""

from collections import defaultdict
from dataclasses import dataclass

from patriot.kernel.clock import Clock
from patriot.sim.engine.events import VenueRefusal

WEIGHT_PER_MINUTE = 2_400  # Source: exchangeInfo rateLimits of USD-M Futures, read 2026-11-22
ORDERS_PER_10_SECONDS = 300
ORDERS_PER_MINUTE = 1_200


@dataclass(frozen=True, slots=True)
class Limits:
    """Ceilings of the venue; None counts without refusing."""

    weight_per_minute: int | None = WEIGHT_PER_MINUTE
    orders_per_10_seconds: int | None = ORDERS_PER_10_SECONDS
    orders_per_minute: int | None = ORDERS_PER_MINUTE


UNLIMITED = Limits(None, None, None)


class _Window:
    """Counts that fall back to zero when a new window of fixed length begins."""

    def __init__(self, clock: Clock, seconds: int) -> None:
        self._clock = clock
        self._seconds = seconds
        self._current = -1
        self._counts: defaultdict[object, int] = defaultdict(int)

    def add(self, owner: object, amount: int) -> int:
        window = int(self._clock.monotonic()) // self._seconds
        if window != self._current:
            self._current = window
            self._counts.clear()
        self._counts[owner] += amount
        return self._counts[owner]

    def seconds_left(self) -> int:
        return self._seconds - int(self._clock.monotonic()) % self._seconds


class LimitExceeded(VenueRefusal):
    """Too much: carries when to come back."""

    def __init__(self, code: int, message: str, retry_after_seconds: int) -> None:
        super().__init__(code, message)
        self.retry_after_seconds = retry_after_seconds


class RateLimiter:
    """Count every request and refuse what is above the ceilings."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._limits = limits
        self._weight = _Window(clock, 60)
        self._orders_10s = _Window(clock, 10)
        self._orders_1m = _Window(clock, 60)

    def count_weight(self, address: str, weight: int) -> int:
        """Return the weight this address used in the running minute.

        Errors: LimitExceeded -1003 above the ceiling.
        """
        used = self._weight.add(address, weight)
        ceiling = self._limits.weight_per_minute
        if ceiling is not None and used > ceiling:
            raise LimitExceeded(
                -1003,
                f"Too many requests; current limit of IP({address}) is {ceiling} requests per minute. "
                "Please use the websocket for live updates to avoid polling the API.",
                self._weight.seconds_left(),
            )
        return used

    def count_order(self, uid: int) -> tuple[int, int]:
        """Return the orders of this account in the running 10 seconds and minute.

        Errors: LimitExceeded -1015 above a ceiling.
        """
        in_10s, in_1m = self._orders_10s.add(uid, 1), self._orders_1m.add(uid, 1)
        for used, ceiling, window, words in (
            (in_10s, self._limits.orders_per_10_seconds, self._orders_10s, "10 SECOND"),
            (in_1m, self._limits.orders_per_minute, self._orders_1m, "1 MINUTE"),
        ):
            if ceiling is not None and used > ceiling:
                words = f"Too many new orders; current limit is {ceiling} orders per {words}."
                raise LimitExceeded(-1015, words, window.seconds_left())
        return in_10s, in_1m
