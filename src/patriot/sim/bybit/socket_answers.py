"""The answers of the venue's sockets to requests: three shapes, by door. Pure.

Source: bybit-exchange.github.io/docs/v5, "WebSocket Stream, Connect" and "Websocket Trade Guideline", and frames that
the venue sent to public clients, read 2026-11-22.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from patriot.sim.bybit.streams import ClientSession, Door

Json = dict[str, Any]

PARAMS_ERROR: Final = "Params Error"
_DECODE: Final = msgspec.json.Decoder().decode


class Undecodable(Exception):
    """A frame was no request; the words say why, as the venue does."""


class Request(msgspec.Struct, frozen=True):
    """A request frame, as far as all doors read it alike."""

    op: str
    request_id: str
    arguments: list[Any]
    header: Json


def read(data: str | bytes, door: Door) -> Request:
    """Return the request in a frame. Numbers are taken for text, as on the venue. Errors: Undecodable."""
    raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    first = raw.lstrip()[:1]
    if first != b"{":
        found = first.decode("utf-8", "replace") or "EOF"
        raise Undecodable(f"readObjectStart: expect {{ or n, but found {found}, {_around(raw)}")
    try:
        frame = _DECODE(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(f"{error}, {_around(raw)}") from None
    request_id = _text(frame.get("reqId" if door is Door.TRADE else "req_id"))
    op, arguments, header = _text(frame.get("op")), frame.get("args"), frame.get("header")
    if request_id is None or op is None:
        raise Undecodable(f"fuzzyStringDecoder: not number or string, {_around(raw)}")
    if not isinstance(arguments, list | None):
        raise Undecodable(f"op.CmdReq.Args: decode slice: expect [ or n, {_around(raw)}")
    return Request(op, request_id, arguments or [], header if isinstance(header, dict) else {})


def texts(arguments: list[Any]) -> list[str]:
    """Return arguments that have to be text. Errors: Undecodable."""
    found = [_text(argument) for argument in arguments]
    if any(text is None for text in found):
        raise Undecodable("op.CmdReq.Args: []string: fuzzyStringDecoder: not number or string")
    return [text for text in found if text is not None]


def _text(value: object) -> str | None:
    """Return text as it is, a number as text, nothing as the empty text; None for anything else."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _around(raw: bytes) -> str:
    shown = raw[:100].decode("utf-8", "replace")
    return f"error found in #1 byte of ...|{shown[:20]}|..., bigger context ...|{shown}|..."


def undecodable(session: ClientSession, words: Undecodable) -> Json:
    """Answer a frame that is no request."""
    return answered(session, Request("", "", [], {}), f"Failed to decode incoming data:{words}")


def answered(session: ClientSession, request: Request, refusal: str | None = None, words: str = "") -> Json:
    """Answer subscribe, unsubscribe and, on the private door, auth."""
    outcome = {"success": refusal is None, "ret_msg": words if refusal is None else refusal}
    if session.door.is_public:
        return {**outcome, "conn_id": session.connection_id, "req_id": request.request_id, "op": request.op}
    named = {"req_id": request.request_id} if request.request_id else {}
    return {**named, **outcome, "op": request.op, "conn_id": session.connection_id}


def pong(session: ClientSession, request: Request, now_ms: int) -> Json:
    """Answer a ping."""
    if session.door.is_public:
        return answered(session, request, words="pong")
    if session.door is Door.PRIVATE:
        named = {"req_id": request.request_id} if request.request_id else {}
        return {**named, "op": "pong", "args": [str(now_ms)], "conn_id": session.connection_id}
    named = {"reqId": request.request_id} if request.request_id else {}
    body = {"retCode": 0, "retMsg": "OK", "op": "pong", "data": [str(now_ms)], "connId": session.connection_id}
    return {**named, **body}


def trade_authenticated(session: ClientSession, request: Request, code: int = 0, words: str = "OK") -> Json:
    """Answer auth on the trade door."""
    named = {"reqId": request.request_id} if request.request_id else {}
    return {**named, "retCode": code, "retMsg": words, "op": request.op, "connId": session.connection_id}
