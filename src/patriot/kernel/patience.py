"""Repeat work until it succeeds: the one way in which PATRIOT is patient with a store or an exchange that is away."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
MAX_DOUBLINGS = 4  # of the time that one try gets: a lost answer costs little at first, a slow one gets its time


def is_canceled() -> bool:
    """Return whether somebody has asked the running task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def patiently(
    work: Callable[[], Awaitable[T]],
    *,
    pauses: Sequence[float],
    errors: tuple[type[Exception], ...],
    final: tuple[type[Exception], ...] = (),
    answer_seconds: float | None = None,
) -> T:
    """Do work that may be repeated, again and again until it succeeds; return what it returns.

    With `answer_seconds` a try is given up after that time, each one after it after twice as long, up to 16 times.
    Units: seconds; the last of `pauses` is the pause from then on. Errors: all but `errors`, and `final` of those.
    """
    tries = given_up = 0
    while True:
        try:
            async with asyncio.timeout(
                None if answer_seconds is None else answer_seconds * 2 ** min(given_up, MAX_DOUBLINGS)
            ):
                return await work()
        except final:
            raise
        except errors as error:
            given_up += isinstance(error, TimeoutError)
            if is_canceled():
                raise asyncio.CancelledError from None  # the error came in its place: nobody waits for another try
            await asyncio.sleep(pauses[min(tries, len(pauses) - 1)])
        tries += 1
