"""The market: time, instruments, book, tape. Weights as published, read 2026-11-22."""

from collections.abc import Iterable
from typing import Any

from patriot.sim.binance import listing, refusals, render
from patriot.sim.binance.context import FaceContext, Print
from patriot.sim.binance.endpoints import ENDPOINTS, by_limit
from patriot.sim.binance.limits import ORDERS_PER_10_SECONDS, ORDERS_PER_MINUTE, WEIGHT_PER_MINUTE, Limits
from patriot.sim.binance.order_wishes import symbol_of
from patriot.sim.binance.requests import Call, Security

DEPTH_LIMITS = (5, 10, 20, 50, 100, 500, 1000)
RPI_DEPTH_LIMIT = 1000  # the only one
TAPE_KEPT_MS = 48 * 3_600_000  # aggTrades
LONGEST_TAPE_SPAN_MS = 3_600_000  # aggTrades, where both startTime and endTime are sent
_DEPTH_WEIGHT = by_limit(((50, 2), (100, 5), (500, 10)), above=20, default=500)

Json = dict[str, Any]


@ENDPOINTS.add("GET", "/fapi/v1/ping")
def ping(_face: FaceContext, _call: Call) -> Json:
    """Answer an empty object."""
    return {}


@ENDPOINTS.add("GET", "/fapi/v1/time")
def server_time(face: FaceContext, _call: Call) -> Json:
    """Answer the venue's clock."""
    return {"serverTime": face.now_ms}


@ENDPOINTS.add("GET", "/fapi/v1/exchangeInfo")
def exchange_info(face: FaceContext, _call: Call) -> Json:
    """Answer limits, assets and the listed instruments with their filters."""
    weight = face.limits.weight_per_minute or WEIGHT_PER_MINUTE
    return {
        "timezone": "UTC",
        "serverTime": face.now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": [_rate_limit("REQUEST_WEIGHT", "MINUTE", 1, weight), *reversed(order_limits(face.limits))],
        "exchangeFilters": [],
        "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
        "symbols": [listing.symbol_info(face.exchange.venue.instrument(name)) for name in face.exchange.symbols],
    }


def order_limits(limits: Limits) -> list[Json]:
    """Return how many orders an account may send."""
    return [
        _rate_limit("ORDERS", "SECOND", 10, limits.orders_per_10_seconds or ORDERS_PER_10_SECONDS),
        _rate_limit("ORDERS", "MINUTE", 1, limits.orders_per_minute or ORDERS_PER_MINUTE),
    ]


def _rate_limit(kind: str, interval: str, count: int, limit: int) -> Json:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": limit}


@ENDPOINTS.add("GET", "/fapi/v1/depth", weight=_DEPTH_WEIGHT)
def depth(face: FaceContext, call: Call) -> Json:
    """Answer the book around the last price."""
    return _depth(face, call, 500, DEPTH_LIMITS)


@ENDPOINTS.add("GET", "/fapi/v1/rpiDepth", weight=20)
def rpi_depth(face: FaceContext, call: Call) -> Json:
    """Answer the book with orders of retail price improvement, of which there are none."""
    return _depth(face, call, RPI_DEPTH_LIMIT, (RPI_DEPTH_LIMIT,))


def _depth(face: FaceContext, call: Call, default: int, legal: tuple[int, ...]) -> Json:
    limit = call.integer("limit")
    limit = default if limit is None else limit
    if limit not in legal:
        raise refusals.bad_depth_limit(limit)
    symbol = listed_symbol(face, call)
    face.observe_book(symbol)
    return render.depth(face.exchange.depth(symbol, limit))


@ENDPOINTS.add("GET", "/fapi/v1/trades", weight=5)
def trades(face: FaceContext, call: Call) -> list[Json]:
    """Answer the newest prints."""
    return _prints(face.tape.newest(listed_symbol(face, call), call.limit(500, 1000)))


@ENDPOINTS.add("GET", "/fapi/v1/historicalTrades", Security.KEY, weight=200)
def historical_trades(face: FaceContext, call: Call) -> list[Json]:
    """Answer prints from an id on, else the newest."""
    symbol, from_id, limit = listed_symbol(face, call), call.integer("fromId"), call.limit(100, 500)
    if from_id is None:
        return _prints(face.tape.newest(symbol, limit))
    return _prints([row for row in face.tape.every(symbol) if row.trade_id >= from_id][:limit])


def _prints(rows: Iterable[Print]) -> list[Json]:
    return [
        {
            "id": row.trade_id,
            "price": render.plain(row.price),
            "qty": render.plain(row.quantity),
            "quoteQty": render.plain(row.quantity * row.price),
            "time": row.at_ms,
            "isBuyerMaker": row.buyer_is_maker,
            "isRPITrade": False,
        }
        for row in rows
    ]


@ENDPOINTS.add("GET", "/fapi/v1/aggTrades", weight=20)
def aggregate_trades(face: FaceContext, call: Call) -> list[Json]:
    """Answer prints in their aggregated form: from an id or a time on, else the newest; of the last 48 hours."""
    start, end = call.time_range()
    if start is not None and end is not None and end - start >= LONGEST_TAPE_SPAN_MS:
        raise refusals.more_than_hours(1)
    from_id, limit = call.integer("fromId"), call.limit(500, 1000)
    first_ms = max(start or 0, face.now_ms - TAPE_KEPT_MS)
    found = [
        row
        for row in face.tape.every(listed_symbol(face, call))
        if (from_id is None or row.trade_id >= from_id) and row.at_ms >= first_ms and (end is None or row.at_ms <= end)
    ]
    return [
        {
            "a": row.trade_id,
            "p": render.plain(row.price),
            "q": render.plain(row.quantity),
            "nq": render.plain(row.quantity),
            "f": row.trade_id,
            "l": row.trade_id,
            "T": row.at_ms,
            "m": row.buyer_is_maker,
        }
        for row in (found[:limit] if from_id is not None or start is not None else found[-limit:])
    ]


def listed_symbol(face: FaceContext, call: Call) -> str:
    """Return the symbol, which must be there and listed."""
    return face.exchange.venue.instrument(symbol_of(call)).symbol
