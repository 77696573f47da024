"""The venue's sockets: which doors there are, who may come in, what a frame asks for, when a silent one is closed.

Source: bybit-exchange.github.io/docs/v5, "WebSocket Stream, Connect" and "Rate Limit Rules", read 2026-11-22.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import structlog
from aiohttp import WSMessage, WSMsgType, web

from patriot.sim.bybit.context import FaceContext
from patriot.sim.bybit.order_rest import cancel_all
from patriot.sim.bybit.refusals import BAD_KEY
from patriot.sim.bybit.requests import Call, is_signed
from patriot.sim.bybit.socket_answers import (
    PARAMS_ERROR,
    Request,
    Undecodable,
    answered,
    pong,
    read,
    texts,
    trade_authenticated,
    undecodable,
)
from patriot.sim.bybit.streams import DISCONNECT_TOPIC, ClientSession, Door, StreamHub, SubscriptionRefused
from patriot.sim.bybit.trade_socket import ANSWER_SECONDS, OrderDesk
from patriot.sim.engine.events import VenueEvent
from patriot.sim.engine.words import QUOTE_ASSET
from patriot.sim.faults.requests import refused_socket
from patriot.sim.keys import ApiKey
from patriot.sim.sockets import Attempts, accept
from patriot.sim.world import JournalLost

MAX_ATTEMPTS: Final = 500  # to connect, of one address in five minutes
ATTEMPTS_SECONDS: Final = 300.0
MAX_CONNECTIONS: Final = 1_000  # of one address, at each door by itself
IDLE_SECONDS: Final = 600.0  # without a message either way; max_active_time sets another on the private doors
MIN_IDLE_SECONDS: Final = 30.0
INTERNAL_ERROR: Final = 1011
_ACTIVE_TIME: Final = re.compile(r"([0-9]{1,4})([sm])")
_MILLISECONDS: Final = re.compile(r"[0-9]{1,18}")
_NOT_AUTHORIZED: Final = "Request not authorized"
_BAD_SIGN: Final = "Invalid sign"
_log: Final = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AuthenticationRefused(Exception):
    """A key was not accepted: code on the trade door, words on both."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.words = words


class SocketDoors:
    """Every socket of the venue."""

    def __init__(self, context: FaceContext, on_lost_journal: Callable[[JournalLost], None]) -> None:
        self.hub = StreamHub(context)
        self._context = context
        self._on_lost_journal = on_lost_journal
        self._desk = OrderDesk(context, on_lost_journal)
        self._attempts = Attempts(MAX_ATTEMPTS, ATTEMPTS_SECONDS, context.clock.monotonic)
        self._opened = 0

    def add_routes(self, app: web.Application, without_upgrade: Handler) -> None:
        """Open the doors; who asks for no socket at one of them is answered by without_upgrade."""
        for door in Door:
            app.router.add_get(f"/v5/{door}", self._handler(door, without_upgrade))

    def publish(self, events: Sequence[VenueEvent]) -> None:
        """Tell what happened to all who listen."""
        self.hub.publish(events)

    def housekeeping(self) -> None:
        """Tell again what is told in quiet times; close idle sockets and those whose key is gone. Due once a second."""
        self.hub.tell_again()
        now, keys = self._context.clock.monotonic(), self._context.exchange.keys
        for session in tuple(self._context.sessions.open):
            if not isinstance(session, ClientSession):
                continue
            if session.sent:
                session.sent, session.active_at = False, now
            idle = self._context.limiter.on and now - session.active_at >= session.idle_seconds
            if idle or (session.key is not None and keys.find(session.key.api_key) is None):
                session.end()

    # ------------------------------------------------------------------------------------------------ one socket

    def _handler(self, door: Door, without_upgrade: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            is_socket = request.headers.get("Upgrade", "").lower() == "websocket"
            return await (self._serve(request, door) if is_socket else without_upgrade(request))

        return handle

    async def _serve(self, request: web.Request, door: Door) -> web.StreamResponse:
        context, address = self._context, request.remote or "unknown"
        refused = refused_socket(context.faults, context.exchange, request)
        if refused is not None:
            return refused
        if context.limiter.on and not self._lets_in(address, door):
            return web.Response(text="403, access too frequent", status=403)
        now = context.clock.monotonic()
        socket = await accept(request)
        session = ClientSession(socket, address, now, door=door, connection_id=self._next_connection_id())
        session.active_at = now
        session.idle_seconds = IDLE_SECONDS if door.is_public else _idle_seconds(request.query.get("max_active_time"))
        try:
            await context.sessions.run(session, lambda message: self._receive(session, message))
        finally:
            self._leave(session)
        return socket

    def _leave(self, session: ClientSession) -> None:
        """Forget a closed socket; the last one that watches over an account's orders sets their end."""
        key, watched = session.key, DISCONNECT_TOPIC in session.topics
        self.hub.unsubscribe(session, tuple(session.topics))
        seconds = self._context.exchange.disconnect_windows.get(key.uid) if key is not None else None
        if key is not None and watched and seconds is not None and not self.hub.is_watched(key.uid):
            self._context.sessions.call_later(seconds, lambda: self._end_orders(key))

    def _end_orders(self, key: ApiKey) -> None:
        if self.hub.is_watched(key.uid):
            return  # somebody came back in time
        call = Call({"category": "linear", "settleCoin": QUOTE_ASSET}, key.uid, key)
        try:
            cancel_all(self._context, call)
        except JournalLost as error:
            self._on_lost_journal(error)

    def _lets_in(self, address: str, door: Door) -> bool:
        if not self._attempts.allow(address):
            return False
        open_here = sum(
            1
            for session in self._context.sessions.open
            if isinstance(session, ClientSession) and (session.address, session.door) == (address, door)
        )
        return open_here < MAX_CONNECTIONS

    def _next_connection_id(self) -> str:
        self._opened += 1
        digest = hashlib.blake2b(f"connection {self._opened}".encode(), digest_size=10).hexdigest()
        return f"{digest}-{self._opened:x}"

    async def _receive(self, session: ClientSession, message: WSMessage) -> None:
        session.active_at = self._context.clock.monotonic()
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            return
        try:
            self._answer(session, read(message.data, session.door))
        except Undecodable as words:
            session.tell(undecodable(session, words))
        except Exception:  # noqa: BLE001 - a defect of ours ends the socket, as a server's does, and is logged
            _log.exception("sim.bybit.frame_failed", door=session.door.value)
            session.end(INTERNAL_ERROR)

    def _answer(self, session: ClientSession, request: Request) -> None:
        match request.op, session.door:
            case "ping", _:
                session.tell(pong(session, request, self._context.exchange.wire_now_ms))
            case "auth", Door.TRADE:
                session.tell(self._authenticate_trader(session, request))
            case "auth", Door.PRIVATE:
                session.tell(self._authenticate_listener(session, request))
            case _, Door.TRADE:
                self._desk.handle(session, request)
            case "subscribe", _:
                names = texts(request.arguments)
                self._soon(session, lambda: self._subscribe(session, request, names))
            case "unsubscribe", _:
                self.hub.unsubscribe(session, texts(request.arguments))
                session.tell(answered(session, request))
            case _:
                session.tell(answered(session, request, "error:invalid op"))

    def _soon(self, session: ClientSession, action: Callable[[], None]) -> None:
        """Do something after the way there and back that a running venue is away; at once in a stepped replay."""

        def act() -> None:
            if session in self._context.sessions.open:
                action()

        if self._context.live:
            self._context.sessions.call_later(ANSWER_SECONDS, act)
        else:
            action()

    def _subscribe(self, session: ClientSession, request: Request, names: list[str]) -> None:
        if session.door is Door.PRIVATE and session.key is None:
            session.tell(answered(session, request, _NOT_AUTHORIZED))
            return
        try:
            topics = self.hub.check_subscribe(session, names)
        except SubscriptionRefused as refusal:
            session.tell(answered(session, request, str(refusal)))
            return
        session.tell(answered(session, request, words="subscribe" if session.door is Door.SPOT else ""))
        self.hub.subscribe(session, names, topics)

    # ------------------------------------------------------------------------------------------------ keys

    def _authenticate_listener(self, session: ClientSession, request: Request) -> dict[str, Any]:
        if session.key is not None:
            return answered(session, request)  # once is enough
        try:
            self._show_key(session, request)
        except AuthenticationRefused as refusal:
            return answered(session, request, refusal.words)
        return answered(session, request)

    def _authenticate_trader(self, session: ClientSession, request: Request) -> dict[str, Any]:
        if session.key is not None:
            return trade_authenticated(session, request, 20001, "Repeat auth")
        try:
            self._show_key(session, request)
        except AuthenticationRefused as refusal:
            return trade_authenticated(session, request, refusal.code, refusal.words)
        return trade_authenticated(session, request)

    def _show_key(self, session: ClientSession, request: Request) -> None:
        session.key = self._key_of(request)
        session.uids.add(session.key.uid)

    def _key_of(self, request: Request) -> ApiKey:
        """Return the key that a request shows: [key, time of expiry in ms, signature of GET/realtime and that time]."""
        try:
            name, expires, sign = texts(request.arguments)
        except (ValueError, Undecodable):
            raise AuthenticationRefused(10001, PARAMS_ERROR) from None
        if not _MILLISECONDS.fullmatch(expires) or int(expires) <= min(self._context.clocks_ms()):
            raise AuthenticationRefused(10001, PARAMS_ERROR)
        key = self._context.exchange.keys.find(name)
        if key is None:
            raise AuthenticationRefused(*BAD_KEY)
        if not is_signed(key, f"GET/realtime{expires}".encode(), sign):
            raise AuthenticationRefused(10004, _BAD_SIGN)
        return key


def _idle_seconds(asked: str | None) -> float:
    """Return how long a private socket may be silent: 30s to 600s or 1m to 10m as asked, else ten minutes.

    >>> _idle_seconds("45s"), _idle_seconds("2m"), _idle_seconds("1h"), _idle_seconds("5s"), _idle_seconds(None)
    (45.0, 120.0, 600.0, 600.0, 600.0)
    """
    found = _ACTIVE_TIME.fullmatch(asked or "")
    if found is None:
        return IDLE_SECONDS
    seconds = float(found[1]) * (60 if found[2] == "m" else 1)
    return seconds if MIN_IDLE_SECONDS <= seconds <= IDLE_SECONDS else IDLE_SECONDS
