"""Margin arithmetic: maintenance margin, liquidation price, what a fill does to a position. Pure functions."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_UP, Decimal

from patriot.sim.engine.records import Instrument, LeverageBracket, Position
from patriot.sim.engine.words import MONEY_STEP, ZERO, round_money


def maintenance_margin(instrument: Instrument, notional: Decimal) -> Decimal:
    """Return the maintenance margin of a notional (absolute, quote asset): ratio x notional - amount of its bracket."""
    bracket = bracket_of(instrument, notional)
    return notional * bracket.maintenance_ratio - bracket.maintenance_amount


def bracket_of(instrument: Instrument, notional: Decimal) -> LeverageBracket:
    """Return the bracket that holds a notional; the last one when it is above them all."""
    for bracket in instrument.brackets:
        if notional <= bracket.notional_cap:
            return bracket
    return instrument.brackets[-1]


def max_notional(instrument: Instrument, leverage: int) -> Decimal:
    """Return the largest notional that may be held at a leverage, 0 when no bracket allows that leverage."""
    caps = [bracket.notional_cap for bracket in instrument.brackets if bracket.initial_leverage >= leverage]
    return caps[-1] if caps else ZERO


def liquidation_price(instrument: Instrument, quantity: Decimal, basis: Decimal, margin: Decimal) -> Decimal | None:
    """Return the mark price at which margin + unrealized falls to the maintenance margin, None when there is none.

    The maintenance margin is the largest of the brackets' straight lines (it is convex), so the first line that is met
    on the way down (long) or up (short) decides.
    Units: margin is the isolated wallet, or the cross wallet plus what the other positions bring and need.
    """
    size = abs(quantity)
    prices = [
        (basis - margin - bracket.maintenance_amount) / (quantity - size * bracket.maintenance_ratio)
        for bracket in instrument.brackets
    ]
    price = max(prices) if quantity > ZERO else min(prices)
    return price if price > ZERO else None


def bankruptcy_price(instrument: Instrument, position: Position, margin: Decimal) -> Decimal:
    """Return the price at which closing a position and paying the taker's fee leaves nothing of a margin.

    On the tick, on the side where something is left rather than missing; at least one tick.

    >>> from patriot.sim.engine.instruments import BTCUSDT
    >>> from patriot.sim.engine.words import PositionSide
    >>> held = Position("BTCUSDT", PositionSide.BOTH, Decimal("1"), Decimal("40000"))
    >>> bankruptcy_price(BTCUSDT, held, Decimal("4000"))
    Decimal('36018.10')
    """
    size, tick = abs(position.quantity), instrument.tick_size
    price = (position.basis - margin) / (position.quantity - size * instrument.taker_fee_rate)
    rounding = ROUND_CEILING if position.quantity > ZERO else ROUND_FLOOR
    return max((price / tick).to_integral_value(rounding) * tick, tick)


def after_fill(
    position: Position, quantity: Decimal, price: Decimal, *, isolated_leverage: int | None, at_ms: int
) -> tuple[Position, Decimal]:
    """Return the position after a signed fill, and the profit it realized.

    The profit is rounded once, to 1e-8; what rounding left stays in the basis, so that
    wallet + quantity x mark - basis is the same before and after at the fill's price, exactly.
    isolated_leverage None means crossed: no wallet of its own.

    >>> from patriot.sim.engine.words import PositionSide
    >>> held = Position("BTCUSDT", PositionSide.BOTH, Decimal("0.003"), Decimal("100"))
    >>> after, profit = after_fill(held, Decimal("-0.001"), Decimal("40000"), isolated_leverage=None, at_ms=0)
    >>> str(profit), str(after.basis)
    ('6.66666667', '66.66666667')
    """
    held, basis, isolated = position.quantity, position.basis, position.isolated_wallet
    realized = ZERO
    opening = quantity
    if held and (held > ZERO) != (quantity > ZERO):
        closing = max(quantity, -held) if quantity < ZERO else min(quantity, -held)
        opening = quantity - closing
        share = abs(closing) / abs(held)
        realized = round_money(-closing * price - basis * share)
        basis += closing * price + realized
        held += closing
        isolated -= round_money(isolated * share)
    if opening:
        basis += opening * price
        held += opening
        if isolated_leverage is not None:
            isolated += (abs(opening) * price / isolated_leverage).quantize(MONEY_STEP, ROUND_UP)
    changed = replace(
        position,
        quantity=held,
        basis=basis if held else ZERO,
        isolated_wallet=isolated,
        realized_pnl=position.realized_pnl + realized,
        updated_ms=at_ms,
    )
    return changed, realized
