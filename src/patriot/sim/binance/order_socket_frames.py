"""Frames of the WebSocket API: what a client asks, what it has signed, and the envelope of the answer.

Source: "WebSocket API General Info", USD-M Futures, read 2026-11-22. The code of a frame that is no JSON is not
documented: -1135 is what the venue's spot API says.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode

import msgspec

from patriot.sim.binance import refusals
from patriot.sim.binance.requests import RawRequest
from patriot.sim.engine.events import VenueRefusal

INVALID_JSON = (-1135, "Invalid JSON Request")
UNKNOWN_METHOD = (-1020, "This operation is not supported.")

Json = dict[str, Any]
RequestId = int | str | None


class BadFrame(Exception):
    """A frame that cannot be answered by a method: whom to answer, and with what."""

    def __init__(self, request_id: RequestId, refusal: VenueRefusal) -> None:
        super().__init__(refusal.message)
        self.request_id = request_id
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Frame:
    """One request. Parameters are text, each exactly as it stands in the frame, since the signature covers that."""

    request_id: RequestId
    method: str
    parameters: dict[str, str]

    @property
    def api_key(self) -> str | None:
        return self.parameters.get("apiKey")

    def as_requests(self) -> tuple[RawRequest, ...]:
        """Return the request as REST would carry it: the texts that a signature may cover.

        They are the parameters in the order of the alphabet; some clients encode them as in a URL.
        """
        rows = sorted((name, value) for name, value in self.parameters.items() if name != "signature")
        plain, encoded = "&".join(f"{name}={value}" for name, value in rows), urlencode(rows)
        texts = (plain,) if plain == encoded else (plain, encoded)
        return tuple(RawRequest(text, "", self.api_key) for text in texts)


class _Wire(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw(b"null")
    method: msgspec.Raw = msgspec.Raw(b"null")
    params: msgspec.Raw = msgspec.Raw(b"null")


def read_frame(text: str) -> Frame:
    """Read a frame.

    Errors: BadFrame -1135 for anything but a JSON object; -1130 for an id or params of another kind than documented;
    -1102 without a method.
    """
    try:
        wire = msgspec.json.decode(text, type=_Wire)
        number = msgspec.json.decode(wire.id)
        method = msgspec.json.decode(wire.method)
    except (msgspec.DecodeError, RecursionError):
        raise BadFrame(None, VenueRefusal(*INVALID_JSON)) from None
    if isinstance(number, bool) or not isinstance(number, int | str | None):
        raise BadFrame(None, refusals.invalid_data("id"))
    if not isinstance(method, str) or not method:
        raise BadFrame(number, refusals.missing("method"))
    try:
        given = msgspec.json.decode(wire.params, type=dict[str, msgspec.Raw] | None) or {}
        parameters = {name: value for name, raw in given.items() if (value := _text(raw)) is not None}
    except (msgspec.DecodeError, RecursionError):
        raise BadFrame(number, refusals.invalid_data("params")) from None
    if "%" in parameters.get("signature", ""):
        parameters["signature"] = unquote(parameters["signature"])
    return Frame(number, method, parameters)


def _text(raw: msgspec.Raw) -> str | None:
    """Return a value as a query string would show it; None for null."""
    value = bytes(raw).strip()
    if value == b"null":
        return None
    if value.startswith(b'"'):
        return msgspec.json.decode(value, type=str)
    return value.decode()


def succeeded(request_id: RequestId, result: object) -> Json:
    """Return the envelope of a result."""
    return {"id": request_id, "status": 200, "result": result}


def failed(request_id: RequestId, status: int, error: Json) -> Json:
    """Return the envelope of a refusal."""
    return {"id": request_id, "status": status, "error": error}


def refused(request_id: RequestId, status: int, refusal: VenueRefusal) -> Json:
    """Return the envelope of a refusal in the venue's words."""
    return failed(request_id, status, {"code": refusal.code, "msg": refusal.message})
