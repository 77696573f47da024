"""A figure, or what is missing for it: too little data gives no number, and never a zero."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import expm1
from typing import Generic, TypeVar

Number = TypeVar("Number")

LARGEST_EXPONENT = 700.0  # e to this is about the largest float
PLACES = 18  # decimals of an exact ratio, rounded once, half to even


@dataclass(frozen=True, slots=True)
class Figure(Generic[Number]):
    """A value, or None with what is missing in words a reader understands; `days_missing` where more days would do."""

    value: Number | None
    missing: str = ""
    days_missing: int = 0


def lacking_days(have: int, need: int, what: str = "daily returns") -> Figure[float]:
    """Return the figure that waits for more days.

    >>> lacking_days(8, 30).missing
    '22 more daily returns: 30 are needed, 8 are there'
    """
    return Figure(None, f"{need - have} more {what}: {need} are needed, {have} are there", need - have)


def growth_of(log_rate: float) -> Figure[float]:
    """Return e^log_rate - 1, or what is missing where a short time's growth, taken for a year's, is no number."""
    if log_rate > LARGEST_EXPONENT:
        return Figure(None, "a longer period: growth per year is beyond numbers")
    return Figure(expm1(log_rate))


def rounded(value: Fraction) -> Decimal:
    """Return an exact ratio rounded once, half to even, to 18 decimals.

    >>> rounded(Fraction(2, 3))
    Decimal('0.666666666666666667')
    """
    return Decimal(f"{round(value * 10**PLACES)}E-{PLACES}")


def ratio(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Return the quotient rounded once, half to even, to 18 decimals."""
    return rounded(Fraction(numerator) / Fraction(denominator))
