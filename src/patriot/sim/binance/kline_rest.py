"""Bars: of trades, of the mark, index and premium prices. Weights as published, read 2026-11-22."""

from typing import Any

from patriot.sim.binance import refusals, render
from patriot.sim.binance.context import FaceContext
from patriot.sim.binance.endpoints import ENDPOINTS, by_limit
from patriot.sim.binance.market_rest import listed_symbol
from patriot.sim.binance.requests import Call
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.engine.klines import INTERVAL_MINUTES

CONTRACT_TYPES = ("PERPETUAL", "CURRENT_QUARTER", "NEXT_QUARTER", "TRADIFI_PERPETUAL")
_KLINE_WEIGHT = by_limit(((99, 1), (499, 2), (1000, 5)), above=10, default=500)
_NO_PREMIUM = "0.00000000"

Rows = list[list[Any]]


@ENDPOINTS.add("GET", "/fapi/v1/klines", weight=_KLINE_WEIGHT)
def klines(face: FaceContext, call: Call) -> Rows:
    """Answer bars that were played, the one in progress last."""
    return _bars(face, call, listed_symbol(face, call))


@ENDPOINTS.add("GET", "/fapi/v1/continuousKlines", weight=_KLINE_WEIGHT)
def continuous_klines(face: FaceContext, call: Call) -> Rows:
    """Answer bars of a pair's perpetual; there are no quarterly contracts here."""
    pair, contract_type = listed_pair(face, call), call.required_text("contractType")
    if contract_type not in CONTRACT_TYPES:
        raise VenueRefusal(*refusals.BAD_CONTRACT_TYPE)
    bars = _bars(face, call, pair)
    return bars if contract_type == "PERPETUAL" else []


@ENDPOINTS.add("GET", "/fapi/v1/markPriceKlines", weight=_KLINE_WEIGHT)
def mark_price_klines(face: FaceContext, call: Call) -> Rows:
    """Answer bars of the mark price, which follows the last price and has no volume."""
    return _without_volume(_bars(face, call, listed_symbol(face, call)))


@ENDPOINTS.add("GET", "/fapi/v1/indexPriceKlines", weight=_KLINE_WEIGHT)
def index_price_klines(face: FaceContext, call: Call) -> Rows:
    """Answer bars of the index price, which follows the last price and has no volume."""
    return _without_volume(_bars(face, call, listed_pair(face, call)))


@ENDPOINTS.add("GET", "/fapi/v1/premiumIndexKlines", weight=_KLINE_WEIGHT)
def premium_index_klines(face: FaceContext, call: Call) -> Rows:
    """Answer bars of the premium index: nothing, since the mark price follows the index."""
    rows = _without_volume(_bars(face, call, listed_symbol(face, call)))
    for row in rows:
        row[1] = row[2] = row[3] = row[4] = _NO_PREMIUM
    return rows


def listed_pair(face: FaceContext, call: Call) -> str:
    """Return the pair, which must be there and listed; a perpetual has its pair's name."""
    pair = call.required_text("pair").upper()
    if pair not in face.exchange.symbols:
        raise VenueRefusal(*refusals.BAD_PAIR)
    return pair


def _bars(face: FaceContext, call: Call, symbol: str) -> Rows:
    interval = call.required_text("interval")
    start, end = call.time_range()
    limit = call.limit(500, 1500)
    if interval not in INTERVAL_MINUTES:
        raise VenueRefusal(*refusals.BAD_INTERVAL)
    bars = face.exchange.venue.klines(symbol, interval, limit=limit, start_ms=start, end_ms=end)
    return [render.kline(bar, interval) for bar in bars]


def _without_volume(rows: Rows) -> Rows:
    for row in rows:
        row[5] = row[7] = row[9] = row[10] = "0"
    return rows
