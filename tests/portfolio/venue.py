"""A small exact exchange: fractions and an average price where PATRIOT has decimals and a basis. It shares no code."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

WIDE = Context(prec=60)


@dataclass(slots=True)
class VenuePosition:
    quantity: Fraction = Fraction(0)
    average: Fraction = Fraction(0)
    left_over: Fraction = Fraction(0)  # what rounding kept back of the profit that was paid out

    def unrealized(self, mark: Decimal) -> Fraction:
        return self.quantity * (Fraction(mark) - self.average) + self.left_over


class Venue:
    """One account with positions that net; profit is rounded once per execution, to 1e-8."""

    def __init__(self) -> None:
        self.wallet = Fraction(0)
        self.positions: dict[str, VenuePosition] = {}

    def trade(self, symbol: str, signed: Decimal, price: Decimal, commission: Decimal) -> Decimal:
        """Execute, and return the realized profit as the venue reports it."""
        held = self.positions.setdefault(symbol, VenuePosition())
        size, at = Fraction(signed), Fraction(price)
        profit = Fraction(0)
        opening = size
        if held.quantity * size < 0:
            closing = max(-abs(held.quantity), -abs(size)) * (1 if held.quantity > 0 else -1)
            opening = size - closing
            profit = -closing * (at - held.average) + held.left_over * -closing / held.quantity
            reported = _rounded(profit)
            held.left_over += -held.left_over * -closing / held.quantity + profit - Fraction(reported)
            held.quantity += closing
        else:
            reported = Decimal(0)
        if held.quantity == 0 and opening == 0:
            held.left_over = Fraction(0)  # flat: the position is forgotten
        if opening:
            held.average = (held.quantity * held.average + opening * at) / (held.quantity + opening)
            held.quantity += opening
        self.wallet += Fraction(reported) - Fraction(commission)
        return reported

    def move(self, amount: Decimal) -> None:
        """Transfer or funding."""
        self.wallet += Fraction(amount)

    def equity(self, marks: dict[str, Decimal]) -> Fraction:
        return self.wallet + sum(
            (held.unrealized(marks[symbol]) for symbol, held in self.positions.items()), Fraction(0)
        )


def _rounded(value: Fraction) -> Decimal:
    exact = WIDE.divide(Decimal(value.numerator), Decimal(value.denominator))
    return exact.quantize(Decimal("0.00000001"), ROUND_HALF_EVEN, WIDE)
