"""Background work of one component: counted, so that a replay knows when all is quiet; the first failure is kept."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Hashable
from contextlib import asynccontextmanager
from typing import Any, NoReturn, TypeVar

from patriot.kernel.errors import EndedByItself, StoreUnavailable
from patriot.kernel.patience import patiently

T = TypeVar("T")
OUTAGE_POLL_SECONDS = 0.2
CANCELED_INSIDE = "work was canceled by something inside it"


class Background:
    """Tasks that belong together. A failure of one is the failure of their owner: nothing fails unseen.

    Once closed, nothing is begun any more: whoever still holds their owner cannot make it act.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failure: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def busy(self) -> int:
        """Return how many tasks are still at work."""
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run work in the background."""
        task = asyncio.create_task(work)
        if self._closed:
            task.cancel()
            return task
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def soon(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Run what a function gives in the background: a callback for whoever need not know of tasks."""
        self.start(work())

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() and task.cancelling():
            return  # by its owner
        error = EndedByItself(CANCELED_INSIDE) if task.cancelled() else task.exception()
        if error is not None and not self._future().done():
            self._future().set_exception(error)

    def _future(self) -> asyncio.Future[None]:
        if self._failure is None:
            self._failure = asyncio.get_running_loop().create_future()
            self._failure.add_done_callback(lambda future: future.cancelled() or future.exception())
        return self._failure

    async def failed(self) -> None:
        """Wait for ever, or raise the first failure."""
        await asyncio.shield(self._future())

    async def close(self) -> None:
        """Cancel what still runs and wait for its end."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Repeatable:
    """Work that is never done twice at once: who asks for it while it is done has it done once more, afterwards."""

    def __init__(self, tasks: Background, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._tasks = tasks
        self._work = work
        self._running: asyncio.Task[None] | None = None
        self._again = False

    def ask(self) -> "asyncio.Task[None]":
        """Have it done; return what ends when nobody wants it any more."""
        if self._running is None or self._running.done():
            self._running = self._tasks.start(self._run())
        else:
            self._again = True
        return self._running

    async def _run(self) -> None:
        while True:
            self._again = False
            await self._work()
            if not self._again:
                return


class Lanes:
    """Turns for work that goes on side by side: within a lane one after the other, in the order in which it came."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, asyncio.Lock] = {}
        self._wanted: Counter[Hashable] = Counter()

    @asynccontextmanager
    async def turn(self, lane: Hashable) -> AsyncIterator[None]:
        """Have a lane for oneself."""
        self._wanted[lane] += 1
        try:
            async with self._locks.setdefault(lane, asyncio.Lock()):
                yield
        finally:
            self._wanted[lane] -= 1
            if not self._wanted[lane]:
                del self._wanted[lane], self._locks[lane]


async def in_own_task(work: Coroutine[Any, Any, T]) -> T:
    """Return what work returns, done in a task of its own, which ends with ours.

    A TaskGroup that fails while its task is canceled raises its own errors and forgets the cancellation: whoever
    catches them to try again would never end. Here the cancellation arrives whatever the work makes of it.
    Errors: the work's own; EndedByItself when it was canceled by something inside it, which is not the end of us.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task})
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    return _result(task)


async def without_end(work: Callable[[], Coroutine[Any, Any, Any]], name: str) -> NoReturn:
    """Do work that may only end by an error, or with us: a TaskGroup goes on without whatever returns or is canceled.

    Errors: the work's own; EndedByItself when it ends in any other way.
    """
    await in_own_task(work())
    raise EndedByItself(f"{name} ended by itself")


def _result(task: asyncio.Task[T]) -> T:
    """Return what a task that is done returned; nobody canceled it but something inside it."""
    if task.cancelled():
        raise EndedByItself(CANCELED_INSIDE)
    return task.result()


async def when_stored(work: Callable[[], Awaitable[T]]) -> T:
    """Do work that may be repeated, again and again until the store is there for it; return what it returns."""
    return await patiently(work, pauses=(OUTAGE_POLL_SECONDS,), errors=(StoreUnavailable,))


async def while_serving(work: Coroutine[Any, Any, T], *services: Coroutine[Any, Any, Any]) -> T:
    """Return what `work` returns; services run beside it and are cancelled after it.

    A service that ends first ends the work too, with its error: nothing goes on without what it stands on.
    """
    main = asyncio.create_task(work)
    serving = [asyncio.create_task(service) for service in services]
    try:
        done, _ = await asyncio.wait({main, *serving}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {main}:
            _result(task)
            raise EndedByItself("a service ended by itself")
        return _result(main)
    finally:
        for task in (main, *serving):
            task.cancel()
        await asyncio.gather(main, *serving, return_exceptions=True)
