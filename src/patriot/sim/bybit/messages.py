"""Public messages of the venue, from what the engine says. Pure; key order as on the wire.

Source: bybit-exchange.github.io/docs/v5, "WebSocket Stream, Public", read 2026-11-22.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from patriot.sim.bybit.render_market import on_tick
from patriot.sim.bybit.text import number
from patriot.sim.bybit.topics import INTERVALS
from patriot.sim.engine.events import PriceMoved, Printed
from patriot.sim.engine.klines import span
from patriot.sim.engine.records import Bar, Depth, Instrument, Order, Trade
from patriot.sim.engine.words import Side

Json = dict[str, Any]
Levels = Mapping[Decimal, Decimal]  # price to size, best first

RETAIL_LEVELS: Final = "rpi"  # the book whose rows carry a third column: size of retail price improvement orders
_GONE: Final = "0"
_TICKER_FIELDS: Final = (
    *("symbol", "tickDirection", "price24hPcnt", "lastPrice", "prevPrice24h", "highPrice24h", "lowPrice24h"),
    *("prevPrice1h", "markPrice", "indexPrice", "openInterest", "openInterestValue", "turnover24h", "volume24h"),
    *("fundingIntervalHour", "fundingCap", "nextFundingTime", "fundingRate", "bid1Price", "bid1Size"),
    *("ask1Price", "ask1Size", "preOpenPrice", "preQty", "curPreListingPhase"),
)
_ADL_FIELDS: Final = (
    *(("c", "coin"), ("s", "symbol"), ("b", "balance"), ("mb", "maxBalance"), ("i_pr", "insurancePnlRatio")),
    *(("pr", "pnlRatio"), ("adl_tt", "adlTriggerThreshold"), ("adl_sr", "adlStopRatio")),
)


@dataclass(frozen=True, slots=True)
class Book:
    """One state of a public book, as far as a topic shows it."""

    bids: Levels
    asks: Levels
    update_id: int
    sequence: int
    at_ms: int


def book_of(depth: Depth, update_id: int) -> Book:
    """Return the state of a book with an update id of its topic."""
    return Book(dict(depth.bids), dict(depth.asks), update_id, depth.update_id, depth.at_ms)


def same_levels(one: Book, other: Book) -> bool:
    """Whether two states show the same."""
    return one.bids == other.bids and one.asks == other.asks


def book_snapshot(topic: str, detail: str, instrument: Instrument, book: Book, at_ms: int) -> Json:
    """Return a whole book."""
    bids = _rows(book.bids.items(), instrument, detail)
    asks = _rows(book.asks.items(), instrument, detail)
    return _book(topic, detail, "snapshot", instrument, book, (bids, asks), at_ms)


def book_delta(topic: str, detail: str, instrument: Instrument, before: Book, book: Book, at_ms: int) -> Json:
    """Return what changed since the book before; a level that is gone has the size 0."""
    bids = _rows(_changes(before.bids, book.bids, descending=True), instrument, detail)
    asks = _rows(_changes(before.asks, book.asks, descending=False), instrument, detail)
    return _book(topic, detail, "delta", instrument, book, (bids, asks), at_ms)


def _book(
    topic: str,
    detail: str,
    kind: str,
    instrument: Instrument,
    book: Book,
    rows: tuple[list[list[str]], list[list[str]]],
    at_ms: int,
) -> Json:
    data = {"s": instrument.symbol, "b": rows[0], "a": rows[1], "u": book.update_id, "seq": book.sequence}
    if detail in ("1", RETAIL_LEVELS):
        return {"topic": topic, "ts": at_ms, "type": kind, "data": data, "cts": book.at_ms}
    return {"topic": topic, "type": kind, "ts": at_ms, "data": data, "cts": book.at_ms}


def _changes(before: Levels, after: Levels, *, descending: bool) -> list[tuple[Decimal, Decimal | None]]:
    changed: list[tuple[Decimal, Decimal | None]] = [
        (price, size) for price, size in after.items() if before.get(price) != size
    ]
    changed += [(price, None) for price in before if price not in after]
    changed.sort(key=lambda row: row[0], reverse=descending)
    return changed


def _rows(levels: Iterable[tuple[Decimal, Decimal | None]], instrument: Instrument, detail: str) -> list[list[str]]:
    tick, step = _grid(instrument.tick_size), _grid(instrument.step_size)
    rows = [[on_grid(price, tick), _GONE if size is None else on_grid(size, step)] for price, size in levels]
    if detail == RETAIL_LEVELS:
        for row in rows:
            row.append(_GONE)
    return rows


def on_grid(value: Decimal, step: Decimal) -> str:
    """Return a price or size with all the decimals of its grid.

    >>> on_grid(Decimal("42000"), Decimal("0.1")), on_grid(Decimal("1E+2"), Decimal("1"))
    ('42000.0', '100')
    """
    return format(value.quantize(step), "f")


def _grid(step: Decimal) -> Decimal:
    """Return a step with as many decimals as it needs."""
    return Decimal(number(step))


def trade_row(instrument: Instrument, price: Decimal, direction: str, event: PriceMoved | Printed) -> Json:
    """Return one print of the tape."""
    return {
        "T": event.at_ms,
        "s": instrument.symbol,
        "S": "Sell" if event.buyer_is_maker else "Buy",
        "v": number(event.quantity),
        "p": on_tick(price, instrument),
        "L": direction,
        "i": print_id(instrument.symbol, event.trade_id),
        "BT": False,
        "RPI": False,
        "seq": event.trade_id,
    }


def print_id(symbol: str, trade_id: int) -> str:
    """Return the public id of a print: a UUID that depends on nothing but the print."""
    digest = hashlib.blake2b(f"{symbol}|{trade_id}".encode(), digest_size=16).hexdigest()
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:]))


def trades(topic: str, rows: list[Json], at_ms: int) -> Json:
    """Return prints of the tape."""
    return {"topic": topic, "type": "snapshot", "ts": at_ms, "data": rows}


def kline(topic: str, interval: str, instrument: Instrument, bar: Bar, at_ms: int, *, closed: bool) -> Json:
    """Return a bar, in progress or closed; interval in the venue's words."""
    row = {
        "start": bar.open_ms,
        "end": span(INTERVALS[interval], bar.open_ms)[1] - 1,
        "interval": interval,
        "open": on_tick(bar.open, instrument),
        "close": on_tick(bar.close, instrument),
        "high": on_tick(bar.high, instrument),
        "low": on_tick(bar.low, instrument),
        "volume": number(bar.volume),
        "turnover": number(bar.quote_volume),
        "confirm": closed,
        "timestamp": at_ms,
    }
    return {"topic": topic, "data": [row], "ts": at_ms, "type": "snapshot"}


def ticker_data(row: Json, direction: str) -> Json:
    """Return what the ticker topic tells, from a row of /v5/market/tickers."""
    return {name: direction if name == "tickDirection" else row[name] for name in _TICKER_FIELDS}


def ticker(topic: str, kind: str, data: Json, sequence: int, at_ms: int) -> Json:
    """Return a ticker, whole or what changed of it."""
    return {"topic": topic, "type": kind, "data": data, "cs": sequence, "ts": at_ms}


def all_liquidations(topic: str, instrument: Instrument, fills: list[tuple[Order, Trade]], at_ms: int) -> Json:
    """Return liquidations; the side is the position's, so that Buy says that a long one ended."""
    rows = [
        {
            "T": trade.at_ms,
            "s": instrument.symbol,
            "S": _liquidated_side(order),
            "v": number(trade.quantity),
            "p": on_tick(trade.price, instrument),
        }
        for order, trade in fills
    ]
    return {"topic": topic, "type": "snapshot", "ts": at_ms, "data": rows}


def liquidation(topic: str, instrument: Instrument, order: Order, trade: Trade, at_ms: int) -> Json:
    """Return one liquidation in the older shape."""
    data = {
        "updatedTime": trade.at_ms,
        "symbol": instrument.symbol,
        "side": _liquidated_side(order),
        "size": number(trade.quantity),
        "price": on_tick(trade.price, instrument),
    }
    return {"topic": topic, "type": "snapshot", "ts": at_ms, "data": data}


def _liquidated_side(order: Order) -> str:
    return "Buy" if order.side is Side.SELL else "Sell"


def limits_of(instrument: Instrument, mark_price: Decimal) -> tuple[str, str]:
    """Return the highest bid and the lowest ask that are taken."""
    tick = instrument.tick_size
    highest, lowest = mark_price * instrument.price_band_up, mark_price * instrument.price_band_down
    return on_tick(highest // tick * tick, instrument), on_tick(-(-lowest // tick) * tick, instrument)


def price_limit(topic: str, symbol: str, highest_bid: str, lowest_ask: str, at_ms: int) -> Json:
    """Return between which prices orders are taken."""
    return {"topic": topic, "data": {"symbol": symbol, "buyLmt": highest_bid, "sellLmt": lowest_ask}, "ts": at_ms}


def adl_alert(topic: str, rows: list[Json], at_ms: int) -> Json:
    """Return what /v5/market/adlAlert lists, under the short names of the topic."""
    data = [{short: row[name] for short, name in _ADL_FIELDS} for row in rows]
    return {"topic": topic, "type": "snapshot", "ts": at_ms, "data": data}


def private(identifier: str, topic: str, at_ms: int, rows: list[Json]) -> Json:
    """Return a message of an account."""
    return {"id": identifier, "topic": topic, "creationTime": at_ms, "data": rows}
