"""Many callers, one transaction: appends that arrive while a commit is under way share the next one.

Each caller still gets its own answer. Streams are locked first, in one order for everybody; then it is decided in
memory, caller by caller, who conflicts, who lost the lease and who is told a stored result; only the rest is written.
What another process does at the same moment to a stream or key that did not exist yet shows as a row that was not
inserted: the whole transaction is then rolled back and tried again, and sees it.

The transaction opens after its callers have loaded their streams, so the transaction ids of a stream's events ascend
with its versions; the log's order rests on that.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import asyncpg

from patriot.adapters.postgres.database import Database
from patriot.kernel.clock import Clock
from patriot.kernel.errors import (
    InvalidInput,
    LeaseLost,
    PatriotError,
    StoreUnavailable,
)
from patriot.kernel.eventstore import (
    GENESIS_HASH,
    Appended,
    ChainedEvent,
    Fence,
    IdempotentResult,
    StreamAppend,
    StreamKey,
)
from patriot.kernel.sql import Sql

MAX_EVENTS_PER_COMMIT = 2_000  # keeps one commit under about 100 ms
MAX_RACES = 20  # each lost race means that another process got through

# LATERAL below: a plan that was made for large batches must not scan a whole table for one row (measured: 3 ms).
_LOCK_LEASES = "SELECT name, token FROM eventing.leases WHERE name = ANY($1::text[]) ORDER BY name FOR SHARE"
_FIND_RESULTS = """
    SELECT found.* FROM unnest($1::text[], $2::text[]) AS wanted (scope, idempotency_key) CROSS JOIN LATERAL (
        SELECT scope, idempotency_key, request_hash, result FROM eventing.commands
        WHERE scope = wanted.scope AND idempotency_key = wanted.idempotency_key
    ) AS found
"""
_LOCK_STREAMS = """
    SELECT found.* FROM unnest($1::text[], $2::uuid[]) AS wanted (stream_type, stream_id) CROSS JOIN LATERAL (
        SELECT stream_type, stream_id, version, last_hash FROM eventing.streams
        WHERE stream_type = wanted.stream_type AND stream_id = wanted.stream_id FOR UPDATE
    ) AS found
"""
_CREATE_STREAMS = """
    INSERT INTO eventing.streams (stream_type, stream_id, version, last_hash)
    SELECT * FROM unnest($1::text[], $2::uuid[], $3::int[], $4::bytea[]) ON CONFLICT DO NOTHING RETURNING 1
"""
_ADVANCE_STREAMS = """
    UPDATE eventing.streams SET version = new.version, last_hash = new.last_hash
    FROM unnest($1::text[], $2::uuid[], $3::int[], $4::bytea[]) AS new (stream_type, stream_id, version, last_hash)
    WHERE streams.stream_type = new.stream_type AND streams.stream_id = new.stream_id
"""
_INSERT_EVENTS = """
    INSERT INTO eventing.events (
        event_id, stream_type, stream_id, stream_version, event_type, schema_version, occurred_at, recorded_at,
        correlation_id, causation_id, user_id, account_id, actor_type, actor_id, data, previous_hash, event_hash)
    SELECT event_id, stream_type, stream_id, stream_version, event_type, schema_version, occurred_at, $7,
        correlation_id, causation_id, user_id, account_id, actor_type, actor_id, data, previous_hash, event_hash
    FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::int[], $5::text[], $6::smallint[], $8::timestamptz[],
        $9::uuid[], $10::uuid[], $11::uuid[], $12::uuid[], $13::text[], $14::text[], $15::text[], $16::bytea[],
        $17::bytea[])
        WITH ORDINALITY AS new (event_id, stream_type, stream_id, stream_version, event_type, schema_version,
            occurred_at, correlation_id, causation_id, user_id, account_id, actor_type, actor_id, data, previous_hash,
            event_hash, n)
    ORDER BY n
"""
_STORE_RESULTS = """
    INSERT INTO eventing.commands (scope, idempotency_key, request_hash, result)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS new (a, b, c, d) ORDER BY a, b
    ON CONFLICT DO NOTHING RETURNING 1
"""


@dataclass(slots=True, eq=False)
class Request:
    """One caller's append and the answer it waits for."""

    appends: tuple[StreamAppend, ...]
    result: IdempotentResult | None
    fence: Fence | None
    answer: "asyncio.Future[Appended]"

    def event_count(self) -> int:
        return sum(len(append.events) for append in self.appends)


@dataclass(frozen=True, slots=True)
class Head:
    """Where a stream stands: its version, and the hash of its newest event."""

    version: int = 0
    last_hash: bytes = GENESIS_HASH


class _LostRace(Exception):
    """Another process created the same stream or used the same key between our look and our insert."""


class GroupCommit:
    """Gather appends of this process and commit them together."""

    def __init__(self, database: Database, clock: Clock, committed: Callable[[], None]) -> None:
        self._database = database
        self._clock = clock
        self._committed = committed
        self._waiting: deque[Request] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def append(
        self, appends: Sequence[StreamAppend], result: IdempotentResult | None, fence: Fence | None
    ) -> Appended:
        """Queue an append and wait for the commit that carries it. Errors: those of `EventStore.append`."""
        answer: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self._waiting.append(Request(tuple(appends), result, fence, answer))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="group-commit")
        return await answer

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        if self._worker is not None:
            await asyncio.wait([self._worker])

    async def _work(self) -> None:
        batch: list[Request] = []
        try:
            while self._waiting:
                batch = self._next_batch()
                answers = await self._settle(batch)
                for request, answer in zip(batch, answers, strict=True):
                    _give(request.answer, answer)
                if any(isinstance(answer, Appended) and answer.replayed is None for answer in answers):
                    self._committed()
        finally:
            self._worker = None
            for request in (*batch, *self._waiting):  # left over only when this task was canceled
                request.answer.cancel()

    def _next_batch(self) -> list[Request]:
        batch = [self._waiting.popleft()]
        room = MAX_EVENTS_PER_COMMIT - batch[0].event_count()
        while self._waiting and (count := self._waiting[0].event_count()) <= room:
            room -= count
            batch.append(self._waiting.popleft())
        return batch

    async def _settle(self, batch: list[Request]) -> list[Appended | Exception]:
        try:
            return list(await self._commit(batch))
        except StoreUnavailable as error:
            return [StoreUnavailable(str(error)) for _ in batch]
        except asyncpg.UniqueViolationError as error:
            refusal: Exception = InvalidInput("event_id", f"every event needs its own: {error.detail}")
        except Exception as error:  # noqa: BLE001  whatever it is belongs to the callers, who wait
            refusal = error
        if len(batch) == 1:
            return [refusal]
        # One caller's rows were refused by the database: the others must not pay for it.
        return [answer for request in batch for answer in await self._settle([request])]

    async def _commit(self, batch: list[Request]) -> list[Appended | PatriotError]:
        for _ in range(MAX_RACES):
            try:
                async with self._database.transaction() as sql:
                    plan = Plan(
                        tokens=await _lock_leases(sql, batch),
                        known=await _find_results(sql, batch),
                        heads=await _lock_streams(sql, batch),
                    )
                    answers = [plan.decide(request) for request in batch]
                    await self._write(sql, plan)
                return answers
            except (_LostRace, asyncpg.exceptions.TransactionRollbackError):
                continue
        raise StoreUnavailable(f"an append lost {MAX_RACES} races to other processes")

    async def _write(self, sql: Sql, plan: "Plan") -> None:
        moved = sorted(plan.moved, key=_order)
        created = [key for key in moved if key not in plan.stored]
        advanced = [key for key in moved if key in plan.stored]
        if advanced:
            await sql.execute(_ADVANCE_STREAMS, *_columns(_stream_row(key, plan.heads[key]) for key in advanced))
        if created:
            rows = await sql.fetch(_CREATE_STREAMS, *_columns(_stream_row(key, plan.heads[key]) for key in created))
            if len(rows) < len(created):
                raise _LostRace
        if plan.results:
            rows = await sql.fetch(
                _STORE_RESULTS, *_columns((r.scope, r.key, r.request_hash, r.result) for r in plan.results)
            )
            if len(rows) < len(plan.results):
                raise _LostRace
        if plan.chained:
            before, after = plan.event_columns()
            await sql.execute(_INSERT_EVENTS, *before, self._clock.now(), *after)


@dataclass(slots=True)
class Plan:
    """What one transaction will write, grown caller by caller over the locked rows."""

    tokens: dict[str, int]
    known: dict[tuple[str, str], IdempotentResult]
    heads: dict[StreamKey, Head]
    stored: frozenset[StreamKey] = field(init=False)
    moved: set[StreamKey] = field(default_factory=set)
    chained: list[tuple[ChainedEvent, bytes]] = field(default_factory=list)
    results: list[IdempotentResult] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stored = frozenset(self.heads)

    def decide(self, request: Request) -> Appended | PatriotError:
        """Return a caller's answer, and plan its rows if it is granted."""
        if request.fence is not None and self.tokens.get(request.fence.name) != request.fence.token:
            return LeaseLost(f"{request.fence.name}: token {request.fence.token} is not the newest")
        if request.result is not None:
            known = self.known.get((request.result.scope, request.result.key))
            if known is not None:
                return request.result.replayed(known)
        for append in request.appends:
            found = self.heads.get(append.stream, Head()).version
            if found != append.expected_version:
                return append.conflict(found)
        for append in request.appends:
            self._extend(append)
        if request.result is not None:
            self.known[request.result.scope, request.result.key] = request.result
            self.results.append(request.result)
        return Appended(tuple(append.expected_version + len(append.events) for append in request.appends))

    def _extend(self, append: StreamAppend) -> None:
        last_hash = self.heads.get(append.stream, Head()).last_hash
        version = append.expected_version
        for event in append.events:
            version += 1
            chained = ChainedEvent(last_hash, append.stream, version, event)
            last_hash = chained.digest()
            self.chained.append((chained, last_hash))
        if append.events or append.stream not in self.stored:  # no events: only hold the stream at its version
            self.heads[append.stream] = Head(version, last_hash)
            self.moved.add(append.stream)

    def event_columns(self) -> tuple[list[list[object]], list[list[object]]]:
        """Return the arrays of `_INSERT_EVENTS` before and after `recorded_at`."""
        columns = _columns(_event_row(chained, event_hash) for chained, event_hash in self.chained)
        return columns[:6], columns[6:]


def _give(future: "asyncio.Future[Appended]", answer: Appended | Exception) -> None:
    if future.done():
        return  # its caller was canceled meanwhile
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


async def _lock_leases(sql: Sql, batch: list[Request]) -> dict[str, int]:
    names = {request.fence.name for request in batch if request.fence is not None}
    if not names:
        return {}
    return {row["name"]: row["token"] for row in await sql.fetch(_LOCK_LEASES, sorted(names))}


async def _find_results(sql: Sql, batch: list[Request]) -> dict[tuple[str, str], IdempotentResult]:
    keys = {(request.result.scope, request.result.key) for request in batch if request.result is not None}
    if not keys:
        return {}
    rows = await sql.fetch(_FIND_RESULTS, *_columns(sorted(keys)))
    found = [IdempotentResult(r["scope"], r["idempotency_key"], r["request_hash"], r["result"]) for r in rows]
    return {(result.scope, result.key): result for result in found}


async def _lock_streams(sql: Sql, batch: list[Request]) -> dict[StreamKey, Head]:
    keys = {append.stream for request in batch for append in request.appends}
    rows = await sql.fetch(
        _LOCK_STREAMS, *_columns((key.stream_type, key.stream_id) for key in sorted(keys, key=_order))
    )
    return {StreamKey(r["stream_type"], r["stream_id"]): Head(r["version"], r["last_hash"]) for r in rows}


def _order(key: StreamKey) -> tuple[str, bytes]:
    return key.stream_type, key.stream_id.bytes


def _stream_row(key: StreamKey, head: Head) -> tuple[object, ...]:
    return key.stream_type, key.stream_id, head.version, head.last_hash


def _event_row(chained: ChainedEvent, event_hash: bytes) -> tuple[object, ...]:
    event, context, stream = chained.event, chained.event.context, chained.stream
    return (
        event.event_id,
        stream.stream_type,
        stream.stream_id,
        chained.stream_version,
        event.event_type,
        event.schema_version,
        event.occurred_at,
        context.correlation_id,
        context.causation_id,
        context.user_id,
        context.account_id,
        context.actor.type.value,
        context.actor.id,
        event.data,
        chained.previous_hash,
        event_hash,
    )


def _columns(rows: Iterable[Sequence[object]]) -> list[list[object]]:
    """Return rows turned into the arrays that unnest takes."""
    return [list(column) for column in zip(*rows, strict=True)]
