"""The venue's request limits: requests per account and endpoint in a rolling second, requests per address in 5 seconds.

They count on real time, since they protect a server and not a market; a stepped replay turns the refusals off.
Source: bybit-exchange.github.io/docs/v5/rate-limit, read 2026-11-22.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from patriot.kernel.clock import Clock, to_epoch_ms
from patriot.sim.bybit import refusals
from patriot.sim.bybit.refusals import Refused

WINDOW_SECONDS = 1.0
REQUESTS_PER_ADDRESS = 600
ADDRESS_WINDOW_SECONDS = 5.0
BAN_SECONDS = 600.0  # how long an address stays out


class AddressBanned(Refused):
    """Too many requests from one address: HTTP 403 and no envelope."""

    def __init__(self) -> None:
        super().__init__(*refusals.IP_LIMIT, status=403)


@dataclass(slots=True)
class _Address:
    at: deque[float] = field(default_factory=deque)
    banned_until: float = 0.0


class RateLimiter:
    """Count every request, and refuse what is above the ceilings."""

    def __init__(self, clock: Clock, *, on: bool) -> None:
        self.on = on
        self._clock = clock
        self._addresses: dict[str, _Address] = {}
        self._used: dict[tuple[int, str], deque[float]] = {}

    def count_address(self, address: str) -> None:
        """Count a request of an address. Errors: AddressBanned above the ceiling, and for ten minutes after."""
        if not self.on:
            return
        now = self._clock.monotonic()
        known = self._addresses.setdefault(address, _Address())
        if now < known.banned_until:
            raise AddressBanned
        _forget(known.at, now - ADDRESS_WINDOW_SECONDS)
        known.at.append(now)
        if len(known.at) > REQUESTS_PER_ADDRESS:
            known.banned_until = now + BAN_SECONDS
            known.at.clear()
            raise AddressBanned

    def count(self, uid: int, group: str, ceiling: int, headers: dict[str, str], amount: int = 1) -> None:
        """Count requests of an account to an endpoint, and say in the headers what is left.

        Errors: Refused 10006 above the ceiling of the rolling second.
        """
        now = self._clock.monotonic()
        used = self._used.setdefault((uid, group), deque())
        _forget(used, now - WINDOW_SECONDS)
        too_many = len(used) + amount > ceiling
        if not (too_many and self.on):
            used.extend([now] * amount)
        now_ms = to_epoch_ms(self._clock.now())
        reset_ms = now_ms + int((used[0] + WINDOW_SECONDS - now) * 1000) if too_many and used else now_ms
        headers["X-Bapi-Limit"] = str(ceiling)
        headers["X-Bapi-Limit-Status"] = str(max(ceiling - len(used), 0))
        headers["X-Bapi-Limit-Reset-Timestamp"] = str(reset_ms)
        if too_many and self.on:
            raise Refused(*refusals.TOO_MANY)


def _forget(times: deque[float], before: float) -> None:
    while times and times[0] <= before:
        times.popleft()
