"""What the venue itself changes at run time: filters and the status of a symbol, and how finely it tells its fills."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final

from patriot.sim.engine import moves, refusals
from patriot.sim.engine.events import InstrumentChanged
from patriot.sim.engine.floor import Floor
from patriot.sim.engine.operations import ChangeInstrument, SetFillParts
from patriot.sim.engine.records import Instrument
from patriot.sim.engine.words import ZERO, InstrumentStatus, round_money

MOST_FILL_PARTS: Final = 1_000
LARGEST: Final = Decimal(1_000_000_000_000)  # of a filter
_GRIDS: Final = ("tick_size", "step_size", "min_quantity", "max_quantity", "min_notional")


def change_instrument(floor: Floor, wish: ChangeInstrument) -> Instrument:
    """Change filters or status of a symbol; open orders stay, and meet what they have missed."""
    market = floor.market(wish.symbol)
    given: dict[str, Decimal] = {}
    for name in _GRIDS:
        amount: Decimal | None = getattr(wish, name)
        if amount is not None:
            if not amount.is_finite() or not ZERO < amount <= LARGEST or round_money(amount) != amount:
                raise refusals.INVALID_DATA.because(parameter=name)
            given[name] = amount
    before = market.instrument
    changed = replace(before, **given, status=before.status if wish.status is None else wish.status)  # type: ignore[arg-type]
    if changed.tick_size > changed.max_price or not market.keeps_money_exact(changed):
        raise refusals.INVALID_DATA.because(parameter="tick_size x step_size")
    if max(changed.min_quantity, changed.step_size) > changed.max_quantity:
        raise refusals.INVALID_DATA.because(parameter="min_quantity")
    market.list_as(changed)
    floor.emitted.append(InstrumentChanged(floor.now_ms, changed))
    floor.touch(wish.symbol)
    if changed.status is InstrumentStatus.TRADING:
        moves.meet(floor, market)  # what a halt has kept apart, or what a new grid brings together
    return changed


def set_fill_parts(floor: Floor, wish: SetFillParts) -> int:
    """Let every match of a symbol be told in so many parts from now on."""
    market = floor.market(wish.symbol)
    if not 1 <= wish.parts <= MOST_FILL_PARTS:
        raise refusals.INVALID_DATA.because(parameter="parts")
    market.fill_parts = wish.parts
    return wish.parts
