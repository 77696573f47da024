"""When a stop may go out again that is sent ahead of its position: soon at first, seldom later, and not for ever.

Pure: times arrive from outside.
"""

from math import inf

from patriot.trading.terms import OrderId

# After the n-th that failed; then no more: queries and lists lag a minute at most, and tell of the position.
PAUSE_SECONDS = (0.1, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 10.0, 10.0, 10.0, 10.0)


class StopsAhead:
    """Until when each bracket waits with its next stop. Units: monotonic seconds."""

    def __init__(self) -> None:
        self._until: dict[OrderId, float] = {}
        self._waiting: set[OrderId] = set()

    def failed(self, group_id: OrderId, failures: int, now: float) -> None:
        """Take note how many have failed by now, one behind the other."""
        self._until[group_id] = now + PAUSE_SECONDS[failures - 1] if failures <= len(PAUSE_SECONDS) else inf

    def may_go(self, group_id: OrderId, now: float) -> bool:
        """Return whether the next one may go out."""
        return now >= self._until.get(group_id, now)

    def begin_to_wait(self, group_id: OrderId, now: float) -> float | None:
        """Return how long to wait; None if somebody waits already, or there is nothing to wait for."""
        wait = self._until[group_id] - now
        if group_id in self._waiting or wait == inf:
            return None
        self._waiting.add(group_id)
        return wait

    def waited(self, group_id: OrderId) -> None:
        """Take note that the wait is over."""
        self._waiting.discard(group_id)

    def forget(self, group_id: OrderId) -> None:
        """Drop a bracket that is over."""
        self._until.pop(group_id, None)
