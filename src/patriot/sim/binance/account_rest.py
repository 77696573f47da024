"""The account: balances, settings, rates, limits, listen keys. Weights read 2026-11-22."""

from typing import Any

from patriot.sim.binance import listing, refusals, render, render_account
from patriot.sim.binance.context import FaceContext
from patriot.sim.binance.endpoints import ENDPOINTS, by_symbol
from patriot.sim.binance.market_rest import order_limits
from patriot.sim.binance.order_rest import optional_symbol
from patriot.sim.binance.order_wishes import symbol_of
from patriot.sim.binance.position_rest import every_position
from patriot.sim.binance.requests import Call, Security
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.engine.words import Permission

Json = dict[str, Any]


@ENDPOINTS.add("GET", "/fapi/v1/account", Security.READ, weight=5)
@ENDPOINTS.add("GET", "/fapi/v2/account", Security.READ, weight=5)
def account_v2(face: FaceContext, call: Call) -> Json:
    """Answer the account with every symbol's position and settings."""
    return render_account.account(face.exchange.venue.account(call.uid), every_position(face, call), version=2)


@ENDPOINTS.add("GET", "/fapi/v3/account", Security.READ, weight=5)
def account_v3(face: FaceContext, call: Call) -> Json:
    """Answer the account with the positions that are not flat."""
    venue = face.exchange.venue
    return render_account.account(venue.account(call.uid), venue.positions(call.uid), version=3)


@ENDPOINTS.add("GET", "/fapi/v1/balance", Security.READ, weight=5)
@ENDPOINTS.add("GET", "/fapi/v2/balance", Security.READ, weight=5)
@ENDPOINTS.add("GET", "/fapi/v3/balance", Security.READ, weight=5)
def balance(face: FaceContext, call: Call) -> list[Json]:
    """Answer the balance of the margin asset."""
    return render_account.balance(face.exchange.venue.account(call.uid), f"sim{call.uid}")


@ENDPOINTS.add("GET", "/fapi/v1/symbolConfig", Security.READ, weight=5)
def symbol_config(face: FaceContext, call: Call) -> list[Json]:
    """Answer leverage and margin type per symbol."""
    asked = optional_symbol(face, call)
    rows = []
    for symbol in face.exchange.symbols if asked is None else (asked,):
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


@ENDPOINTS.add("GET", "/fapi/v1/multiAssetsMargin", Security.READ, weight=30)
def multi_assets_margin(_face: FaceContext, _call: Call) -> Json:
    """Answer that margin is in one asset."""
    return {"multiAssetsMargin": False}


@ENDPOINTS.add("POST", "/fapi/v1/multiAssetsMargin", Security.TRADE)
def set_multi_assets_margin(_face: FaceContext, call: Call) -> Json:
    """Refuse: the venue knows one margin asset."""
    if call.required_flag("multiAssetsMargin"):
        raise VenueRefusal(*refusals.UNSUPPORTED)
    raise VenueRefusal(*refusals.SAME_MARGIN_MODE)


@ENDPOINTS.add("GET", "/fapi/v1/feeBurn", Security.READ, weight=30)
def fee_burn(_face: FaceContext, _call: Call) -> Json:
    """Answer that commissions are paid in the margin asset."""
    return {"feeBurn": False}


@ENDPOINTS.add("POST", "/fapi/v1/feeBurn", Security.TRADE)
def set_fee_burn(_face: FaceContext, call: Call) -> Json:
    """Refuse to pay commissions in another asset: the venue has one only."""
    if call.required_flag("feeBurn"):
        raise VenueRefusal(*refusals.ASSET_NOT_SUPPORTED)
    return {"code": 200, "msg": "success"}


@ENDPOINTS.add("GET", "/fapi/v1/rateLimit/order", Security.READ)
def order_rate_limits(face: FaceContext, _call: Call) -> list[Json]:
    """Answer how many orders the account may send."""
    return order_limits(face.limits)


@ENDPOINTS.add("GET", "/fapi/v1/apiTradingStatus", Security.READ, weight=by_symbol(1, 10))
def api_trading_status(face: FaceContext, call: Call) -> Json:
    """Answer that none of the quantitative rules watches this account: the simulator has none."""
    optional_symbol(face, call)
    return {"indicators": {}, "updateTime": face.now_ms}


@ENDPOINTS.add("GET", "/fapi/v1/pmAccountInfo", Security.READ, weight=5)
def portfolio_margin(_face: FaceContext, call: Call) -> Json:
    """Refuse: no account of this venue is one of portfolio margin."""
    call.required_text("asset")
    raise VenueRefusal(*refusals.BAD_ACCOUNT)


@ENDPOINTS.add("GET", "/fapi/v1/leverageBracket", Security.READ)
def leverage_bracket(face: FaceContext, call: Call) -> list[Json]:
    """Answer notional brackets, maintenance ratios and amounts."""
    asked = optional_symbol(face, call)
    symbols = face.exchange.symbols if asked is None else (asked,)
    return [listing.leverage_brackets(face.exchange.venue.instrument(symbol)) for symbol in symbols]


@ENDPOINTS.add("GET", "/fapi/v1/commissionRate", Security.READ, weight=20)
def commission_rate(face: FaceContext, call: Call) -> Json:
    """Answer maker and taker rates."""
    instrument = face.exchange.venue.instrument(symbol_of(call))
    return {
        "symbol": instrument.symbol,
        "makerCommissionRate": render.plain(instrument.maker_fee_rate),
        "takerCommissionRate": render.plain(instrument.taker_fee_rate),
        "rpiCommissionRate": "0",
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
    if listen_key is None:
        raise VenueRefusal(*refusals.NO_LISTEN_KEY)
    face.announce_expiry(call.uid, listen_key)
    return {}
