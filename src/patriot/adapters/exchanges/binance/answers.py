"""What an HTTP answer of the venue means: done, refused, did nothing, or unknown.

Source: USD-M Futures "General Info" and "Error Codes", read 2026-11-22.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from patriot.kernel.errors import ExchangeError, ExchangeRefused, ExchangeUnavailable, OutcomeUnknown

TIMESTAMP_OUTSIDE_WINDOW = -1021
TOO_MANY_ORDERS = -1015  # of one account, not of the address
NO_SUCH_ORDER = -2013
MARGIN_TYPE_UNCHANGED = -4046

_DID_NOTHING = frozenset(
    {
        -1001,  # internal error, unable to process: 100 % failure
        -1003,  # too many requests
        -1008,  # overloaded (reductions are exempt)
        TOO_MANY_ORDERS,
        -1016,  # shutting down
        TIMESTAMP_OUTSIDE_WINDOW,
    }
)
_UNKNOWN = frozenset(
    {
        -1000,  # an unknown error occurred while processing
        -1006,  # unexpected response from the message bus, execution status unknown
        -1007,  # backend time-out, send status unknown
    }
)
_FAILED_TEXTS = ("service unavailable", "internal error; unable to process")  # of HTTP 503: 100 % failure
BANNED = 418
BLOCKED = 403  # the web firewall: nothing reached the exchange
TOO_MANY_REQUESTS = 429
_MESSAGE_LENGTH = 200


class _Refusal(msgspec.Struct):
    code: int
    msg: str = ""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back: status, body, and the headers by lower-case name."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def retry_after_seconds(self) -> float | None:
        """Return the header Retry-After, if it is a number of seconds."""
        text = self.headers.get("retry-after", "")
        return float(text) if text.isascii() and text.isdigit() and len(text) < 9 else None

    @property
    def used_weight(self) -> int | None:
        """Return the weight this address used in the running minute, as the venue counts."""
        text = self.headers.get("x-mbx-used-weight-1m", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def error_of(answer: HttpAnswer, *, changes_something: bool) -> ExchangeError | None:
    """Return the error that an answer stands for, or None for success.

    A read that failed changed nothing and is never unknown; a write whose failure nothing proves always is.
    """
    if 200 <= answer.status < 300:
        return None
    refusal = _refusal_of(answer.body)
    wait = answer.retry_after_seconds
    if answer.status in (BANNED, TOO_MANY_REQUESTS, BLOCKED):
        return ExchangeUnavailable(f"HTTP {answer.status}: {_words(refusal)}", wait)
    if refusal is not None and refusal.code in _DID_NOTHING:
        return ExchangeUnavailable(f"{refusal.code}: {_words(refusal)}", wait)
    if 400 <= answer.status < 500 and refusal is not None and refusal.code not in _UNKNOWN:
        return ExchangeRefused(refusal.code, _words(refusal))
    if answer.status == 503 and any(
        text in answer.body[:1000].decode(errors="replace").lower() for text in _FAILED_TEXTS
    ):
        return ExchangeUnavailable(f"HTTP 503: {_words(refusal)}", wait)
    return failed(f"HTTP {answer.status}: {_words(refusal)}", changes_something=changes_something)


def failed(message: str, *, changes_something: bool) -> ExchangeError:
    """Return the error of a request that was sent and has no clear answer."""
    return OutcomeUnknown(message) if changes_something else ExchangeUnavailable(message)


def code_of(body: bytes) -> int | None:
    """Return the venue's code in a refusal."""
    refusal = _refusal_of(body)
    return None if refusal is None else refusal.code


def _refusal_of(body: bytes) -> _Refusal | None:
    try:
        return msgspec.json.decode(body, type=_Refusal)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _words(refusal: _Refusal | None) -> str:
    return refusal.msg[:_MESSAGE_LENGTH] if refusal is not None else "no venue code"
