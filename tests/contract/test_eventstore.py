"""What every event store must do: one suite, run on the store in memory and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta, timezone
from typing import cast
from uuid import UUID

import pytest

from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.eventstore import PostgresEventStore
from patriot.adapters.postgres.leases import PostgresLeases
from patriot.kernel.clock import FakeClock
from patriot.kernel.errors import IdempotencyMismatch, InvalidInput, LeaseLost, VersionConflict
from patriot.kernel.eventstore import (
    GENESIS_HASH,
    Actor,
    ActorType,
    ChainedEvent,
    Context,
    EventStore,
    Fence,
    IdempotentResult,
    LogPosition,
    NewEvent,
    StreamAppend,
    StreamKey,
)
from patriot.kernel.ids import Ids
from patriot.kernel.lease import Leases
from patriot.kernel.memory import MemoryEventStore, MemoryLeases

pytestmark = pytest.mark.integration

START = LogPosition()


@dataclass(frozen=True)
class Given:
    """A store under test, the leases that it checks fences against, and what makes ids."""

    store: EventStore
    leases: Leases
    ids: Ids
    clock: FakeClock

    def stream(self, stream_type: str = "ORDER") -> StreamKey:
        return StreamKey(stream_type, self.ids.new())

    def event(self, data: str = "{}", event_type: str = "order.created") -> NewEvent:
        context = Context(self.ids.new(), self.ids.new(), self.ids.new(), None, Actor(ActorType.USER, "u-1"))
        return NewEvent(self.ids.new(), event_type, 1, self.clock.now(), data, context)

    def events(self, count: int) -> tuple[NewEvent, ...]:
        return tuple(self.event(f'{{"n":{n}}}') for n in range(count))

    async def append(self, stream: StreamKey, expected_version: int, *events: NewEvent) -> tuple[int, ...]:
        return (await self.store.append([StreamAppend(stream, expected_version, events)])).versions


@pytest.fixture
async def on_memory() -> Given:
    clock = FakeClock()
    leases = MemoryLeases(clock)
    return Given(MemoryEventStore(clock, leases), leases, Ids(clock), clock)


@pytest.fixture
async def on_postgres(database: str) -> AsyncIterator[Given]:
    clock = FakeClock()
    pool = await Database.connect(database)
    async with PostgresEventStore(pool, clock) as store:
        yield Given(store, PostgresLeases(pool), Ids(clock), clock)
    await pool.close()


@pytest.fixture(params=["on_memory", pytest.param("on_postgres", marks=pytest.mark.postgres)])
def given(request: pytest.FixtureRequest) -> Given:
    return cast("Given", request.getfixturevalue(request.param))


async def test_append_to_new_stream_gives_back_what_was_written(given: Given) -> None:
    stream, event = given.stream(), given.event('{"price":"1.10","note":"Ж\\u0000"}')
    assert await given.append(stream, 0, event) == (1,)
    (stored,) = await given.store.read_stream(stream)
    assert (stored.event_id, stored.event_type, stored.schema_version) == (event.event_id, "order.created", 1)
    assert (stored.stream, stored.stream_version) == (stream, 1)
    assert (stored.data, stored.context) == (event.data, event.context)
    assert (stored.occurred_at, stored.recorded_at) == (event.occurred_at, given.clock.now())


async def test_append_at_the_expected_version_continues_the_stream(given: Given) -> None:
    stream = given.stream()
    await given.append(stream, 0, *given.events(2))
    assert await given.append(stream, 2, *given.events(3)) == (5,)
    assert [e.stream_version for e in await given.store.read_stream(stream)] == [1, 2, 3, 4, 5]
    assert [e.stream_version for e in await given.store.read_stream(stream, after_version=3)] == [4, 5]


@pytest.mark.parametrize("expected", [0, 1, 3, 99])
async def test_append_at_another_version_is_refused_and_writes_nothing(given: Given, expected: int) -> None:
    stream = given.stream()
    await given.append(stream, 0, *given.events(2))
    with pytest.raises(VersionConflict, match=f"expected version {expected}, found 2"):
        await given.append(stream, expected, given.event())
    assert len(await given.store.read_log(START)) == 2


async def test_append_to_several_streams_is_all_or_nothing(given: Given) -> None:
    order, risk = given.stream("ORDER"), given.stream("RISK")
    await given.append(risk, 0, given.event())
    stale = [StreamAppend(order, 0, given.events(1)), StreamAppend(risk, 0, given.events(1))]
    with pytest.raises(VersionConflict):
        await given.store.append(stale)
    assert await given.store.read_streams([order, risk]) == [[], await given.store.read_stream(risk)]
    fresh = [StreamAppend(order, 0, given.events(2)), StreamAppend(risk, 1, given.events(1))]
    assert (await given.store.append(fresh)).versions == (2, 2)


async def test_append_without_events_proves_the_version_of_a_stream(given: Given) -> None:
    order, gate, empty = given.stream("ORDER"), given.stream("RISK"), given.stream("RISK")
    await given.append(gate, 0, given.event())
    with pytest.raises(VersionConflict):
        await given.store.append([StreamAppend(order, 0, given.events(1)), StreamAppend(gate, 0, ())])
    proven = [StreamAppend(order, 0, given.events(1)), StreamAppend(gate, 1, ()), StreamAppend(empty, 0, ())]
    assert (await given.store.append(proven)).versions == (1, 1, 0)
    assert await given.append(empty, 0, given.event()) == (1,)


async def test_same_id_in_two_stream_types_is_two_streams(given: Given) -> None:
    order = given.stream("ORDER")
    risk = replace(order, stream_type="RISK")
    await given.append(order, 0, given.event())
    await given.append(risk, 0, *given.events(2))
    assert [len(events) for events in await given.store.read_streams([risk, order, risk])] == [2, 1, 2]


async def test_event_id_used_twice_is_refused_and_spares_the_others(given: Given) -> None:
    event = given.event()
    await given.append(given.stream(), 0, event)
    bystander = given.stream()
    refused, written = await asyncio.gather(
        given.append(given.stream(), 0, event), given.append(bystander, 0, given.event()), return_exceptions=True
    )
    assert isinstance(refused, InvalidInput)
    assert written == (1,)
    assert len(await given.store.read_stream(bystander)) == 1


async def test_concurrent_writers_of_one_stream_win_one_version_each(given: Given) -> None:
    stream = given.stream()

    async def write() -> int:
        lost = 0
        while True:
            version = len(await given.store.read_stream(stream))
            try:
                await given.append(stream, version, given.event())
            except VersionConflict:
                lost += 1
            else:
                return lost

    await asyncio.gather(*(write() for _ in range(12)))
    assert [e.stream_version for e in await given.store.read_stream(stream)] == list(range(1, 13))


async def test_one_conflict_among_concurrent_appends_fails_alone(given: Given) -> None:
    streams = [given.stream() for _ in range(20)]
    await given.append(streams[7], 0, given.event())
    answers = await asyncio.gather(
        *(given.append(stream, 0, *given.events(3)) for stream in streams), return_exceptions=True
    )
    assert [n for n, answer in enumerate(answers) if isinstance(answer, VersionConflict)] == [7]
    assert [answer for n, answer in enumerate(answers) if n != 7] == [(3,)] * 19


async def test_result_is_stored_with_its_events_and_given_back(given: Given) -> None:
    stream, result = given.stream(), IdempotentResult("PlaceOrder", "key-1", "hash-a", "1")
    assert await given.store.find_result("PlaceOrder", "key-1") is None
    append = [StreamAppend(stream, 0, given.events(1))]
    assert (await given.store.append(append, result=result)).replayed is None
    assert await given.store.find_result("PlaceOrder", "key-1") == result
    again = await given.store.append(append, result=result)
    assert (again.versions, again.replayed) == ((), result)
    assert len(await given.store.read_log(START)) == 1


async def test_concurrent_uses_of_one_key_write_once(given: Given) -> None:
    result = IdempotentResult("PlaceOrder", "key-1", "hash-a", "1")
    answers = await asyncio.gather(
        *(given.store.append([StreamAppend(given.stream(), 0, given.events(1))], result=result) for _ in range(5))
    )
    assert sorted(answer.replayed is None for answer in answers) == [False] * 4 + [True]
    assert len(await given.store.read_log(START)) == 1


async def test_key_used_for_another_request_is_refused(given: Given) -> None:
    result = IdempotentResult("PlaceOrder", "key-1", "hash-a", "1")
    await given.store.append([StreamAppend(given.stream(), 0, given.events(1))], result=result)
    with pytest.raises(IdempotencyMismatch, match="key-1"):
        await given.store.append(
            [StreamAppend(given.stream(), 0, given.events(1))], result=replace(result, request_hash="hash-b")
        )
    assert len(await given.store.read_log(START)) == 1


async def test_refused_append_does_not_use_up_its_key(given: Given) -> None:
    stream, result = given.stream(), IdempotentResult("PlaceOrder", "key-1", "hash-a", "1")
    with pytest.raises(VersionConflict):
        await given.store.append([StreamAppend(stream, 5, given.events(1))], result=result)
    assert await given.store.find_result("PlaceOrder", "key-1") is None


async def test_fence_of_the_newest_token_may_write(given: Given) -> None:
    fence = await given.leases.acquire("account-1", "worker-a")
    assert fence is not None
    answer = await given.store.append([StreamAppend(given.stream(), 0, given.events(1))], fence=fence)
    assert answer.versions == (1,)


async def test_fence_of_a_deposed_owner_is_refused_alone(given: Given) -> None:
    old = await given.leases.acquire("account-1", "worker-a")
    assert old is not None
    await given.leases.release(old, "worker-a")
    new = await given.leases.acquire("account-1", "worker-b")
    appends = [given.store.append([StreamAppend(given.stream(), 0, given.events(1))], fence=f) for f in (old, new)]
    refused, written = await asyncio.gather(*appends, return_exceptions=True)
    assert isinstance(refused, LeaseLost)
    assert not isinstance(written, BaseException)
    assert len(await given.store.read_log(START)) == 1


async def test_fence_of_a_lease_never_given_is_refused(given: Given) -> None:
    with pytest.raises(LeaseLost):
        await given.store.append([StreamAppend(given.stream(), 0, given.events(1))], fence=Fence("account-9", 1))


async def test_each_event_chains_to_the_one_before_it_in_its_stream(given: Given) -> None:
    stream = given.stream()
    written = [*given.events(2), *given.events(2)]
    await given.append(stream, 0, *written[:2])
    await given.append(given.stream(), 0, given.event())
    await given.append(stream, 2, *written[2:])
    previous = GENESIS_HASH
    for stored, event in zip(await given.store.read_stream(stream), written, strict=True):
        assert stored.previous_hash == previous
        assert stored.event_hash == ChainedEvent(previous, stream, stored.stream_version, event).digest()
        previous = stored.event_hash


async def test_chain_does_not_depend_on_the_time_zone_of_the_writer(given: Given) -> None:
    stream, event = given.stream(), given.event()
    east = replace(event, occurred_at=event.occurred_at.astimezone(timezone(timedelta(hours=9))))
    await given.append(stream, 0, east)
    (stored,) = await given.store.read_stream(stream)
    assert stored.event_hash == ChainedEvent(GENESIS_HASH, stream, 1, event).digest()


async def test_log_gives_all_streams_in_the_order_of_their_appends(given: Given) -> None:
    ids: list[UUID] = []
    for _ in range(5):
        events = given.events(3)
        await given.append(given.stream(), 0, *events)
        ids += [event.event_id for event in events]
    log = await given.store.read_log(START)
    assert [envelope.event_id for envelope in log] == ids
    positions = [envelope.log_position for envelope in log]
    assert positions == sorted(set(positions))


async def test_log_is_read_in_pages_from_any_position(given: Given) -> None:
    await given.append(given.stream(), 0, *given.events(7))
    log = await given.store.read_log(START)
    for start in (START, *(envelope.log_position for envelope in log)):
        paged, after = [], start
        while page := await given.store.read_log(after, limit=2):
            assert len(page) <= 2
            paged += page
            after = page[-1].log_position
        assert paged == [envelope for envelope in log if envelope.log_position > start]


async def test_log_can_be_narrowed_to_event_types(given: Given) -> None:
    created, filled = given.event(), given.event(event_type="order.filled")
    await given.append(given.stream(), 0, created, filled, given.event())
    for _ in range(2):  # the second reading may come from memory
        log = await given.store.read_log(START, event_types=frozenset({"order.filled"}))
        assert [envelope.event_id for envelope in log] == [filled.event_id]
        assert len(await given.store.read_log(START, limit=1, event_types=frozenset({"order.created"}))) == 1
        assert len(await given.store.read_log(START)) == 3


async def test_head_and_newest_name_the_last_event(given: Given) -> None:
    assert await given.store.head() == await given.store.newest() == START
    await given.append(given.stream(), 0, *given.events(2))
    last = (await given.store.read_log(START))[-1].log_position
    assert await given.store.head() == await given.store.newest() == last


async def test_waiting_ends_when_something_is_appended(given: Given) -> None:
    await given.append(given.stream(), 0, given.event())
    await given.store.read_log(START)
    head = await given.store.head()
    waiting = asyncio.create_task(given.store.wait_for_append(head, timeout_seconds=30))
    await given.append(given.stream(), 0, given.event())
    async with asyncio.timeout(5):
        await waiting
    assert len(await given.store.read_log(head)) == 1


async def test_waiting_ends_at_once_for_what_is_already_there(given: Given) -> None:
    await given.append(given.stream(), 0, given.event())
    async with asyncio.timeout(5):
        await given.store.wait_for_append(START, timeout_seconds=30)


async def test_waiting_ends_with_its_time_out(given: Given) -> None:
    async with asyncio.timeout(5):
        await given.store.wait_for_append(START, timeout_seconds=0.01)
    assert await given.store.read_log(START) == []
