"""An event loop whose time jumps to the next timer when nothing is ready: a minute of waiting takes no time at all."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")
START = datetime(2030, 1, 2, 12, tzinfo=UTC)


class Deadlock(RuntimeError):
    """Every task waits, and no timer will ever wake one."""


class _Jump:
    """Stands where a selector would: there are no sockets, so the only event is that time has passed."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock("no timer is set and nothing is ready")
        self._loop.elapsed += timeout
        return []


class VirtualTimeLoop(asyncio.BaseEventLoop):
    """Runs callbacks in the order in which they became ready; the same program gives the same run."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed = 0.0
        self._selector = _Jump(self)

    def time(self) -> float:
        return self.elapsed

    def _process_events(self, event_list: list[Any]) -> None:
        """Do nothing: there are no sockets."""

    def _write_to_self(self) -> None:
        """Do nothing: there are no other threads."""


class VirtualClock:
    """A `Clock` over the running loop: the world starts at START and both times move together."""

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


def run_virtually(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)
