"""What the public topics tell: one state per topic that somebody listens to, and what is due to be told of it.

A book or a ticker is told whole to whoever begins to listen, then by its changes. While the clock runs by itself,
changes are gathered for as long as the venue gathers them; in a stepped replay they are told at once, in order.
Source: bybit-exchange.github.io/docs/v5, "WebSocket Stream, Public", read 2026-11-22.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, assert_never

import msgspec

from patriot.sim.bybit import messages, render_market
from patriot.sim.bybit.context import TAPE_LENGTH, FaceContext
from patriot.sim.bybit.messages import Book
from patriot.sim.bybit.topics import INTERVALS, Kind, Topic
from patriot.sim.engine.events import KlineClosed, OrderUpdated, PriceMoved, Printed, VenueEvent
from patriot.sim.engine.klines import span
from patriot.sim.engine.records import Order, Trade
from patriot.sim.engine.words import QUOTE_ASSET, Closing

Json = dict[str, Any]

QUIET_SECONDS: Final = 3.0  # after which a book of one level is told again as it was
_BOOK_SECONDS: Final = {"1": 0.01, "50": 0.02, "200": 0.1, "1000": 0.2, messages.RETAIL_LEVELS: 0.1}
_LEVELS: Final = {"1": 1, "50": 50, "200": 200, "1000": 1_000, messages.RETAIL_LEVELS: 50}
_TICKER_SECONDS: Final = 0.1
_PRICE_LIMIT_SECONDS: Final = 0.3
_KLINE_SECONDS: Final = 1.0
_ENCODE: Final = msgspec.json.Encoder().encode


class MarketStreams:
    """The public topics of one venue; `send` takes a topic's name and a message for all who listen to it."""

    def __init__(self, context: FaceContext, send: Callable[[str, bytes], None]) -> None:
        self._exchange = context.exchange
        self._market = context.market
        self._tape = context.tape
        self._clock = context.clock
        self._later = context.sessions.call_later
        self._live = context.live
        self._send = send
        self._open: defaultdict[str, dict[str, Topic]] = defaultdict(dict)  # by symbol, then by name
        self._due: dict[str, Topic] = {}
        self._books: dict[str, Book] = {}  # as last told, by topic
        self._told_at: dict[str, float] = {}  # monotonic seconds, of books of one level
        self._update_ids: dict[str, int] = {}  # by topic; they outlive their listeners, so that they never fall
        self._tickers: dict[str, Json] = {}
        self._limits: dict[str, tuple[str, str]] = {}
        self._directions: dict[str, tuple[Decimal, str]] = {}  # last price and tick direction, by symbol

    # ------------------------------------------------------------------------------------------------ listeners

    def begin(self, topic: Topic) -> None:
        """Somebody listens to a topic that nobody listened to."""
        if topic.symbol not in self._open:
            self._directions.pop(topic.symbol, None)
            for trade in reversed(self._tape.of(topic.symbol, TAPE_LENGTH)):
                self._note_price(topic.symbol, trade.price)
        self._open[topic.symbol][topic.name] = topic

    def end(self, topic: Topic) -> None:
        """Nobody listens to a topic any more."""
        topics = self._open.get(topic.symbol, {})
        topics.pop(topic.name, None)
        if not topics:
            self._open.pop(topic.symbol, None)
        for state in (self._due, self._books, self._told_at, self._tickers, self._limits):
            state.pop(topic.name, None)

    def first_message(self, topic: Topic) -> bytes | None:
        """Return what a new listener is told first: what all others were told last, as a whole."""
        match topic.kind:
            case Kind.BOOK:
                book = self._books.get(topic.name) or self._next_book(topic)
                return self._book_message(topic, None, book)
            case Kind.TICKER:
                row = self._tickers.get(topic.name) or self._ticker(topic)
                return self._ticker_message(topic, "snapshot", row) if row else None
            case Kind.PRICE_LIMIT:
                limits = self._limits.get(topic.name) or self._price_limits(topic)
                return self._limit_message(topic, limits) if limits else None
            case Kind.KLINE:
                return self._bar_in_progress(topic) if self._live else None
            case Kind.ADL_ALERT:
                return self._adl_alert(topic)
            case Kind.TRADE | Kind.LIQUIDATION | Kind.ALL_LIQUIDATION | Kind.INSURANCE:
                return None
            case _:
                assert_never(topic.kind)

    # ------------------------------------------------------------------------------------------------ events

    def publish(self, events: Sequence[VenueEvent]) -> None:
        """Tell what these events changed, now or when it is due."""
        if not self._open:
            return
        prints: dict[str, list[Json]] = {}
        liquidated: dict[str, list[tuple[Order, Trade]]] = {}
        for event in events:
            match event:
                case PriceMoved(ticker=ticker) if ticker.symbol in self._open:
                    self._note_price(ticker.symbol, ticker.last)
                    self._print(prints, ticker.symbol, ticker.last, event)
                    self._touch(ticker.symbol)
                case Printed() if event.symbol in self._open:
                    self._note_price(event.symbol, event.price)
                    self._print(prints, event.symbol, event.price, event)
                    self._touch(event.symbol)
                case KlineClosed():
                    self._close_bar(event)
                case OrderUpdated(order=order, trade=trade):
                    if self._live:
                        self._touch(order.symbol)
                    if trade is not None and order.closing is Closing.LIQUIDATION and order.symbol in self._open:
                        liquidated.setdefault(order.symbol, []).append((order, trade))
                case _:
                    continue
        for symbol, rows in prints.items():
            name = f"{Kind.TRADE}.{symbol}"
            self._send(name, _ENCODE(messages.trades(name, rows, self._exchange.wire_now_ms)))
        for symbol, fills in liquidated.items():
            self._tell_liquidations(symbol, fills)
        if not self._live and self._due:
            self._flush_all()

    def _note_price(self, symbol: str, price: Decimal) -> None:
        before = self._directions.get(symbol)
        if before is None or price > before[0]:
            direction = "PlusTick" if before is not None else "ZeroPlusTick"
        elif price < before[0]:
            direction = "MinusTick"
        else:
            direction = "ZeroPlusTick" if before[1].endswith("PlusTick") else "ZeroMinusTick"
        self._directions[symbol] = (price, direction)

    def _print(self, prints: dict[str, list[Json]], symbol: str, price: Decimal, event: PriceMoved | Printed) -> None:
        if f"{Kind.TRADE}.{symbol}" in self._open.get(symbol, ()):
            direction = self._directions[symbol][1]
            instrument = self._exchange.venue.instrument(symbol)
            prints.setdefault(symbol, []).append(messages.trade_row(instrument, price, direction, event))

    def _touch(self, symbol: str) -> None:
        """Something of this symbol changed: what is told of it is due."""
        for name, topic in self._open.get(symbol, {}).items():
            seconds = self._seconds_of(topic)
            if seconds is None or name in self._due:
                continue
            self._due[name] = topic
            if self._live:
                self._later(seconds, lambda topic=topic: self._flush(topic))  # type: ignore[misc]

    def _seconds_of(self, topic: Topic) -> float | None:
        """Return how long changes of a topic are gathered; None for what is not told by its state."""
        match topic.kind:
            case Kind.BOOK:
                return _BOOK_SECONDS[topic.detail]
            case Kind.TICKER:
                return _TICKER_SECONDS
            case Kind.PRICE_LIMIT:
                return _PRICE_LIMIT_SECONDS
            case Kind.KLINE:
                return _KLINE_SECONDS if self._live else None
            case _:
                return None

    def _flush_all(self) -> None:
        for topic in tuple(self._due.values()):
            self._flush(topic)

    def _flush(self, topic: Topic) -> None:
        if self._due.pop(topic.name, None) is None:
            return  # its last listener has gone
        match topic.kind:
            case Kind.BOOK:
                message = self._changed_book(topic)
            case Kind.TICKER:
                message = self._changed_ticker(topic)
            case Kind.PRICE_LIMIT:
                message = self._changed_limits(topic)
            case _:
                message = self._bar_in_progress(topic)
        if message is not None:
            self._send(topic.name, message)

    def tell_again(self) -> None:
        """Tell ADL alerts, and the books of one level that have not changed for a while, as they were."""
        now = self._clock.monotonic()
        for topic in self._open.get(QUOTE_ASSET, {}).values():
            message = self._adl_alert(topic) if self._live and topic.kind is Kind.ADL_ALERT else None
            if message is not None:
                self._send(topic.name, message)
        for name, told_at in tuple(self._told_at.items()):
            book = self._books.get(name)
            if self._live and book is not None and now - told_at >= QUIET_SECONDS:
                symbol = name.rpartition(".")[2]
                self._send(name, self._book_message(self._open[symbol][name], None, book))

    # ------------------------------------------------------------------------------------------------ books

    def _next_book(self, topic: Topic) -> Book:
        depth = self._exchange.depth(topic.symbol, _LEVELS[topic.detail])
        update_id = self._update_ids.get(topic.name, depth.update_id) + 1
        self._update_ids[topic.name] = update_id
        book = self._books[topic.name] = messages.book_of(depth, update_id)
        return book

    def _changed_book(self, topic: Topic) -> bytes | None:
        before = self._books.get(topic.name)
        if before is None:
            return None
        depth = self._exchange.depth(topic.symbol, _LEVELS[topic.detail])
        book = messages.book_of(depth, before.update_id + 1)
        if messages.same_levels(before, book):
            return None
        self._books[topic.name] = book
        self._update_ids[topic.name] = book.update_id
        return self._book_message(topic, before, book)

    def _book_message(self, topic: Topic, before: Book | None, book: Book) -> bytes:
        instrument, now_ms = self._exchange.venue.instrument(topic.symbol), self._exchange.wire_now_ms
        if topic.detail == "1":
            self._told_at[topic.name] = self._clock.monotonic()
        if before is None or topic.detail == "1":
            return _ENCODE(messages.book_snapshot(topic.name, topic.detail, instrument, book, now_ms))
        return _ENCODE(messages.book_delta(topic.name, topic.detail, instrument, before, book, now_ms))

    # ------------------------------------------------------------------------------------------------ tickers

    def _ticker(self, topic: Topic) -> Json | None:
        row = self._market.row(topic.symbol)
        if row is None:
            return None
        direction = self._directions.get(topic.symbol)
        data = messages.ticker_data(row, direction[1] if direction is not None else "ZeroPlusTick")
        self._tickers[topic.name] = data
        return data

    def _changed_ticker(self, topic: Topic) -> bytes | None:
        before = self._tickers.get(topic.name)
        data = self._ticker(topic)
        if before is None or data is None:
            return self._ticker_message(topic, "snapshot", data) if data is not None else None
        changed = {name: value for name, value in data.items() if before.get(name) != value}
        if not changed:
            return None
        return self._ticker_message(topic, "delta", {"symbol": topic.symbol, **changed})

    def _ticker_message(self, topic: Topic, kind: str, data: Json) -> bytes:
        sequence = self._exchange.venue.depth(topic.symbol, 0).update_id
        return _ENCODE(messages.ticker(topic.name, kind, data, sequence, self._exchange.wire_now_ms))

    # ------------------------------------------------------------------------------------------------ the rest

    def _price_limits(self, topic: Topic) -> tuple[str, str] | None:
        venue = self._exchange.venue
        prices, instrument = venue.ticker(topic.symbol), venue.instrument(topic.symbol)
        if prices is None:
            return None
        limits = self._limits[topic.name] = messages.limits_of(instrument, prices.mark)
        return limits

    def _changed_limits(self, topic: Topic) -> bytes | None:
        before = self._limits.get(topic.name)
        limits = self._price_limits(topic)
        return self._limit_message(topic, limits) if limits is not None and limits != before else None

    def _limit_message(self, topic: Topic, limits: tuple[str, str]) -> bytes:
        return _ENCODE(messages.price_limit(topic.name, topic.symbol, *limits, self._exchange.wire_now_ms))

    def _adl_alert(self, topic: Topic) -> bytes | None:
        if topic.symbol != QUOTE_ASSET:
            return None  # no such contracts are listed
        rows = render_market.adl_alerts(self._exchange.symbols, self._exchange.venue.pools().insurance)
        return _ENCODE(messages.adl_alert(topic.name, rows, self._exchange.wire_now_ms))

    def _close_bar(self, event: KlineClosed) -> None:
        for name, topic in self._open.get(event.symbol, {}).items():
            if topic.kind is Kind.KLINE and INTERVALS[topic.detail] == event.interval:
                instrument = self._exchange.venue.instrument(event.symbol)
                message = messages.kline(name, topic.detail, instrument, event.bar, event.at_ms, closed=True)
                self._send(name, _ENCODE(message))

    def _bar_in_progress(self, topic: Topic) -> bytes | None:
        interval, venue, now_ms = INTERVALS[topic.detail], self._exchange.venue, self._exchange.wire_now_ms
        bars = venue.klines(topic.symbol, interval, limit=1)
        if not bars or span(interval, bars[-1].open_ms)[1] <= self._exchange.now_ms:
            return None  # closed, and told as such
        instrument = venue.instrument(topic.symbol)
        return _ENCODE(messages.kline(topic.name, topic.detail, instrument, bars[-1], now_ms, closed=False))

    def _tell_liquidations(self, symbol: str, fills: list[tuple[Order, Trade]]) -> None:
        topics, now_ms = self._open[symbol], self._exchange.wire_now_ms
        instrument = self._exchange.venue.instrument(symbol)
        name = f"{Kind.ALL_LIQUIDATION}.{symbol}"
        if name in topics:
            self._send(name, _ENCODE(messages.all_liquidations(name, instrument, fills, now_ms)))
        name = f"{Kind.LIQUIDATION}.{symbol}"
        if name in topics:  # at most one a second on the venue: the newest
            self._send(name, _ENCODE(messages.liquidation(name, instrument, *fills[-1], now_ms)))
