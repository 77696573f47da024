"""Public data as the venue shows it: filters, bars, mark prices.

Source: USD-M Futures "Exchange Information", "Kline", "Mark Price", market streams, read 2026-11-22.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from patriot.adapters.exchanges.binance.wire import UNREADABLE, Milliseconds, Unknowns
from patriot.kernel.clock import from_epoch_ms
from patriot.kernel.money import parse_decimal
from patriot.market.events import Bar, MarkPrice
from patriot.trading.terms import Exchange, Instrument

TRADING = "TRADING"
_ONE_MS = timedelta(milliseconds=1)


class _Filter(msgspec.Struct, rename="camel"):
    filter_type: str
    tick_size: str | None = None
    step_size: str | None = None
    min_qty: str | None = None
    max_qty: str | None = None
    notional: str | None = None


class _Symbol(msgspec.Struct, rename="camel"):
    symbol: str
    status: str
    base_asset: str
    quote_asset: str
    filters: list[_Filter]


class _ExchangeInfo(msgspec.Struct):
    symbols: list[_Symbol]


class _Premium(msgspec.Struct, rename="camel"):
    symbol: str
    mark_price: str
    index_price: str
    time: Milliseconds


class _KlineBody(msgspec.Struct):
    opened: Milliseconds = msgspec.field(name="t")
    closes: Milliseconds = msgspec.field(name="T")
    symbol: str = msgspec.field(name="s")
    interval: str = msgspec.field(name="i")
    open: str = msgspec.field(name="o")
    high: str = msgspec.field(name="h")
    low: str = msgspec.field(name="l")
    close: str = msgspec.field(name="c")
    volume: str = msgspec.field(name="v")
    closed: bool = msgspec.field(name="x")


class _Kline(msgspec.Struct, tag_field="e", tag="kline"):
    k: _KlineBody


class _Mark(msgspec.Struct, tag_field="e", tag="markPriceUpdate"):
    at: Milliseconds = msgspec.field(name="E")
    symbol: str = msgspec.field(name="s")
    mark: str = msgspec.field(name="p")
    index: str = msgspec.field(name="i")


class _Frame(msgspec.Struct):
    data: _Kline | _Mark


_FRAME = msgspec.json.Decoder(_Frame)
_ROWS = msgspec.json.Decoder(list[tuple[Any, ...]])


def read_instruments(body: bytes, unknown: Unknowns) -> list[Instrument]:
    """Read /fapi/v1/exchangeInfo: symbols that trade now. One with filters we cannot read is left out and counted."""
    info = msgspec.json.decode(body, type=_ExchangeInfo)
    found = []
    for symbol in info.symbols:
        if symbol.status != TRADING:
            continue
        try:
            found.append(_instrument(symbol))
        except UNREADABLE:
            unknown.seen(f"filters of {symbol.symbol}")
    return found


def _instrument(symbol: _Symbol) -> Instrument:
    filters = {row.filter_type: row for row in symbol.filters}
    price, lot, market_lot = filters["PRICE_FILTER"], filters["LOT_SIZE"], filters["MARKET_LOT_SIZE"]
    return Instrument(
        exchange=Exchange.BINANCE,
        symbol=symbol.symbol,
        base_asset=symbol.base_asset,
        quote_asset=symbol.quote_asset,
        tick_size=parse_decimal("tickSize", price.tick_size),
        step_size=parse_decimal("stepSize", lot.step_size),
        min_quantity=parse_decimal("minQty", lot.min_qty),
        max_quantity=parse_decimal("maxQty", lot.max_qty),
        max_market_quantity=parse_decimal("maxQty", market_lot.max_qty),
        min_notional=parse_decimal("notional", filters["MIN_NOTIONAL"].notional),
    )


def read_bars(body: bytes, symbol: str, interval: str, now: datetime) -> list[Bar]:
    """Read /fapi/v1/klines: the bars that were closed at `now`, ascending by opened_at."""
    bars = [_row(row, symbol, interval) for row in _ROWS.decode(body)]
    return sorted((bar for bar in bars if bar.closed_at <= now), key=lambda bar: bar.opened_at)


def read_opens(body: bytes) -> dict[datetime, Decimal]:
    """Read /fapi/v1/markPriceKlines: the price at the open of each bar, by when it opened."""
    return {from_epoch_ms(int(row[0])): parse_decimal("open", row[1]) for row in _ROWS.decode(body)}


def _row(row: tuple[Any, ...], symbol: str, interval: str) -> Bar:
    opened, closes = msgspec.convert((row[0], row[6]), tuple[Milliseconds, Milliseconds])
    return Bar(
        exchange=Exchange.BINANCE,
        symbol=symbol,
        interval=interval,
        opened_at=from_epoch_ms(opened),
        closed_at=from_epoch_ms(closes) + _ONE_MS,
        open=parse_decimal("open", row[1]),
        high=parse_decimal("high", row[2]),
        low=parse_decimal("low", row[3]),
        close=parse_decimal("close", row[4]),
        volume=parse_decimal("volume", row[5]),
    )


def read_mark_price(body: bytes) -> MarkPrice:
    """Read one symbol of /fapi/v1/premiumIndex."""
    row = msgspec.json.decode(body, type=_Premium)
    return MarkPrice(
        exchange=Exchange.BINANCE,
        symbol=row.symbol,
        mark_price=parse_decimal("markPrice", row.mark_price),
        index_price=parse_decimal("indexPrice", row.index_price),
        at=from_epoch_ms(row.time),
    )


def read_market_message(message: bytes) -> Bar | MarkPrice | None:
    """Read a message of a combined market stream; None for a bar that is still open."""
    data = _FRAME.decode(message).data
    if isinstance(data, _Mark):
        return MarkPrice(
            exchange=Exchange.BINANCE,
            symbol=data.symbol,
            mark_price=parse_decimal("p", data.mark),
            index_price=parse_decimal("i", data.index),
            at=from_epoch_ms(data.at),
        )
    body = data.k
    if not body.closed:
        return None
    row = (body.opened, body.open, body.high, body.low, body.close, body.volume, body.closes)
    return _row(row, body.symbol, body.interval)
