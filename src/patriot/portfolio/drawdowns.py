"""Drawdowns of a series of values: how deep below its peak, since when, and how long until it was back. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from patriot.kernel.money import ZERO
from patriot.portfolio.figure import rounded


@dataclass(frozen=True, slots=True)
class Value:
    """A NAV or an index at a moment."""

    at: datetime
    value: Decimal


@dataclass(frozen=True, slots=True)
class Drawdown:
    """One fall from a peak. `fraction` is negative (-0.2 = 20 % below the peak); `recovered` None: not yet."""

    fraction: Decimal
    start: datetime  # the last moment at the peak
    trough: datetime
    recovered: datetime | None

    def duration(self, until: datetime) -> timedelta:
        """Return how long it lasted, or has lasted at a moment."""
        return (self.recovered or until) - self.start


def drawdown_curve(values: Sequence[Value]) -> tuple[Value, ...]:
    """Return, for each value, how far it is below the highest one so far: 0 at a peak, else negative.

    Shapes: ascending by time, the first above zero.
    Source: Magdon-Ismail and Atiya, Maximum drawdown, Risk Magazine 17/10 (2004): d(t) = v(t) / max v(s), s <= t, - 1.
    """
    curve, peak = [], ZERO
    for value in values:
        peak = max(peak, value.value)
        curve.append(Value(value.at, rounded(Fraction(value.value) / Fraction(peak) - 1)))
    return tuple(curve)


def drawdowns(values: Sequence[Value]) -> tuple[Drawdown, ...]:
    """Return every fall from a peak, oldest first. It begins at the last moment at the peak and ends back at it."""
    found: list[Drawdown] = []
    start = values[0].at if values else None
    lowest: Value | None = None
    for point in drawdown_curve(values):
        if point.value < 0:
            lowest = point if lowest is None or point.value < lowest.value else lowest
            continue
        if lowest is not None and start is not None:
            found.append(Drawdown(lowest.value, start, lowest.at, point.at))
        start, lowest = point.at, None
    if lowest is not None and start is not None:
        found.append(Drawdown(lowest.value, start, lowest.at, None))
    return tuple(found)


def deepest(found: Sequence[Drawdown]) -> Drawdown | None:
    """Return the maximum drawdown, the older one of two as deep; None if there was none."""
    return min(found, key=lambda drawdown: drawdown.fraction, default=None)
