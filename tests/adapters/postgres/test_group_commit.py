"""What a process remembers of streams, keys and leases may be old: the append itself finds out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from patriot.adapters.postgres import group_commit
from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.eventstore import PostgresEventStore
from patriot.adapters.postgres.leases import PostgresLeases
from patriot.adapters.postgres.places import position_of
from patriot.kernel.clock import FakeClock
from patriot.kernel.errors import LeaseLost, StoreUnavailable, VersionConflict
from patriot.kernel.eventstore import Appended, Context, Fence, IdempotentResult, NewEvent, StreamAppend, StreamKey
from patriot.kernel.ids import Ids

pytestmark = pytest.mark.integration

CLOCK = FakeClock()
IDS = Ids(CLOCK)


def append(stream: StreamKey, expected: int, count: int = 1) -> StreamAppend:
    happened = (NewEvent(IDS.new(), "toy.happened", 1, CLOCK.now(), "{}", Context(IDS.new())) for _ in range(count))
    return StreamAppend(stream, expected, tuple(happened))


@pytest.fixture
async def two(database: str) -> AsyncIterator[tuple[PostgresEventStore, PostgresEventStore]]:
    """Two processes of the platform: each its own pool, its own store, its own memory."""
    async with AsyncExitStack() as stack:
        stores = []
        for _ in range(2):
            pool = await Database.connect(database)
            stack.push_async_callback(pool.close)
            stores.append(await stack.enter_async_context(PostgresEventStore(pool, CLOCK)))
        yield stores[0], stores[1]


Two = tuple[PostgresEventStore, PostgresEventStore]


async def test_stream_that_another_process_continued_is_continued_with_its_chain(two: Two) -> None:
    ours, theirs = two
    stream = StreamKey("TOY", IDS.new())
    await ours.append([append(stream, 0)])
    await theirs.append([append(stream, 1)])
    await ours.append([append(stream, 2)])
    history = await ours.read_stream(stream)
    assert [event.stream_version for event in history] == [1, 2, 3]
    assert [event.previous_hash for event in history[1:]] == [event.event_hash for event in history[:-1]]


async def test_version_that_another_process_has_passed_is_a_conflict_for_its_caller_alone(two: Two) -> None:
    ours, theirs = two
    stream, other = StreamKey("TOY", IDS.new()), StreamKey("TOY", IDS.new())
    await ours.append([append(stream, 0)])
    await theirs.append([append(stream, 1)])
    answers = await asyncio.gather(
        ours.append([append(stream, 1)]), ours.append([append(other, 0)]), return_exceptions=True
    )
    assert isinstance(answers[0], VersionConflict)
    assert "expected version 1, found 2" in str(answers[0])
    assert len(await ours.read_stream(stream)) == 2
    assert len(await ours.read_stream(other)) == 1


async def test_proof_of_a_version_that_another_process_has_passed_fails(two: Two) -> None:
    ours, theirs = two
    stream, other = StreamKey("TOY", IDS.new()), StreamKey("TOY", IDS.new())
    await ours.append([append(stream, 0)])
    await theirs.append([append(stream, 1)])
    with pytest.raises(VersionConflict):
        await ours.append([append(other, 0), append(stream, 1, count=0)])
    assert await ours.read_stream(other) == []


async def test_stream_and_key_that_another_process_used_first_are_seen(two: Two) -> None:
    ours, theirs = two
    stream = StreamKey("TOY", IDS.new())
    answer = IdempotentResult("Toy", "key", "hash", "1")
    await theirs.append([append(stream, 0)], result=answer)
    with pytest.raises(VersionConflict):
        await ours.append([append(stream, 0)])
    again = await ours.append([append(StreamKey("TOY", IDS.new()), 0)], result=answer)
    assert again.replayed == answer


async def test_processes_that_race_for_the_same_streams_lose_nothing(two: Two) -> None:
    streams = [StreamKey("TOY", IDS.new()) for _ in range(5)]

    async def add(store: PostgresEventStore, stream: StreamKey) -> None:
        while True:
            try:
                await store.append([append(stream, len(await store.read_stream(stream)))])
            except VersionConflict:
                continue
            return

    await asyncio.gather(*(add(store, stream) for store in two for stream in streams for _ in range(4)))
    for stream in streams:
        history = await two[0].read_stream(stream)
        assert [event.stream_version for event in history] == list(range(1, 9))
        assert [event.previous_hash for event in history[1:]] == [event.event_hash for event in history[:-1]]
        transactions = [position_of(event.place).transaction for event in history]
        assert transactions == sorted(transactions)


async def test_appends_that_wait_together_share_a_commit(two: Two) -> None:
    ours, _ = two
    streams = [StreamKey("TOY", IDS.new()) for _ in range(50)]
    await asyncio.gather(*(ours.append([append(stream, 0)]) for stream in streams))
    commits = {position_of((await ours.read_stream(stream))[0].place).transaction for stream in streams}
    assert len(commits) <= 5


async def test_deposed_owner_is_refused_beside_the_new_one_in_the_same_commit(two: Two, database: str) -> None:
    store, _ = two
    pool = await Database.connect(database)
    leases = PostgresLeases(pool)
    old = await leases.acquire("account:1", "first")
    assert old is not None
    await leases.release(old, "first")
    new = await leases.acquire("account:1", "second")
    await pool.close()
    streams = [StreamKey("TOY", IDS.new()) for _ in range(3)]
    invented = Fence("account:1", 99)
    answers = await asyncio.gather(
        *(
            store.append([append(stream, 0)], fence=fence)
            for stream, fence in zip(streams, (old, new, invented), strict=True)
        ),
        return_exceptions=True,
    )
    assert [isinstance(answer, LeaseLost) for answer in answers] == [True, False, True]
    assert [len(await store.read_stream(stream)) for stream in streams] == [0, 1, 0]


async def test_forgotten_head_costs_a_look_and_nothing_else(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "REMEMBERED_HEADS", 1)
    ours, _ = two
    streams = [StreamKey("TOY", IDS.new()) for _ in range(3)]
    for version in range(2):
        for stream in streams:
            await ours.append([append(stream, version)])
    assert [len(await ours.read_stream(stream)) for stream in streams] == [2, 2, 2]


async def test_append_that_the_end_of_the_store_overtook_is_an_error_and_no_cancellation(database: str) -> None:
    def committed() -> None:
        raise ValueError("out of order")

    pool = await Database.connect(database)
    commits = group_commit.GroupCommit(pool, CLOCK, committed)
    too_much_for_one = group_commit.MAX_EVENTS_PER_COMMIT // 2 + 1
    appends = [
        commits.append((append(StreamKey("TOY", IDS.new()), 0, too_much_for_one),), None, None) for _ in range(2)
    ]
    first, second = await asyncio.gather(*appends, return_exceptions=True)
    assert isinstance(first, Appended)
    assert isinstance(second, StoreUnavailable)
    await pool.close()
