"""The event store on PostgreSQL: streams are read here, appending is `group_commit.py`, the log is `feed.py`."""

from collections.abc import Sequence
from typing import Self

from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.epochs import refuse_unreadable
from patriot.adapters.postgres.feed import COLUMNS, PostgresFeed, envelope_of
from patriot.adapters.postgres.group_commit import GroupCommit
from patriot.kernel.clock import Clock
from patriot.kernel.eventstore import (
    Appended,
    Envelope,
    Fence,
    IdempotentResult,
    StreamAppend,
    StreamKey,
)

_READ_STREAM = f"""
    SELECT {COLUMNS} FROM eventing.events
    WHERE stream_type = $1 AND stream_id = $2 AND stream_version > $3 ORDER BY stream_version
"""  # noqa: S608  only our own constants
_READ_STREAMS = f"""
    SELECT found.* FROM unnest($1::text[], $2::uuid[]) AS wanted (stream_type, stream_id) CROSS JOIN LATERAL (
        SELECT {COLUMNS} FROM eventing.events
        WHERE stream_type = wanted.stream_type AND stream_id = wanted.stream_id ORDER BY stream_version
    ) AS found
"""  # noqa: S608  LATERAL: a plan made for many streams must not scan the table for one


class PostgresEventStore:
    """`EventStore` over a database that the migrations have prepared, and the `feed` of its log.

    Close it before its database.

    Appends of one process share commits, so latency under load is that of two commits at most.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self.feed = PostgresFeed(database)
        self._commits = GroupCommit(database, clock, self.feed.appended)

    async def close(self) -> None:
        """Finish the appends under way and stop following the log."""
        await self._commits.drain()
        await self.feed.close()

    async def __aenter__(self) -> Self:
        """Errors: StartupError for a log that was restored and that nobody adopted."""
        await refuse_unreadable(self._database)
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
        rows = await self._database.fetch(_READ_STREAM, stream.stream_type, stream.stream_id, after_version)
        return [envelope_of(row) for row in rows]

    async def read_streams(self, streams: Sequence[StreamKey]) -> list[list[Envelope]]:
        """See `EventStore.read_streams`: one statement, so one snapshot."""
        by_stream: dict[StreamKey, list[Envelope]] = {stream: [] for stream in streams}
        types, ids = [key.stream_type for key in by_stream], [key.stream_id for key in by_stream]
        for row in await self._database.fetch(_READ_STREAMS, types, ids):
            envelope = envelope_of(row)
            by_stream[envelope.stream].append(envelope)
        return [by_stream[stream] for stream in streams]

    async def find_result(self, scope: str, key: str) -> IdempotentResult | None:
        """See `EventStore.find_result`."""
        rows = await self._database.fetch(
            "SELECT request_hash, result FROM eventing.commands WHERE scope = $1 AND idempotency_key = $2", scope, key
        )
        return IdempotentResult(scope, key, rows[0]["request_hash"], rows[0]["result"]) if rows else None
