"""Decimal arithmetic of money: parsing from outside, rounding to an exchange's grid, amounts with their asset."""

import re
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Context, Decimal, localcontext
from fractions import Fraction

from patriot.kernel.errors import InvalidInput

ZERO = Decimal(0)
CENT = Decimal("0.01")
EXACT = Context(prec=60)  # wide enough that sums and products of money never round
QUOTIENT_PLACES = 18  # decimals kept of a quotient: an error below 1e-6 of the quote asset on 1e12 of it
_PLAIN = re.compile(r"-?(0|[1-9]\d{0,19})(\.\d{1,18})?", re.ASCII)  # no exponent, no plus sign, 38 digits


def parse_decimal(field: str, text: object) -> Decimal:
    """Return the Decimal of a plain decimal string.

    Errors: InvalidInput naming the field for anything else: floats, exponents, NaN, more than 20 + 18 digits.

    >>> parse_decimal("price", "46319.50")
    Decimal('46319.50')
    """
    if not isinstance(text, str):
        raise InvalidInput(field, f"expected a decimal string, found {type(text).__name__}")
    if not _PLAIN.fullmatch(text):
        raise InvalidInput(field, f"expected a plain decimal such as '0.001', found {text[:40]!r}")
    return Decimal(text)


def plain(value: Decimal) -> str:
    """Return a Decimal as text without an exponent.

    >>> plain(Decimal("1E+3")), plain(Decimal("0E-8"))
    ('1000', '0.00000000')
    """
    return format(value, "f")


def round_down_to_step(value: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of step that is not above value, toward zero for negatives.

    >>> round_down_to_step(Decimal("0.0019"), Decimal("0.001"))
    Decimal('0.001')
    """
    with localcontext(EXACT):
        return (value / step).to_integral_value(ROUND_DOWN) * step


def round_to_tick(price: Decimal, tick: Decimal) -> Decimal:
    """Return the multiple of tick nearest to price, half to even."""
    with localcontext(EXACT):
        return (price / tick).to_integral_value(ROUND_HALF_EVEN) * tick


def divide(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Return the quotient rounded once, half to even, to 18 decimals.

    >>> divide(Decimal(1100), Decimal("1.05"))
    Decimal('1047.619047619047619048')
    """
    scaled = round(Fraction(numerator) / Fraction(denominator) * 10**QUOTIENT_PLACES)
    return Decimal(f"{scaled}E-{QUOTIENT_PLACES}")


def round_to_cent(value: Decimal) -> Decimal:
    """Return value rounded half to even to two decimals; used once per invoice line."""
    return value.quantize(CENT, ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of one asset; amounts of two assets do not add."""

    amount: Decimal
    asset: str

    def __add__(self, other: "Money") -> "Money":
        self._require_same_asset(other)
        return Money(self.amount + other.amount, self.asset)

    def __sub__(self, other: "Money") -> "Money":
        self._require_same_asset(other)
        return Money(self.amount - other.amount, self.asset)

    def _require_same_asset(self, other: "Money") -> None:
        if self.asset != other.asset:
            raise InvalidInput("asset", f"expected {self.asset}, found {other.asset}")
