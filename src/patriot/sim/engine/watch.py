"""Who has to be looked at when the price of one symbol comes to a level. Sorted, so that a move finds them at once."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from decimal import Decimal
from typing import Final

NOWHERE_LOW: Final = Decimal("-Infinity")
NOWHERE_HIGH: Final = Decimal("Infinity")
Reach = tuple[Decimal, Decimal]  # an account is concerned at or below the first price, and at or above the second

_LAST_UID: Final = 1 << 62


class Watch:
    __slots__ = ("_highs", "_lows", "reaches")

    def __init__(self) -> None:
        self.reaches: dict[int, Reach] = {}  # by uid: every account that holds, or waits for, something here
        self._lows: list[tuple[Decimal, int]] = []
        self._highs: list[tuple[Decimal, int]] = []

    def put(self, uid: int, reach: Reach) -> None:
        """Let an account be concerned from these prices on, instead of any before."""
        if self.reaches.get(uid) == reach:
            return
        self.drop(uid)
        self.reaches[uid] = reach
        insort(self._lows, (reach[0], uid))
        insort(self._highs, (reach[1], uid))

    def drop(self, uid: int) -> None:
        """Forget an account."""
        reach = self.reaches.pop(uid, None)
        if reach is not None:
            del self._lows[bisect_left(self._lows, (reach[0], uid))]
            del self._highs[bisect_left(self._highs, (reach[1], uid))]

    def reached(self, lowest: Decimal, highest: Decimal) -> set[int]:
        """Return the accounts concerned when prices between these two are seen."""
        lows, highs = self._lows, self._highs
        if not lows or (lows[-1][0] < lowest and highest < highs[0][0]):
            return set()
        below = lows[bisect_left(lows, (lowest, 0)) :]
        above = highs[: bisect_right(highs, (highest, _LAST_UID))]
        return {uid for _, uid in below} | {uid for _, uid in above}
