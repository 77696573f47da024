"""The filters an order must pass before the venue looks at money: ids, price grid, quantity grid, bands."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from patriot.sim.engine import refusals
from patriot.sim.engine.records import Instrument
from patriot.sim.engine.words import ZERO, Side, TimeInForce

_CLIENT_ID: Final = re.compile(r"[.A-Z:/a-z0-9_-]+")
_CLIENT_ID_LENGTH: Final = 36
_SHORTEST_GOOD_TILL_MS: Final = 600_000  # from now
_LATEST_GOOD_TILL_MS: Final = 253_402_300_799_000  # the end of the year 9999
_LARGEST_MARKET_PRICE: Final = Decimal("1000000000000")  # keeps every product of it within the engine's digits


def check_client_id(client_id: str, parameter: str) -> None:
    """Refuse a client id that is too long or has characters outside the venue's range; "" is no id."""
    if not client_id:
        return
    if len(client_id) > _CLIENT_ID_LENGTH:
        raise refusals.CLIENT_ID_LENGTH.because()
    if not _CLIENT_ID.fullmatch(client_id):
        raise refusals.ILLEGAL_CLIENT_ID.because(parameter=parameter)


def given(amount: Decimal | None, parameter: str) -> Decimal:
    """Return a number that had to be sent, or refuse."""
    if amount is None or not amount.is_finite():
        raise refusals.MANDATORY.because(parameter=parameter)
    return amount


def written_on(grid: Decimal, amount: Decimal) -> Decimal:
    """Return an amount with the decimals of its grid, as the venue writes it; one that is finer stays as it is.

    >>> str(written_on(Decimal("0.10"), Decimal("42000"))), str(written_on(Decimal("0.001"), Decimal("0.01")))
    ('42000.00', '0.010')
    """
    written = amount.quantize(grid)
    return written if written == amount else amount


def check_market_price(price: Decimal | None, parameter: str) -> None:
    """Refuse a price at which no market can stand; None is no price."""
    if price is not None and not (price.is_finite() and ZERO < price <= _LARGEST_MARKET_PRICE):
        raise refusals.INVALID_DATA.because(parameter=parameter)


def checked_good_till(time_in_force: TimeInForce, good_till_ms: int, now_ms: int) -> int:
    """Return the time a GTD order ends, in whole seconds as the venue keeps it, 0 for any other; or refuse."""
    if time_in_force is not TimeInForce.GTD:
        if good_till_ms:
            raise refusals.NOT_REQUIRED.because(parameter="goodTillDate")
        return 0
    if not good_till_ms:
        raise refusals.MANDATORY.because(parameter="goodTillDate")
    if not now_ms + _SHORTEST_GOOD_TILL_MS < good_till_ms < _LATEST_GOOD_TILL_MS:
        raise refusals.BAD_GOOD_TILL.because()
    return good_till_ms - good_till_ms % 1_000


def check_quantity(instrument: Instrument, quantity: Decimal, *, market: bool) -> None:
    """Refuse a quantity outside LOT_SIZE (MARKET_LOT_SIZE for a market order)."""
    if quantity <= ZERO:
        raise refusals.QUANTITY_NOT_POSITIVE.because()
    if quantity > (instrument.market_max_quantity if market else instrument.max_quantity):
        raise refusals.QUANTITY_ABOVE_MAX.because()
    if _decimals(quantity) > _decimals(instrument.step_size):
        raise refusals.BAD_PRECISION.because()
    if quantity < instrument.min_quantity:
        raise refusals.QUANTITY_BELOW_MIN.because()
    if quantity % instrument.step_size:
        raise refusals.QUANTITY_OFF_STEP.because()


def check_price(instrument: Instrument, price: Decimal) -> None:
    """Refuse a limit price outside PRICE_FILTER."""
    if price <= ZERO:
        raise refusals.PRICE_TOO_SMALL.because()
    if price > instrument.max_price:
        raise refusals.PRICE_ABOVE_MAX.because()
    if price < instrument.min_price:
        raise refusals.PRICE_BELOW_MIN.because()
    _check_grid(instrument, price)


def check_trigger_price(instrument: Instrument, price: Decimal) -> None:
    """Refuse a trigger price outside PRICE_FILTER."""
    if price <= ZERO:
        raise refusals.TRIGGER_TOO_SMALL.because()
    if price > instrument.max_price:
        raise refusals.TRIGGER_ABOVE_MAX.because()
    _check_grid(instrument, price)


def check_band(instrument: Instrument, side: Side, price: Decimal, mark_price: Decimal) -> None:
    """Refuse a limit price too far on the losing side of the mark price (PERCENT_PRICE)."""
    if side is Side.BUY:
        highest = mark_price * instrument.price_band_up
        if price > highest:
            raise refusals.PRICE_ABOVE_BAND.because(limit=_on_tick(instrument, highest))
    else:
        lowest = mark_price * instrument.price_band_down
        if price < lowest:
            raise refusals.PRICE_BELOW_BAND.because(limit=_on_tick(instrument, lowest))


def _check_grid(instrument: Instrument, price: Decimal) -> None:
    if _decimals(price) > _decimals_written(instrument.tick_size):
        raise refusals.BAD_PRECISION.because()
    if price % instrument.tick_size:
        raise refusals.PRICE_OFF_TICK.because()


def _on_tick(instrument: Instrument, price: Decimal) -> Decimal:
    return (price - price % instrument.tick_size).quantize(instrument.tick_size)


def _decimals(number: Decimal) -> int:
    """How many decimals a number needs: 1.50 needs one."""
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _decimals_written(number: Decimal) -> int:
    """How many decimals a grid is written with: a tick of 0.10 allows two, of which the grid then takes one."""
    exponent = number.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
