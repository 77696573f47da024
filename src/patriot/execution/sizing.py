"""How much of a signal one account takes. Pure; every rounding is down, a quantity is never pushed up."""

from dataclasses import dataclass
from decimal import Decimal

from patriot.kernel.money import ZERO, round_down_to_step
from patriot.trading.terms import Instrument


@dataclass(frozen=True, slots=True)
class SizingInput:
    """Units: equity and notionals in quote asset, prices in quote per base, the rest fractions and multiples of 1."""

    equity: Decimal
    allocation_fraction: Decimal
    risk_multiplier: Decimal
    risk_per_trade_fraction: Decimal
    max_leverage: Decimal
    entry_price: Decimal
    stop_price: Decimal
    notional_headroom: Decimal  # what limits leave for this entry


def entry_quantity(given: SizingInput, instrument: Instrument) -> Decimal:
    """Return the quantity to order, or zero if it would be under the exchange's minimum.

    The smallest of: what loses `risk_per_trade_fraction` of the allocated equity at the stop, what the allocation can
    carry at `max_leverage`, what limits leave, what the exchange takes in one market order.
    Units: base asset. Source: docs/adr/0005-sizing.md.
    """
    allocated = given.equity * given.allocation_fraction
    distance = abs(given.entry_price - given.stop_price)
    if allocated <= 0 or distance <= 0 or given.entry_price <= 0:
        return ZERO
    by_risk = allocated * given.risk_multiplier * given.risk_per_trade_fraction / distance
    by_allocation = allocated * given.max_leverage / given.entry_price
    by_limits = max(given.notional_headroom, ZERO) / given.entry_price
    wanted = min(by_risk, by_allocation, by_limits, instrument.max_market_quantity, instrument.max_quantity)
    quantity = round_down_to_step(wanted, instrument.step_size)
    too_small = quantity < instrument.min_quantity or quantity * given.entry_price < instrument.min_notional
    return ZERO if too_small else quantity
