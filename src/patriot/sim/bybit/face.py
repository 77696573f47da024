"""The HTTP server side of the Bybit v5 face: authenticate, count, answer, refuse in the venue's words.

A business refusal travels with HTTP 200 and a retCode; limits count requests on real time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog
from aiohttp import web

from patriot.kernel.clock import Clock
from patriot.sim.bybit import account_rest, asset_rest, market_rest, order_rest, position_rest, query_rest, refusals
from patriot.sim.bybit.context import FaceContext, Market, Tape
from patriot.sim.bybit.endpoints import ENDPOINTS, Endpoint, Reply, carry_out
from patriot.sim.bybit.index import OrderIndex
from patriot.sim.bybit.ledger import TradeLedger
from patriot.sim.bybit.limits import AddressBanned, RateLimiter
from patriot.sim.bybit.refusals import Refused
from patriot.sim.bybit.requests import Call, RawRequest, Security, authenticate, check_right, parameters_of
from patriot.sim.bybit.sockets import Handler, SocketDoors
from patriot.sim.engine.events import VenueEvent
from patriot.sim.exchange import Exchange
from patriot.sim.faults.requests import under_faults
from patriot.sim.faults.rules import Faults
from patriot.sim.sockets import Sessions
from patriot.sim.world import JournalLost

MAX_BODY_BYTES: Final = 256 * 1024
ENDPOINT_MODULES: Final = (  # imported for the endpoints they register
    account_rest,
    asset_rest,
    market_rest,
    order_rest,
    position_rest,
    query_rest,
)

_ENCODE: Final = msgspec.json.Encoder().encode
log = structlog.get_logger()


class BybitFace:
    """One application that serves REST and WebSocket of the venue on one port."""

    def __init__(
        self,
        exchange: Exchange,
        faults: Faults,
        clock: Clock,
        limits_on: bool,
        *,
        live: bool,
        on_lost_journal: Callable[[JournalLost], None],
    ) -> None:
        self.sessions = Sessions(clock.monotonic)
        self._exchange = exchange
        self._faults = faults
        self._on_lost_journal = on_lost_journal
        self.context = FaceContext(
            exchange,
            faults,
            clock,
            self.sessions,
            RateLimiter(clock, on=limits_on),
            TradeLedger(exchange),
            OrderIndex(exchange),
            Tape(),
            Market(exchange),
            live,
        )
        exchange.subscribe(self._note)
        self._doors = SocketDoors(self.context, on_lost_journal)
        exchange.subscribe(self._doors.publish)

    def application(self) -> web.Application:
        """Return the application: socket entries, and every other path as REST."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[self._in_venue_words])
        self._doors.add_routes(app, without_upgrade=self._rest)
        app.router.add_route("*", "/{path:.*}", self._rest)
        return app

    def housekeeping(self) -> None:
        """Do what is due once a second."""
        self._doors.housekeeping()

    def _note(self, events: Sequence[VenueEvent]) -> None:
        context = self.context
        context.ledger.note(events)
        context.index.note(events)
        context.tape.note(events)
        context.market.note(events)

    @web.middleware
    async def _in_venue_words(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Tell in the venue's words what the HTTP server refuses by itself: odd targets and handshakes."""
        try:
            return await handler(request)
        except web.HTTPException as error:
            unknown = error.status == web.HTTPNotFound.status_code
            code, words = refusals.NO_ROUTE if unknown else refusals.PARAMETER
            return self._response(code, Reply({}, message=words), error.status, {})

    # ------------------------------------------------------------------------------------------------ REST

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        return await under_faults(self._faults, self._exchange, request, lambda: self._executed(request))

    async def _executed(self, request: web.Request) -> web.Response:
        headers: dict[str, str] = {}
        try:
            self.context.limiter.count_address(request.remote or "")
            endpoint = ENDPOINTS.find(request.method, request.raw_path.partition("?")[0])
            if endpoint is None:
                raise Refused(*refusals.NO_ROUTE, status=404)
            reply = self._answer(endpoint, await _raw(request), headers)
            return self._response(0, reply, 200, headers)
        except AddressBanned:
            return web.Response(text="403, access too frequent", status=403)
        except Refused as refusal:
            return self._response(refusal.code, Reply(refusal.result, message=refusal.message), refusal.status, headers)
        except JournalLost as error:
            self._on_lost_journal(error)
            return self._response(refusals.INTERNAL[0], Reply({}, message=refusals.INTERNAL[1]), 503, headers)
        except Exception:  # a defect of ours must reach a client in the venue's words
            log.exception("sim.bybit.request_failed", method=request.method, path=request.path)
            return self._response(refusals.INTERNAL[0], Reply({}, message=refusals.INTERNAL[1]), 200, headers)

    def _answer(self, endpoint: Endpoint, raw: RawRequest, headers: dict[str, str]) -> Reply:
        context = self.context
        if endpoint.security is Security.NONE:
            return carry_out(context, endpoint, Call(parameters_of(raw)))
        key = authenticate(raw, self._exchange.keys, context.clocks_ms())
        parameters = parameters_of(raw)
        if endpoint.per_second:
            items = parameters.get("request")
            amount = len(items) if endpoint.counts_items and isinstance(items, list) else 1
            context.limiter.count(key.uid, endpoint.path, endpoint.per_second, headers, max(amount, 1))
        check_right(key, endpoint.security)
        return carry_out(context, endpoint, Call(parameters, key.uid, key))

    def _response(self, code: int, reply: Reply, status: int, headers: dict[str, str]) -> web.Response:
        body = {
            "retCode": code,
            "retMsg": reply.message,
            "result": reply.result,
            "retExtInfo": reply.ext_info,
            "time": self._exchange.wire_now_ms,
        }
        return web.Response(body=_ENCODE(body), status=status, content_type="application/json", headers=headers)


async def _raw(request: web.Request) -> RawRequest:
    try:
        body = await request.read() if request.body_exists else b""
    except (web.HTTPRequestEntityTooLarge, web.RequestPayloadError, ConnectionError):
        raise Refused(*refusals.PARAMETER) from None
    return RawRequest(request.method, request.raw_path.partition("?")[2], body, request.headers)
