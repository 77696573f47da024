"""The event store on PostgreSQL. Appending is `group_commit.py`, reading is `log.py`; this is the port over both."""

from collections.abc import AsyncIterator, Sequence
from typing import Self

from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.group_commit import GroupCommit
from patriot.adapters.postgres.log import PAGE_EVENTS, Log
from patriot.kernel.clock import Clock
from patriot.kernel.eventstore import (
    Appended,
    Envelope,
    Fence,
    IdempotentResult,
    LogPosition,
    StreamAppend,
    StreamKey,
)


class PostgresEventStore:
    """`EventStore` over a database that the migrations have prepared. Close it before its database.

    Appends of one process share commits, so latency under load is that of two commits at most.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._log = Log(database)
        self._commits = GroupCommit(database, clock, self._log.appended)

    async def close(self) -> None:
        """Finish the appends under way and stop following the log."""
        await self._commits.drain()
        await self._log.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def append(
        self,
        appends: Sequence[StreamAppend],
        *,
        result: IdempotentResult | None = None,
        fence: Fence | None = None,
    ) -> Appended:
        """See `EventStore.append`."""
        return await self._commits.append(appends, result, fence)

    async def read_stream(self, stream: StreamKey, after_version: int = 0) -> list[Envelope]:
        """See `EventStore.read_stream`."""
        return await self._log.read_stream(stream, after_version)

    async def read_streams(self, streams: Sequence[StreamKey]) -> list[list[Envelope]]:
        """See `EventStore.read_streams`."""
        return await self._log.read_streams(streams)

    async def read_log(
        self, after: LogPosition, limit: int = 1000, event_types: frozenset[str] | None = None
    ) -> list[Envelope]:
        """See `EventStore.read_log`."""
        return await self._log.read(after, limit, event_types)

    def scan(self, after: LogPosition = LogPosition(), page: int = PAGE_EVENTS) -> AsyncIterator[list[Envelope]]:  # noqa: B008
        """Yield pages of the log as the disk has it, never from memory: for rebuilds and for proving history."""
        return self._log.scan(after, page)

    async def head(self) -> LogPosition:
        """See `EventStore.head`."""
        return await self._log.head()

    async def newest(self) -> LogPosition:
        """See `EventStore.newest`."""
        return await self._log.newest()

    async def wait_for_append(self, after: LogPosition, timeout_seconds: float) -> None:
        """See `EventStore.wait_for_append`."""
        await self._log.wait(after, timeout_seconds)

    async def find_result(self, scope: str, key: str) -> IdempotentResult | None:
        """See `EventStore.find_result`."""
        rows = await self._database.fetch(
            "SELECT request_hash, result FROM eventing.commands WHERE scope = $1 AND idempotency_key = $2", scope, key
        )
        return IdempotentResult(scope, key, rows[0]["request_hash"], rows[0]["result"]) if rows else None
