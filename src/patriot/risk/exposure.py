"""What is at stake now, in exact Decimal, because limits are compared with it. Pure.

Every position counts, whoever opened it. A ratio is rounded up to 1e-6 and a distance down: rounding never hides a
limit that was passed.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_UP, Decimal, localcontext
from typing import NamedTuple

from patriot.kernel.money import EXACT, ZERO
from patriot.risk.holdings import OpenEntry, Position

RATIO_STEP = Decimal("0.000001")
UNPROTECTED_LOSS_FRACTION = Decimal("0.10")  # of market value, where no stop bounds the loss


class PositionExposure(NamedTuple):
    """What one position puts at stake. Units: quote asset, the value negative for a short; distance as a fraction."""

    position: Position
    market_value: Decimal
    worst_loss: Decimal
    liquidation_distance: Decimal | None


class SymbolExposure(NamedTuple):
    """What is held of one symbol, in quote asset: long less short, and long plus short."""

    net: Decimal
    gross: Decimal


@dataclass(frozen=True, slots=True)
class Exposure:
    """What positions and open entries put at stake, in quote asset. `by_symbol` ascends and holds positions only."""

    held: Decimal  # sum of |quantity| x mark price
    reserved: Decimal  # entries that may still fill
    net: Decimal  # of what is held
    worst_loss: Decimal
    maintenance_margin: Decimal
    liquidation_distance: Decimal | None  # of the position nearest to it
    by_symbol: Mapping[str, SymbolExposure]

    @property
    def total(self) -> Decimal:
        """Return what is held with open entries on top: what limits of exposure and leverage are compared with."""
        return EXACT.add(self.held, self.reserved)

    @property
    def largest(self) -> Decimal:
        """Return the largest exposure in one symbol."""
        return max((symbol.gross for symbol in self.by_symbol.values()), default=ZERO)

    @property
    def largest_share(self) -> Decimal | None:
        """Return the largest symbol's share of what is held, None when nothing is."""
        return ratio_up(self.largest, self.held) if self.held else None

    @property
    def concentration(self) -> float | None:
        """Return the Herfindahl index over symbols: 1 / n for n equal ones, 1 for a single one; None without any.

        Source: Hirschman, "The Paternity of an Index", American Economic Review 54 (1964).
        """
        if not self.held:
            return None
        whole = float(self.held)
        return math.fsum((float(symbol.gross) / whole) ** 2 for symbol in self.by_symbol.values())


def position_exposure(position: Position) -> PositionExposure:
    """Return what one position puts at stake."""
    return PositionExposure(position, position.market_value, worst_loss(position), liquidation_distance(position))


def exposure_of(held: Iterable[PositionExposure], entries: Iterable[OpenEntry]) -> Exposure:
    """Return what these positions and open entries put at stake."""
    with localcontext(EXACT):
        symbols: dict[str, SymbolExposure] = {}
        at_worst = maintenance = ZERO
        distances = []
        for at in held:
            symbol, gross = at.position.symbol, abs(at.market_value)
            before = symbols.get(symbol)
            symbols[symbol] = (
                SymbolExposure(at.market_value, gross)
                if before is None
                else SymbolExposure(before.net + at.market_value, before.gross + gross)
            )
            at_worst += at.worst_loss
            maintenance += at.position.maintenance_margin
            distances.append(at.liquidation_distance)
        reserved = sum((entry.notional for entry in entries), ZERO)
        return _summed(symbols, reserved, at_worst, maintenance, distances)


def together(exposures: Sequence[Exposure]) -> Exposure:
    """Return what several exposures are as one: long and short of a symbol offset in `net`, never in `gross`."""
    with localcontext(EXACT):
        symbols: dict[str, SymbolExposure] = {}
        for exposure in exposures:
            for symbol, more in exposure.by_symbol.items():
                before = symbols.get(symbol)
                symbols[symbol] = (
                    more if before is None else SymbolExposure(before.net + more.net, before.gross + more.gross)
                )
        return _summed(
            symbols,
            sum((exposure.reserved for exposure in exposures), ZERO),
            sum((exposure.worst_loss for exposure in exposures), ZERO),
            sum((exposure.maintenance_margin for exposure in exposures), ZERO),
            [exposure.liquidation_distance for exposure in exposures],
        )


def _summed(
    symbols: Mapping[str, SymbolExposure],
    reserved: Decimal,
    at_worst: Decimal,
    maintenance: Decimal,
    distances: Iterable[Decimal | None],
) -> Exposure:
    return Exposure(
        held=sum((symbol.gross for symbol in symbols.values()), ZERO),
        reserved=reserved,
        net=sum((symbol.net for symbol in symbols.values()), ZERO),
        worst_loss=at_worst,
        maintenance_margin=maintenance,
        liquidation_distance=min((distance for distance in distances if distance is not None), default=None),
        by_symbol=dict(sorted(symbols.items())),
    )


def worst_loss(position: Position) -> Decimal:
    """Return what is lost from the entry to the stop, 0 if the stop locks in a gain; unprotected, 10 % of the value.

    Shapes: a positive amount is a loss, long or short. Units: quote asset, without fees and slippage.

    >>> at = {"maintenance_margin": ZERO, "liquidation_price": None, "strategy_id": None}
    >>> worst_loss(Position("BTCUSDT", Decimal("-2"), Decimal(90), Decimal(100), Decimal(105), **at))
    Decimal('10')
    """
    if position.stop_price is None:
        return EXACT.multiply(abs(position.market_value), UNPROTECTED_LOSS_FRACTION)
    return max(ZERO, EXACT.multiply(position.quantity, EXACT.subtract(position.entry_price, position.stop_price)))


def liquidation_distance(position: Position) -> Decimal | None:
    """Return how far the mark may move against the position before it is liquidated, as a fraction of the mark.

    Negative once the mark is past the liquidation price; None when the venue gives none.
    """
    if position.liquidation_price is None or not position.mark_price:
        return None
    against = EXACT.subtract(position.mark_price, position.liquidation_price)
    room = against if position.quantity > 0 else -against
    return EXACT.divide(room, position.mark_price).quantize(RATIO_STEP, ROUND_FLOOR)


def leverage(exposure: Decimal, equity: Decimal) -> Decimal | None:
    """Return exposure / equity, undefined (None) without equity above 0: then no limit of leverage is kept.

    >>> leverage(Decimal(30_000), Decimal(7_000)), leverage(Decimal(1), Decimal(0))
    (Decimal('4.285715'), None)
    """
    return ratio_up(exposure, equity) if equity > 0 else None


def margin_usage(maintenance_margin: Decimal, margin_balance: Decimal) -> Decimal | None:
    """Return maintenance margin / margin balance, liquidation near 1; undefined (None) without balance above 0."""
    return ratio_up(maintenance_margin, margin_balance) if margin_balance > 0 else None


def ratio_up(value: Decimal, whole: Decimal) -> Decimal:
    """Return value / whole, rounded up to 1e-6."""
    return EXACT.divide(value, whole).quantize(RATIO_STEP, ROUND_UP)
