"""Figures about the whole market. What the simulator does not know is an empty list, never an invented number.

Source: USD-M Futures, market data, read 2026-11-22.
"""

from decimal import Decimal
from typing import Any

from patriot.sim.binance import refusals, render
from patriot.sim.binance.context import FaceContext
from patriot.sim.binance.endpoints import ENDPOINTS, by_symbol
from patriot.sim.binance.kline_rest import CONTRACT_TYPES, listed_pair
from patriot.sim.binance.limits import Pool
from patriot.sim.binance.market_rest import listed_symbol
from patriot.sim.binance.order_rest import optional_symbol
from patriot.sim.binance.requests import Call
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.engine.words import ZERO, Liquidity

Json = dict[str, Any]
PERIODS = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")
INDEX_NAME = "simulator"  # the recording, or the model, from which the index price comes


@ENDPOINTS.add("GET", "/fapi/v1/openInterest")
def open_interest(face: FaceContext, call: Call) -> Json:
    """Answer how much is held long, which is how much is held short."""
    symbol = listed_symbol(face, call)
    return {"openInterest": render.plain(_held_long(face, symbol)), "symbol": symbol, "time": face.now_ms}


def _held_long(face: FaceContext, symbol: str) -> Decimal:
    """Return the longs of all accounts and of the house; nothing where each account has a market of its own."""
    venue = face.exchange.venue
    if venue.liquidity is Liquidity.PRIVATE:
        return ZERO
    quantities = [view.position.quantity for uid in venue.uids for view in venue.positions(uid, symbol)]
    house = venue.pools().house_quantity.get(symbol, ZERO)
    return sum((quantity for quantity in (*quantities, house) if quantity > ZERO), ZERO)


@ENDPOINTS.add("GET", "/fapi/v1/insuranceBalance")
def insurance_balance(face: FaceContext, call: Call) -> Json | list[Json]:
    """Answer the insurance fund, one for all symbols."""
    symbol, venue = optional_symbol(face, call), face.exchange.venue
    balance = ZERO if venue.liquidity is Liquidity.PRIVATE else venue.pools().insurance
    fund = {
        "symbols": list(face.exchange.symbols),
        "assets": [{"asset": "USDT", "marginBalance": render.money(balance), "updateTime": face.now_ms}],
    }
    return fund if symbol is not None else [fund]


@ENDPOINTS.add("GET", "/fapi/v1/symbolAdlRisk")
def symbol_adl_risk(face: FaceContext, call: Call) -> Json | list[Json]:
    """Answer how near deleveraging is: high where the insurance fund is empty."""
    asked, venue = optional_symbol(face, call), face.exchange.venue
    empty = venue.liquidity is Liquidity.SHARED and venue.pools().insurance <= ZERO
    rows = [
        {"symbol": symbol, "adlRisk": "high" if empty else "low", "updateTime": face.now_ms}
        for symbol in (face.exchange.symbols if asked is None else (asked,))
    ]
    return rows if asked is None else rows[0]


@ENDPOINTS.add("GET", "/fapi/v1/constituents", weight=2)
def constituents(face: FaceContext, call: Call) -> Json:
    """Answer where the index price comes from: one source."""
    symbol = listed_symbol(face, call)
    ticker = face.exchange.venue.ticker(symbol)
    if ticker is None:
        raise VenueRefusal(*refusals.NO_DEPTH)
    source = {"exchange": INDEX_NAME, "symbol": symbol, "price": render.plain(ticker.index), "weight": "1.00000000"}
    return {"symbol": symbol, "time": face.now_ms, "constituents": [source]}


@ENDPOINTS.add("GET", "/fapi/v1/indexInfo")
def index_info(face: FaceContext, call: Call) -> list[Json]:
    """Answer the composite indexes: none is listed."""
    optional_symbol(face, call)
    return []


@ENDPOINTS.add("GET", "/fapi/v1/assetIndex", weight=by_symbol(1, 10))
def asset_index(_face: FaceContext, call: Call) -> list[Json]:
    """Answer the indexes of margin assets against the dollar: the only asset needs none."""
    if call.text("symbol") is not None:
        raise VenueRefusal(*refusals.BAD_SYMBOL)
    return []


@ENDPOINTS.add("GET", "/fapi/v1/tradingSchedule", weight=5)
def trading_schedule(face: FaceContext, _call: Call) -> Json:
    """Answer the sessions of markets that close: none is listed."""
    return {"updateTime": face.now_ms, "marketSchedules": {}}


@ENDPOINTS.add("GET", "/futures/data/delivery-price", weight=0, pool=Pool.STATISTICS)
def delivery_price(face: FaceContext, call: Call) -> list[Json]:
    """Answer the prices at which quarterly contracts were delivered: there are none."""
    listed_pair(face, call)
    return []


@ENDPOINTS.add("GET", "/futures/data/basis", weight=0, pool=Pool.STATISTICS)
def basis(face: FaceContext, call: Call) -> list[Json]:
    """Answer past differences to the index: none is kept."""
    listed_pair(face, call)
    if call.required_text("contractType") not in CONTRACT_TYPES:
        raise VenueRefusal(*refusals.BAD_CONTRACT_TYPE)
    return _no_series(call)


def _no_series(call: Call) -> list[Json]:
    if call.required_text("period") not in PERIODS:
        raise refusals.invalid_data("period")
    call.limit(30, 500)
    call.time_range()
    return []


def _series_of_symbol(face: FaceContext, call: Call) -> list[Json]:
    """Answer a series about what all accounts did: none is kept."""
    listed_symbol(face, call)
    return _no_series(call)


for _name in (
    "openInterestHist",
    "topLongShortAccountRatio",
    "topLongShortPositionRatio",
    "globalLongShortAccountRatio",
    "takerlongshortRatio",
):
    ENDPOINTS.add("GET", f"/futures/data/{_name}", weight=0, pool=Pool.STATISTICS)(_series_of_symbol)
