"""The WebSocket API (/ws-fapi/v1): orders, the account and some market data as requests on a socket.

Every method is an endpoint of REST behind another envelope: the same parameters, weights, order counts and refusals.
A session that has logged on with an Ed25519 key signs no more requests.
Source: USD-M Futures WebSocket API, "General Info" and "Session Authentication", read 2026-11-22.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog
from aiohttp import WSMessage, WSMsgType, web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from patriot.kernel.clock import Clock, to_epoch_ms
from patriot.sim.binance import refusals
from patriot.sim.binance.context import FaceContext
from patriot.sim.binance.endpoints import ENDPOINTS, Endpoint
from patriot.sim.binance.limits import (
    ORDERS_PER_10_SECONDS,
    ORDERS_PER_MINUTE,
    WEIGHT_PER_MINUTE,
    LimitExceeded,
    RateLimiter,
)
from patriot.sim.binance.order_socket_frames import (
    UNKNOWN_METHOD,
    BadFrame,
    Frame,
    Json,
    failed,
    read_frame,
    refused,
    succeeded,
)
from patriot.sim.binance.requests import Call, Security, authenticate, authorize
from patriot.sim.binance.signatures import open_public_key
from patriot.sim.binance.streams import StreamHub
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.faults.requests import failure, refused_socket
from patriot.sim.faults.rules import Faults, RestFault, RestRule
from patriot.sim.sockets import Session, accept
from patriot.sim.world import JournalLost

HANDSHAKE_WEIGHT = 5
SESSION_WEIGHT = 2
HMAC_KEY = (-4056, "HMAC_SHA256 API key is not supported.")
UNKNOWN_OUTCOME = {"code": -1000, "msg": "Unknown error, please check your request or try again later."}
METHODS = {
    "ping": ("GET", "/fapi/v1/ping"),
    "time": ("GET", "/fapi/v1/time"),
    "depth": ("GET", "/fapi/v1/depth"),
    "ticker.price": ("GET", "/fapi/v2/ticker/price"),
    "ticker.book": ("GET", "/fapi/v1/ticker/bookTicker"),
    "order.place": ("POST", "/fapi/v1/order"),
    "order.modify": ("PUT", "/fapi/v1/order"),
    "order.cancel": ("DELETE", "/fapi/v1/order"),
    "order.status": ("GET", "/fapi/v1/order"),
    "algoOrder.place": ("POST", "/fapi/v1/algoOrder"),
    "algoOrder.cancel": ("DELETE", "/fapi/v1/algoOrder"),
    "account.position": ("GET", "/fapi/v2/positionRisk"),
    "v2/account.position": ("GET", "/fapi/v3/positionRisk"),
    "account.balance": ("GET", "/fapi/v2/balance"),
    "v2/account.balance": ("GET", "/fapi/v3/balance"),
    "account.status": ("GET", "/fapi/v2/account"),
    "v2/account.status": ("GET", "/fapi/v3/account"),
    "userDataStream.start": ("POST", "/fapi/v1/listenKey"),
    "userDataStream.ping": ("PUT", "/fapi/v1/listenKey"),
    "userDataStream.stop": ("DELETE", "/fapi/v1/listenKey"),
}
_ENCODE = msgspec.json.Encoder().encode
log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class OrderSession(Session):
    """A socket of the WebSocket API, and the key it has logged on with."""

    connected_ms: int = 0
    api_key: str | None = None
    authorized_ms: int | None = None
    shows_limits: bool = True


@dataclass(slots=True)
class _Counts:
    """What a request has counted as, for the rateLimits of its answer."""

    rows: list[Json] = field(default_factory=list)

    def add(self, kind: str, interval: str, number: int, limit: int, count: int) -> None:
        self.rows.append(
            {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit, "count": count}
        )


class OrderSocket:
    """The WebSocket API of one venue face."""

    def __init__(
        self,
        context: FaceContext,
        hub: StreamHub,
        limiter: RateLimiter,
        faults: Faults,
        clock: Clock,
        on_lost_journal: Callable[[JournalLost], None],
    ) -> None:
        self._context = context
        self._exchange = context.exchange
        self._hub = hub
        self._limiter = limiter
        self._faults = faults
        self._clock = clock
        self._on_lost_journal = on_lost_journal

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Run one socket until it closes."""
        refusal = refused_socket(self._faults, self._exchange, request) or self._hub.refused_attempt(request)
        if refusal is not None:
            return refusal
        address = request.remote or "unknown"
        try:
            self._limiter.count_weight(address, HANDSHAKE_WEIGHT)
        except LimitExceeded as error:
            body, headers = {"code": error.code, "msg": error.message}, {"Retry-After": str(error.retry_after_seconds)}
            return web.json_response(body, status=error.status, headers=headers)
        session = OrderSession(
            await accept(request), address, self._clock.monotonic(), connected_ms=self._exchange.wire_now_ms
        )
        session.shows_limits = request.query.get("returnRateLimits", "true").lower() != "false"
        await self._hub.sessions.run(session, lambda message: self._receive(session, message))
        return session.socket

    async def _receive(self, session: OrderSession, message: WSMessage) -> None:
        if message.type is not WSMsgType.TEXT:
            return
        try:
            frame = read_frame(message.data)
        except BadFrame as bad:
            session.put(_ENCODE(refused(bad.request_id, refusals.http_status(bad.refusal.code), bad.refusal)))
            return
        answer = await self._under_faults(session, frame)
        if answer is not None:
            session.put(_ENCODE(answer))

    async def _under_faults(self, session: OrderSession, frame: Frame) -> Json | None:
        """Answer a request as the faults in force have it; None for no answer."""
        rule = self._rule_for(session, frame) if self._faults.on_rest else None
        if rule is not None and rule.delay_ms:
            await asyncio.sleep(rule.delay_ms / 1000)
        answer = self._answer(session, frame) if rule is None or rule.fault.executes else None
        if rule is None or rule.fault is RestFault.DELAY:
            return answer
        if rule.fault in (RestFault.TIMEOUT_BEFORE, RestFault.TIMEOUT_AFTER):
            return None
        if rule.fault in (RestFault.DROP_BEFORE, RestFault.DROP_AFTER):
            if session.socket.transport is not None:
                session.socket.transport.abort()
            return None
        response = failure(self._exchange.name, rule, now_ms=self._exchange.wire_now_ms, address=session.address)
        try:
            error = msgspec.json.decode(response.body) if isinstance(response.body, bytes) else UNKNOWN_OUTCOME
        except msgspec.DecodeError:
            error = UNKNOWN_OUTCOME
        return failed(frame.request_id, response.status, error)

    def _rule_for(self, session: OrderSession, frame: Frame) -> RestRule | None:
        api_key = frame.api_key or session.api_key or ""
        key = self._exchange.keys.find(api_key)
        reduces = any(frame.parameters.get(name) == "true" for name in ("reduceOnly", "closePosition"))
        return self._faults.on_request(
            self._exchange.name,
            "WS",
            frame.method,
            key.uid if key is not None else None,
            session.address,
            api_key=api_key,
            symbol=frame.parameters.get("symbol", ""),
            exempt=reduces,
        )

    # ------------------------------------------------------------------------------------------------ answers

    def _answer(self, session: OrderSession, frame: Frame) -> Json:
        counts = _Counts()
        try:
            answer = succeeded(frame.request_id, self._result(session, frame, counts))
        except LimitExceeded as refusal:
            answer = refused(frame.request_id, refusal.status, refusal)
            now_ms = to_epoch_ms(self._clock.now())
            retry_ms = now_ms + refusal.retry_after_seconds * 1000
            answer["error"]["data"] = {"serverTime": now_ms, "retryAfter": retry_ms}
        except VenueRefusal as refusal:
            answer = refused(frame.request_id, refusals.http_status(refusal.code), refusal)
        except JournalLost as error:
            self._on_lost_journal(error)
            answer = failed(frame.request_id, 503, UNKNOWN_OUTCOME)
        except Exception:
            log.exception("sim.request_failed", venue="binance", method=frame.method)
            answer = failed(frame.request_id, 503, UNKNOWN_OUTCOME)
        if frame.parameters.get("returnRateLimits", str(session.shows_limits)).lower() != "false":
            answer["rateLimits"] = counts.rows
        return answer

    def _result(self, session: OrderSession, frame: Frame, counts: _Counts) -> Any:
        if frame.method in _SESSION_METHODS:
            self._count_weight(session, SESSION_WEIGHT, counts)
            return _SESSION_METHODS[frame.method](self, session, frame)
        endpoint = ENDPOINTS.find(*METHODS[frame.method]) if frame.method in METHODS else None
        if endpoint is None:
            self._limiter.check_ban(session.address)
            raise VenueRefusal(*UNKNOWN_METHOD)
        self._count_weight(session, endpoint.weight_of(Call(frame.parameters)), counts)
        call = self._authenticated(session, frame, endpoint)
        self._count_orders(call, endpoint, counts)
        return endpoint.answer(self._context, call)

    def _count_weight(self, session: OrderSession, weight: int, counts: _Counts) -> None:
        used = self._limiter.count_weight(session.address, weight)
        limit = self._context.limits.weight_per_minute or WEIGHT_PER_MINUTE
        counts.add("REQUEST_WEIGHT", "MINUTE", 1, limit, used)

    def _count_orders(self, call: Call, endpoint: Endpoint, counts: _Counts) -> None:
        orders, limits = endpoint.orders, self._context.limits
        if orders.in_10_seconds:
            in_10s, in_1m = self._limiter.count_order(call.uid, orders.in_10_seconds, orders.in_1_minute)
            counts.add("ORDERS", "SECOND", 10, limits.orders_per_10_seconds or ORDERS_PER_10_SECONDS, in_10s)
            counts.add("ORDERS", "MINUTE", 1, limits.orders_per_minute or ORDERS_PER_MINUTE, in_1m)

    # ------------------------------------------------------------------------------------------------ who asks

    def _clocks_ms(self) -> tuple[int, ...]:
        return self._context.clocks_ms(self._clock)

    def _authenticated(self, session: OrderSession, frame: Frame, endpoint: Endpoint) -> Call:
        """Check who asks: the session's key where the request brings no key of its own."""
        if endpoint.security is Security.NONE or frame.api_key is not None or session.api_key is None:
            return self._signed(frame, endpoint.security)
        key = self._exchange.keys.find(session.api_key)
        if key is None:  # revoked: the next request ends the session
            session.api_key = session.authorized_ms = None
        return authorize(key, endpoint.security, self._clocks_ms(), frame.parameters)

    def _signed(self, frame: Frame, security: Security) -> Call:
        *others, last = frame.as_requests()
        for request in others:
            try:
                return authenticate(request, security, self._exchange.keys, self._clocks_ms(), frame.parameters)
            except VenueRefusal as refusal:
                if refusal.code != refusals.BAD_SIGNATURE[0]:
                    raise
        return authenticate(last, security, self._exchange.keys, self._clocks_ms(), frame.parameters)

    def _log_on(self, session: OrderSession, frame: Frame) -> Json:
        key = self._exchange.keys.find(frame.api_key or "")
        is_ed25519 = (
            key is not None
            and key.public_key is not None
            and isinstance(open_public_key(key.public_key), Ed25519PublicKey)
        )
        if key is not None and not is_ed25519:
            raise VenueRefusal(*HMAC_KEY)
        call = self._signed(frame, Security.READ)
        session.api_key, session.authorized_ms = call.api_key, self._exchange.wire_now_ms
        return self._status(session, frame)

    def _log_out(self, session: OrderSession, frame: Frame) -> Json:
        session.api_key = session.authorized_ms = None
        return self._status(session, frame)

    def _status(self, session: OrderSession, _frame: Frame) -> Json:
        return {
            "apiKey": session.api_key,
            "authorizedSince": session.authorized_ms,
            "connectedSince": session.connected_ms,
            "returnRateLimits": session.shows_limits,
            "serverTime": self._exchange.wire_now_ms,
        }


_SESSION_METHODS = {
    "session.logon": OrderSocket._log_on,
    "session.status": OrderSocket._status,
    "session.logout": OrderSocket._log_out,
}
