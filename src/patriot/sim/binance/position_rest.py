"""Positions: what is held, its margin and leverage, its place in the queue of deleveraging. Weights read 2026-11-22."""

from decimal import Decimal
from typing import Any

import msgspec

from patriot.sim.binance import refusals, render, render_account
from patriot.sim.binance.context import FaceContext
from patriot.sim.binance.endpoints import ENDPOINTS
from patriot.sim.binance.order_rest import optional_symbol
from patriot.sim.binance.order_wishes import symbol_of
from patriot.sim.binance.requests import DAY_MS, Call, Security
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.engine.operations import AdjustMargin, SetLeverage, SetMarginType, SetPositionMode
from patriot.sim.engine.records import PositionView
from patriot.sim.engine.words import MarginType, PositionSide

Json = dict[str, Any]
DONE: Json = {"code": 200, "msg": "success"}
MARGIN_KEPT_MS = 30 * DAY_MS
_ADD, _REDUCE = 1, 2


@ENDPOINTS.add("GET", "/fapi/v1/positionRisk", Security.READ, weight=5)
@ENDPOINTS.add("GET", "/fapi/v2/positionRisk", Security.READ, weight=5)
def position_risk_v2(face: FaceContext, call: Call) -> list[Json]:
    """Answer every symbol's position, flat ones too."""
    return [render_account.position_v2(view) for view in every_position(face, call)]


@ENDPOINTS.add("GET", "/fapi/v3/positionRisk", Security.READ, weight=5)
def position_risk_v3(face: FaceContext, call: Call) -> list[Json]:
    """Answer the positions of symbols that hold one, or an open order."""
    orders = face.exchange.venue.open_orders(call.uid)
    ordered = {record.symbol for record in orders}
    views = [view for view in every_position(face, call) if view.position.quantity or view.position.symbol in ordered]
    return [render_account.position_v3(view, orders, _quantile(face, call, view)) for view in views]


def _quantile(face: FaceContext, call: Call, view: PositionView) -> int:
    position = view.position
    if not position.quantity:
        return 0
    return face.exchange.venue.adl_quantile(call.uid, position.symbol).get(position.position_side, 0)


@ENDPOINTS.add("GET", "/fapi/v1/adlQuantile", Security.READ, weight=5)
def adl_quantiles(face: FaceContext, call: Call) -> list[Json]:
    """Answer where the account's positions stand in the queue of deleveraging; 4 is closed first."""
    asked, venue = optional_symbol(face, call), face.exchange.venue
    held = dict.fromkeys(view.position.symbol for view in venue.positions(call.uid))
    return [_adl_row(face, call, symbol) for symbol in (held if asked is None else (asked,))]


def _adl_row(face: FaceContext, call: Call, symbol: str) -> Json:
    venue = face.exchange.venue
    quantiles = venue.adl_quantile(call.uid, symbol)
    crossed = venue.symbol_settings(call.uid, symbol).margin_type is MarginType.CROSSED
    last = "HEDGE" if crossed and venue.hedges(call.uid, symbol) else "BOTH"
    row = {side.value: quantiles.get(side, 0) for side in (PositionSide.LONG, PositionSide.SHORT)}
    return {"symbol": symbol, "adlQuantile": {**row, last: quantiles.get(PositionSide.BOTH, 0)}}


def every_position(face: FaceContext, call: Call) -> list[PositionView]:
    """Return the rows of one symbol, or of all, flat ones too."""
    asked = optional_symbol(face, call)
    symbols = face.exchange.symbols if asked is None else (asked,)
    return [view for symbol in symbols for view in face.exchange.venue.positions(call.uid, symbol)]


@ENDPOINTS.add("POST", "/fapi/v1/leverage", Security.TRADE)
def set_leverage(face: FaceContext, call: Call) -> Json:
    """Set the leverage of a symbol."""
    symbol, leverage = symbol_of(call), call.required_integer("leverage")
    face.exchange.apply(SetLeverage(uid=call.uid, symbol=symbol, leverage=leverage))
    view = face.exchange.venue.symbol_settings(call.uid, symbol)
    return {"leverage": view.leverage, "maxNotionalValue": render.plain(view.max_notional), "symbol": symbol}


@ENDPOINTS.add("POST", "/fapi/v1/marginType", Security.TRADE)
def set_margin_type(face: FaceContext, call: Call) -> Json:
    """Set a symbol to isolated or crossed margin."""
    symbol = symbol_of(call)
    margin_type = call.required_choice("marginType", MarginType)
    face.exchange.apply(SetMarginType(uid=call.uid, symbol=symbol, margin_type=margin_type))
    return DONE


@ENDPOINTS.add("POST", "/fapi/v1/positionMargin", Security.TRADE)
def adjust_margin(face: FaceContext, call: Call) -> Json:
    """Move money between the wallet and an isolated position."""
    symbol, kind = symbol_of(call), call.required_integer("type")
    call.required_text("amount")
    amount = call.decimal("amount") or Decimal(0)
    if kind not in (_ADD, _REDUCE):
        raise refusals.invalid_data("type")
    if amount <= 0:
        raise VenueRefusal(*refusals.AMOUNT_NOT_POSITIVE)
    side = call.choice("positionSide", PositionSide, refusals.BAD_POSITION_SIDE) or PositionSide.BOTH
    signed = amount if kind == _ADD else -amount
    face.exchange.apply(AdjustMargin(uid=call.uid, symbol=symbol, amount=signed, position_side=side))
    number = msgspec.Raw(render.plain(amount).encode())  # a JSON number, every digit of it
    return {"amount": number, "code": 200, "msg": "Successfully modify position margin.", "type": kind}


@ENDPOINTS.add("GET", "/fapi/v1/positionMargin/history", Security.TRADE)
def margin_history(face: FaceContext, call: Call) -> list[Json]:
    """Answer what was moved between the wallet and isolated positions of a symbol in the last 30 days."""
    symbol, kind = symbol_of(call), call.integer("type")
    if kind not in (None, _ADD, _REDUCE):
        raise refusals.invalid_data("type")
    face.exchange.venue.instrument(symbol)
    start, end = call.time_range(MARGIN_KEPT_MS)
    first_ms = max(start or 0, face.now_ms - MARGIN_KEPT_MS)
    found = [
        {
            "symbol": symbol,
            "type": _ADD if change.amount > 0 else _REDUCE,
            "deltaType": "USER_ADJUST",
            "amount": render.plain(abs(change.amount)),
            "asset": "USDT",
            "time": change.at_ms,
            "positionSide": change.position_side.value,
        }
        for change in face.exchange.venue.margin_changes(call.uid, symbol)
        if change.at_ms >= first_ms
        and (end is None or change.at_ms <= end)
        and (kind is None or (kind == _ADD) == (change.amount > 0))
    ]
    return found[-call.limit(500, 1000) :]


@ENDPOINTS.add("GET", "/fapi/v1/positionSide/dual", Security.READ, weight=30)
def position_mode(face: FaceContext, call: Call) -> Json:
    """Answer whether the account holds long and short apart."""
    return {"dualSidePosition": face.exchange.venue.account(call.uid).hedge_mode}


@ENDPOINTS.add("POST", "/fapi/v1/positionSide/dual", Security.TRADE)
def set_position_mode(face: FaceContext, call: Call) -> Json:
    """Set one-way or hedge mode."""
    face.exchange.apply(SetPositionMode(uid=call.uid, hedge_mode=call.required_flag("dualSidePosition")))
    return DONE
