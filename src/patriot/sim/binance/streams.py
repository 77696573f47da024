"""The WebSocket side: who listens to what, and every message in order.

A stream is served on its own entry point only (/public: book; /market: trades, mark price, klines; /private: user
data); on another one it is accepted and stays silent, as on the venue since the split of April 2026.
Source: USD-M WebSocket documents and public measurements, read 2026-11-22.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec
from aiohttp import WSMessage, WSMsgType, web

from patriot.kernel.clock import Clock
from patriot.sim.binance import messages
from patriot.sim.binance.context import Tape
from patriot.sim.binance.listen_keys import ListenKeys
from patriot.sim.engine.events import AccountEvent, InstrumentChanged, KlineClosed, PriceMoved, Printed, VenueEvent
from patriot.sim.engine.klines import INTERVAL_MINUTES
from patriot.sim.exchange import Exchange
from patriot.sim.faults import Faults
from patriot.sim.rest_faults import refused_socket
from patriot.sim.sockets import Session, Sessions, accept
from patriot.sim.stream_faults import Line

MAX_STREAMS = 1_024  # per connection; Source: USD-M WebSocket limits, read 2026-11-22
MAX_MESSAGES_PER_SECOND = 10
_ENCODE = msgspec.json.Encoder().encode
_MARKET_STREAM = re.compile(r"[a-z0-9]+@(aggTrade|markPrice(@1s)?|kline_\w+)|!markPrice@arr(@1s)?")
_PUBLIC_STREAM = re.compile(r"[a-z0-9]+@(bookTicker|depth(5|10|20)?(@(100|250|500)ms)?)|!bookTicker")

Json = dict[str, Any]


class Entry(StrEnum):
    """The three doors of the stream host."""

    PUBLIC = "public"
    MARKET = "market"
    PRIVATE = "private"


@dataclass(eq=False, slots=True)
class StreamSession(Session):
    """A socket of the stream host: its door and its subscriptions."""

    entry: Entry = Entry.PUBLIC
    combined: bool = False
    streams: set[str] = field(default_factory=set)
    filters: dict[str, frozenset[str]] = field(default_factory=dict)  # listen key -> events allowed
    second: int = -1  # of the newest inbound frame, for the limit
    received: int = 0  # inbound frames in that second

    def send(self, stream: str, data: bytes) -> None:
        """Queue a message; on a combined connection it travels in an envelope with its stream's name."""
        if self.combined:
            data = b'{"stream":' + _ENCODE(stream) + b',"data":' + data + b"}"
        self.put(data)


class StreamHub:
    """Every open session; renders an event once for all who listen."""

    def __init__(
        self, exchange: Exchange, listen_keys: ListenKeys, tape: Tape, faults: Faults, clock: Clock, *, live: bool
    ) -> None:
        self._exchange = exchange
        self._listen_keys = listen_keys
        self._tape = tape
        self._clock = clock
        self._live = live  # in a stepped replay only closed klines are sent
        self.sessions = Sessions(clock.monotonic)
        self._faults = faults
        self._line = Line(faults, exchange.name, self.sessions.call_later)
        self._by_stream: defaultdict[str, set[StreamSession]] = defaultdict(set)
        self._depth_ids: dict[str, int] = {}

    # ------------------------------------------------------------------------------------------------ events out

    def publish(self, events: Sequence[VenueEvent]) -> None:
        """Send the messages of these events to everyone who listens, in order."""
        for event in events:
            match event:
                case PriceMoved():
                    self._tape.add(event)
                    self._publish_move(event)
                case KlineClosed():
                    stream = f"{event.symbol.lower()}@kline_{event.interval}"
                    if self._by_stream.get(stream):
                        message = messages.kline(event.symbol, event.interval, event.bar, event.at_ms, closed=True)
                        self._send(stream, message)
                case Printed() | InstrumentChanged():
                    continue
                case _:
                    self._publish_private(event)

    def _publish_move(self, event: PriceMoved) -> None:
        if not self._by_stream:
            return
        name = event.ticker.symbol.lower()
        if f"{name}@aggTrade" in self._by_stream:
            self._send(f"{name}@aggTrade", messages.aggregate_trade(event))
        for stream in (f"{name}@markPrice", f"{name}@markPrice@1s"):
            if stream in self._by_stream:
                self._send(stream, messages.mark_price(event))
        for stream in ("!markPrice@arr", "!markPrice@arr@1s"):
            if stream in self._by_stream:
                self._send(stream, [messages.mark_price(event)])
        for stream in (f"{name}@bookTicker", "!bookTicker"):
            if stream in self._by_stream:
                self._send(stream, messages.book_ticker(event))
        for stream in [stream for stream in self._by_stream if stream.startswith(f"{name}@depth")]:
            self._send_depth(stream, event)
        if self._live:
            self._publish_open_bars(event)

    def _send_depth(self, stream: str, event: PriceMoved) -> None:
        levels = re.match(r"\d+", stream.partition("@depth")[2])
        book = self._exchange.venue.depth(event.ticker.symbol, int(levels[0]) if levels else 20)
        previous = self._depth_ids.get(stream, book.update_id - 1)
        self._depth_ids[stream] = book.update_id
        self._send(stream, messages.depth_update(book, previous))

    def _publish_open_bars(self, event: PriceMoved) -> None:
        symbol = event.ticker.symbol
        for interval in INTERVAL_MINUTES:
            stream = f"{symbol.lower()}@kline_{interval}"
            if stream in self._by_stream:
                bars = self._exchange.venue.klines(symbol, interval, limit=1)
                if bars:
                    self._send(stream, messages.kline(symbol, interval, bars[-1], event.at_ms, closed=False))

    def _send(self, stream: str, message: object) -> None:
        data = _ENCODE(message)

        def deliver() -> None:
            for session in tuple(self._by_stream.get(stream, ())):
                session.send(stream, data)

        symbol, _, event = stream.partition("@")
        self._line.public(stream, event, symbol.upper(), deliver, lambda: self._cut(stream))

    def _cut(self, stream: str) -> None:
        for session in tuple(self._by_stream.get(stream, ())):
            session.end()

    def _publish_private(self, event: AccountEvent) -> None:
        listen_key = self._listen_keys.active(event.uid)
        if listen_key is not None and listen_key in self._by_stream:
            self._send_private(event.uid, listen_key, messages.private_message(event))

    def _send_private(self, uid: int, listen_key: str, message: Json) -> None:
        name = message["e"]
        self._exchange.activity += 1
        data = _ENCODE(message)

        def deliver() -> None:
            for session in tuple(self._by_stream.get(listen_key, ())):
                allowed = session.filters.get(listen_key)
                if allowed is None or name in allowed:
                    session.send(listen_key, data)

        self._line.private(uid, name, _symbol_of(message), deliver, lambda: self._cut(listen_key))

    def announce_expiry(self, uid: int, listen_key: str) -> None:
        """Tell a listen key's streams that it has ended."""
        self._send_private(uid, listen_key, messages.listen_key_expired(listen_key, self._exchange.now_ms))

    def expire_listen_keys(self) -> None:
        """End the listen keys whose time is over."""
        for uid, listen_key in self._listen_keys.expired():
            self.announce_expiry(uid, listen_key)

    # ------------------------------------------------------------------------------------------------ sessions

    async def serve(
        self, request: web.Request, entry: Entry, *, combined: bool, path_stream: str
    ) -> web.StreamResponse:
        """Run one socket until it closes."""
        refused = refused_socket(self._faults, self._exchange, request)
        if refused is not None:
            return refused
        socket = await accept(request)
        session = StreamSession(
            socket, request.remote or "unknown", self._clock.monotonic(), entry=entry, combined=combined
        )
        self._subscribe_from_address(session, request, path_stream)
        try:
            await self.sessions.run(session, lambda message: self._receive(session, message))
        finally:
            self._unsubscribe(session, tuple(session.streams))
        return socket

    def _subscribe_from_address(self, session: StreamSession, request: web.Request, path_stream: str) -> None:
        if path_stream:
            self._subscribe(session, path_stream.split("/"))
        listen_key = ""
        for name, value in request.query.items():
            if name == "streams":
                self._subscribe(session, value.split("/"))
            elif name == "listenKey":
                listen_key = value
                self._subscribe(session, [value])
            elif name == "events" and listen_key:
                session.filters[listen_key] = frozenset(value.split("/"))

    def _subscribe(self, session: StreamSession, streams: Iterable[str]) -> None:
        for stream in streams:
            name = stream
            if session.entry is Entry.PRIVATE and "@" in stream:
                name, _, event = stream.partition("@")
                session.filters[name] = session.filters.get(name, frozenset()) | {event}
            session.streams.add(name)
            if _entry_of(name) is session.entry:
                self._by_stream[name].add(session)
                session.uids.update(uid for uid, key in self._exchange.listen_keys.items() if key == name)

    def _unsubscribe(self, session: StreamSession, streams: Iterable[str]) -> None:
        for stream in streams:
            session.streams.discard(stream)
            listeners = self._by_stream.get(stream)
            if listeners is not None:
                listeners.discard(session)
                if not listeners:
                    del self._by_stream[stream]

    async def _receive(self, session: StreamSession, message: WSMessage) -> None:
        if message.type is WSMsgType.TEXT:
            session.put(_ENCODE(self._answer(session, message)))
        now = int(self._clock.monotonic())
        session.second, session.received = (now, session.received + 1) if now == session.second else (now, 1)
        if session.received > MAX_MESSAGES_PER_SECOND:
            await session.socket.close(code=1008, message=b"Too many requests")

    def _answer(self, session: StreamSession, message: WSMessage) -> Json:
        """Answer a frame of the live-subscribe protocol."""
        try:
            frame = msgspec.json.decode(message.data)
        except msgspec.DecodeError as error:
            return {"error": {"code": 3, "msg": f"Invalid JSON: {error}"}}
        if not isinstance(frame, dict) or not isinstance(frame.get("method"), str):
            return {"error": {"code": 2, "msg": "Invalid request: missing field `method`"}}
        number = frame.get("id")
        if not isinstance(number, int | str | None):
            return {"error": {"code": 2, "msg": "Invalid request: request ID must be an integer or a string"}}
        parameters = frame.get("params", [])
        method = frame["method"]
        if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
            if not isinstance(parameters, list) or not all(isinstance(name, str) for name in parameters):
                return _refused(number, 2, "Invalid request: params must be an array of strings")
            if method == "UNSUBSCRIBE":
                self._unsubscribe(session, parameters)
            elif len(session.streams | set(parameters)) > MAX_STREAMS:
                return _refused(number, 2, f"Invalid request: at most {MAX_STREAMS} streams on a connection")
            else:
                self._subscribe(session, parameters)
            return {"result": None, "id": number}
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": sorted(session.streams), "id": number}
        return _refused(number, 2, f"Invalid request: unknown variant `{method[:40]}`")

    def ping_all(self) -> None:
        """Ping every session, as the venue does every three minutes."""
        self.sessions.ping_all(str(self._exchange.now_ms).encode())


def _refused(number: object, code: int, text: str) -> Json:
    return {"error": {"code": code, "msg": text}, "id": number}


def _symbol_of(message: Json) -> str:
    """Return the symbol a private message is about, empty when it is about none."""
    order = message.get("o")
    return str(order.get("s", "")) if isinstance(order, dict) else ""


def _entry_of(stream: str) -> Entry:
    if _MARKET_STREAM.fullmatch(stream):
        return Entry.MARKET
    if _PUBLIC_STREAM.fullmatch(stream):
        return Entry.PUBLIC
    return Entry.PRIVATE
