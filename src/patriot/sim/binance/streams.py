"""The WebSocket side: every message in order, to those who listen.

A stream is served on its own door only (/public: book; /market: trades, prices, klines; /private: user data); on
another one it is accepted and stays silent, as on the venue since the split of April 2026.

While the clock runs by itself, streams with an update speed are sent no faster than that in venue time, looked after
each second of real time and, for one symbol, with each move. In a stepped replay every price move stands for all of it:
what is sent depends on the moves alone.
Source: USD-M WebSocket documents and public measurements, read 2026-11-22.
"""

from collections.abc import Callable, Sequence
from functools import partial

import msgspec
from aiohttp import WSMessage, WSMsgType, web

from patriot.kernel.clock import Clock
from patriot.sim.binance import market_messages, messages
from patriot.sim.binance.context import Print, Tape
from patriot.sim.binance.listen_keys import ListenKeys
from patriot.sim.binance.rolling_day import RollingDays
from patriot.sim.binance.stream_depth import DEPTH_LEVELS, DepthTeller, stream_update_id
from patriot.sim.binance.stream_frames import StreamFrames
from patriot.sim.binance.stream_names import Entry, Kind
from patriot.sim.binance.subscriptions import StreamSession, Subscriptions, Topic
from patriot.sim.engine.events import (
    AccountEvent,
    InstrumentChanged,
    KlineClosed,
    OrderUpdated,
    PriceMoved,
    Printed,
    VenueEvent,
)
from patriot.sim.engine.klines import INTERVAL_MINUTES
from patriot.sim.engine.records import Bar, Ticker
from patriot.sim.engine.words import Closing
from patriot.sim.exchange import Exchange
from patriot.sim.faults.line import Line
from patriot.sim.faults.requests import refused_socket
from patriot.sim.faults.rules import Faults
from patriot.sim.sockets import POLICY_VIOLATION, Attempts, Sessions, accept

# Source: USD-M WebSocket limits, read 2026-11-22. All of them on real time.
MAX_MESSAGES_PER_SECOND = 10
MAX_ATTEMPTS, ATTEMPTS_SECONDS = 300, 300.0  # connections per address
PING_SECONDS = 180.0
PONG_SECONDS = 600.0
LIFE_SECONDS = 86_400.0
TOO_MANY_CONNECTIONS = b'{"code":-1003,"msg":"Too many requests; too many connection attempts from this IP."}'
_KLINES = ((Kind.KLINE, market_messages.kline), (Kind.CONTINUOUS_KLINE, market_messages.continuous_kline))
_TICKERS = ((Kind.TICKER, market_messages.ticker), (Kind.MINI_TICKER, market_messages.mini_ticker))
_DEPTHS = (Kind.PARTIAL_DEPTH, Kind.DEPTH)
_ENCODE = msgspec.json.Encoder().encode


class StreamHub:
    """Every open session of the stream host; renders an event once for all who listen."""

    def __init__(
        self, exchange: Exchange, listen_keys: ListenKeys, tape: Tape, faults: Faults, clock: Clock, *, live: bool
    ) -> None:
        self._exchange = exchange
        self._listen_keys = listen_keys
        self._tape = tape
        self._clock = clock
        self._live = live
        self._faults = faults
        self.sessions = Sessions(clock.monotonic)
        self.attempts = Attempts(MAX_ATTEMPTS, ATTEMPTS_SECONDS, clock.monotonic)
        self._line = Line(faults, exchange.name, self.sessions.call_later)
        self._subscriptions = Subscriptions()
        self._frames = StreamFrames(self._subscriptions, self._begin)
        self._days = RollingDays(exchange.venue, tape)
        self._armed: set[Topic] = set()  # depth topics whose next update is due soon
        self._tops: dict[str, object] = {}  # best bid and ask as told, by symbol
        self._liquidations: dict[str, OrderUpdated] = {}  # the largest of this second, by symbol
        self._moved: set[str] = set()  # symbols with a print in this second
        self._listed = frozenset(exchange.symbols)
        self._pinged_at = clock.monotonic()

    # ------------------------------------------------------------------------------------------------ events out

    def publish(self, events: Sequence[VenueEvent]) -> None:
        """Send the messages of these events to everyone who listens, in order."""
        for event in events:
            match event:
                case PriceMoved():
                    self._tape.add(event)
                    self._publish_move(event)
                case Printed():
                    self._tape.add(event)
                    self._publish_print(
                        event.symbol,
                        Print(event.trade_id, event.price, event.quantity, event.at_ms, event.buyer_is_maker),
                    )
                    self._touch_book(event.symbol, event.at_ms)
                case KlineClosed():
                    self._publish_bar(event.symbol, event.interval, event.bar, event.at_ms, closed=True)
                case InstrumentChanged():
                    self._publish_to("", Kind.INSTRUMENT, partial(market_messages.contract_info, event))
                case _:
                    self._publish_private(event)

    def _publish_move(self, event: PriceMoved) -> None:
        symbol = event.ticker.symbol
        if self._live:
            self._moved.add(symbol)
        elif not self._subscriptions.of(symbol) and not self._subscriptions.of(""):
            return
        ticker = event.ticker
        self._publish_print(
            symbol, Print(event.trade_id, ticker.last, event.quantity, event.at_ms, event.buyer_is_maker)
        )
        if self._live:
            self._tell_symbol(symbol, event.at_ms)
        else:
            self._publish_prices(ticker, event.at_ms)
            self._publish_day(symbol, event.at_ms)
        self._touch_book(symbol, event.at_ms)

    def _publish_print(self, symbol: str, tick: Print) -> None:
        topics = self._subscriptions.of(symbol)
        if self._live:
            self._moved.add(symbol)
        if not topics:
            return
        self._publish_to(symbol, Kind.AGGREGATE_TRADE, lambda: market_messages.aggregate_trade(symbol, tick))
        self._publish_to(symbol, Kind.TRADE, lambda: market_messages.trade(symbol, tick))
        if self._live:
            self._publish_open_bars(symbol, tick.at_ms)

    def _publish_to(self, symbol: str, kind: Kind, render: Callable[[], object]) -> None:
        """Send one message to the topics of a kind; it is rendered only if there are any."""
        topics = self._subscriptions.of(symbol).get(kind)
        if topics:
            data = _ENCODE(render())
            for topic in tuple(topics):
                self._send(topic, data, symbol)

    def _send(self, topic: Topic, data: bytes, symbol: str) -> None:
        self._line.public(topic.text, topic.event, symbol, lambda: topic.send(data), topic.cut)

    # ------------------------------------------------------------------------------------------------ prices, klines

    def _publish_prices(self, ticker: Ticker, at_ms: int) -> None:
        """Tell one symbol's mark price."""
        self._publish_to(ticker.symbol, Kind.MARK_PRICE, lambda: market_messages.mark_price(ticker, at_ms))
        self._publish_to("", Kind.MARK_PRICE, lambda: [market_messages.mark_price(ticker, at_ms)])

    def _publish_day(self, symbol: str, at_ms: int) -> None:
        """Tell one symbol's last 24 hours."""
        for kind, render in _TICKERS:
            if self._subscriptions.of(symbol).get(kind) or self._subscriptions.of("").get(kind):
                day = self._days.of(symbol, at_ms)
                self._publish_to(symbol, kind, partial(render, symbol, day, at_ms))
                self._publish_to("", kind, partial(_listed, render, [(symbol, day)], at_ms))

    def _publish_bar(self, symbol: str, interval: str, bar: Bar, at_ms: int, *, closed: bool) -> None:
        kinds = self._subscriptions.of(symbol)
        for kind, render in _KLINES:
            for topic in tuple(kinds.get(kind, ())):
                if topic.name is not None and topic.name.interval == interval:
                    self._send(topic, _ENCODE(render(symbol, interval, bar, at_ms, closed=closed)), symbol)

    def _publish_open_bars(self, symbol: str, at_ms: int) -> None:
        kinds = self._subscriptions.of(symbol)
        topics = [topic for kind, _ in _KLINES for topic in kinds.get(kind, ())]
        for interval in {topic.name.interval for topic in topics if topic.name is not None}:
            bars = self._exchange.venue.klines(symbol, interval, limit=1) if interval in INTERVAL_MINUTES else ()
            if bars:
                self._publish_bar(symbol, interval, bars[-1], at_ms, closed=False)

    # ------------------------------------------------------------------------------------------------ the book

    def _touch_book(self, symbol: str, at_ms: int) -> None:
        """Tell that a book may have changed: its top at once, its depth at the speed of each stream."""
        kinds, everyone = self._subscriptions.of(symbol), self._subscriptions.of("")
        if kinds.get(Kind.BOOK_TICKER) or everyone.get(Kind.BOOK_TICKER):
            self._publish_top(symbol, at_ms)
        for kind in _DEPTHS:
            for topic in tuple(kinds.get(kind, ())):
                if not self._live:
                    self._publish_depth(topic)
                elif topic not in self._armed and topic.name is not None:
                    self._armed.add(topic)
                    self.sessions.call_later(topic.name.every_ms / 1000, partial(self._publish_depth, topic))

    def _publish_top(self, symbol: str, at_ms: int) -> None:
        book = self._exchange.venue.depth(symbol, 1)
        if not book.bids or not book.asks:
            return
        top = (book.bids[0], book.asks[0])
        if self._live and self._tops.get(symbol) == top:
            return
        self._tops[symbol] = top
        message = market_messages.book_ticker(symbol, stream_update_id(book.update_id), *top, at_ms)
        self._publish_to(symbol, Kind.BOOK_TICKER, lambda: message)
        self._publish_to("", Kind.BOOK_TICKER, lambda: message)

    def observe_book(self, symbol: str) -> None:
        """Let the depth streams of a symbol lead on from the book as it is now, since somebody sees it."""
        for topic in self._subscriptions.of(symbol).get(Kind.DEPTH, ()):
            if topic in self._armed and topic.teller is not None:
                topic.teller.observe(self._exchange.venue.depth(symbol, DEPTH_LEVELS))

    def _publish_depth(self, topic: Topic) -> None:
        self._armed.discard(topic)
        teller = topic.teller
        if teller is None or not topic:
            return
        message = teller.message(self._exchange.depth(teller.name.symbol, teller.levels))
        if message is not None:
            self._send(topic, _ENCODE(message), teller.name.symbol)

    # ------------------------------------------------------------------------------------------------ accounts

    def _publish_private(self, event: AccountEvent) -> None:
        if isinstance(event, OrderUpdated):
            if event.order.closing is Closing.LIQUIDATION and event.trade is not None:
                self._note_liquidation(event)
            if self._live:
                self._touch_book(event.order.symbol, event.at_ms)
        listen_key = self._listen_keys.active(event.uid)
        topic = self._subscriptions.find(listen_key) if listen_key is not None else None
        if topic is not None:
            for message in messages.private_messages(event):
                self._send_private(event.uid, topic, message)

    def _send_private(self, uid: int, topic: Topic, message: messages.Json) -> None:
        name = message["e"]
        self._exchange.activity += 1
        data = _ENCODE(message)
        self._line.private(uid, name, messages.symbol_of(message), lambda: topic.send_event(data, name), topic.cut)

    def _note_liquidation(self, event: OrderUpdated) -> None:
        """Keep the largest liquidation of each symbol and second; in a stepped replay tell each one when it is done."""
        symbol, known = event.order.symbol, self._liquidations.get(event.order.symbol)
        if not self._live:
            if not event.order.is_open:
                self._publish_liquidation(event)
        elif known is None or event.order.quantity >= known.order.quantity:
            self._liquidations[symbol] = event

    def _publish_liquidation(self, event: OrderUpdated) -> None:
        message = market_messages.liquidation(event)
        self._publish_to(event.order.symbol, Kind.LIQUIDATION, lambda: message)
        self._publish_to("", Kind.LIQUIDATION, lambda: message)

    def announce_expiry(self, uid: int, listen_key: str) -> None:
        """Tell a listen key's streams that it has ended."""
        topic = self._subscriptions.find(listen_key)
        if topic is not None:
            self._send_private(uid, topic, messages.listen_key_expired(listen_key, self._exchange.wire_now_ms))

    # ------------------------------------------------------------------------------------------------ every second

    def has_listen_key(self, uid: int) -> bool:
        """Return whether an account has a listen key that lives: without one, its streams are silent."""
        return self._listen_keys.active(uid) is not None

    def end_listen_keys(self, uid: int | None, announced: bool) -> int:
        """End the listen key of an account, or all of them, and leave the sockets open; return how many ended."""
        uids = tuple(self._exchange.listen_keys) if uid is None else (uid,)
        ended = [(owner, key) for owner in uids if (key := self._listen_keys.close(owner)) is not None]
        for owner, listen_key in ended if announced else ():
            self.announce_expiry(owner, listen_key)
        return len(ended)

    def housekeeping(self) -> None:
        """Do what is due each second of real time: expiries, pings, overdue sockets, and what is told each second."""
        for uid, listen_key in self._listen_keys.expired():
            self.announce_expiry(uid, listen_key)
        now = self._clock.monotonic()
        if now - self._pinged_at >= PING_SECONDS:
            self._pinged_at = now
            self.sessions.ping_all(str(self._exchange.now_ms).encode())
        if self._live:
            self.sessions.end_overdue(LIFE_SECONDS, PONG_SECONDS)
            self._tell_second()

    def _tell_second(self) -> None:
        at_ms = self._exchange.wire_now_ms
        liquidations, self._liquidations = self._liquidations, {}
        for event in liquidations.values():
            self._publish_liquidation(event)
        for symbol in self._subscriptions.symbols():
            self._tell_symbol(symbol, at_ms)
        for topic in self._due("", Kind.MARK_PRICE, at_ms):
            tickers = [self._exchange.venue.ticker(symbol) for symbol in self._exchange.symbols]
            rows = [market_messages.mark_price(ticker, at_ms) for ticker in tickers if ticker is not None]
            self._send(topic, _ENCODE(rows), "")
        moved, self._moved = self._moved, set()
        for kind, render in _TICKERS:
            if moved and self._subscriptions.of("").get(kind):
                days = [(symbol, self._days.of(symbol, at_ms)) for symbol in sorted(moved)]
                self._publish_to("", kind, partial(_listed, render, days, at_ms))

    def _tell_symbol(self, symbol: str, at_ms: int) -> None:
        """Tell one symbol's mark price and last 24 hours on those streams whose time has come."""
        if symbol not in self._listed:
            return
        topics = self._due(symbol, Kind.MARK_PRICE, at_ms)
        ticker = self._exchange.venue.ticker(symbol) if topics else None
        if ticker is not None:
            data = _ENCODE(market_messages.mark_price(ticker, at_ms))
            for topic in topics:
                self._send(topic, data, symbol)
        for kind, render in _TICKERS:
            topics = self._due(symbol, kind, at_ms)
            if topics:
                data = _ENCODE(render(symbol, self._days.of(symbol, at_ms), at_ms))
                for topic in topics:
                    self._send(topic, data, symbol)

    def _due(self, symbol: str, kind: Kind, at_ms: int) -> list[Topic]:
        """Return the topics of a kind that may speak again, which they are then taken to do."""
        due = [topic for topic in self._subscriptions.of(symbol).get(kind, ()) if topic.is_due(at_ms)]
        for topic in due:
            topic.told_ms = at_ms
        return due

    # ------------------------------------------------------------------------------------------------ sessions

    async def serve(
        self, request: web.Request, entry: Entry, *, combined: bool, path_stream: str
    ) -> web.StreamResponse:
        """Run one socket until it closes."""
        refused = refused_socket(self._faults, self._exchange, request) or self.refused_attempt(request)
        if refused is not None:
            return refused
        socket = await accept(request)
        session = StreamSession(
            socket, request.remote or "unknown", self._clock.monotonic(), entry=entry, combined=combined
        )
        if not self._subscribe_from_address(session, request, path_stream):
            session.end(POLICY_VIOLATION, b"too many streams")
        try:
            await self.sessions.run(session, lambda message: self._receive(session, message))
        finally:
            self._subscriptions.remove(session, tuple(session.streams))
        return socket

    def refused_attempt(self, request: web.Request) -> web.Response | None:
        """Return the answer to an address that connects too often; None lets it in."""
        if not self._live or self.attempts.allow(request.remote or "unknown"):
            return None
        headers = {"Retry-After": str(int(ATTEMPTS_SECONDS))}
        return web.Response(body=TOO_MANY_CONNECTIONS, status=429, content_type="application/json", headers=headers)

    def _subscribe_from_address(self, session: StreamSession, request: web.Request, path_stream: str) -> bool:
        names = path_stream.split("/") if path_stream else []
        listen_key = ""
        for name, value in request.query.items():
            if name == "streams":
                names += value.split("/")
            elif name == "listenKey":
                listen_key = value
                names.append(value)
            elif name == "events" and listen_key:
                session.filters[listen_key] = frozenset(value.split("/"))
        return self._frames.subscribe_from_address(session, [name for name in names if name])

    def _begin(self, session: StreamSession, topic: Topic) -> None:
        """Prepare what a topic needs when somebody begins to listen."""
        name = topic.name
        if name is None:
            session.uids.update(uid for uid, key in self._exchange.listen_keys.items() if key == topic.text)
        elif name.kind in _DEPTHS and topic.teller is None and name.symbol in self._listed:
            topic.teller = DepthTeller(name, self._exchange.venue.depth(name.symbol, name.levels or DEPTH_LEVELS))

    async def _receive(self, session: StreamSession, message: WSMessage) -> None:
        if message.type is WSMsgType.TEXT:
            session.put(_ENCODE(self._frames.answer(session, message.data)))
        if session.heard(self._clock.monotonic()) > MAX_MESSAGES_PER_SECOND:
            session.end(POLICY_VIOLATION, b"Too many requests")


def _listed(
    render: Callable[[str, market_messages.Day, int], market_messages.Json],
    days: Sequence[tuple[str, market_messages.Day]],
    at_ms: int,
) -> list[market_messages.Json]:
    return [render(symbol, day, at_ms) for symbol, day in days]
