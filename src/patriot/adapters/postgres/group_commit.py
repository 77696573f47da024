"""Many callers, one transaction: appends that arrive while a commit is under way share the next one.

Each caller still gets its own answer. It is decided in memory, caller by caller, who conflicts, who lost the lease and
who is told a stored result; what is granted goes out as one call that is one transaction (`eventing.append`, migration
0006). The first decision assumes what is nearly always so: leases hold, keys are new, and streams stand where this
process left them. The call proves every assumption under its locks; where one is wrong nothing is written, and the next
decision is made on what the database says. Nobody is refused on an assumption.

A call carries hashes that follow the newest committed ones, so the transaction ids of a stream's events ascend with its
versions; the log's order rests on that.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Self

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

MAX_EVENTS_PER_COMMIT = 2_000  # keeps one commit under about 100 ms
MAX_RACES = 20  # each lost race means that another process got through
REMEMBERED_HEADS = 10_000

# LATERAL: a plan that was made for large batches must not scan a whole table for one row (measured: 3 ms).
_FIND_LEASES = "SELECT name, token FROM eventing.leases WHERE name = ANY($1::text[])"
_FIND_RESULTS = """
    SELECT found.* FROM unnest($1::text[], $2::text[]) AS wanted (scope, idempotency_key) CROSS JOIN LATERAL (
        SELECT scope, idempotency_key, request_hash, result FROM eventing.commands
        WHERE scope = wanted.scope AND idempotency_key = wanted.idempotency_key
    ) AS found
"""
_FIND_STREAMS = """
    SELECT found.* FROM unnest($1::text[], $2::uuid[]) AS wanted (stream_type, stream_id) CROSS JOIN LATERAL (
        SELECT stream_type, stream_id, version, last_hash FROM eventing.streams
        WHERE stream_type = wanted.stream_type AND stream_id = wanted.stream_id
    ) AS found
"""
_APPEND = f"SELECT eventing.append({', '.join(f'${n}' for n in range(1, 29))})"


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


class GroupCommit:
    """Gather appends of this process and commit them together."""

    def __init__(self, database: Database, clock: Clock, committed: Callable[[], None]) -> None:
        self._database = database
        self._clock = clock
        self._committed = committed
        self._heads: dict[StreamKey, Head] = {}  # of the streams written last, oldest first; others may write them too
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
            for request in (*batch, *self._waiting):  # left over only when this task ended before its time
                _give(request.answer, StoreUnavailable("the store ended before this append was answered"))

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
        plan = Plan.assumed(batch, self._heads)
        for attempt in range(MAX_RACES):
            answers = [plan.decide(request) for request in batch]
            # nobody is refused on a guess, and a commit of nothing would prove none
            if attempt or (plan.touched and all(isinstance(answer, Appended) for answer in answers)):
                with suppress(asyncpg.exceptions.TransactionRollbackError):
                    await self._write(plan)
                    return answers
            plan = await self._look(batch)
        raise StoreUnavailable(f"an append lost {MAX_RACES} races to other processes")

    async def _look(self, batch: list[Request]) -> "Plan":
        fetch = self._database.fetch
        names = {request.fence.name for request in batch if request.fence is not None}
        keys = {(request.result.scope, request.result.key) for request in batch if request.result is not None}
        streams = {append.stream for request in batch for append in request.appends}
        tokens = await fetch(_FIND_LEASES, list(names)) if names else []
        results = await fetch(_FIND_RESULTS, *_columns(keys, 2)) if keys else []
        heads = await fetch(_FIND_STREAMS, *_columns(((s.stream_type, s.stream_id) for s in streams), 2))
        known = [IdempotentResult(r["scope"], r["idempotency_key"], r["request_hash"], r["result"]) for r in results]
        return Plan(
            tokens={row["name"]: row["token"] for row in tokens},
            known={(result.scope, result.key): result for result in known},
            heads={StreamKey(r["stream_type"], r["stream_id"]): Head(r["version"], r["last_hash"]) for r in heads},
        )

    async def _write(self, plan: "Plan") -> None:
        if not plan.touched:
            return
        for key in plan.touched:
            self._heads.pop(key, None)  # until the outcome is known
        await self._database.execute(_APPEND, *plan.arguments(self._clock.now()))
        self._heads |= {key: plan.heads[key] for key in plan.touched}
        for key in list(islice(self._heads, max(0, len(self._heads) - REMEMBERED_HEADS))):
            del self._heads[key]


@dataclass(slots=True)
class Plan:
    """What one transaction will write, grown caller by caller over leases, results and heads as they are believed."""

    tokens: dict[str, int]
    known: dict[tuple[str, str], IdempotentResult]
    heads: dict[StreamKey, Head]
    stored: dict[StreamKey, Head] = field(init=False)
    touched: set[StreamKey] = field(default_factory=set)
    chained: list[tuple[ChainedEvent, bytes]] = field(default_factory=list)
    results: list[IdempotentResult] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stored = dict(self.heads)

    @classmethod
    def assumed(cls, batch: list[Request], heads: dict[StreamKey, Head]) -> Self:
        """Return the plan for the usual case: fences hold, keys are new, and nobody else wrote these streams."""
        fences = [request.fence for request in batch if request.fence is not None]
        streams = {append.stream for request in batch for append in request.appends}
        return cls(
            tokens={fence.name: fence.token for fence in sorted(fences, key=lambda fence: fence.token)},
            known={},
            heads={stream: heads[stream] for stream in streams if stream in heads},
        )

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
        self.heads[append.stream] = Head(version, last_hash)
        self.touched.add(append.stream)

    def arguments(self, recorded_at: datetime) -> list[object]:
        """Return what `eventing.append` takes: each token and each old head is proved there."""
        leases = _columns(sorted(self.tokens.items()), 2)
        streams = _columns((self._stream_row(key) for key in sorted(self.touched, key=_order)), 5)
        results = _columns(sorted((r.scope, r.key, r.request_hash, r.result) for r in self.results), 4)
        events = _columns((_event_row(chained, event_hash) for chained, event_hash in self.chained), 16)
        return [*leases, *streams, *results, recorded_at, *events]

    def _stream_row(self, key: StreamKey) -> tuple[object, ...]:
        old, new = self.stored.get(key), self.heads[key]
        return key.stream_type, key.stream_id, old.last_hash if old else None, new.version, new.last_hash


def _give(future: "asyncio.Future[Appended]", answer: Appended | Exception) -> None:
    if future.done():
        return  # its caller was canceled meanwhile
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def _order(key: StreamKey) -> tuple[str, bytes]:
    return key.stream_type, key.stream_id.bytes


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


def _columns(rows: Iterable[Sequence[object]], width: int) -> list[list[object]]:
    """Return rows turned into the arrays that unnest takes."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]
