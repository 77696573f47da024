"""The order entry socket: requests of /v5/trade, answered by the functions that answer REST.

An answer says that a request was accepted; what became of the order is told on the private stream.
Source: bybit-exchange.github.io/docs/v5, "Websocket Trade Guideline", read 2026-11-22.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

import structlog

from patriot.sim.bybit import refusals
from patriot.sim.bybit.context import FaceContext
from patriot.sim.bybit.endpoints import ENDPOINTS, Reply, carry_out
from patriot.sim.bybit.refusals import Refused
from patriot.sim.bybit.requests import Call, check_right, check_window
from patriot.sim.bybit.socket_answers import Request
from patriot.sim.bybit.streams import ClientSession
from patriot.sim.exchange import VenueName
from patriot.sim.faults.rules import RestFault, RestRule
from patriot.sim.keys import ApiKey
from patriot.sim.world import JournalLost

Json = dict[str, Any]

MAX_REQUEST_ID_LENGTH: Final = 36
ANSWER_SECONDS: Final = 0.005  # clients wait for an answer only after they have asked: none may come sooner
MAX_REQUESTS_PER_SECOND: Final = 3_000  # of one address
METHOD: Final = "WS"  # how rules about requests name what comes over this socket
_PATHS: Final = {
    "order.create": "/v5/order/create",
    "order.amend": "/v5/order/amend",
    "order.cancel": "/v5/order/cancel",
    "order.create-batch": "/v5/order/create-batch",
    "order.amend-batch": "/v5/order/amend-batch",
    "order.cancel-batch": "/v5/order/cancel-batch",
}
_CATEGORIES: Final = ("linear", "inverse", "spot", "option")
_TOO_MANY_OF_ADDRESS: Final = (10403, "exceed IP rate limit")
_NO_OPERATION: Final = (10404, "op type is not found")
_NO_CATEGORY: Final = (10404, "category is not correct/supported")
_DUPLICATE_ID: Final = (20006, "Duplicate reqId")
_FAULTS: Final = {
    RestFault.RATE_LIMIT: refusals.TOO_MANY,
    RestFault.OVERLOAD: (10429, "System level frequency protection"),
    RestFault.MAINTENANCE: (10019, "ws trade service is restarting, do not accept new request"),
}
_log: Final = structlog.get_logger()


class OrderDesk:
    """Answers order requests of authenticated sockets."""

    def __init__(self, context: FaceContext, on_lost_journal: Callable[[JournalLost], None]) -> None:
        self._context = context
        self._on_lost_journal = on_lost_journal
        self._answered = 0
        self._second = -1  # of the newest request, monotonic
        self._in_second: dict[str, int] = {}  # requests in it, by address

    def handle(self, session: ClientSession, request: Request) -> None:
        """Carry out a request and answer it, as the faults in force have it."""
        rule = self._rule_for(session, request)
        if rule is None:
            self._tell(session, self._answer(session, request))
        elif rule.delay_ms:
            self._context.sessions.call_later(rule.delay_ms / 1000, lambda: self._fail(session, request, rule))
        else:
            self._fail(session, request, rule)

    def _rule_for(self, session: ClientSession, request: Request) -> RestRule | None:
        faults, key = self._context.faults, session.key
        if not faults.on_rest:
            return None
        order = request.arguments[0] if request.arguments and isinstance(request.arguments[0], dict) else {}
        return faults.on_request(
            VenueName.BYBIT,
            METHOD,
            request.op,
            key.uid if key is not None else None,
            session.address,
            api_key=key.api_key if key is not None else "",
            symbol=str(order.get("symbol", "")),
            exempt=order.get("reduceOnly") is True or request.op.startswith("order.cancel"),
        )

    def _fail(self, session: ClientSession, request: Request, rule: RestRule) -> None:
        if rule.fault is RestFault.DELAY:
            session.tell(self._answer(session, request))
            return
        if rule.fault.executes:
            self._answer(session, request)
        match rule.fault:
            case RestFault.TIMEOUT_BEFORE | RestFault.TIMEOUT_AFTER:
                return
            case RestFault.DROP_BEFORE | RestFault.DROP_AFTER | RestFault.BAN:
                session.end()
            case _:
                code, words = _FAULTS.get(rule.fault, refusals.INTERNAL)
                session.tell(self._body(session, request, code, Reply({}, message=words), {}))

    def _tell(self, session: ClientSession, body: Json) -> None:
        if self._context.live:
            self._context.sessions.call_later(ANSWER_SECONDS, lambda: session.tell(body))
        else:
            session.tell(body)

    # ------------------------------------------------------------------------------------------------ answering

    def _answer(self, session: ClientSession, request: Request) -> Json:
        headers: dict[str, str] = {}
        try:
            reply = self._reply(session, request, headers)
            return self._body(session, request, 0, reply, headers)
        except Refused as refusal:
            return self._body(session, request, refusal.code, Reply({}, message=refusal.message), headers)
        except JournalLost as error:
            self._on_lost_journal(error)
        except Exception:  # noqa: BLE001 - a defect of ours must reach a client in the venue's words
            _log.exception("sim.bybit.order_request_failed", op=request.op)
        code, words = refusals.INTERNAL
        return self._body(session, request, code, Reply({}, message=words), headers)

    def _reply(self, session: ClientSession, request: Request, headers: dict[str, str]) -> Reply:
        self._count_address(session.address)
        context, key = self._context, self._key(session)
        path = _PATHS.get(request.op)
        endpoint = ENDPOINTS.find("POST", path) if path is not None else None
        if endpoint is None:
            raise Refused(*_NO_OPERATION)
        self._use_id(session, request.request_id)
        stamp, window = (_text(request.header.get(f"X-BAPI-{name}")) for name in ("TIMESTAMP", "RECV-WINDOW"))
        check_window(stamp, window, context.clocks_ms())
        if len(request.arguments) != 1 or not isinstance(request.arguments[0], dict):
            raise Refused(*refusals.PARAMETER)
        parameters = request.arguments[0]
        if parameters.get("category") not in _CATEGORIES:
            raise Refused(*_NO_CATEGORY)
        items = parameters.get("request")
        amount = len(items) if endpoint.counts_items and isinstance(items, list) else 1
        context.limiter.count(key.uid, endpoint.path, endpoint.per_second, headers, max(amount, 1))
        check_right(key, endpoint.security)
        return carry_out(context, endpoint, Call(parameters, key.uid, key))

    def _count_address(self, address: str) -> None:
        second = int(self._context.clock.monotonic())
        if second != self._second:
            self._second, self._in_second = second, {}
        count = self._in_second[address] = self._in_second.get(address, 0) + 1
        if self._context.limiter.on and count > MAX_REQUESTS_PER_SECOND:
            raise Refused(*_TOO_MANY_OF_ADDRESS)

    def _key(self, session: ClientSession) -> ApiKey:
        """Return the key of this socket as it is now: rights may have changed since it was shown."""
        if session.key is None:
            raise Refused(*refusals.PERMISSION)
        key = self._context.exchange.keys.find(session.key.api_key)
        if key is None:
            raise Refused(*refusals.BAD_KEY)
        return key

    def _use_id(self, session: ClientSession, request_id: str) -> None:
        if len(request_id) > MAX_REQUEST_ID_LENGTH:
            raise refusals.bad("reqId")
        if request_id and request_id in session.request_ids:
            raise Refused(*_DUPLICATE_ID)
        session.request_ids.add(request_id)

    def _body(self, session: ClientSession, request: Request, code: int, reply: Reply, headers: dict[str, str]) -> Json:
        self._answered += 1
        trace = hashlib.blake2b(f"{session.connection_id}|{self._answered}".encode(), digest_size=16).hexdigest()
        named = {"reqId": request.request_id} if request.request_id else {}
        return {
            **named,
            "retCode": code,
            "retMsg": reply.message,
            "op": request.op,
            "data": reply.result,
            "retExtInfo": reply.ext_info,
            "header": {**headers, "Traceid": trace, "Timenow": str(self._context.exchange.wire_now_ms)},
            "connId": session.connection_id,
        }


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
