"""Depth streams: what a listener has been told of a book, and what has changed since.

Whoever takes a snapshot (REST depth with the largest limit) and then every difference has exactly the book of the
snapshot's depth at any time. The venue's rule for the first difference after a snapshot is U <= lastUpdateId <= u, for
each later one that its pu is the u before. A book at the engine's update n is therefore told as u = 2n by the stream
and as lastUpdateId = 2n + 1 by a snapshot: the difference that leads to n is older than the snapshot, the next one is
not, also when nothing happens between the two. A stream that tells every so many milliseconds tells all levels that
were another in any book that somebody has seen since, also those that are by now as they were told before.
Source: "How to manage a local order book correctly", USD-M WebSocket market streams, read 2026-11-22.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from patriot.sim.binance.render import plain
from patriot.sim.binance.stream_names import StreamName
from patriot.sim.engine.records import Depth
from patriot.sim.engine.words import ZERO

DEPTH_LEVELS = 1_000  # of each side: the largest snapshot

Json = dict[str, Any]
Levels = Sequence[tuple[Decimal, Decimal]]  # price, quantity


def stream_update_id(update_id: int) -> int:
    """Return how a stream tells an update of the engine's book."""
    return 2 * update_id


class DepthTeller:
    """One depth stream: what its listeners know."""

    def __init__(self, name: StreamName, book: Depth) -> None:
        self.name = name
        self.levels = name.levels or DEPTH_LEVELS
        self._told_id = stream_update_id(book.update_id)
        self._bids, self._asks = _Side(book.bids), _Side(book.asks)

    def observe(self, book: Depth) -> None:
        """Note what has changed up to a book that somebody sees."""
        if not self.name.levels:
            self._bids.turn_into(book.bids)
            self._asks.turn_into(book.asks)

    def message(self, book: Depth) -> Json | None:
        """Return what is to be told of the book now: its best levels, or the levels that changed; None if nothing."""
        if stream_update_id(book.update_id) == self._told_id:
            return None
        if self.name.levels:
            return self._update(book, _rows(book.bids), _rows(book.asks))
        self.observe(book)
        bids, asks = self._bids.told(), self._asks.told()
        return self._update(book, bids, asks) if bids or asks else None

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


class _Side:
    """One side of a book, and which of its levels have changed since it was told."""

    def __init__(self, levels: Levels) -> None:
        self._levels = dict(levels)
        self._changed: set[Decimal] = set()

    def turn_into(self, levels: Levels) -> None:
        """Take the side as it is now."""
        before, after = self._levels, dict(levels)
        self._changed.update(price for price in before if price not in after)
        self._changed.update(price for price, quantity in after.items() if before.get(price) != quantity)
        self._levels = after

    def told(self) -> list[list[str]]:
        """Return the changed levels, those that are gone with quantity 0; from now on they are told."""
        changed, self._changed = sorted(self._changed), set()
        return _rows([(price, self._levels.get(price, ZERO)) for price in changed])


def _rows(levels: Iterable[tuple[Decimal, Decimal]]) -> list[list[str]]:
    return [[plain(price), plain(quantity)] for price, quantity in levels]
