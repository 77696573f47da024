"""The HTTP server side of the Binance face: authenticate, weigh, answer, refuse in the venue's words.

Limits count requests on real time; a stepped replay runs without them, since venue time stands still between steps.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from patriot.kernel.clock import Clock, to_epoch_ms
from patriot.sim.binance import account_rest, market_rest, order_rest, refusals
from patriot.sim.binance.context import FaceContext, Tape
from patriot.sim.binance.endpoints import ENDPOINTS, Endpoint
from patriot.sim.binance.limits import LimitExceeded, Limits, RateLimiter
from patriot.sim.binance.listen_keys import ListenKeys
from patriot.sim.binance.requests import Call, RawRequest, authenticate, parse_parameters
from patriot.sim.binance.streams import Entry, StreamHub
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.exchange import Exchange
from patriot.sim.faults import Faults
from patriot.sim.rest_faults import under_faults
from patriot.sim.world import JournalLost

MAX_BODY_BYTES = 256 * 1024
UNKNOWN_OUTCOME = b'{"code":-1000,"msg":"Unknown error, please check your request or try again later."}'
ENDPOINT_MODULES = (account_rest, market_rest, order_rest)  # imported for the endpoints they register

_ENCODE = msgspec.json.Encoder().encode
_FORM = "application/x-www-form-urlencoded"


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
        self._context = FaceContext(exchange, self.listen_keys, limits, tape, self.hub.announce_expiry)
        self._exchange = exchange
        self._faults = faults
        self._clock = clock
        self._limiter = RateLimiter(clock, limits)
        exchange.subscribe(self.hub.publish)

    def application(self) -> web.Application:
        """Return the application: stream entries, and every other path as REST."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        for prefix, entry in (("", Entry.PUBLIC), *((f"/{entry.value}", entry) for entry in Entry)):
            app.router.add_get(f"{prefix}/ws", self._stream_handler(entry, combined=False))
            app.router.add_get(f"{prefix}/ws/{{stream:.+}}", self._stream_handler(entry, combined=False))
            app.router.add_get(f"{prefix}/stream", self._stream_handler(entry, combined=True))
        app.router.add_route("*", "/{path:.*}", self._rest)
        return app

    def _stream_handler(self, entry: Entry, *, combined: bool) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            path_stream = request.match_info.get("stream", "")
            return await self.hub.serve(request, entry, combined=combined, path_stream=path_stream)

        return handle

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        return await under_faults(self._faults, self._exchange, request, lambda: self._execute(request))

    async def _execute(self, request: web.Request) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        headers: dict[str, str] = {}
        try:
            body = await self._body(request)
            answer = self._answer(request, path, RawRequest(query, body, request.headers.get("X-MBX-APIKEY")), headers)
            response = web.Response(body=_ENCODE(answer), content_type="application/json", headers=headers)
        except VenueRefusal as refusal:
            response = _refused(refusal, headers)
        except JournalLost as error:
            self._on_lost_journal(error)
            return web.Response(body=UNKNOWN_OUTCOME, status=503, content_type="application/json")
        return response

    async def _body(self, request: web.Request) -> str:
        if not request.body_exists:
            return ""
        try:
            return (await request.read()).decode("utf-8", "surrogateescape")
        except web.HTTPRequestEntityTooLarge:
            raise VenueRefusal(*refusals.BODY_TOO_LARGE) from None

    def _answer(self, request: web.Request, path: str, raw: RawRequest, headers: dict[str, str]) -> Any:
        endpoint = ENDPOINTS.find(request.method, path)
        if endpoint is None:
            raise refusals.no_such_path(request.method, path)
        self._count_weight(request, endpoint, raw, headers)
        exchange = self._exchange
        clocks_ms = (exchange.now_ms, to_epoch_ms(self._clock.now()))
        call = authenticate(raw, endpoint.security, exchange.keys, clocks_ms)
        if endpoint.counts_as_order:
            in_10s, in_1m = self._limiter.count_order(call.uid)
            headers["X-MBX-ORDER-COUNT-10S"], headers["X-MBX-ORDER-COUNT-1M"] = str(in_10s), str(in_1m)
        return endpoint.answer(self._context, call)

    def _count_weight(self, request: web.Request, endpoint: Endpoint, raw: RawRequest, headers: dict[str, str]) -> None:
        weight = endpoint.weight(Call(parse_parameters(raw)))
        used = self._limiter.count_weight(request.remote or "unknown", weight)
        headers["X-MBX-USED-WEIGHT-1M"] = str(used)


def _refused(refusal: VenueRefusal, headers: dict[str, str]) -> web.Response:
    if isinstance(refusal, LimitExceeded):
        headers["Retry-After"] = str(refusal.retry_after_seconds)
    return web.Response(
        body=_ENCODE({"code": refusal.code, "msg": refusal.message}),
        status=refusals.http_status(refusal.code),
        content_type="application/json",
        headers=headers,
    )
