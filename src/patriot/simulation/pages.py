"""What answers in place of the exchange: pages of gateways, and its error codes under statuses right and wrong.

Only the exact code under the exact status that the venue documents proves that nothing was done; everything else here
may stand before an order that was executed.

Source: USD-M Futures "General Info" and "Error Codes", read 2026-11-22.
"""

from __future__ import annotations

from random import Random

import msgspec

_TEXTS = (
    "{status} Service Unavailable",
    "{status} Bad Gateway",
    "{status} Gateway Time-out",
    "Internal error; unable to process your request. Please try again.",
    "Service Unavailable.",
    "",
    "Just a moment...",
)
_STATUSES_AFTER = (200, 400, 404, 408, 500, 502, 503, 503, 503, 504, 520, 522)
_STATUSES_BEFORE = (*_STATUSES_AFTER, 301, 401, 403, 405, 413)

# What proves that a request did nothing, by status.
_PROOF = {
    429: frozenset({-1003, -1015}),
    418: frozenset({-1003}),
    503: frozenset({-1001, -1008, -1016}),
    400: frozenset({-1021}),
}
# True answers of a venue that did nothing, and such that leave it open.
CODES_OF_FAILURE = (
    (503, -1001),
    (503, -1008),
    (429, -1015),
    (400, -1021),
    (400, -1006),
    (400, -1007),
    (408, -1007),
    (500, -1000),
    (502, -1001),
    (503, -1000),
    (504, -1007),
)
# Answers to a request that was executed: codes under statuses that no page of the venue gives them.
_LIES = (
    (400, -1000),
    (400, -1006),
    (400, -1007),
    (408, -1007),
    (500, -1000),
    (500, -1001),
    (500, -1008),
    (502, -1000),
    (502, -1001),
    (502, -1003),
    (503, -1000),
    (503, -1007),
    (504, -1001),
    (504, -1007),
    (504, -1008),
    (504, -2010),
    (500, -2019),
    (502, -4003),
)
# Reads that an exchange may refuse for long and by name, as it does those of a symbol that it took off its list.
READS_OF_SYMBOLS = (
    "/fapi/v1/openOrders",
    "/fapi/v1/openAlgoOrders",
    "/fapi/v1/allOrders",
    "/fapi/v1/allAlgoOrders",
    "/fapi/v1/userTrades",
    "/fapi/v1/symbolConfig",
)
READS_OF_ACCOUNTS = ("/fapi/v1/income", "/fapi/v1/accountConfig", "/fapi/v2/account")
CODES_OF_SYMBOLS = (-1121, -1122, -4141)
CODES_OF_ACCOUNTS = (-1099, -1102, -1109, -1130)
_LIMITS = ((429, 1), (429, 3), (429, None), (418, 5), (403, None))


class _Refusal(msgspec.Struct):
    code: int


def page_before(random: Random) -> tuple[int, bytes, str]:
    """Return a page of something that did not let a request through."""
    return _page(random, _STATUSES_BEFORE)


def page_after(random: Random) -> tuple[int, bytes, str]:
    """Return a page of something that lost the answer of the exchange."""
    return _page(random, _STATUSES_AFTER)


def _page(random: Random, statuses: tuple[int, ...]) -> tuple[int, bytes, str]:
    status = random.choice(statuses)
    title = random.choice(_TEXTS).format(status=status)
    kind = random.choice(("text/html", "text/html", "text/plain"))
    text = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return status, (text if kind == "text/html" else title).encode(), kind


def lie_after(random: Random) -> tuple[int, int]:
    """Return status and code of an answer that hides an execution."""
    return random.choice(_LIES)


def limit(random: Random) -> tuple[int, bytes, str, tuple[tuple[str, str], ...], float]:
    """Return how an address is told that it asked too much: status, body, type, headers, and for how many seconds."""
    status, seconds = random.choice(_LIMITS)
    headers = (("Retry-After", str(seconds)),) if seconds is not None else ()
    if status == 403:
        return status, b"<html><body>Request blocked.</body></html>", "text/html", headers, 0.0
    return status, b'{"code":-1003,"msg":"Too many requests."}', "application/json", headers, float(seconds or 0)


def proves_inaction(status: int, body: bytes) -> bool:
    """Tell whether an answer proves that the request did nothing: then, and only then, it may go out again."""
    if status == 403:
        return True  # the firewall's: it stands before the exchange
    try:
        return msgspec.json.decode(body, type=_Refusal).code in _PROOF.get(status, ())
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
