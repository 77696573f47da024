"""The HTTP server side of the Binance face: authenticate, weigh, answer, refuse in the venue's words.

Limits count requests on real time; a stepped replay runs without them, since venue time stands still between steps.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog
from aiohttp import web

from patriot.kernel.clock import Clock
from patriot.sim.binance import (
    account_rest,
    algo_rest,
    batch_rest,
    closed_rest,
    export_rest,
    history_rest,
    kline_rest,
    market_rest,
    order_rest,
    position_rest,
    price_rest,
    refusals,
    spot_rest,
    statistics_rest,
)
from patriot.sim.binance.context import FaceContext, Tape
from patriot.sim.binance.endpoints import ENDPOINTS
from patriot.sim.binance.exports import EXPORT_PATH, file_of
from patriot.sim.binance.limits import LimitExceeded, Limits, RateLimiter
from patriot.sim.binance.listen_keys import ListenKeys
from patriot.sim.binance.order_socket import OrderSocket
from patriot.sim.binance.requests import Call, RawRequest, authenticate, parse_parameters
from patriot.sim.binance.stream_names import Entry
from patriot.sim.binance.streams import StreamHub
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.exchange import Exchange
from patriot.sim.faults.requests import under_faults
from patriot.sim.faults.rules import Faults
from patriot.sim.world import JournalLost

MAX_BODY_BYTES = 256 * 1024
KEY_HEADER = "X-MBX-APIKEY"
CLOSING_STATUSES = (429, 418)  # with a Retry-After: who asks on before it is over gets banned
UNKNOWN_OUTCOME = b'{"code":-1000,"msg":"Unknown error, please check your request or try again later."}'
ENDPOINT_MODULES = (  # imported for the endpoints they register
    account_rest,
    algo_rest,
    batch_rest,
    closed_rest,
    export_rest,
    history_rest,
    kline_rest,
    market_rest,
    order_rest,
    position_rest,
    price_rest,
    spot_rest,
    statistics_rest,
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_ENCODE = msgspec.json.Encoder().encode
log = structlog.get_logger()


class BinanceFace:
    """One application that serves REST and WebSocket of the venue on one port."""

    def __init__(
        self,
        exchange: Exchange,
        faults: Faults,
        clock: Clock,
        limits: Limits,
        *,
        live: bool,
        on_lost_journal: Callable[[JournalLost], None],
    ) -> None:
        self._on_lost_journal = on_lost_journal
        self.listen_keys = ListenKeys(clock)
        for uid, listen_key in exchange.listen_keys.items():
            self.listen_keys.restore(uid, listen_key)
        tape = Tape()
        self.hub = StreamHub(exchange, self.listen_keys, tape, faults, clock, live=live)
        self._context = FaceContext(
            exchange, self.listen_keys, limits, tape, self.hub.announce_expiry, self.hub.observe_book
        )
        self._exchange = exchange
        self._faults = faults
        self._clock = clock
        self._limiter = RateLimiter(clock, limits)
        self._askers: dict[int, str] = {}  # the address that an account asked from last
        self._order_socket = OrderSocket(self._context, self.hub, self._limiter, faults, clock, on_lost_journal)
        exchange.subscribe(self.hub.publish)

    def application(self) -> web.Application:
        """Return the application: stream entries, and every other path as REST."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_in_venue_words])
        for entry in Entry:
            app.router.add_get(f"{entry.prefix}/ws", self._stream_handler(entry, combined=False))
            app.router.add_get(f"{entry.prefix}/ws/{{stream:.+}}", self._stream_handler(entry, combined=False))
            app.router.add_get(f"{entry.prefix}/stream", self._stream_handler(entry, combined=True))
        app.router.add_get("/ws-fapi/v1", self._upgraded(self._order_socket.serve))
        app.router.add_get(EXPORT_PATH, self._download)
        app.router.add_route("*", "/{path:.*}", self._rest)
        return app

    async def _download(self, request: web.Request) -> web.StreamResponse:
        export = self._context.exports.named(request.match_info["name"], self._context.now_ms)
        if export is None:
            raise web.HTTPNotFound
        headers = {"Content-Disposition": f'attachment; filename="{export.kind}.csv"'}
        return web.Response(text=file_of(export, self._exchange), content_type="text/csv", headers=headers)

    def _stream_handler(self, entry: Entry, *, combined: bool) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            path_stream = request.match_info.get("stream", "")
            return await self.hub.serve(request, entry, combined=combined, path_stream=path_stream)

        return self._upgraded(handle)

    def _upgraded(self, serve: Handler) -> Handler:
        """Serve a socket; without an upgrade its path is one that REST does not know."""

        async def handle(request: web.Request) -> web.StreamResponse:
            is_socket = request.headers.get("Upgrade", "").lower() == "websocket"
            return await (serve(request) if is_socket else self._rest(request))

        return handle

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        address, key = request.remote or "unknown", self._exchange.keys.find(request.headers.get(KEY_HEADER, ""))
        if key is not None:
            self._askers[key.uid] = address
        own_answers: list[web.StreamResponse] = []

        async def execute() -> web.StreamResponse:
            own_answers.append(await self._execute(request))
            return own_answers[-1]

        try:
            answer = await under_faults(self._faults, self._exchange, request, execute)
            if answer.status in CLOSING_STATUSES and answer not in own_answers:
                self._note_closed(answer, address)
            return answer
        except JournalLost as error:
            self._on_lost_journal(error)
            return _unknown_outcome()
        except Exception:
            log.exception("sim.request_failed", venue="binance", method=request.method, path=request.path)
            return _unknown_outcome()

    async def _execute(self, request: web.Request) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        headers: dict[str, str] = {}
        try:
            body = await self._body(request) if request.body_exists else ""
            raw = RawRequest(query, body, request.headers.get(KEY_HEADER), request.headers.get("Host", ""))
            answer = self._answer(request.method, path, request.remote or "unknown", raw, headers)
            return web.Response(body=_ENCODE(answer), content_type="application/json", headers=headers)
        except VenueRefusal as refusal:
            return _refused(refusal, headers)
        except JournalLost as error:
            self._on_lost_journal(error)
            return _unknown_outcome()

    def _note_closed(self, answer: web.StreamResponse, address: str) -> None:
        """Note whom a fault closes out: whoever asks from that address. Who spends too much has itself to blame."""
        seconds = answer.headers.get("Retry-After")
        if seconds is not None:
            uids = [uid for uid, asks_from in self._askers.items() if asks_from == address]
            self._exchange.tell_to_wait(uids, int(seconds))

    async def _body(self, request: web.Request) -> str:
        try:
            return (await request.read()).decode("utf-8", "surrogateescape")
        except web.HTTPRequestEntityTooLarge:
            raise VenueRefusal(*refusals.BODY_TOO_LARGE) from None
        except (web.RequestPayloadError, ConnectionError):
            raise VenueRefusal(*refusals.UNREADABLE_BODY) from None

    def _answer(self, method: str, path: str, address: str, raw: RawRequest, headers: dict[str, str]) -> Any:
        endpoint = ENDPOINTS.find(method, path)
        if endpoint is None:
            self._limiter.check_ban(address)
            raise refusals.no_such_path(method, path)
        parameters = parse_parameters(raw)
        weight = endpoint.weight_of(Call(parameters))
        try:
            self._limiter.count_weight(address, weight, endpoint.pool)
        finally:
            headers["X-MBX-USED-WEIGHT-1M"] = str(self._limiter.used_weight(address))
        clocks_ms = self._context.clocks_ms(self._clock)
        call = authenticate(raw, endpoint.security, self._exchange.keys, clocks_ms, parameters)
        orders = endpoint.orders
        if orders.in_10_seconds:
            in_10s, in_1m = self._limiter.count_order(call.uid, orders.in_10_seconds, orders.in_1_minute)
            headers["X-MBX-ORDER-COUNT-10S"], headers["X-MBX-ORDER-COUNT-1M"] = str(in_10s), str(in_1m)
        return endpoint.answer(self._context, call)


@web.middleware
async def _in_venue_words(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell in the venue's words what the HTTP server refuses by itself: odd targets, handshakes, expectations."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status == web.HTTPNotFound.status_code:
            return _refused(refusals.no_such_path(request.method, request.raw_path), {})
        response = _refused(VenueRefusal(*refusals.UNSUPPORTED), {})
        response.set_status(error.status)
        return response


def _refused(refusal: VenueRefusal, headers: dict[str, str]) -> web.Response:
    status = refusals.http_status(refusal.code)
    if isinstance(refusal, LimitExceeded):
        headers["Retry-After"] = str(refusal.retry_after_seconds)
        status = refusal.status
    return web.Response(
        body=_ENCODE({"code": refusal.code, "msg": refusal.message}),
        status=status,
        content_type="application/json",
        headers=headers,
    )


def _unknown_outcome() -> web.Response:
    return web.Response(body=UNKNOWN_OUTCOME, status=503, content_type="application/json")
