"""What tests of every kind share. Nothing here knows a domain."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast, overload

T = TypeVar("T")

POLL_SECONDS = 0.01


@overload
async def eventually(predicate: Callable[[], Awaitable[T]], deadline_s: float = 5.0) -> T: ...
@overload
async def eventually(predicate: Callable[[], T], deadline_s: float = 5.0) -> T: ...
async def eventually(predicate: Callable[[], T | Awaitable[T]], deadline_s: float = 5.0) -> T:
    """Poll until the predicate, plain or asynchronous, gives something true; return that.

    Errors: AssertionError when the deadline passes first; it names the predicate and its last answer.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + deadline_s
    while True:
        answer = predicate()
        value = cast("T", await answer if inspect.isawaitable(answer) else answer)
        if value:
            return value
        if loop.time() >= deadline:
            name = getattr(predicate, "__name__", repr(predicate))
            raise AssertionError(f"{name} was still {value!r} after {deadline_s} s")
        await asyncio.sleep(POLL_SECONDS)
