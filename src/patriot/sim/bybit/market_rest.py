"""Public endpoints: time, instruments, book, tape, bars, prices, funding.

Only USDT perpetuals are listed; other categories are answered as by a venue whose lists of them are empty.
Source: bybit-exchange.github.io/docs/v5/market, read 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from patriot.sim.bybit import lookup, messages, refusals, render_market
from patriot.sim.bybit.context import FaceContext
from patriot.sim.bybit.endpoints import ENDPOINTS, category, is_linear
from patriot.sim.bybit.parameters import symbol_of
from patriot.sim.bybit.query_rest import listing
from patriot.sim.bybit.refusals import Refused
from patriot.sim.bybit.requests import DAY_MS, Call
from patriot.sim.bybit.text import money, number
from patriot.sim.bybit.topics import INTERVALS
from patriot.sim.engine.records import Bar, Instrument

Json = dict[str, Any]
Row = Callable[[Bar], list[str]]

_PERIODS_MS: Final = {
    "5min": 300_000,
    "15min": 900_000,
    "30min": 1_800_000,
    "1h": 3_600_000,
    "4h": 14_400_000,
    "1d": DAY_MS,
}
_RISK_PAGE: Final = 15  # symbols per page of risk-limit
_STATUSES: Final = {"Trading": True, "PreLaunch": False, "Delivering": False, "Closed": False}


@ENDPOINTS.add("GET", "/v5/market/time")
def server_time(face: FaceContext, _call: Call) -> Json:
    """Answer the venue's clock."""
    now_ms = face.exchange.wire_now_ms
    return {"timeSecond": str(now_ms // 1000), "timeNano": str(now_ms * 1_000_000)}


@ENDPOINTS.add("GET", "/v3/public/time")
def server_time_v3(face: FaceContext, call: Call) -> Json:
    """Answer the venue's clock on the path of the version before."""
    return server_time(face, call)


def instruments(face: FaceContext, call: Call) -> Json:
    """Answer the listed instruments."""
    if not is_linear(call):
        return listing(call, [])
    venue, symbol, base = face.exchange.venue, call.text("symbol"), call.text("baseCoin")
    trading = call.choice("status", _STATUSES)
    listed = venue.instruments if symbol is None else (venue.instrument(symbol),)
    found = [
        instrument
        for instrument in listed
        if (base is None or instrument.base_asset == base)
        and (symbol is not None or trading in (None, True))
        and trading is not False
    ]
    chosen, cursor = lookup.page(found, lambda one: one.symbol, call.limit(500, 1000), call.text("cursor"))
    return listing(call, [render_market.instrument(instrument) for instrument in chosen], cursor)


ENDPOINTS.add("GET", "/v5/market/instruments-info")(instruments)


@ENDPOINTS.add("GET", "/v5/market/tickers")
def tickers(face: FaceContext, call: Call) -> Json:
    """Answer prices and the day behind them."""
    if not is_linear(call):
        return {"category": category(call), "list": []}
    symbols = face.exchange.symbols if call.text("symbol") is None else (symbol_of(face, call),)
    rows = (face.market.row(symbol) for symbol in symbols)
    return {"category": "linear", "list": [row for row in rows if row is not None]}


@ENDPOINTS.add("GET", "/v5/market/orderbook")
def orderbook(face: FaceContext, call: Call) -> Json:
    """Answer the book of a symbol."""
    _only_linear(call)
    symbol = symbol_of(face, call)
    return render_market.orderbook(face.exchange.depth(symbol, call.limit(25, 1000)), face.exchange.wire_now_ms)


@ENDPOINTS.add("GET", "/v5/market/full_orderbook")
def full_orderbook(face: FaceContext, call: Call) -> Json:
    """Answer every level of the book that there is."""
    _only_linear(call)
    return render_market.orderbook(face.exchange.depth(symbol_of(face, call), 1000), face.exchange.wire_now_ms)


@ENDPOINTS.add("GET", "/v5/market/rpi_orderbook")
def retail_orderbook(face: FaceContext, call: Call) -> Json:
    """Answer the book with a column for retail price improvement orders, of which there are none here."""
    _only_linear(call)
    symbol = symbol_of(face, call)
    answer = render_market.orderbook(face.exchange.depth(symbol, call.limit(50, 50)), face.exchange.wire_now_ms)
    for side in ("b", "a"):
        answer[side] = [[*row, "0"] for row in answer[side]]
    return answer


def _only_linear(call: Call) -> None:
    if not is_linear(call):
        raise Refused(*refusals.NO_SYMBOL)


@ENDPOINTS.add("GET", "/v5/market/recent-trade")
def recent_trades(face: FaceContext, call: Call) -> Json:
    """Answer the newest public trades."""
    if not is_linear(call):
        return {"category": category(call), "list": []}
    symbol = symbol_of(face, call)
    rows = [
        {
            "execId": messages.print_id(symbol, trade.trade_id),
            "symbol": symbol,
            "price": number(trade.price),
            "size": number(trade.quantity),
            "side": "Sell" if trade.buyer_is_maker else "Buy",
            "time": str(trade.at_ms),
            "isBlockTrade": False,
            "isRPITrade": False,
            "seq": str(trade.trade_id),
        }
        for trade in face.tape.of(symbol, call.limit(500, 1000))
    ]
    return {"category": "linear", "list": rows}


# -------------------------------------------------------------------------------------------------- bars


@ENDPOINTS.add("GET", "/v5/market/kline")
def klines(face: FaceContext, call: Call) -> Json:
    """Answer bars of the last price, newest first."""
    return _bars(face, call, render_market.kline)


@ENDPOINTS.add("GET", "/v5/market/mark-price-kline")
@ENDPOINTS.add("GET", "/v5/market/index-price-kline")
def price_klines(face: FaceContext, call: Call) -> Json:
    """Answer bars of mark or index price: those of the last price, which is all that bars are kept of."""
    return _bars(face, call, render_market.price_kline)


@ENDPOINTS.add("GET", "/v5/market/premium-index-price-kline")
def premium_klines(face: FaceContext, call: Call) -> Json:
    """Answer bars of the premium, which is nothing where mark and index have the same bars."""
    return _bars(face, call, lambda bar: [str(bar.open_ms), "0", "0", "0", "0"])


def _bars(face: FaceContext, call: Call, row: Row) -> Json:
    _only_linear(call)
    symbol = symbol_of(face, call)
    name = call.required_choice("interval", INTERVALS, (10001, "Invalid period!"))
    start, end = call.integer("start"), call.integer("end")
    if start is not None and end is not None and start > end:
        raise Refused(10001, "startTime must be less than endTime")
    bars = face.exchange.venue.klines(symbol, name, limit=call.limit(200, 1000), start_ms=start, end_ms=end)
    return {"symbol": symbol, "category": "linear", "list": [row(bar) for bar in reversed(bars)]}


# -------------------------------------------------------------------------------------------------- around prices


@ENDPOINTS.add("GET", "/v5/market/funding/history")
def funding_history(face: FaceContext, call: Call) -> Json:
    """Answer past settlements, newest first."""
    _only_linear(call)
    symbol = symbol_of(face, call)
    start, end = call.integer("startTime"), call.integer("endTime")
    if start is not None and end is None:
        raise Refused(10001, "params error: endTime is required")
    rows = [
        {
            "symbol": symbol,
            "fundingRate": number(settlement.rate),
            "fundingRateTimestamp": str(settlement.at_ms),
        }
        for settlement in reversed(face.exchange.settlements)
        if settlement.symbol == symbol
        and (start is None or settlement.at_ms >= start)
        and (end is None or settlement.at_ms <= end)
    ]
    return {"category": "linear", "list": rows[: call.limit(200, 200)]}


@ENDPOINTS.add("GET", "/v5/market/open-interest")
def open_interest(face: FaceContext, call: Call) -> Json:
    """Answer the open interest of the running period; the past is not kept."""
    _only_linear(call)
    symbol = symbol_of(face, call)
    period_ms = call.required_choice("intervalTime", _PERIODS_MS)
    now_ms = face.exchange.now_ms
    opened = now_ms - now_ms % period_ms
    end = call.integer("endTime")
    row = {"openInterest": number(face.market.open_interest(symbol)), "timestamp": str(opened)}
    rows = [row] if end is None or end >= opened else []
    return {"symbol": symbol, "category": "linear", "list": rows, "nextPageCursor": ""}


@ENDPOINTS.add("GET", "/v5/market/account-ratio")
def account_ratio(face: FaceContext, call: Call) -> Json:
    """Answer which part of the holders is long; nothing while nobody holds."""
    _only_linear(call)
    symbol = symbol_of(face, call)
    period_ms = call.required_choice("period", _PERIODS_MS)
    longs, shorts = face.market.holders(symbol)
    opened = face.exchange.now_ms - face.exchange.now_ms % period_ms
    rows = []
    if longs + shorts:
        part = round(longs / (longs + shorts), 4)
        rows.append(
            {
                "symbol": symbol,
                "buyRatio": f"{part:.4f}",
                "sellRatio": f"{1 - part:.4f}",
                "timestamp": str(opened),
            }
        )
    return {"list": rows, "nextPageCursor": ""}


@ENDPOINTS.add("GET", "/v5/market/risk-limit")
def risk_limit(face: FaceContext, call: Call) -> Json:
    """Answer the risk tiers of one symbol, or of 15 symbols a page."""
    if not is_linear(call):
        return listing(call, [])
    venue, symbol = face.exchange.venue, call.text("symbol")
    listed: tuple[Instrument, ...] = venue.instruments if symbol is None else (venue.instrument(symbol),)
    chosen, cursor = lookup.page(listed, lambda one: one.symbol, _RISK_PAGE, call.text("cursor"))
    return listing(call, [tier for instrument in chosen for tier in render_market.risk_limits(instrument)], cursor)


@ENDPOINTS.add("GET", "/v5/market/price-limit")
def price_limit(face: FaceContext, call: Call) -> Json:
    """Answer the highest buying and the lowest selling price."""
    if call.text("category") is not None:
        _only_linear(call)
    symbol = symbol_of(face, call)
    ticker, instrument = face.exchange.venue.ticker(symbol), face.exchange.venue.instrument(symbol)
    if ticker is None:
        raise Refused(*refusals.HALTED)
    highest_bid, lowest_ask = messages.limits_of(instrument, ticker.mark)
    return {"symbol": symbol, "buyLmt": highest_bid, "sellLmt": lowest_ask, "ts": str(face.exchange.wire_now_ms)}


@ENDPOINTS.add("GET", "/v5/market/insurance")
def insurance(face: FaceContext, call: Call) -> Json:
    """Answer the insurance fund, which all symbols share."""
    coin = call.text("coin")
    balance = face.exchange.venue.pools().insurance
    symbols = ",".join(face.exchange.symbols)
    row = {"coin": "USDT", "symbols": symbols, "balance": money(balance), "value": money(balance)}
    rows = [row] if coin in (None, "USDT") else []
    return {"updatedTime": str(face.exchange.wire_now_ms), "list": rows}


@ENDPOINTS.add("GET", "/v5/market/delivery-price")
def delivery_price(_face: FaceContext, call: Call) -> Json:
    """Answer nothing: a perpetual is never delivered."""
    return listing(call, [])


@ENDPOINTS.add("GET", "/v5/market/new-delivery-price")
def new_delivery_price(_face: FaceContext, call: Call) -> Json:
    """Answer nothing: no options are listed."""
    return {"category": category(call), "list": []}


@ENDPOINTS.add("GET", "/v5/market/historical-volatility")
def historical_volatility(_face: FaceContext, call: Call) -> Json:
    """Refuse what is not about options; of them none is listed."""
    if category(call) != "option":
        raise Refused(10001, "Illegal category")
    return {"category": "option", "list": []}


@ENDPOINTS.add("GET", "/v5/market/index-price-components")
def index_components(face: FaceContext, call: Call) -> Json:
    """Answer the index of a symbol: one component, the simulated market itself."""
    name = call.required_text("indexName")
    ticker = face.exchange.venue.ticker(name)
    price = number(ticker.index) if ticker is not None else "0"
    component = {
        "exchange": "Bybit",
        "spotPair": name,
        "equivalentPrice": price,
        "multiplier": "1",
        "price": price,
        "weight": "1",
    }
    return {
        "indexName": name,
        "lastPrice": price,
        "updateTime": str(face.exchange.wire_now_ms),
        "components": [component],
    }


@ENDPOINTS.add("GET", "/v5/market/adlAlert")
def adl_alert(face: FaceContext, call: Call) -> Json:
    """Answer the insurance fund as the alert page shows it, symbol by symbol."""
    asked = call.text("symbol")
    symbols = face.exchange.symbols if asked is None else (symbol_of(face, call),)
    rows = render_market.adl_alerts(symbols, face.exchange.venue.pools().insurance)
    return {"updatedTime": str(face.exchange.wire_now_ms), "list": rows}


@ENDPOINTS.add("GET", "/v5/market/fee-group-info")
def fee_groups(_face: FaceContext, call: Call) -> Json:
    """Answer nothing: all symbols have the same fees."""
    call.required_text("productType")
    return {"list": []}


@ENDPOINTS.add("GET", "/v5/system/status")
def system_status(_face: FaceContext, _call: Call) -> Json:
    """Answer nothing: no maintenance is announced."""
    return {"list": []}


@ENDPOINTS.add("GET", "/v5/announcements/index")
def announcements(_face: FaceContext, call: Call) -> Json:
    """Answer nothing: nothing was announced."""
    call.required_text("locale")
    return {"total": 0, "list": []}
