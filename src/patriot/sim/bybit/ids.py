"""Ids as Bybit shows them: UUID text that leads back to the engine's number, and client ids (orderLinkId).

A conditional order and the order it makes share one orderId on Bybit, so the public id is the conditional order's.
"""

from __future__ import annotations

import hashlib
import re
from enum import IntEnum

from patriot.sim.engine.records import AlgoOrder, Order, Trade
from patriot.sim.engine.words import made_client_id

_NUMBER_BITS = 60
_TEXT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Kind(IntEnum):
    """What an id names."""

    ORDER = 1
    CONDITIONAL = 2
    EXECUTION = 3
    TRANSACTION = 4


def encode(kind: Kind, number: int) -> str:
    """Return the public id of an engine's number below 2**60.

    >>> encode(Kind.ORDER, 5_000_001_000_000_001)
    'b396998e-2a51-0d56-1011-c379737b4a01'
    >>> decode('b396998e-2a51-0d56-1011-c379737b4a01')
    (<Kind.ORDER: 1>, 5000001000000001)
    """
    low = kind << _NUMBER_BITS | number
    text = f"{_check(low):016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def decode(text: str) -> tuple[Kind, int] | None:
    """Return what a public id names, None for text that is no id of this venue."""
    if not _TEXT.fullmatch(text):
        return None
    digits = text.replace("-", "")
    high, low = int(digits[:16], 16), int(digits[16:], 16)
    kind, number = low >> _NUMBER_BITS, low & ((1 << _NUMBER_BITS) - 1)
    if kind not in tuple(Kind) or _check(low) != high:
        return None
    return Kind(kind), number


def _check(low: int) -> int:
    """Half of the id is a checksum, so that an id that was never handed out names nothing."""
    return int.from_bytes(hashlib.blake2b(low.to_bytes(8, "big"), digest_size=8).digest(), "big")


def order_id(record: Order | AlgoOrder) -> str:
    """Return the public id of an order; an order made by a conditional one carries that one's."""
    if isinstance(record, AlgoOrder):
        return encode(Kind.CONDITIONAL, record.algo_id)
    if record.algo_id is not None:
        return encode(Kind.CONDITIONAL, record.algo_id)
    return encode(Kind.ORDER, record.order_id)


def execution_id(trade: Trade) -> str:
    """Return the public id of one execution."""
    return encode(Kind.EXECUTION, trade.trade_id)


def link_id(record: Order | AlgoOrder) -> str:
    """Return the client's own id, empty when the engine had to make one."""
    if isinstance(record, AlgoOrder):
        made, given = made_client_id("algo", record.algo_id), record.client_algo_id
        return "" if given == made or record.origin != "USER" else given
    if record.algo_id is None:
        made = made_client_id("order", record.order_id)
    else:
        made = made_client_id("algo", record.algo_id)
    given = record.client_order_id
    return "" if given == made or record.origin != "USER" or record.closing else given


def number_of(record: Order | AlgoOrder) -> int:
    """Return the engine's number behind the public id."""
    if isinstance(record, AlgoOrder):
        return record.algo_id
    return record.order_id if record.algo_id is None else record.algo_id
