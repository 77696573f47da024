"""One request as the venue reads it: parameters of query and body, the key, the signature, the time window."""

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, StrEnum
from typing import TypeVar
from urllib.parse import unquote_plus

from patriot.sim.binance import refusals
from patriot.sim.binance.signatures import is_signed_by
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.engine.words import Permission
from patriot.sim.keys import ApiKey, KeyRing

DEFAULT_RECV_WINDOW_MS = 5_000
MAX_RECV_WINDOW_MS = 60_000
MAX_AHEAD_MS = 1_000
DAY_MS = 86_400_000
MAX_TIME_RANGE_MS = 7 * DAY_MS  # userTrades, allOrders: seven days between start and end

_DECIMAL_RANGE = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_LONG_RANGE = r"^[0-9]{1,18}$"
_LONG = re.compile(r"[0-9]{1,18}")
_KEY_FORMAT = re.compile(r"[A-Za-z0-9_-]{16,128}")

E = TypeVar("E", bound=StrEnum)


class Security(Enum):
    """What an endpoint asks for: nothing, a key, or a signed request of a key that may read or trade."""

    NONE = "none"
    KEY = "key"
    READ = "read"
    TRADE = "trade"


_PERMISSIONS = {Security.READ: Permission.READ, Security.TRADE: Permission.TRADE}


@dataclass(frozen=True, slots=True)
class Call:
    """An authenticated request: typed access to its parameters, refusing in the venue's words."""

    parameters: dict[str, str]
    uid: int = 0
    api_key: str = ""
    host: str = ""  # where the request came in, as the client names it

    def text(self, name: str) -> str | None:
        return self.parameters.get(name) or None

    def required_text(self, name: str) -> str:
        value = self.parameters.get(name)
        if not value:
            raise refusals.missing(name)
        return value

    def decimal(self, name: str) -> Decimal | None:
        value = self.parameters.get(name)
        if not value:
            return None
        if not _DECIMAL.fullmatch(value):
            raise refusals.illegal_characters(name, _DECIMAL_RANGE)
        return Decimal(value)

    def integer(self, name: str) -> int | None:
        value = self.parameters.get(name)
        if not value:
            return None
        if not _LONG.fullmatch(value):
            raise refusals.illegal_characters(name, _LONG_RANGE)
        return int(value)

    def required_integer(self, name: str) -> int:
        value = self.integer(name)
        if value is None:
            raise refusals.missing(name)
        return value

    def flag(self, name: str) -> bool:
        value = self.parameters.get(name, "").lower()
        if value not in ("", "true", "false"):
            raise refusals.invalid_data(name)
        return value == "true"

    def required_flag(self, name: str) -> bool:
        self.required_text(name)
        return self.flag(name)

    def choice(self, name: str, kind: type[E], refusal: tuple[int, str] | None = None) -> E | None:
        value = self.parameters.get(name)
        if not value:
            return None
        try:
            return kind(value.upper())
        except ValueError:
            raise (VenueRefusal(*refusal) if refusal else refusals.invalid_data(name)) from None

    def required_choice(self, name: str, kind: type[E], refusal: tuple[int, str] | None = None) -> E:
        self.required_text(name)
        value = self.choice(name, kind, refusal)
        assert value is not None  # noqa: S101 - required_text has refused the empty one
        return value

    def limit(self, default: int, maximum: int) -> int:
        value = self.integer("limit")
        if value is None:
            return default
        if not 0 < value <= maximum:
            raise refusals.invalid_data("limit")
        return value

    def time_range(self, longest_ms: int | None = None) -> tuple[int | None, int | None]:
        start, end = self.integer("startTime"), self.integer("endTime")
        if start is not None and end is not None:
            if start > end:
                raise VenueRefusal(*refusals.START_AFTER_END)
            if longest_ms is not None and end - start > longest_ms:
                raise refusals.interval_too_long(longest_ms // DAY_MS)
        return start, end


@dataclass(frozen=True, slots=True)
class RawRequest:
    """What came over the wire."""

    query: str
    body: str
    api_key: str | None
    host: str = ""


def parse_parameters(request: RawRequest) -> dict[str, str]:
    """Return the parameters of query and body; one that stands in both is read from the query.

    Errors: VenueRefusal -1101 if one stands twice in the same place.
    """
    parameters = _parse(request.query)
    if request.body:
        parameters = _parse(request.body) | parameters
    return parameters


def _parse(text: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for part in text.split("&") if text else ():
        name, _, value = part.partition("=")
        if not name:
            continue
        if "%" in part or "+" in part:
            name, value = unquote_plus(name), unquote_plus(value)
        if name in parameters:
            raise VenueRefusal(*refusals.DUPLICATE_PARAMETER)
        parameters[name] = value
    return parameters


def authenticate(
    request: RawRequest,
    security: Security,
    keys: KeyRing,
    clocks_ms: tuple[int, ...],
    parameters: dict[str, str] | None = None,
) -> Call:
    """Check key, permission, time window and signature, in the venue's order.

    Shapes: clocks_ms holds the times a timestamp may be measured against: the venue's own, and the machine's, so that
    an unmodified client trades on a venue whose recorded clock stands in another year. parameters are those of the
    request where they have been read already.
    Errors: VenueRefusal -1101, -1102, -1021, -1022, -2014, -2015.
    """
    parameters = parse_parameters(request) if parameters is None else parameters
    if security is Security.NONE:
        return Call(parameters)
    if not request.api_key or not _KEY_FORMAT.fullmatch(request.api_key):
        raise VenueRefusal(*refusals.BAD_KEY_FORMAT)
    key = keys.find(request.api_key)
    if security is Security.KEY:
        if key is None:
            raise VenueRefusal(*refusals.REJECTED_KEY)
        return Call(parameters, key.uid, key.api_key)
    _check_window(Call(parameters), clocks_ms)
    signature = parameters.get("signature")
    if not signature:
        raise refusals.missing("signature")
    if key is None:
        raise VenueRefusal(*refusals.REJECTED_KEY)
    if not is_signed_by(key, _signed_text(request), signature):
        raise VenueRefusal(*refusals.BAD_SIGNATURE)
    if _PERMISSIONS[security] not in key.permissions:
        raise VenueRefusal(*refusals.REJECTED_KEY)
    return Call(parameters, key.uid, key.api_key, request.host)


def authorize(key: ApiKey | None, security: Security, clocks_ms: tuple[int, ...], parameters: dict[str, str]) -> Call:
    """Check what a session that has logged on with a key is not spared: the time window, and what the key may do.

    Errors: VenueRefusal -1102, -1021, -2015.
    """
    if security is not Security.KEY:
        _check_window(Call(parameters), clocks_ms)
    if key is None or (security is not Security.KEY and _PERMISSIONS[security] not in key.permissions):
        raise VenueRefusal(*refusals.REJECTED_KEY)
    return Call(parameters, key.uid, key.api_key)


def _signed_text(request: RawRequest) -> bytes:
    """Return what a client signs: query and body exactly as sent, one behind the other, without the signature."""
    return (_unsigned(request.query) + _unsigned(request.body)).encode("utf-8", "surrogateescape")


def _unsigned(text: str) -> str:
    """Return the text without its signature, which most clients put last."""
    head, found, tail = text.rpartition("&signature=")
    if found and "&" not in tail:
        return head
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))


def _check_window(call: Call, clocks_ms: tuple[int, ...]) -> None:
    timestamp = call.required_integer("timestamp")
    window = call.integer("recvWindow")
    window = DEFAULT_RECV_WINDOW_MS if window is None else window
    if window > MAX_RECV_WINDOW_MS:
        raise VenueRefusal(*refusals.WINDOW_TOO_WIDE)
    if any(now - window <= timestamp < now + MAX_AHEAD_MS for now in clocks_ms):
        return
    ahead = all(timestamp >= now + MAX_AHEAD_MS for now in clocks_ms)
    raise VenueRefusal(*(refusals.AHEAD_OF_SERVER if ahead else refusals.OUTSIDE_WINDOW))
