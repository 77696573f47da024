"""Prices: mark, index and last, the best of the book, the rolling day, funding. Weights read 2026-11-22."""

from decimal import Decimal
from typing import Any

from patriot.sim.binance import refusals, render
from patriot.sim.binance.context import FaceContext
from patriot.sim.binance.endpoints import ENDPOINTS, by_symbol
from patriot.sim.binance.limits import Pool
from patriot.sim.binance.market_rest import listed_symbol
from patriot.sim.binance.order_rest import optional_symbol
from patriot.sim.binance.requests import Call
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.engine.records import Bar, Instrument, Ticker

MINUTES_PER_DAY = 1_440
HOUR_MS = 3_600_000
FUNDING_CAP = Decimal("0.75")  # times the maintenance ratio; Source: "Introduction to Funding Rates", read 2026-11-22

Json = dict[str, Any]


@ENDPOINTS.add("GET", "/fapi/v1/premiumIndex", weight=by_symbol(1, 10))
def premium_index(face: FaceContext, call: Call) -> Json | list[Json]:
    """Answer mark and index price and the next funding."""
    return _per_symbol(face, call, lambda ticker: render.premium_index(ticker, face.now_ms))


@ENDPOINTS.add("GET", "/fapi/v1/fundingRate", weight=0, pool=Pool.FUNDING)
def funding_rates(face: FaceContext, call: Call) -> list[Json]:
    """Answer past settlements, oldest first."""
    symbol = optional_symbol(face, call)
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
    limit = call.limit(200, 1000)
    return rows[:limit] if start is not None else rows[-limit:]


@ENDPOINTS.add("GET", "/fapi/v1/fundingInfo", weight=0, pool=Pool.FUNDING)
def funding_info(face: FaceContext, _call: Call) -> list[Json]:
    """Answer how often funding is settled, and how large it may be."""
    return [_funding_terms(face.exchange.venue.instrument(symbol)) for symbol in face.exchange.symbols]


def _funding_terms(instrument: Instrument) -> Json:
    cap = FUNDING_CAP * instrument.brackets[0].maintenance_ratio
    return {
        "symbol": instrument.symbol,
        "adjustedFundingRateCap": render.money(cap),
        "adjustedFundingRateFloor": render.money(-cap),
        "fundingIntervalHours": instrument.funding_interval_ms // HOUR_MS,
        "disclaimer": False,
    }


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
        "lastQty": render.plain(tape[0].quantity) if tape else "0",
        "openPrice": render.plain(opened),
        "highPrice": render.plain(max(bar.high for bar in bars)),
        "lowPrice": render.plain(min(bar.low for bar in bars)),
        "volume": render.plain(volume),
        "quoteVolume": render.plain(quote_volume),
        "openTime": bars[0].open_ms,
        "closeTime": face.now_ms,
        "firstId": 0,
        "lastId": last_id,
        "count": last_id,
    }


def _per_symbol(face: FaceContext, call: Call, render_one: Any) -> Json | list[Json]:
    """Answer one object for one symbol, a list for all of them."""
    venue = face.exchange.venue
    if call.text("symbol"):
        ticker = venue.ticker(listed_symbol(face, call))
        if ticker is None:
            raise VenueRefusal(*refusals.NO_DEPTH)
        row: Json = render_one(ticker)
        return row
    tickers = (venue.ticker(symbol) for symbol in face.exchange.symbols)
    return [render_one(ticker) for ticker in tickers if ticker is not None]
