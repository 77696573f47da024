"""One side of the house: its seeded levels, made as far as anybody has looked, without what has been taken."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from decimal import Decimal

Row = tuple[Decimal, Decimal]  # price, quantity


class Ladder:
    """Mutable; lives from one move of the price to the next."""

    __slots__ = ("_seen", "_unseen")

    def __init__(self, levels: Iterator[Row]) -> None:
        self._seen: deque[Row] = deque()
        self._unseen = levels

    def __iter__(self) -> Iterator[Row]:
        """Yield what is left, best first. Nothing may be taken meanwhile."""
        yield from self._seen
        for row in self._unseen:
            self._seen.append(row)
            yield row

    def take(self, quantity: Decimal) -> None:
        """Take a quantity from the first level, which has at least so much."""
        price, left = self._seen.popleft()
        if quantity < left:
            self._seen.appendleft((price, left - quantity))
