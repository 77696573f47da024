"""One account's writer: makes its commands durable one after the other, in the order they were decided."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from patriot.kernel.errors import StoreUnavailable
from patriot.kernel.eventstore import Actor
from patriot.kernel.tasks import when_stored


@dataclass(frozen=True, slots=True)
class _Entry:
    command: object
    actor: Actor
    written: asyncio.Future[None] | None = None


class Journal:
    """A queue in front of the log. `write` dispatches one command of an actor and returns when it is durable.

    While the database is away commands wait in memory: the exchange can prove what was done.
    """

    def __init__(self, write: Callable[[object, Actor], Awaitable[None]]) -> None:
        self._write = write
        self._queue: asyncio.Queue[_Entry] = asyncio.Queue()
        self._waiting: dict[asyncio.Future[None], None] = {}  # the oldest first
        self._ended = False
        self.pending = 0

    def put(self, command: object, actor: Actor) -> None:
        """Write a command soon."""
        self.pending += 1
        self._queue.put_nowait(_Entry(command, actor))

    async def written(self, command: object, actor: Actor) -> None:
        """Write a command after all that were put before, and return when it is durable.

        Errors: what writing it raises; StoreUnavailable if the writer ends before: ask its successor.
        """
        if self._ended:
            raise StoreUnavailable("the writer has ended")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[future] = None
        future.add_done_callback(lambda done: self._waiting.pop(done, None))
        self.pending += 1
        self._queue.put_nowait(_Entry(command, actor, future))
        await future

    async def run(self) -> None:
        """Write for ever. Raises what a command that can never be written raises: the owner must start over."""
        try:
            while True:
                await self._write_next()
        finally:
            self._ended = True
            for future in list(self._waiting):
                if not future.done():
                    future.set_exception(StoreUnavailable("the writer ended before this was written"))

    async def _write_next(self) -> None:
        entry = await self._queue.get()
        future = entry.written
        try:
            await when_stored(lambda: self._write(entry.command, entry.actor))
        except Exception as error:
            if future is not None and not future.done():
                future.set_exception(error)
            raise
        self.pending -= 1
        if future is not None and not future.done():
            future.set_result(None)
