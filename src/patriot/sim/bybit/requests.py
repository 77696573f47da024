"""One request as the venue reads it: parameters of query or body, the key, the signature, the time window.

Source: bybit-exchange.github.io/docs/v5/guide, "Authentication", read 2026-11-22.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, Final, TypeVar
from urllib.parse import unquote_plus

import msgspec

from patriot.sim.binance.signatures import is_signed_by
from patriot.sim.bybit import refusals
from patriot.sim.bybit.refusals import Refused
from patriot.sim.engine.words import Permission
from patriot.sim.keys import ApiKey, KeyRing

DEFAULT_RECV_WINDOW_MS: Final = 5_000
MAX_AHEAD_MS: Final = 1_000
DAY_MS: Final = 86_400_000

_DECIMAL: Final = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
_LONG: Final = re.compile(r"[0-9]{1,18}")
_DECODE: Final = msgspec.json.Decoder().decode

V = TypeVar("V")


class Security(Enum):
    """What an endpoint asks of a key: nothing, any right, or one of its rights."""

    NONE = ""
    KEY = "key"
    READ = "read"
    TRADE = "trade"
    TRANSFER = "transfer"
    WITHDRAW = "withdraw"
    UNGRANTED = "ungranted"  # a right that keys of this venue cannot have


@dataclass(frozen=True, slots=True)
class Call:
    """An authenticated request: typed access to its parameters, refusing in the venue's words."""

    parameters: Mapping[str, Any]
    uid: int = 0
    key: ApiKey | None = None

    def text(self, name: str) -> str | None:
        value = self.parameters.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, str):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        raise refusals.bad(name)

    def required_text(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise refusals.missing(name)
        return value

    def decimal(self, name: str) -> Decimal | None:
        value = self.text(name)
        if value is None:
            return None
        if not _DECIMAL.fullmatch(value):
            raise refusals.bad(name)
        return Decimal(value)

    def required_decimal(self, name: str) -> Decimal:
        value = self.decimal(name)
        if value is None:
            raise refusals.missing(name)
        return value

    def integer(self, name: str) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not _LONG.fullmatch(value):
            raise refusals.bad(name)
        return int(value)

    def flag(self, name: str) -> bool:
        value = self.parameters.get(name)
        if value in (None, "", False, "false"):
            return False
        if value in (True, "true"):
            return True
        raise refusals.bad(name)

    def choice(self, name: str, words: Mapping[str, V], refusal: tuple[int, str] | None = None) -> V | None:
        value = self.text(name)
        if value is None:
            return None
        if value not in words:
            raise Refused(*refusal) if refusal else refusals.bad(name)
        return words[value]

    def required_choice(self, name: str, words: Mapping[str, V], refusal: tuple[int, str] | None = None) -> V:
        value = self.choice(name, words, refusal)
        if value is None:
            raise Refused(*refusal) if refusal else refusals.missing(name)
        return value

    def limit(self, default: int, maximum: int) -> int:
        value = self.integer("limit")
        return default if not value else min(value, maximum)

    def time_range(self, span_ms: int, now_ms: int, start: str = "startTime", end: str = "endTime") -> tuple[int, int]:
        """Return the asked range: without times the span until now, with one of them the span from it or to it."""
        first, last = self.integer(start), self.integer(end)
        if first is None and last is None:
            return now_ms - span_ms, now_ms
        if first is None or last is None:
            return (last or 0) - span_ms if first is None else first, (first or 0) + span_ms if last is None else last
        if first > last:
            raise Refused(10001, "startTime must be less than endTime")
        if last - first > span_ms:
            raise Refused(10001, f"The time range between startTime and endTime cannot exceed {span_ms // DAY_MS} days")
        return first, last

    def objects(self, name: str) -> list[dict[str, Any]]:
        """Return a list of objects, as batches send them."""
        value = self.parameters.get(name)
        if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
            raise refusals.bad(name)
        return value

    def within(self, parameters: Mapping[str, Any]) -> Call:
        """Return the same caller asking for one object of a batch."""
        return Call(parameters, self.uid, self.key)


@dataclass(frozen=True, slots=True)
class RawRequest:
    """What came over the wire."""

    method: str
    query: str
    body: bytes
    headers: Mapping[str, str]


def parameters_of(raw: RawRequest) -> dict[str, Any]:
    """Return the parameters of the query (GET) or of the JSON body (POST). Errors: Refused 10001."""
    if raw.method != "POST":
        return _of_query(raw.query)
    if not raw.body:
        return {}
    try:
        value = _DECODE(raw.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(*refusals.PARAMETER) from None
    if not isinstance(value, dict):
        raise Refused(*refusals.PARAMETER)
    return value


def _of_query(text: str) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for part in text.split("&") if text else ():
        name, _, value = part.partition("=")
        if "%" in part or "+" in part:
            name, value = unquote_plus(name), unquote_plus(value)
        if name:
            parameters[name] = value
    return parameters


def authenticate(raw: RawRequest, keys: KeyRing, clocks_ms: tuple[int, ...]) -> ApiKey:
    """Check time window, key and signature, and return the key.

    Shapes: clocks_ms holds the times a timestamp may be measured against.
    Errors: Refused 10001, 10002, 10003, 10004.
    """
    headers = raw.headers
    name, stamp = headers.get("X-BAPI-API-KEY", ""), headers.get("X-BAPI-TIMESTAMP", "")
    sign, window = headers.get("X-BAPI-SIGN", ""), headers.get("X-BAPI-RECV-WINDOW", "")
    if not name or not stamp or not sign:
        raise Refused(
            10001, f"empty value: apiTimestamp[{stamp}] apiKey[{name}] apiSignature[{sign}]: openapi sign params error!"
        )
    check_window(stamp, window, clocks_ms)
    key = keys.find(name)
    if key is None:
        raise Refused(*refusals.BAD_KEY)
    payload = raw.body if raw.method == "POST" else raw.query.encode("utf-8", "surrogateescape")
    origin = f"{stamp}{name}{window}".encode("utf-8", "surrogateescape") + payload
    if not is_signed(key, origin, sign):
        shown = origin.decode("utf-8", "replace")
        raise Refused(refusals.BAD_SIGN, f"error sign! origin_string[{shown}]")
    return key


def is_signed(key: ApiKey, origin: bytes, sign: str) -> bool:
    """Return whether a signature is the key's own, HMAC or by a public key: both venues take the same kinds."""
    return is_signed_by(key, origin, sign)


def check_window(stamp: str, window: str, clocks_ms: tuple[int, ...]) -> None:
    """Refuse a timestamp outside the receive window with 10002."""
    if not _LONG.fullmatch(stamp) or (window and not _LONG.fullmatch(window)):
        raise Refused(10001, "params error: timestamp or recv_window invalid")
    sent_ms, window_ms = int(stamp), int(window or DEFAULT_RECV_WINDOW_MS)
    if any(now_ms - window_ms <= sent_ms < now_ms + MAX_AHEAD_MS for now_ms in clocks_ms):
        return
    raise Refused(
        10002,
        "invalid request, please check your server timestamp or recv_window param. "
        f"req_timestamp[{sent_ms}],server_timestamp[{clocks_ms[0]}],recv_window[{window_ms}]",
    )


def check_right(key: ApiKey, security: Security) -> None:
    """Refuse a key without the right that an endpoint asks for with 10005."""
    if security in (Security.NONE, Security.KEY):
        return
    if security is Security.UNGRANTED or Permission(security.value) not in key.permissions:
        raise Refused(*refusals.PERMISSION)
