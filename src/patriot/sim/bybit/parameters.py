"""Parameters that several endpoints read alike: which symbol, which holding, which price, which protection."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from patriot.sim.bybit import refusals
from patriot.sim.bybit.context import FaceContext
from patriot.sim.bybit.refusals import Refused
from patriot.sim.bybit.requests import Call
from patriot.sim.bybit.text import POSITION_INDEXES, SIDES, TRIGGERS
from patriot.sim.engine.records import Order, Protection
from patriot.sim.engine.words import PositionSide, Side, WorkingType

BAD_SIDE: Final = (10001, "Side invalid")
_SIDES: Final = {word: side for side, word in SIDES.items()}
_TRIGGER_BY: Final = {word: working for working, word in TRIGGERS.items()}
_POSITION_SIDE: Final = {str(index): side for side, index in POSITION_INDEXES.items()}
_MODES: Final = {"Full": False, "Partial": True}
_AT_LIMIT: Final = {"Market": False, "Limit": True}


def symbol_of(face: FaceContext, call: Call) -> str:
    """Return the listed symbol that a call names. Errors: Refused or VenueRefusal for another."""
    symbol = call.required_text("symbol")
    face.exchange.venue.instrument(symbol)
    return symbol


def position_side_of(call: Call) -> PositionSide:
    """Return the holding that positionIdx names."""
    return call.choice("positionIdx", _POSITION_SIDE) or PositionSide.BOTH


def working_type_of(call: Call, name: str) -> WorkingType:
    """Return the price that a trigger watches, the last price when nothing is said."""
    return call.choice(name, _TRIGGER_BY) or WorkingType.CONTRACT_PRICE


def side_of(call: Call) -> Side:
    """Return the side of an order."""
    return call.required_choice("side", _SIDES, BAD_SIDE)


def orders_asked_for(face: FaceContext, call: Call) -> Callable[[str], bool]:
    """Return which symbols a call is about: symbol, else baseCoin, else settleCoin, one of which must be there."""
    symbol, base, settle = call.text("symbol"), call.text("baseCoin"), call.text("settleCoin")
    venue = face.exchange.venue
    if symbol is not None:
        venue.instrument(symbol)
        return lambda name: name == symbol
    if base is not None:
        return lambda name: venue.instrument(name).base_asset == base
    if settle is not None:
        return lambda name: venue.instrument(name).quote_asset == settle
    raise Refused(*refusals.NO_SELECTION)


def attached(call: Call, quantity: Decimal) -> Protection | None:
    """Return the take profit and stop loss that a call names, None when it names none.

    quantity: what partial mode covers.
    """
    profit, loss = call.decimal("takeProfit") or None, call.decimal("stopLoss") or None
    if profit is None and loss is None:
        return None
    partial = call.choice("tpslMode", _MODES) or False
    limits = {name: call.choice(f"{name}OrderType", _AT_LIMIT) or False for name in ("tp", "sl")}
    if any(limits.values()) and not partial:
        raise refusals.bad("tpslMode")
    size = quantity if partial else None
    return Protection(
        take_profit=profit,
        stop_loss=loss,
        take_profit_type=working_type_of(call, "tpTriggerBy"),
        stop_loss_type=working_type_of(call, "slTriggerBy"),
        take_profit_size=size if profit else None,
        stop_loss_size=size if loss else None,
        take_profit_price=call.required_decimal("tpLimitPrice") if limits["tp"] and profit else None,
        stop_loss_price=call.required_decimal("slLimitPrice") if limits["sl"] and loss else None,
    )


def amended_protection(call: Call, order: Order, quantity: Decimal) -> Protection | None:
    """Return what an order is to carry from now on, None when the call says nothing of it; 0 takes a part away."""
    if call.text("takeProfit") is None and call.text("stopLoss") is None:
        return None
    if order.filled_quantity:
        raise Refused(*refusals.PARTLY_FILLED)
    known = order.attached or Protection()
    asked = attached(call, quantity) or Protection()
    keeps_profit, keeps_loss = call.text("takeProfit") is None, call.text("stopLoss") is None
    return Protection(
        take_profit=known.take_profit if keeps_profit else asked.take_profit,
        stop_loss=known.stop_loss if keeps_loss else asked.stop_loss,
        take_profit_type=known.take_profit_type if keeps_profit else asked.take_profit_type,
        stop_loss_type=known.stop_loss_type if keeps_loss else asked.stop_loss_type,
        take_profit_size=known.take_profit_size if keeps_profit else asked.take_profit_size,
        stop_loss_size=known.stop_loss_size if keeps_loss else asked.stop_loss_size,
        take_profit_price=known.take_profit_price if keeps_profit else asked.take_profit_price,
        stop_loss_price=known.stop_loss_price if keeps_loss else asked.stop_loss_price,
    )
