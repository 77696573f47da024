"""Judges whether what is told to close does so in its time (law 5), by the positions that the exchange has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from patriot.sim.engine.venue import Venue

WAY_OUT_WITHIN_SECONDS = 10.0

Place = tuple[int, str]  # uid and symbol


class WayOut:
    """The wishes to close that are not carried out yet."""

    def __init__(self, engine: Venue, excused_until: Callable[[int], float], blame: Callable[[int, str], None]) -> None:
        self._engine = engine
        self._excused_until = excused_until  # of an account: until when faults may hold up its way out
        self._blame = blame
        self._wished: dict[Place, tuple[float, Decimal, str]] = {}  # since when, which position, why

    @property
    def open(self) -> bool:
        """Tell whether there is a wish that is not carried out, and not blamed."""
        return bool(self._wished)

    def wish(self, places: Iterable[Place], now: float, why: str) -> None:
        """Have positions closed."""
        for place in places:
            self._wished.setdefault(place, (now, self._held(place), why))

    def settle(self) -> None:
        """Strike out what is carried out: a position that is flat or turned once was closed, whoever opens it again."""
        for place, (_, held, _) in list(self._wished.items()):
            if self._held(place) * held <= 0:
                del self._wished[place]

    def look(self, now: float) -> None:
        """Blame what took too long."""
        for (uid, symbol), (since, _, why) in list(self._wished.items()):
            if now - max(since, self._excused_until(uid)) > WAY_OUT_WITHIN_SECONDS:
                del self._wished[uid, symbol]
                self._blame(5, f"account {uid} still holds {symbol} more than {WAY_OUT_WITHIN_SECONDS} s after {why}")

    def _held(self, place: Place) -> Decimal:
        return self._engine.positions(*place)[0].position.quantity
