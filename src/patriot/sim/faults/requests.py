"""What a client sees of a fault in REST: the answers of both venues when they fail, and the lines that break.

Source: error codes and general information of Binance USD-M Futures; "Error Codes" and "Rate Limit Rules" of Bybit v5;
what public clients recognize, read 2026-11-22. A gateway's page is our own: gateways send what they like.
"""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from patriot.sim.exchange import Exchange, VenueName
from patriot.sim.faults.rules import Faults, RestFault, RestRule

_ENCODE = msgspec.json.Encoder().encode
_KEY_HEADERS = {VenueName.BINANCE: "X-MBX-APIKEY", VenueName.BYBIT: "X-BAPI-API-KEY"}
_REDUCING = ("reduceOnly", "closePosition")

_UNKNOWN = (-1000, "Unknown error, please check your request or try again later.")
_BINANCE_ERRORS = {
    500: (-1000, "An unknown error occurred while processing the request."),
    502: (-1001, "Internal error; unable to process your request. Please try again."),
    503: _UNKNOWN,
    504: (-1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."),
}
_OVERLOADED = (
    "Request throttled by system-level protection. Reduce-only/close-position orders are exempt. Please try again."
)
_BYBIT_SYSTEM_ERROR = (10016, "System error. Please try again later.")
_BYBIT_TIMEOUT = (10000, "Server Timeout")
_BYBIT_OVERLOADED = (
    429,
    "The trading service is experiencing a high server load. Please retry if you encounter this issue.",
)
_REASONS = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Time-out"}
ERROR_STATUSES = tuple(_REASONS)

Execute = Callable[[], Awaitable[web.StreamResponse]]


async def under_faults(
    faults: Faults, exchange: Exchange, request: web.Request, execute: Execute
) -> web.StreamResponse:
    """Answer a request as the faults in force have it; execute() carries it out and gives the true answer."""
    rule = await _rule_for(faults, exchange, request) if faults.on_rest else None
    if rule is None:
        return await execute()
    if rule.delay_ms:
        await asyncio.sleep(rule.delay_ms / 1000)
    if rule.fault is RestFault.DELAY:
        return await execute()
    if rule.fault.executes:
        await execute()
    match rule.fault:
        case RestFault.TIMEOUT_BEFORE | RestFault.TIMEOUT_AFTER:
            await asyncio.sleep(rule.hold_ms / 1000)
            return _broken_off(request)
        case RestFault.DROP_BEFORE | RestFault.DROP_AFTER:
            return _broken_off(request)
        case _:
            return failure(exchange.name, rule, now_ms=exchange.wire_now_ms, address=request.remote or "")


def refused_socket(faults: Faults, exchange: Exchange, request: web.Request) -> web.Response | None:
    """Return the answer to an upgrade that a fault forbids: maintenance, or a ban of the address; None lets it in."""
    address = request.remote or ""
    rule = faults.on_connect(exchange.name, address) if faults.on_rest else None
    return None if rule is None else failure(exchange.name, rule, now_ms=exchange.wire_now_ms, address=address)


async def _rule_for(faults: Faults, exchange: Exchange, request: web.Request) -> RestRule | None:
    api_key = request.headers.get(_KEY_HEADERS[exchange.name], "")
    key = exchange.keys.find(api_key)
    parameters = await _parameters(request) if faults.looks_at_parameters else {}
    return faults.on_request(
        exchange.name,
        request.method,
        request.raw_path.partition("?")[0],
        key.uid if key is not None else None,
        request.remote or "",
        api_key=api_key,
        symbol=parameters.get("symbol", ""),
        exempt=any(parameters.get(name) == "true" for name in _REDUCING),
    )


async def _parameters(request: web.Request) -> dict[str, str]:
    """Return what query and body say, form or JSON; nothing of what cannot be read."""
    parameters = dict(request.query)
    try:
        body = await request.read() if request.body_exists else b""
    except (web.HTTPRequestEntityTooLarge, web.RequestPayloadError, ConnectionError):
        return parameters
    if body[:1] != b"{":
        return parameters | dict(parse_qsl(body.decode("utf-8", "replace")))
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return parameters
    words = {True: "true", False: "false"}
    return parameters | {
        name: words[value] if isinstance(value, bool) else str(value) for name, value in fields.items()
    }


def _broken_off(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)  # never sent: nobody is there


# ---------------------------------------------------------------------------------------------------- answers


def failure(venue: VenueName, rule: RestRule, *, now_ms: int, address: str) -> web.Response:
    """Return the answer of a venue that fails in the way the rule says."""
    if rule.html and rule.fault in (RestFault.ERROR_BEFORE, RestFault.ERROR_AFTER):
        return _gateway_page(rule.status)
    if venue is VenueName.BINANCE:
        return _of_binance(rule, now_ms, address)
    return _of_bybit(rule, now_ms)


def _gateway_page(status: int) -> web.Response:
    title = f"{status} {_REASONS[status]}"
    page = f"<html>\n<head><title>{title}</title></head>\n<body><center><h1>{title}</h1></center></body>\n</html>\n"
    return web.Response(text=page, status=status, content_type="text/html")


def _of_binance(rule: RestRule, now_ms: int, address: str) -> web.Response:
    headers: dict[str, str] = {}
    seconds = rule.retry_after_seconds
    match rule.fault:
        case RestFault.ERROR_BEFORE | RestFault.ERROR_AFTER:
            status, (code, text) = rule.status, _BINANCE_ERRORS[rule.status]
        case RestFault.REFUSE:
            status, code, text = 400, rule.code, rule.message
        case RestFault.RATE_LIMIT:
            status, code = 429, -1003
            text = (
                f"Too many requests; current limit of IP({address}) is 2400 requests per minute. "
                "Please use the websocket for live updates to avoid polling the API."
            )
            headers["Retry-After"] = str(seconds)
        case RestFault.BAN:
            status, code = 418, -1003
            text = (
                f"Way too many requests; IP({address}) banned until {now_ms + seconds * 1000}. "
                "Please use the websocket for live updates to avoid bans."
            )
            headers["Retry-After"] = str(seconds)
        case RestFault.OVERLOAD:
            status, code, text = 503, -1008, _OVERLOADED
        case RestFault.MAINTENANCE:
            status, code, text = 503, 1, "System is under maintenance."
        case _:
            status, (code, text) = 503, _UNKNOWN
    return _json({"code": code, "msg": text}, status, headers)


def _of_bybit(rule: RestRule, now_ms: int) -> web.Response:
    headers: dict[str, str] = {}
    status = 200
    match rule.fault:
        case RestFault.ERROR_BEFORE | RestFault.ERROR_AFTER:
            status = rule.status
            code, text = _BYBIT_TIMEOUT if status == 504 else _BYBIT_SYSTEM_ERROR
        case RestFault.REFUSE:
            code, text = rule.code, rule.message
        case RestFault.RATE_LIMIT:
            code, text = 10006, "Too many visits. Exceeded the API Rate Limit."
            reset_ms = now_ms + rule.retry_after_seconds * 1000
            headers = {"X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "0", "X-Bapi-Limit-Reset-Timestamp": str(reset_ms)}
        case RestFault.BAN:
            return web.Response(text="403, access too frequent", status=403)
        case RestFault.OVERLOAD:
            code, text = _BYBIT_OVERLOADED
        case RestFault.MAINTENANCE:
            code, text = _BYBIT_SYSTEM_ERROR
        case _:
            status, (code, text) = 503, _BYBIT_SYSTEM_ERROR
    return _json({"retCode": code, "retMsg": text, "result": {}, "retExtInfo": {}, "time": now_ms}, status, headers)


def _json(body: dict[str, object], status: int, headers: dict[str, str]) -> web.Response:
    return web.Response(body=_ENCODE(body), status=status, content_type="application/json", headers=headers)
