"""Depth streams: what a listener has been told of a book, and what has changed since.

Whoever takes a snapshot (REST depth with the largest limit) and then every difference has exactly the book of the
snapshot's depth at any time. The venue's rule for the first difference after a snapshot is U <= lastUpdateId <= u, for
each later one that its pu is the u before. A book at the engine's update n is therefore told as u = 2n by the stream
and as lastUpdateId = 2n + 1 by a snapshot: the difference that leads to n is older than the snapshot, the next one is
not, also when nothing happens between the two.
Source: "How to manage a local order book correctly", USD-M WebSocket market streams, read 2026-11-22.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from patriot.sim.binance.render import plain, trimmed
from patriot.sim.binance.stream_names import StreamName
from patriot.sim.engine.records import Depth

DEPTH_LEVELS = 1_000  # of each side: the largest snapshot

Json = dict[str, Any]
Side = dict[Decimal, Decimal]


def stream_update_id(update_id: int) -> int:
    """Return how a stream tells an update of the engine's book."""
    return 2 * update_id


class DepthTeller:
    """One depth stream: what its listeners know."""

    def __init__(self, name: StreamName, book: Depth) -> None:
        self.name = name
        self.levels = name.levels or DEPTH_LEVELS
        self._told_id = stream_update_id(book.update_id)
        self._bids, self._asks = dict(book.bids), dict(book.asks)

    def message(self, book: Depth) -> Json | None:
        """Return what is to be told of the book now: its best levels, or the levels that changed; None if nothing."""
        if stream_update_id(book.update_id) == self._told_id:
            return None
        if self.name.levels:
            return self._update(book, _rows(book.bids[: self.levels]), _rows(book.asks[: self.levels]))
        bids, asks = dict(book.bids), dict(book.asks)
        told = _changes(self._bids, bids), _changes(self._asks, asks)
        self._bids, self._asks = bids, asks
        return self._update(book, *told) if any(told) else None

    def _update(self, book: Depth, bids: list[list[str]], asks: list[list[str]]) -> Json:
        previous, self._told_id = self._told_id, stream_update_id(book.update_id)
        return {
            "e": "depthUpdate",
            "E": book.at_ms,
            "T": book.at_ms,
            "s": book.symbol,
            "U": previous + 1,
            "u": self._told_id,
            "pu": previous,
            "b": bids,
            "a": asks,
        }


def _rows(levels: Sequence[tuple[Decimal, Decimal]]) -> list[list[str]]:
    return [[plain(price), trimmed(quantity)] for price, quantity in levels]


def _changes(before: Side, after: Side) -> list[list[str]]:
    """Return the levels that are new or have another quantity, and those that are gone, with quantity 0."""
    gone = [[plain(price), "0"] for price in before if price not in after]
    return gone + _rows([(price, quantity) for price, quantity in after.items() if before.get(price) != quantity])
