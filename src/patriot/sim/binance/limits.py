"""The venue's request limits: weight per address and minute, orders per account, and bans of those who go on.

They count on real time, since they protect a server and not a market; a stepped replay turns them off.
Source: USD-M Futures, general info and the pages of the endpoints, read 2026-11-22. After how many refused requests a
ban comes is not published: TOLERATED_REFUSALS is ours.
"""

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum

from patriot.kernel.clock import Clock, to_epoch_ms
from patriot.sim.engine.events import VenueRefusal

WEIGHT_PER_MINUTE = 2_400  # exchangeInfo, rateLimits
ORDERS_PER_10_SECONDS = 300
ORDERS_PER_MINUTE = 1_200
FUNDING_PER_5_MINUTES = 500  # requests, fundingRate and fundingInfo together
STATISTICS_PER_5_MINUTES = 1_000  # requests, everything below /futures/data
TOLERATED_REFUSALS = 20  # requests of an address above the ceiling in one window, before it is banned
FIRST_BAN_SECONDS = 120
LONGEST_BAN_SECONDS = 259_200  # three days
BANS_FORGOTTEN_SECONDS = 259_200  # after so long without one, the next ban is a first one again


class Pool(StrEnum):
    """What a request counts against, beside its weight."""

    WEIGHT = "weight"
    FUNDING = "funding"
    STATISTICS = "statistics"


@dataclass(frozen=True, slots=True)
class Limits:
    """Ceilings of the venue; None counts without refusing."""

    weight_per_minute: int | None = WEIGHT_PER_MINUTE
    orders_per_10_seconds: int | None = ORDERS_PER_10_SECONDS
    orders_per_minute: int | None = ORDERS_PER_MINUTE
    funding_per_5_minutes: int | None = FUNDING_PER_5_MINUTES
    statistics_per_5_minutes: int | None = STATISTICS_PER_5_MINUTES


UNLIMITED = Limits(None, None, None, None, None)


class LimitExceeded(VenueRefusal):
    """Too much: carries when to come back, and the HTTP status it travels with."""

    def __init__(self, code: int, message: str, retry_after_seconds: int, status: int = 429) -> None:
        super().__init__(code, message)
        self.retry_after_seconds = retry_after_seconds
        self.status = status


class _Window:
    """Counts that fall back to zero when a new window of fixed length begins."""

    __slots__ = ("_clock", "_counts", "_current", "_seconds")

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

    def used(self, owner: object) -> int:
        return self.add(owner, 0)

    def seconds_left(self) -> int:
        return self._seconds - int(self._clock.monotonic()) % self._seconds


@dataclass(frozen=True, slots=True)
class _Ban:
    ends_at: float  # monotonic seconds
    seconds: int


class RateLimiter:
    """Count every request and refuse what is above the ceilings; ban an address that goes on."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self._weight = _Window(clock, 60)
        self._refusals = _Window(clock, 60)
        self._orders_10s = _Window(clock, 10)
        self._orders_1m = _Window(clock, 60)
        self._pools = {
            Pool.FUNDING: (_Window(clock, 300), limits.funding_per_5_minutes),
            Pool.STATISTICS: (_Window(clock, 300), limits.statistics_per_5_minutes),
        }
        self._bans: dict[str, _Ban] = {}

    def check_ban(self, address: str) -> None:
        """Refuse an address that is banned.

        Errors: LimitExceeded -1003 with status 418.
        """
        ban = self._bans.get(address) if self._bans else None
        left = ban.ends_at - self._clock.monotonic() if ban is not None else 0.0
        if left > 0:
            raise self._banned(address, left)

    def count_weight(self, address: str, weight: int, pool: Pool = Pool.WEIGHT) -> int:
        """Return the weight this address used in the running minute.

        Errors: LimitExceeded -1003 above a ceiling, with status 418 for who went on and is banned now.
        """
        self.check_ban(address)
        used = self._weight.add(address, weight)
        ceiling = self._limits.weight_per_minute
        if ceiling is not None and used > ceiling:
            raise self._too_much(address, ceiling, self._weight, "requests per minute")
        if pool is not Pool.WEIGHT:
            window, ceiling = self._pools[pool]
            requests = window.add(address, 1)
            if ceiling is not None and requests > ceiling:
                raise self._too_much(address, ceiling, window, "requests per 5 minutes")
        return used

    def used_weight(self, address: str) -> int:
        """Return the weight this address used in the running minute."""
        return self._weight.used(address)

    def _too_much(self, address: str, ceiling: int, window: _Window, unit: str) -> LimitExceeded:
        if self._refusals.add(address, 1) > TOLERATED_REFUSALS:
            return self.ban(address)
        text = (
            f"Too many requests; current limit of IP({address}) is {ceiling} {unit}. "
            "Please use the websocket for live updates to avoid polling the API."
        )
        return LimitExceeded(-1003, text, window.seconds_left())

    def ban(self, address: str) -> LimitExceeded:
        """Ban an address, each time twice as long as the time before; return how it is told."""
        now, before = self._clock.monotonic(), self._bans.get(address)
        seconds = FIRST_BAN_SECONDS
        if before is not None and now < before.ends_at + BANS_FORGOTTEN_SECONDS:
            seconds = min(before.seconds * 2, LONGEST_BAN_SECONDS)
        self._bans[address] = _Ban(now + seconds, seconds)
        return self._banned(address, seconds)

    def _banned(self, address: str, seconds: float) -> LimitExceeded:
        until_ms = to_epoch_ms(self._clock.now()) + int(seconds * 1000)
        text = (
            f"Way too many requests; IP({address}) banned until {until_ms}. "
            "Please use the websocket for live updates to avoid bans."
        )
        return LimitExceeded(-1003, text, -int(-seconds // 1), 418)

    def count_order(self, uid: int, in_10s: int = 1, in_1m: int = 1) -> tuple[int, int]:
        """Return the orders of this account in the running 10 seconds and minute, these included.

        Errors: LimitExceeded -1015 above a ceiling.
        """
        used_10s, used_1m = self._orders_10s.add(uid, in_10s), self._orders_1m.add(uid, in_1m)
        for used, ceiling, window, words in (
            (used_10s, self._limits.orders_per_10_seconds, self._orders_10s, "10 SECOND"),
            (used_1m, self._limits.orders_per_minute, self._orders_1m, "1 MINUTE"),
        ):
            if ceiling is not None and used > ceiling:
                words = f"Too many new orders; current limit is {ceiling} orders per {words}."
                raise LimitExceeded(-1015, words, window.seconds_left())
        return used_10s, used_1m
