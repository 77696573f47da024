"""The client order ids of a bracket, all fixed by the id of its entry before the wire is touched.

At most 36 characters of letters and digits, as both exchanges allow: `p`, 26 characters of the group's UUID in base 32,
a letter for the leg, the sequence within the leg.
"""

import base64
import re
from dataclasses import dataclass
from uuid import UUID

from patriot.kernel.ids import derived_id
from patriot.trading.terms import Leg, OrderId

_LETTER = {Leg.ENTRY: "e", Leg.STOP: "s", Leg.TARGET: "t", Leg.CLOSE: "c", Leg.EMERGENCY: "x"}
_LEG = {letter: leg for leg, letter in _LETTER.items()}
_CANONICAL = re.compile("p[a-z2-7]{26}(e1|[stcx][1-9][0-9]{0,4})")
_PREFIX_LENGTH = 27


@dataclass(frozen=True, slots=True)
class LegId:
    """Which order of which bracket a client order id names."""

    prefix: str
    leg: Leg
    sequence: int


def leg_order_id(group_id: OrderId, leg: Leg, sequence: int) -> OrderId:
    """Return the order id of the n-th order of a leg."""
    return group_id if leg is Leg.ENTRY else OrderId(derived_id("order", group_id, leg, sequence))


def client_id_prefix(group_id: UUID) -> str:
    """Return what every client order id of a bracket begins with.

    >>> client_id_prefix(UUID("5f0a3c52-3c0e-5a4b-9d0e-7a5d2f6b8c11"))
    'pl4fdyur4bznexhiopjos624mce'
    """
    return "p" + base64.b32encode(group_id.bytes).decode().rstrip("=").lower()


def group_of(client_order_id: str) -> OrderId:
    """Return the bracket that a client order id of PATRIOT's belongs to.

    >>> group_of("pl4fdyur4bznexhiopjos624mces12")
    UUID('5f0a3c52-3c0e-5a4b-9d0e-7a5d2f6b8c11')
    """
    return OrderId(UUID(bytes=base64.b32decode(client_order_id[1:_PREFIX_LENGTH].upper() + "======")))


def client_order_id(prefix: str, leg: Leg, sequence: int) -> str:
    """Return the client order id of the n-th order of a leg."""
    return f"{prefix}{_LETTER[leg]}{sequence}"


def parse_client_order_id(text: str) -> LegId | None:
    """Return what a client order id names, or None if it is not one that PATRIOT would write.

    >>> parse_client_order_id("pl4fdyur4bznexhiopjos624mces12")
    LegId(prefix='pl4fdyur4bznexhiopjos624mce', leg=<Leg.STOP: 'STOP'>, sequence=12)
    >>> parse_client_order_id("web_abc") is None
    True
    """
    if _CANONICAL.fullmatch(text) is None:
        return None
    return LegId(text[:_PREFIX_LENGTH], _LEG[text[_PREFIX_LENGTH]], int(text[_PREFIX_LENGTH + 1 :]))
