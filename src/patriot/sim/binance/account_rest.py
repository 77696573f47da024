"""The account: balances, positions, settings, trades, income, keys, listen keys. Weights read 2026-11-22."""

from typing import Any

from patriot.sim.binance import listing, refusals, render
from patriot.sim.binance.context import FaceContext
from patriot.sim.binance.endpoints import ENDPOINTS
from patriot.sim.binance.requests import MAX_TIME_RANGE_MS, Call, Security
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.engine.operations import SetLeverage, SetMarginType, SetPositionMode
from patriot.sim.engine.records import PositionView
from patriot.sim.engine.words import IncomeType, MarginType, Permission

Json = dict[str, Any]
_DONE: Json = {"code": 200, "msg": "success"}


@ENDPOINTS.add("GET", "/fapi/v2/account", Security.READ, weight=5)
def account_v2(face: FaceContext, call: Call) -> Json:
    """Answer the account with every symbol's position and settings."""
    return render.account(face.exchange.venue.account(call.uid), _all_positions(face, call), version=2)


@ENDPOINTS.add("GET", "/fapi/v3/account", Security.READ, weight=5)
def account_v3(face: FaceContext, call: Call) -> Json:
    """Answer the account with the positions that are not flat."""
    venue = face.exchange.venue
    return render.account(venue.account(call.uid), venue.positions(call.uid), version=3)


@ENDPOINTS.add("GET", "/fapi/v2/balance", Security.READ, weight=5)
@ENDPOINTS.add("GET", "/fapi/v3/balance", Security.READ, weight=5)
def balance(face: FaceContext, call: Call) -> list[Json]:
    """Answer the balance of the margin asset."""
    return render.balance(face.exchange.venue.account(call.uid), f"sim{call.uid}")


@ENDPOINTS.add("GET", "/fapi/v2/positionRisk", Security.READ, weight=5)
def position_risk_v2(face: FaceContext, call: Call) -> list[Json]:
    """Answer every symbol's position, flat ones too."""
    return [render.position_v2(view) for view in _all_positions(face, call)]


@ENDPOINTS.add("GET", "/fapi/v3/positionRisk", Security.READ, weight=5)
def position_risk_v3(face: FaceContext, call: Call) -> list[Json]:
    """Answer the positions of symbols that hold one, or an open order."""
    venue = face.exchange.venue
    orders = venue.open_orders(call.uid)
    ordered = {record.symbol for record in orders}
    views = [view for view in _all_positions(face, call) if view.position.quantity or view.position.symbol in ordered]
    return [render.position_v3(view, orders) for view in views]


def _all_positions(face: FaceContext, call: Call) -> list[PositionView]:
    asked = call.text("symbol")
    symbols = (asked.upper(),) if asked else face.exchange.symbols
    return [view for symbol in symbols for view in face.exchange.venue.positions(call.uid, symbol)]


@ENDPOINTS.add("GET", "/fapi/v1/symbolConfig", Security.READ, weight=5)
def symbol_config(face: FaceContext, call: Call) -> list[Json]:
    """Answer leverage and margin type per symbol."""
    asked = call.text("symbol")
    rows = []
    for symbol in (asked.upper(),) if asked else face.exchange.symbols:
        view = face.exchange.venue.symbol_settings(call.uid, symbol)
        rows.append(
            {
                "symbol": symbol,
                "marginType": view.margin_type.value,
                "isAutoAddMargin": False,
                "leverage": view.leverage,
                "maxNotionalValue": render.plain(view.max_notional),
            }
        )
    return rows


@ENDPOINTS.add("GET", "/fapi/v1/accountConfig", Security.READ, weight=5)
def account_config(face: FaceContext, call: Call) -> Json:
    """Answer the account's settings."""
    view = face.exchange.venue.account(call.uid)
    return {
        "feeTier": 0,
        "canTrade": Permission.TRADE in view.permissions,
        "canDeposit": True,
        "canWithdraw": Permission.WITHDRAW in view.permissions,
        "dualSidePosition": view.hedge_mode,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }


@ENDPOINTS.add("POST", "/fapi/v1/leverage", Security.TRADE)
def set_leverage(face: FaceContext, call: Call) -> Json:
    """Set the leverage of a symbol."""
    symbol, leverage = call.required_text("symbol").upper(), call.required_integer("leverage")
    face.exchange.apply(SetLeverage(uid=call.uid, symbol=symbol, leverage=leverage))
    view = face.exchange.venue.symbol_settings(call.uid, symbol)
    return {"leverage": view.leverage, "maxNotionalValue": render.plain(view.max_notional), "symbol": symbol}


@ENDPOINTS.add("POST", "/fapi/v1/marginType", Security.TRADE)
def set_margin_type(face: FaceContext, call: Call) -> Json:
    """Set a symbol to isolated or crossed margin."""
    symbol = call.required_text("symbol").upper()
    margin_type = call.required_choice("marginType", MarginType)
    face.exchange.apply(SetMarginType(uid=call.uid, symbol=symbol, margin_type=margin_type))
    return _DONE


@ENDPOINTS.add("GET", "/fapi/v1/positionSide/dual", Security.READ, weight=30)
def position_mode(face: FaceContext, call: Call) -> Json:
    """Answer whether the account holds long and short apart."""
    return {"dualSidePosition": face.exchange.venue.account(call.uid).hedge_mode}


@ENDPOINTS.add("POST", "/fapi/v1/positionSide/dual", Security.TRADE)
def set_position_mode(face: FaceContext, call: Call) -> Json:
    """Set one-way or hedge mode."""
    face.exchange.apply(SetPositionMode(uid=call.uid, hedge_mode=call.required_flag("dualSidePosition")))
    return _DONE


@ENDPOINTS.add("GET", "/fapi/v1/multiAssetsMargin", Security.READ, weight=30)
def multi_assets_margin(_face: FaceContext, _call: Call) -> Json:
    """Answer that margin is in one asset."""
    return {"multiAssetsMargin": False}


@ENDPOINTS.add("POST", "/fapi/v1/multiAssetsMargin", Security.TRADE)
def set_multi_assets_margin(_face: FaceContext, call: Call) -> Json:
    """Refuse: the venue knows one margin asset."""
    if call.required_flag("multiAssetsMargin"):
        raise VenueRefusal(-1020, "This operation is not supported.")
    raise VenueRefusal(-4171, "No need to change margin mode.")


@ENDPOINTS.add("GET", "/fapi/v1/leverageBracket", Security.READ)
def leverage_bracket(face: FaceContext, call: Call) -> list[Json]:
    """Answer notional brackets, maintenance ratios and amounts."""
    asked = call.text("symbol")
    symbols = (asked.upper(),) if asked else face.exchange.symbols
    return [listing.leverage_brackets(face.exchange.venue.instrument(symbol)) for symbol in symbols]


@ENDPOINTS.add("GET", "/fapi/v1/commissionRate", Security.READ, weight=20)
def commission_rate(face: FaceContext, call: Call) -> Json:
    """Answer maker and taker rates."""
    instrument = face.exchange.venue.instrument(call.required_text("symbol").upper())
    return {
        "symbol": instrument.symbol,
        "makerCommissionRate": render.plain(instrument.maker_fee_rate),
        "takerCommissionRate": render.plain(instrument.taker_fee_rate),
        "rpiCommissionRate": "0",
    }


@ENDPOINTS.add("GET", "/fapi/v1/userTrades", Security.READ, weight=5)
def user_trades(face: FaceContext, call: Call) -> list[Json]:
    """Answer the account's trades of a symbol, oldest first; the newest page unless a start is named."""
    symbol = call.required_text("symbol").upper()
    start, end = call.time_range(MAX_TIME_RANGE_MS)
    from_id, order_id = call.integer("fromId"), call.integer("orderId")
    if from_id is not None and (start is not None or end is not None):
        raise VenueRefusal(-1128, "Combination of optional parameters invalid.")
    if start is not None and end is None:
        end = start + MAX_TIME_RANGE_MS
    limit = call.limit(500, 1000)
    face.exchange.venue.instrument(symbol)
    found = [
        record
        for record in face.exchange.venue.trades(call.uid, symbol)
        if (from_id is None or record.trade_id >= from_id)
        and (order_id is None or record.order_id == order_id)
        and (start is None or record.at_ms >= start)
        and (end is None or record.at_ms <= end)
    ]
    first = from_id is not None or start is not None
    return [render.trade(record) for record in (found[:limit] if first else found[-limit:])]


@ENDPOINTS.add("GET", "/fapi/v1/income", Security.READ, weight=30)
def income(face: FaceContext, call: Call) -> list[Json]:
    """Answer everything that changed the wallet, oldest first; the newest page unless a start is named."""
    kind = call.text("incomeType")
    if kind is not None and kind not in {member.value for member in IncomeType}:
        raise refusals.invalid_data("incomeType")
    symbol = call.text("symbol")
    start, end = call.time_range()
    limit, page = call.limit(100, 1000), call.integer("page")
    found = [
        record
        for record in face.exchange.venue.income(call.uid)
        if kind in (None, record.income_type.value)
        and (symbol is None or record.symbol == symbol.upper())
        and (start is None or record.at_ms >= start)
        and (end is None or record.at_ms <= end)
    ]
    if page is not None:
        rows = found[(max(page, 1) - 1) * limit : max(page, 1) * limit]
    else:
        rows = found[:limit] if start is not None else found[-limit:]
    return [render.income(record) for record in rows]


@ENDPOINTS.add("GET", "/sapi/v1/account/apiRestrictions", Security.READ)
def api_restrictions(face: FaceContext, call: Call) -> Json:
    """Answer what the calling key may do; the venue serves this on its spot host."""
    key = face.exchange.keys.find(call.api_key)
    permissions = key.permissions if key is not None else ()
    return {
        "ipRestrict": False,
        "createTime": key.created_ms if key is not None else 0,
        "enableReading": Permission.READ in permissions,
        "enableWithdrawals": Permission.WITHDRAW in permissions,
        "enableInternalTransfer": Permission.TRANSFER in permissions,
        "enableMargin": False,
        "enableFutures": Permission.TRADE in permissions,
        "permitsUniversalTransfer": Permission.TRANSFER in permissions,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": True,
        "enableSpotAndMarginTrading": False,
        "enablePortfolioMarginTrading": False,
    }


@ENDPOINTS.add("POST", "/fapi/v1/listenKey", Security.KEY)
def open_listen_key(face: FaceContext, call: Call) -> Json:
    """Answer the account's listen key, the active one with 60 more minutes."""
    return {"listenKey": face.listen_keys.open(call.uid, lambda: face.exchange.make_listen_key(call.uid))}


@ENDPOINTS.add("PUT", "/fapi/v1/listenKey", Security.KEY)
def extend_listen_key(face: FaceContext, call: Call) -> Json:
    """Give the listen key 60 more minutes."""
    listen_key = face.listen_keys.extend(call.uid)
    if listen_key is None:
        raise VenueRefusal(*refusals.NO_LISTEN_KEY)
    return {"listenKey": listen_key}


@ENDPOINTS.add("DELETE", "/fapi/v1/listenKey", Security.KEY)
def close_listen_key(face: FaceContext, call: Call) -> Json:
    """End the listen key; its streams are told, and stay open."""
    listen_key = face.listen_keys.close(call.uid)
    if listen_key is not None:
        face.announce_expiry(call.uid, listen_key)
    return {}
