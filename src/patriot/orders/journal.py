"""One account's writer: makes its commands durable one after the other, in the order they were decided."""

import asyncio
from collections.abc import Awaitable, Callable

from patriot.kernel.errors import StoreUnavailable

RETRY_SECONDS = 0.2  # while the database is away; commands wait in memory, the exchange can prove what was done


class Journal:
    """A queue in front of the log. `write` dispatches one command and returns when it is durable."""

    def __init__(self, write: Callable[[object], Awaitable[object]]) -> None:
        self._write = write
        self._queue: asyncio.Queue[tuple[object, asyncio.Future[None] | None]] = asyncio.Queue()
        self._waiting: set[asyncio.Future[None]] = set()
        self._ended = False
        self.pending = 0

    def put(self, command: object) -> None:
        """Write a command soon."""
        self.pending += 1
        self._queue.put_nowait((command, None))

    async def written(self, command: object) -> None:
        """Write a command after all that were put before, and return when it is durable.

        Errors: what writing it raises; StoreUnavailable if the writer ends before: ask its successor.
        """
        if self._ended:
            raise StoreUnavailable("the writer has ended")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)
        self.pending += 1
        self._queue.put_nowait((command, future))
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
        command, future = await self._queue.get()
        try:
            await self._write_patiently(command)
        except Exception as error:
            if future is not None and not future.done():
                future.set_exception(error)
            raise
        self.pending -= 1
        if future is not None and not future.done():
            future.set_result(None)

    async def _write_patiently(self, command: object) -> None:
        while True:
            try:
                await self._write(command)
            except StoreUnavailable:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return
