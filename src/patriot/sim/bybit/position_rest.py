"""Positions: what is held, leverage, modes, protection, closed profit.

Source: bybit-exchange.github.io/docs/v5/position, read 2026-11-22.
"""

from __future__ import annotations

from typing import Any, Final

from patriot.sim.bybit import lookup, refusals, render_account
from patriot.sim.bybit.context import FaceContext
from patriot.sim.bybit.endpoints import ENDPOINTS, Reply, is_linear, require_linear
from patriot.sim.bybit.ledger import Execution
from patriot.sim.bybit.parameters import orders_asked_for, position_side_of, symbol_of, working_type_of
from patriot.sim.bybit.query_rest import WEEK_MS, any_symbol, listing
from patriot.sim.bybit.refusals import Refused
from patriot.sim.bybit.requests import Call, Security
from patriot.sim.engine.operations import AdjustMargin, SetLeverage, SetPositionMode, SetProtection
from patriot.sim.engine.records import PositionView, Protection
from patriot.sim.engine.words import MarginType

Json = dict[str, Any]

_MODES: Final = {"0": False, "3": True}
_TPSL: Final = {"Full": False, "Partial": True}
_TYPES: Final = {"Market": False, "Limit": True}


def row(face: FaceContext, uid: int, view: PositionView) -> Json:
    """Return a position's row with what protects it."""
    venue, held = face.exchange.venue, view.position
    return render_account.position(
        view,
        venue.instrument(held.symbol),
        venue.open_algo_orders(uid, held.symbol),
        net=face.ledger.net(uid, held.symbol, held.position_side),
        created_ms=face.ledger.opened_ms(uid, held.symbol, held.position_side),
        rank=venue.adl_quantile(uid, held.symbol).get(held.position_side, 0) + 1 if held.quantity else 0,
    )


@ENDPOINTS.add("GET", "/v5/position/list", Security.READ)
def positions(face: FaceContext, call: Call) -> Json:
    """Answer one symbol's rows even when flat, or every position of a coin that is held."""
    if not is_linear(call):
        return listing(call, [])
    venue, symbol = face.exchange.venue, call.text("symbol")
    if symbol is not None:
        views = [view for name in symbol.split(",") for view in venue.positions(call.uid, name)]
    else:
        keep = orders_asked_for(face, call)
        views = [view for view in venue.positions(call.uid) if keep(view.position.symbol)]
    rows = [row(face, call.uid, view) for view in views]
    chosen, cursor = lookup.page(
        rows, lambda one: f"{one['symbol']},{one['positionIdx']}", call.limit(20, 200), call.text("cursor")
    )
    return listing(call, chosen, cursor)


@ENDPOINTS.add("GET", "/v5/position/symbol-info", Security.READ)
def leverages(face: FaceContext, call: Call) -> Json:
    """Answer the leverage of one symbol or of all, held or not. Source: "Get Leverage", read 2026-11-22."""
    require_linear(call)
    venue = face.exchange.venue
    symbols = face.exchange.symbols if call.text("symbol") is None else (symbol_of(face, call),)
    rows = [
        {
            "symbol": symbol,
            "leverage": str(venue.symbol_settings(call.uid, symbol).leverage),
            "side": side,
            "positionIdx": index,
        }
        for symbol in symbols
        for side, index in ((("Buy", 1), ("Sell", 2)) if venue.hedges(call.uid, symbol) else (("", 0),))
    ]
    return {"category": "linear", "list": rows}


@ENDPOINTS.add("POST", "/v5/position/set-leverage", Security.TRADE, per_second=10)
def set_leverage(face: FaceContext, call: Call) -> Json:
    """Set the leverage of a symbol; both sides have the same."""
    require_linear(call)
    symbol = symbol_of(face, call)
    buy, sell = call.required_decimal("buyLeverage"), call.required_decimal("sellLeverage")
    if buy != sell:
        raise Refused(10001, "buy leverage not equal sell leverage")
    if buy != int(buy) or buy < 1:
        raise Refused(10001, "leverage invalid")
    if face.exchange.venue.symbol_settings(call.uid, symbol).leverage == buy:
        raise Refused(*refusals.LEVERAGE_SAME)
    face.exchange.apply(SetLeverage(uid=call.uid, symbol=symbol, leverage=int(buy)))
    return {}


@ENDPOINTS.add("POST", "/v5/position/switch-mode", Security.TRADE, per_second=10)
def switch_mode(face: FaceContext, call: Call) -> Json:
    """Set one-way or hedge mode, of a symbol or of every symbol of a coin."""
    require_linear(call)
    hedge = call.required_choice("mode", _MODES)
    symbol, coin = call.text("symbol"), call.text("coin")
    if symbol is None and coin is None:
        raise Refused(10001, "params error: symbol or coin is required")
    if symbol is not None:
        face.exchange.venue.instrument(symbol)
    face.exchange.apply(SetPositionMode(uid=call.uid, hedge_mode=hedge, symbol=symbol or ""))
    return {}


@ENDPOINTS.add("POST", "/v5/position/switch-isolated", Security.TRADE, per_second=10)
def switch_isolated(_face: FaceContext, _call: Call) -> Json:
    """Refuse: a unified account has one margin mode for all symbols."""
    raise Refused(*refusals.NOT_FOR_UNIFIED)


@ENDPOINTS.add("POST", "/v5/position/set-tpsl-mode", Security.TRADE, per_second=10)
def set_tpsl_mode(_face: FaceContext, call: Call) -> Json:
    """Answer the mode that was asked for; full and partial protection stand side by side."""
    require_linear(call)
    call.required_choice("tpSlMode", _TPSL)
    return {"tpSlMode": call.required_text("tpSlMode")}


@ENDPOINTS.add("POST", "/v5/position/set-risk-limit", Security.TRADE, per_second=10)
def set_risk_limit(face: FaceContext, call: Call) -> Json:
    """Answer the tier that is in force: the venue sets it by itself since 2024."""
    require_linear(call)
    symbol = symbol_of(face, call)
    view = face.exchange.venue.symbol_settings(call.uid, symbol)
    instrument = face.exchange.venue.instrument(symbol)
    asked = call.integer("riskId")
    if asked is None or asked not in {bracket.bracket for bracket in instrument.brackets}:
        raise refusals.bad("riskId")
    number = render_account.risk_id(instrument, abs(view.notional))
    if asked == number:
        raise Refused(*refusals.RISK_SAME)
    return {"category": "linear", "riskId": number, "riskLimitValue": str(int(view.max_notional))}


@ENDPOINTS.add("POST", "/v5/position/trading-stop", Security.TRADE, per_second=10)
def trading_stop(face: FaceContext, call: Call) -> Json:
    """Set take profit, stop loss and trailing stop of a position."""
    require_linear(call)
    symbol = symbol_of(face, call)
    partial = call.choice("tpslMode", _TPSL) or False
    protection = _protection(call, partial=partial)
    operation = SetProtection(uid=call.uid, symbol=symbol, protection=protection, position_side=position_side_of(call))
    face.exchange.apply(operation)
    return {}


def _protection(call: Call, *, partial: bool) -> Protection:
    profit, loss = call.decimal("takeProfit"), call.decimal("stopLoss")
    distance = call.decimal("trailingStop")
    if profit is None and loss is None and distance is None:
        raise Refused(10001, "params error: takeProfit, stopLoss or trailingStop is required")
    if any(value is not None and value < 0 for value in (profit, loss, distance)):
        raise refusals.bad("takeProfit")
    profit_size, loss_size = call.decimal("tpSize"), call.decimal("slSize")
    if partial:
        sizes = [size for size, price in ((profit_size, profit), (loss_size, loss)) if price]
        if any(not size for size in sizes) or len(set(sizes)) > 1:
            raise Refused(10001, "tpSize and slSize must be the same, and greater than zero")
    elif profit_size or loss_size:
        raise Refused(10001, "tpSize and slSize are only for Partial mode")
    for name in ("tpOrderType", "slOrderType"):
        if call.text(name) is not None and call.text("tpslMode") is None:
            raise Refused(10001, f"{name} can not have a value when tpSlMode is empty")
    limits = {name: call.choice(f"{name}OrderType", _TYPES) or False for name in ("tp", "sl")}
    if any(limits.values()) and not partial:
        raise refusals.bad("tpOrderType")
    return Protection(
        take_profit=profit,
        stop_loss=loss,
        take_profit_type=working_type_of(call, "tpTriggerBy"),
        stop_loss_type=working_type_of(call, "slTriggerBy"),
        take_profit_size=profit_size if partial and profit else None,
        stop_loss_size=loss_size if partial and loss else None,
        take_profit_price=call.required_decimal("tpLimitPrice") if limits["tp"] and profit else None,
        stop_loss_price=call.required_decimal("slLimitPrice") if limits["sl"] and loss else None,
        trailing_distance=distance,
        activation_price=call.decimal("activePrice") or None,
    )


@ENDPOINTS.add("POST", "/v5/position/set-auto-add-margin", Security.TRADE, per_second=10)
def set_auto_add_margin(face: FaceContext, call: Call) -> Json:
    """Refuse to add margin by itself: crossed accounts cannot, and isolated positions here do not."""
    require_linear(call)
    symbol = symbol_of(face, call)
    wanted = call.required_choice("autoAddMargin", {"0": False, "1": True})
    if face.exchange.venue.symbol_settings(call.uid, symbol).margin_type is MarginType.CROSSED:
        raise Refused(*refusals.ONLY_ISOLATED)
    if wanted:
        raise Refused(*refusals.NOT_FOR_UNIFIED)
    raise Refused(*refusals.NOT_MODIFIED)


@ENDPOINTS.add("POST", "/v5/position/add-margin", Security.TRADE, per_second=10)
def add_margin(face: FaceContext, call: Call) -> Json:
    """Move money between the wallet and an isolated position."""
    require_linear(call)
    symbol, side = symbol_of(face, call), position_side_of(call)
    amount = call.required_decimal("margin")
    venue = face.exchange.venue
    face.exchange.apply(AdjustMargin(uid=call.uid, symbol=symbol, amount=amount, position_side=side))
    return row(face, call.uid, next(v for v in venue.positions(call.uid, symbol) if v.position.position_side is side))


@ENDPOINTS.add("GET", "/v5/position/closed-pnl", Security.READ)
def closed_pnl(face: FaceContext, call: Call) -> Json:
    """Answer what each order closed, newest first."""
    if not is_linear(call):
        return listing(call, [])
    start, end = call.time_range(WEEK_MS, face.exchange.now_ms)
    keep = any_symbol(face, call)
    by_order: dict[int, list[Execution]] = {}
    for execution in face.ledger.executions(call.uid):
        trade = execution.trade
        if execution.closed and keep(trade.symbol) and start <= trade.at_ms <= end:
            by_order.setdefault(trade.order_id, []).append(execution)
    orders = {order.order_id: order for order in face.exchange.venue.orders(call.uid) if order.order_id in by_order}
    rows = [
        render_account.closed_pnl(found, orders[order_id], _leverage(face, call.uid, found[0].trade.symbol))
        for order_id, found in reversed(by_order.items())
    ]
    chosen, cursor = lookup.page(rows, lambda one: str(one["orderId"]), call.limit(50, 100), call.text("cursor"))
    return listing(call, chosen, cursor)


def _leverage(face: FaceContext, uid: int, symbol: str) -> int:
    return face.exchange.venue.symbol_settings(uid, symbol).leverage


@ENDPOINTS.add("POST", "/v5/position/confirm-pending-mmr", Security.TRADE, per_second=10)
def confirm_pending_mmr(face: FaceContext, call: Call) -> Reply:
    """Refuse: no position here is ever restricted to reductions by a risk limit."""
    require_linear(call)
    symbol_of(face, call)
    raise Refused(110082, "You cannot lift Reduce-Only restrictions, as no Reduce-Only restrictions are applied")


@ENDPOINTS.add("POST", "/v5/position/move-positions", Security.UNGRANTED)
def move_positions(_face: FaceContext, _call: Call) -> Json:
    """Refuse: keys of this venue have no right to move positions between accounts."""
    raise Refused(*refusals.PERMISSION)


@ENDPOINTS.add("GET", "/v5/position/move-history", Security.READ)
def move_history(_face: FaceContext, _call: Call) -> Json:
    """Answer nothing: positions never move between accounts here."""
    return {"list": [], "nextPageCursor": ""}


@ENDPOINTS.add("GET", "/v5/position/get-closed-positions", Security.READ)
def closed_options(_face: FaceContext, call: Call) -> Json:
    """Answer nothing: no options are listed."""
    return listing(call, [])
