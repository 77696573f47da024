"""What ends at a time: GTD orders and countdowns. A heap in which a changed time leaves its old entry behind."""

from __future__ import annotations

from enum import IntEnum
from heapq import heappop, heappush


class Due(IntEnum):
    ORDER = 1
    ALGO_ORDER = 2
    COUNTDOWN = 3


Deadline = tuple[Due, int, str]  # what, uid, order id or symbol as text


class Deadlines:
    __slots__ = ("_heap", "times")

    def __init__(self) -> None:
        self.times: dict[Deadline, int] = {}  # UTC milliseconds
        self._heap: list[tuple[int, Deadline]] = []

    def set(self, deadline: Deadline, due_ms: int) -> None:
        """Let something be due at a time, instead of any time before."""
        if self.times.get(deadline) != due_ms:
            self.times[deadline] = due_ms
            heappush(self._heap, (due_ms, deadline))

    def drop(self, deadline: Deadline) -> None:
        """Forget a deadline, if there is one."""
        self.times.pop(deadline, None)

    @property
    def next_ms(self) -> int | None:
        """When the next one is due, None when nothing is."""
        heap = self._heap
        while heap and self.times.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else None

    def pop_due(self, now_ms: int) -> list[Deadline]:
        """Take out what is due by now, earliest first."""
        due: list[Deadline] = []
        while (next_ms := self.next_ms) is not None and next_ms <= now_ms:
            _, deadline = heappop(self._heap)
            del self.times[deadline]
            due.append(deadline)
        return due
