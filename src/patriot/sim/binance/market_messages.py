"""What happens on the market as messages of the public streams. Field names as in the venue's documents.

Source: USD-M WebSocket market streams, read 2026-11-22.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from patriot.sim.binance.context import Print
from patriot.sim.binance.listing import symbol_info
from patriot.sim.binance.render import plain, trimmed
from patriot.sim.engine.events import InstrumentChanged, OrderUpdated
from patriot.sim.engine.klines import span
from patriot.sim.engine.records import Bar, Instrument, Ticker
from patriot.sim.engine.words import Side

Json = dict[str, Any]
_PERCENT = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class Day:
    """The last 24 hours of a symbol, and its newest print."""

    bar: Bar
    close_ms: int
    last_quantity: Decimal
    last_id: int


def aggregate_trade(symbol: str, tick: Print) -> Json:
    """Return an aggTrade message."""
    quantity = plain(tick.quantity)
    return {
        "e": "aggTrade",
        "E": tick.at_ms,
        "s": symbol,
        "a": tick.trade_id,
        "p": plain(tick.price),
        "q": quantity,
        "nq": quantity,
        "f": tick.trade_id,
        "l": tick.trade_id,
        "T": tick.at_ms,
        "m": tick.buyer_is_maker,
    }


def trade(symbol: str, tick: Print) -> Json:
    """Return a trade message: a stream that the documents do not list and clients listen to."""
    return {
        "e": "trade",
        "E": tick.at_ms,
        "T": tick.at_ms,
        "s": symbol,
        "t": tick.trade_id,
        "p": plain(tick.price),
        "q": plain(tick.quantity),
        "X": "MARKET",
        "m": tick.buyer_is_maker,
    }


def mark_price(ticker: Ticker, at_ms: int) -> Json:
    """Return a markPriceUpdate message."""
    return {
        "e": "markPriceUpdate",
        "E": at_ms,
        "s": ticker.symbol,
        "p": plain(ticker.mark),
        "ap": plain(ticker.mark),
        "P": plain(ticker.index),
        "i": plain(ticker.index),
        "r": plain(ticker.funding_rate),
        "T": ticker.next_funding_ms,
    }


def book_ticker(
    symbol: str, update_id: int, bid: tuple[Decimal, Decimal], ask: tuple[Decimal, Decimal], at_ms: int
) -> Json:
    """Return a bookTicker message; bid and ask are price and quantity."""
    return {
        "e": "bookTicker",
        "u": update_id,
        "E": at_ms,
        "T": at_ms,
        "s": symbol,
        "b": plain(bid[0]),
        "B": plain(bid[1]),
        "a": plain(ask[0]),
        "A": plain(ask[1]),
    }


def mini_ticker(symbol: str, day: Day, at_ms: int) -> Json:
    """Return a 24hrMiniTicker message."""
    bar = day.bar
    return {
        "e": "24hrMiniTicker",
        "E": at_ms,
        "s": symbol,
        "c": plain(bar.close),
        "o": plain(bar.open),
        "h": plain(bar.high),
        "l": plain(bar.low),
        "v": trimmed(bar.volume),
        "q": trimmed(bar.quote_volume),
    }


def ticker(symbol: str, day: Day, at_ms: int) -> Json:
    """Return a 24hrTicker message."""
    bar = day.bar
    change = bar.close - bar.open
    average = bar.quote_volume / bar.volume if bar.volume else bar.close
    return {
        "e": "24hrTicker",
        "E": at_ms,
        "s": symbol,
        "p": plain(change),
        "P": plain((change * 100 / bar.open).quantize(_PERCENT, ROUND_HALF_EVEN)),
        "w": plain(average.quantize(bar.close, ROUND_HALF_EVEN)),
        "c": plain(bar.close),
        "Q": plain(day.last_quantity),
        "o": plain(bar.open),
        "h": plain(bar.high),
        "l": plain(bar.low),
        "v": trimmed(bar.volume),
        "q": trimmed(bar.quote_volume),
        "O": bar.open_ms,
        "C": day.close_ms,
        "F": 0,
        "L": day.last_id,
        "n": day.last_id,
    }


def kline(symbol: str, interval: str, bar: Bar, at_ms: int, *, closed: bool) -> Json:
    """Return a kline message."""
    return {"e": "kline", "E": at_ms, "s": symbol, "k": {"s": symbol, **_bar(interval, bar, closed=closed)}}


def continuous_kline(symbol: str, interval: str, bar: Bar, at_ms: int, *, closed: bool) -> Json:
    """Return a continuous_kline message of the perpetual contract."""
    body = _bar(interval, bar, closed=closed)
    return {"e": "continuous_kline", "E": at_ms, "ps": symbol, "ct": "PERPETUAL", "k": body}


def _bar(interval: str, bar: Bar, *, closed: bool) -> Json:
    return {
        "t": bar.open_ms,
        "T": span(interval, bar.open_ms)[1] - 1,
        "i": interval,
        "f": -1,
        "L": -1,
        "o": plain(bar.open),
        "c": plain(bar.close),
        "h": plain(bar.high),
        "l": plain(bar.low),
        "v": plain(bar.volume),
        "n": bar.trades,
        "x": closed,
        "q": plain(bar.quote_volume),
        "V": plain(bar.taker_buy_volume),
        "Q": plain(bar.taker_buy_quote_volume),
        "B": "0",
    }


def liquidation(event: OrderUpdated) -> Json:
    """Return a forceOrder message: what a liquidation has done by now."""
    order = event.order
    average = plain(order.average_fill_price)
    return {
        "e": "forceOrder",
        "E": event.at_ms,
        "o": {
            "s": order.symbol,
            "S": "BUY" if order.side is Side.BUY else "SELL",
            "o": "LIMIT",
            "f": "IOC",
            "q": plain(order.quantity),
            "p": plain(order.price) if order.price else average,
            "ap": average,
            "X": order.status.value,
            "l": plain(event.trade.quantity) if event.trade is not None else "0",
            "z": plain(order.filled_quantity),
            "T": event.at_ms,
        },
    }


def contract_info(event: InstrumentChanged) -> Json:
    """Return a contractInfo message: the new status, and the leverage brackets."""
    info = symbol_info(event.instrument)
    return {
        "e": "contractInfo",
        "E": event.at_ms,
        "s": info["symbol"],
        "ps": info["pair"],
        "ct": info["contractType"],
        "dt": info["deliveryDate"],
        "ot": info["onboardDate"],
        "cs": info["status"],
        "bks": _brackets(event.instrument),
    }


def _brackets(instrument: Instrument) -> list[Json]:
    rows = instrument.brackets
    return [
        {
            "bs": row.bracket,
            "bnf": int(row.notional_floor),
            "bnc": int(row.notional_cap),
            "mmr": float(row.maintenance_ratio),
            "cf": float(row.maintenance_amount),
            "mi": rows[number + 1].initial_leverage + 1 if number + 1 < len(rows) else 1,
            "ma": row.initial_leverage,
        }
        for number, row in enumerate(rows)
    ]
