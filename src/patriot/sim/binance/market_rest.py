"""Public endpoints: time, instruments, book, tape, klines, prices, funding. Weights as published, read 2026-11-22."""

from decimal import Decimal
from typing import Any

from patriot.sim.binance import listing, refusals, render
from patriot.sim.binance.context import FaceContext
from patriot.sim.binance.endpoints import ENDPOINTS, by_limit, by_symbol
from patriot.sim.binance.limits import ORDERS_PER_10_SECONDS, ORDERS_PER_MINUTE, WEIGHT_PER_MINUTE
from patriot.sim.binance.requests import Call
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.engine.klines import INTERVAL_MINUTES, interval_ms
from patriot.sim.engine.records import Bar, Ticker

DEPTH_LIMITS = (5, 10, 20, 50, 100, 500, 1000)
MINUTES_PER_DAY = 1_440
_KLINE_WEIGHT = by_limit(((99, 1), (499, 2), (1000, 5)), above=10, default=500)
_DEPTH_WEIGHT = by_limit(((50, 2), (100, 5), (500, 10)), above=20, default=500)

Json = dict[str, Any]


@ENDPOINTS.add("GET", "/fapi/v1/ping")
def ping(_face: FaceContext, _call: Call) -> Json:
    """Answer an empty object."""
    return {}


@ENDPOINTS.add("GET", "/fapi/v1/time")
def server_time(face: FaceContext, _call: Call) -> Json:
    """Answer the venue's clock."""
    return {"serverTime": face.exchange.now_ms}


@ENDPOINTS.add("GET", "/fapi/v1/exchangeInfo")
def exchange_info(face: FaceContext, _call: Call) -> Json:
    """Answer limits, assets and the listed instruments with their filters."""
    limits = face.limits
    return {
        "timezone": "UTC",
        "serverTime": face.exchange.now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": [
            _rate_limit("REQUEST_WEIGHT", "MINUTE", 1, limits.weight_per_minute or WEIGHT_PER_MINUTE),
            _rate_limit("ORDERS", "MINUTE", 1, limits.orders_per_minute or ORDERS_PER_MINUTE),
            _rate_limit("ORDERS", "SECOND", 10, limits.orders_per_10_seconds or ORDERS_PER_10_SECONDS),
        ],
        "exchangeFilters": [],
        "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
        "symbols": [listing.symbol_info(face.exchange.venue.instrument(name)) for name in face.exchange.symbols],
    }


def _rate_limit(kind: str, interval: str, count: int, limit: int) -> Json:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": limit}


@ENDPOINTS.add("GET", "/fapi/v1/depth", weight=_DEPTH_WEIGHT)
def depth(face: FaceContext, call: Call) -> Json:
    """Answer the seeded book around the last price."""
    limit = call.integer("limit")
    limit = 500 if limit is None else limit
    if limit not in DEPTH_LIMITS:
        raise VenueRefusal(-4021, f"{limit} is not valid depth limit")
    return render.depth(face.exchange.venue.depth(_symbol(face, call), limit))


@ENDPOINTS.add("GET", "/fapi/v1/trades", weight=5)
def trades(face: FaceContext, call: Call) -> list[Json]:
    """Answer the newest prints."""
    return [
        {
            "id": event.trade_id,
            "price": render.plain(event.price),
            "qty": render.trimmed(event.quantity),
            "quoteQty": render.trimmed(event.quantity * event.price),
            "time": event.at_ms,
            "isBuyerMaker": event.buyer_is_maker,
        }
        for event in face.tape.newest(_symbol(face, call), call.limit(500, 1000))
    ]


@ENDPOINTS.add("GET", "/fapi/v1/aggTrades", weight=20)
def aggregate_trades(face: FaceContext, call: Call) -> list[Json]:
    """Answer the newest prints in their aggregated form."""
    start, end = call.time_range()
    from_id = call.integer("fromId")
    limit = call.limit(500, 1000)
    found = [
        event
        for event in face.tape.every(_symbol(face, call))
        if (from_id is None or event.trade_id >= from_id)
        and (start is None or event.at_ms >= start)
        and (end is None or event.at_ms <= end)
    ]
    return [
        {
            "a": event.trade_id,
            "p": render.plain(event.price),
            "q": render.trimmed(event.quantity),
            "nq": render.trimmed(event.quantity),
            "f": event.trade_id,
            "l": event.trade_id,
            "T": event.at_ms,
            "m": event.buyer_is_maker,
        }
        for event in (found[:limit] if from_id is not None or start is not None else found[-limit:])
    ]


@ENDPOINTS.add("GET", "/fapi/v1/klines", weight=_KLINE_WEIGHT)
def klines(face: FaceContext, call: Call) -> list[list[Any]]:
    """Answer bars that were played, the one in progress last."""
    bars, length = _bars(face, call)
    return [render.kline(bar, length) for bar in bars]


@ENDPOINTS.add("GET", "/fapi/v1/markPriceKlines", weight=_KLINE_WEIGHT)
def mark_price_klines(face: FaceContext, call: Call) -> list[list[Any]]:
    """Answer bars of the mark price, which follows the last price and has no volume."""
    bars, length = _bars(face, call)
    rows = [render.kline(bar, length) for bar in bars]
    for row in rows:
        row[5] = row[7] = row[9] = row[10] = "0"
    return rows


def _bars(face: FaceContext, call: Call) -> tuple[tuple[Bar, ...], int]:
    symbol, interval = _symbol(face, call), call.required_text("interval")
    if interval not in INTERVAL_MINUTES:
        raise VenueRefusal(*refusals.BAD_INTERVAL)
    start, end = call.time_range()
    limit = call.limit(500, 1500)
    bars = face.exchange.venue.klines(symbol, interval, limit=limit, start_ms=start, end_ms=end)
    return bars, interval_ms(interval)


@ENDPOINTS.add("GET", "/fapi/v1/premiumIndex", weight=by_symbol(1, 10))
def premium_index(face: FaceContext, call: Call) -> Json | list[Json]:
    """Answer mark and index price and the next funding."""
    return _per_symbol(face, call, lambda ticker: render.premium_index(ticker, face.exchange.now_ms))


@ENDPOINTS.add("GET", "/fapi/v1/fundingRate")
def funding_rates(face: FaceContext, call: Call) -> list[Json]:
    """Answer past settlements, oldest first."""
    symbol = call.text("symbol")
    start, end = call.time_range()
    rows = [
        {
            "symbol": settlement.symbol,
            "fundingRate": render.plain(settlement.rate),
            "fundingTime": settlement.at_ms,
            "markPrice": render.plain(settlement.mark_price),
        }
        for settlement in face.exchange.settlements
        if (symbol is None or settlement.symbol == symbol)
        and (start is None or settlement.at_ms >= start)
        and (end is None or settlement.at_ms <= end)
    ]
    limit = call.limit(100, 1000)
    return rows[:limit] if start is not None else rows[-limit:]


@ENDPOINTS.add("GET", "/fapi/v1/ticker/price", weight=by_symbol(1, 2))
@ENDPOINTS.add("GET", "/fapi/v2/ticker/price", weight=by_symbol(1, 2))
def ticker_price(face: FaceContext, call: Call) -> Json | list[Json]:
    """Answer last prices."""
    return _per_symbol(
        face, call, lambda ticker: {"symbol": ticker.symbol, "price": render.plain(ticker.last), "time": ticker.at_ms}
    )


@ENDPOINTS.add("GET", "/fapi/v1/ticker/bookTicker", weight=by_symbol(2, 5))
def book_ticker(face: FaceContext, call: Call) -> Json | list[Json]:
    """Answer best bids and asks."""
    return _per_symbol(face, call, render.book_ticker)


@ENDPOINTS.add("GET", "/fapi/v1/ticker/24hr", weight=by_symbol(1, 40))
def ticker_24h(face: FaceContext, call: Call) -> Json | list[Json]:
    """Answer the rolling day."""
    return _per_symbol(face, call, lambda ticker: _rolling_day(face, ticker))


def _rolling_day(face: FaceContext, ticker: Ticker) -> Json:
    bars = face.exchange.venue.klines(ticker.symbol, "1m", limit=MINUTES_PER_DAY)
    bars = bars or (Bar(ticker.at_ms, ticker.last, ticker.last, ticker.last, ticker.last),)
    opened = bars[0].open
    volume = sum((bar.volume for bar in bars), Decimal(0))
    quote_volume = sum((bar.quote_volume for bar in bars), Decimal(0))
    change = ticker.last - opened
    tape = face.tape.newest(ticker.symbol, 1)
    last_id = tape[0].trade_id if tape else 0
    return {
        "symbol": ticker.symbol,
        "priceChange": render.plain(change),
        "priceChangePercent": f"{change * 100 / opened:.3f}",
        "weightedAvgPrice": f"{quote_volume / volume if volume else ticker.last:.2f}",
        "lastPrice": render.plain(ticker.last),
        "lastQty": render.trimmed(tape[0].quantity) if tape else "0",
        "openPrice": render.plain(opened),
        "highPrice": render.plain(max(bar.high for bar in bars)),
        "lowPrice": render.plain(min(bar.low for bar in bars)),
        "volume": render.plain(volume),
        "quoteVolume": render.plain(quote_volume),
        "openTime": bars[0].open_ms,
        "closeTime": face.exchange.now_ms,
        "firstId": 0,
        "lastId": last_id,
        "count": last_id,
    }


def _symbol(face: FaceContext, call: Call) -> str:
    symbol = call.required_text("symbol").upper()
    face.exchange.venue.instrument(symbol)  # refuses what is not listed
    return symbol


def _per_symbol(face: FaceContext, call: Call, render_one: Any) -> Json | list[Json]:
    """Answer one object for one symbol, a list for all of them."""
    venue = face.exchange.venue
    if call.text("symbol"):
        ticker = venue.ticker(_symbol(face, call))
        if ticker is None:
            raise VenueRefusal(-1112, "No orders on book for symbol.")
        row: Json = render_one(ticker)
        return row
    tickers = (venue.ticker(symbol) for symbol in face.exchange.symbols)
    return [render_one(ticker) for ticker in tickers if ticker is not None]
