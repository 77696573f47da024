"""What an HTTP answer of the venue means: done, refused, did nothing, or unknown.

One table. What a gateway writes, what the venue says under another status than its documents do, and what they do not
name at all proves nothing: for a request that changes something its outcome is then unknown.
Source: USD-M Futures "General Info" and "Error Codes", read 2026-11-28.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from patriot.kernel.errors import ExchangeError, ExchangeRefused, ExchangeUnavailable, OutcomeUnknown

OK = 200
BANNED = 418
TOO_MANY_REQUESTS = 429
TIMESTAMP_OUTSIDE_WINDOW = -1021
TOO_MANY_ORDERS = -1015  # of one account, not of the address
NO_SUCH_ORDER = -2013
REDUCE_ONLY_REJECTED = -2022
MARGIN_TYPE_UNCHANGED = -4046

DID_NOTHING = frozenset(  # status and code
    {
        (400, TIMESTAMP_OUTSIDE_WINDOW),
        (400, -5028),  # outside the receive window when it came to the matching engine
        (BANNED, -1003),
        (TOO_MANY_REQUESTS, -1003),
        (TOO_MANY_REQUESTS, TOO_MANY_ORDERS),
        (503, -1001),  # "Internal error; unable to process your request": a failure by the documents
        (503, -1008),  # throttled by the system
    }
)
FAILED_TEXT = "Service Unavailable."  # of a 503, in the venue's own JSON; its documents give it no code
UNKNOWN_TEXT = "Unknown error, please check your request or try again later."  # of a 503
_NAMED_UNKNOWN = (-1000, -1006, -1007)  # a failed text beside one of these contradicts itself

KEY_REFUSALS = frozenset({-1002, -2008, -2014, -2015})  # also under 401
REFUSALS = KEY_REFUSALS | frozenset(  # under 400: a final no
    {  # without -4116, a client id in use: an order of ours did reach the venue
        -1011, -1013, -1014, -1020, -1022, -1023, -1099,
        *range(-1106, -1099), *range(-1122, -1107), *range(-1128, -1124), -1130, -1131, -1135, -1136,
        *range(-2013, -2009), *range(-2028, -2015),
        *range(-4033, -3999), *range(-4088, -4043), -4104, -4114, -4115, -4117, -4118, -4120, -4131, -4135,
        *range(-4142, -4136), -4144, -4161, -4164, -4165, *range(-4172, -4166), -4183, -4184, -4192, -4202, -4203,
        -4205, -4206, *range(-4211, -4207), *range(-4403, -4399), -4531,
        -5013, -5021, -5022, *range(-5027, -5023), -5029, *range(-5041, -5036), -5047,
    }
)  # fmt: skip
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
    if answer.status == OK:
        return None
    refusal = _refusal_of(answer.body)
    if refusal is not None and refusal.msg != UNKNOWN_TEXT:
        if _did_nothing(answer.status, refusal):
            return ExchangeUnavailable(_words(answer, refusal), answer.retry_after_seconds)
        if _is_refused(answer.status, refusal):
            return ExchangeRefused(
                refusal.code,
                refusal.msg[:_MESSAGE_LENGTH],
                about_key=refusal.code in KEY_REFUSALS,
                nothing_to_reduce=refusal.code == REDUCE_ONLY_REJECTED,
            )
    if changes_something:
        return OutcomeUnknown(_words(answer, refusal))
    return ExchangeUnavailable(_words(answer, refusal), answer.retry_after_seconds)


def failed(message: str, *, changes_something: bool) -> ExchangeError:
    """Return the error of a request that was sent and has no clear answer."""
    return OutcomeUnknown(message) if changes_something else ExchangeUnavailable(message)


def code_of(body: bytes) -> int | None:
    """Return the venue's code in a refusal."""
    refusal = _refusal_of(body)
    return None if refusal is None else refusal.code


def _did_nothing(status: int, refusal: _Refusal) -> bool:
    says_failed = status == 503 and refusal.msg == FAILED_TEXT and refusal.code not in _NAMED_UNKNOWN
    return says_failed or (status, refusal.code) in DID_NOTHING


def _is_refused(status: int, refusal: _Refusal) -> bool:
    return (status == 400 and refusal.code in REFUSALS) or (status == 401 and refusal.code in KEY_REFUSALS)


def _refusal_of(body: bytes) -> _Refusal | None:
    try:
        return msgspec.json.decode(body, type=_Refusal)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _words(answer: HttpAnswer, refusal: _Refusal | None) -> str:
    if refusal is None:
        return f"HTTP {answer.status}: no venue code"
    return f"HTTP {answer.status}, {refusal.code}: {refusal.msg[:_MESSAGE_LENGTH]}"
