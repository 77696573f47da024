"""What every event store must do: one suite, run on the store in memory and on PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import timedelta, timezone
from typing import cast

import pytest

from patriot.kernel.errors import IdempotencyMismatch, InvalidInput, LeaseLost, VersionConflict
from patriot.kernel.eventstore import (
    GENESIS_HASH,
    ChainedEvent,
    Fence,
    IdempotentResult,
    StreamAppend,
)
from tests.contract.stored import Stored

pytestmark = pytest.mark.integration


@pytest.fixture(params=["stored_in_memory", pytest.param("stored_on_postgres", marks=pytest.mark.postgres)])
def given(request: pytest.FixtureRequest) -> Stored:
    return cast("Stored", request.getfixturevalue(request.param))


async def test_append_to_new_stream_gives_back_what_was_written(given: Stored) -> None:
    stream, event = given.stream(), given.event('{"price":"1.10","note":"Ж\\u0000"}')
    assert await given.append(stream, 0, event) == (1,)
    (stored,) = await given.store.read_stream(stream)
    assert (stored.event_id, stored.event_type, stored.schema_version) == (event.event_id, "order.created", 1)
    assert (stored.stream, stored.stream_version) == (stream, 1)
    assert (stored.data, stored.context) == (event.data, event.context)
    assert (stored.occurred_at, stored.recorded_at) == (event.occurred_at, given.clock.now())


async def test_append_at_the_expected_version_continues_the_stream(given: Stored) -> None:
    stream = given.stream()
    await given.append(stream, 0, *given.events(2))
    assert await given.append(stream, 2, *given.events(3)) == (5,)
    assert [e.stream_version for e in await given.store.read_stream(stream)] == [1, 2, 3, 4, 5]
    assert [e.stream_version for e in await given.store.read_stream(stream, after_version=3)] == [4, 5]


@pytest.mark.parametrize("expected", [0, 1, 3, 99])
async def test_append_at_another_version_is_refused_and_writes_nothing(given: Stored, expected: int) -> None:
    stream = given.stream()
    await given.append(stream, 0, *given.events(2))
    with pytest.raises(VersionConflict, match=f"expected version {expected}, found 2"):
        await given.append(stream, expected, given.event())
    assert await given.events_in_log() == 2


async def test_append_to_several_streams_is_all_or_nothing(given: Stored) -> None:
    order, risk = given.stream("ORDER"), given.stream("RISK")
    await given.append(risk, 0, given.event())
    stale = [StreamAppend(order, 0, given.events(1)), StreamAppend(risk, 0, given.events(1))]
    with pytest.raises(VersionConflict):
        await given.store.append(stale)
    assert await given.store.read_streams([order, risk]) == [[], await given.store.read_stream(risk)]
    fresh = [StreamAppend(order, 0, given.events(2)), StreamAppend(risk, 1, given.events(1))]
    assert (await given.store.append(fresh)).versions == (2, 2)


async def test_append_without_events_proves_the_version_of_a_stream(given: Stored) -> None:
    order, gate, empty = given.stream("ORDER"), given.stream("RISK"), given.stream("RISK")
    await given.append(gate, 0, given.event())
    with pytest.raises(VersionConflict):
        await given.store.append([StreamAppend(order, 0, given.events(1)), StreamAppend(gate, 0, ())])
    proven = [StreamAppend(order, 0, given.events(1)), StreamAppend(gate, 1, ()), StreamAppend(empty, 0, ())]
    assert (await given.store.append(proven)).versions == (1, 1, 0)
    assert await given.append(empty, 0, given.event()) == (1,)


async def test_same_id_in_two_stream_types_is_two_streams(given: Stored) -> None:
    order = given.stream("ORDER")
    risk = replace(order, stream_type="RISK")
    await given.append(order, 0, given.event())
    await given.append(risk, 0, *given.events(2))
    assert [len(events) for events in await given.store.read_streams([risk, order, risk])] == [2, 1, 2]


async def test_event_id_used_twice_is_refused_and_spares_the_others(given: Stored) -> None:
    event = given.event()
    await given.append(given.stream(), 0, event)
    bystander = given.stream()
    refused, written = await asyncio.gather(
        given.append(given.stream(), 0, event), given.append(bystander, 0, given.event()), return_exceptions=True
    )
    assert isinstance(refused, InvalidInput)
    assert written == (1,)
    assert len(await given.store.read_stream(bystander)) == 1


async def test_concurrent_writers_of_one_stream_win_one_version_each(given: Stored) -> None:
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


async def test_one_conflict_among_concurrent_appends_fails_alone(given: Stored) -> None:
    streams = [given.stream() for _ in range(20)]
    await given.append(streams[7], 0, given.event())
    answers = await asyncio.gather(
        *(given.append(stream, 0, *given.events(3)) for stream in streams), return_exceptions=True
    )
    assert [n for n, answer in enumerate(answers) if isinstance(answer, VersionConflict)] == [7]
    assert [answer for n, answer in enumerate(answers) if n != 7] == [(3,)] * 19


async def test_result_is_stored_with_its_events_and_given_back(given: Stored) -> None:
    stream, result = given.stream(), IdempotentResult("PlaceOrder", "key-1", "hash-a", "1")
    assert await given.store.find_result("PlaceOrder", "key-1") is None
    append = [StreamAppend(stream, 0, given.events(1))]
    assert (await given.store.append(append, result=result)).replayed is None
    assert await given.store.find_result("PlaceOrder", "key-1") == result
    again = await given.store.append(append, result=result)
    assert (again.versions, again.replayed) == ((), result)
    assert await given.events_in_log() == 1


async def test_concurrent_uses_of_one_key_write_once(given: Stored) -> None:
    result = IdempotentResult("PlaceOrder", "key-1", "hash-a", "1")
    answers = await asyncio.gather(
        *(given.store.append([StreamAppend(given.stream(), 0, given.events(1))], result=result) for _ in range(5))
    )
    assert sorted(answer.replayed is None for answer in answers) == [False] * 4 + [True]
    assert await given.events_in_log() == 1


async def test_key_used_for_another_request_is_refused(given: Stored) -> None:
    result = IdempotentResult("PlaceOrder", "key-1", "hash-a", "1")
    await given.store.append([StreamAppend(given.stream(), 0, given.events(1))], result=result)
    with pytest.raises(IdempotencyMismatch, match="key-1"):
        await given.store.append(
            [StreamAppend(given.stream(), 0, given.events(1))], result=replace(result, request_hash="hash-b")
        )
    assert await given.events_in_log() == 1


async def test_refused_append_does_not_use_up_its_key(given: Stored) -> None:
    stream, result = given.stream(), IdempotentResult("PlaceOrder", "key-1", "hash-a", "1")
    with pytest.raises(VersionConflict):
        await given.store.append([StreamAppend(stream, 5, given.events(1))], result=result)
    assert await given.store.find_result("PlaceOrder", "key-1") is None


async def test_fence_of_the_newest_token_may_write(given: Stored) -> None:
    fence = await given.leases.acquire("account-1", "worker-a")
    assert fence is not None
    answer = await given.store.append([StreamAppend(given.stream(), 0, given.events(1))], fence=fence)
    assert answer.versions == (1,)


async def test_fence_of_a_deposed_owner_is_refused_alone(given: Stored) -> None:
    old = await given.leases.acquire("account-1", "worker-a")
    assert old is not None
    await given.leases.release(old, "worker-a")
    new = await given.leases.acquire("account-1", "worker-b")
    appends = [given.store.append([StreamAppend(given.stream(), 0, given.events(1))], fence=f) for f in (old, new)]
    refused, written = await asyncio.gather(*appends, return_exceptions=True)
    assert isinstance(refused, LeaseLost)
    assert not isinstance(written, BaseException)
    assert await given.events_in_log() == 1


async def test_of_two_living_owners_the_stale_one_can_do_nothing(given: Stored) -> None:
    stale = await given.leases.acquire("account-1", "worker-a")
    assert stale is not None
    stream = given.stream()
    await given.store.append([StreamAppend(stream, 0, given.events(1))], fence=stale)
    await given.let_expire("account-1")
    fresh = await given.leases.acquire("account-1", "worker-b")
    assert fresh is not None

    with pytest.raises(LeaseLost):
        await given.store.append([StreamAppend(stream, 1, given.events(1))], fence=stale)
    with pytest.raises(LeaseLost):  # the same stream is remembered by now, and another one was never seen
        await given.store.append([StreamAppend(given.stream(), 0, given.events(1))], fence=stale)
    with pytest.raises(LeaseLost):
        await given.leases.renew(stale, "worker-a")
    assert await given.leases.acquire("account-1", "worker-a") is None
    await given.leases.release(stale, "worker-a")

    assert await given.leases.acquire("account-1", "worker-c") is None
    await given.leases.renew(fresh, "worker-b")
    written = await given.store.append([StreamAppend(stream, 1, given.events(1))], fence=fresh)
    assert written.versions == (2,)
    assert await given.events_in_log() == 2


async def test_owner_whose_lease_ran_out_and_that_nobody_replaced_may_still_write(given: Stored) -> None:
    fence = await given.leases.acquire("account-1", "worker-a")
    await given.let_expire("account-1")
    answer = await given.store.append([StreamAppend(given.stream(), 0, given.events(1))], fence=fence)
    assert answer.versions == (1,)
    assert fence is not None
    await given.leases.renew(fence, "worker-a")


async def test_stale_fence_is_refused_even_for_an_answer_that_was_stored(given: Stored) -> None:
    stale = await given.leases.acquire("account-1", "worker-a")
    assert stale is not None
    result = IdempotentResult("PlaceOrder", "key-1", "hash-a", "1")
    append = [StreamAppend(given.stream(), 0, given.events(1))]
    await given.store.append(append, result=result, fence=stale)
    await given.leases.release(stale, "worker-a")
    await given.leases.acquire("account-1", "worker-b")
    with pytest.raises(LeaseLost):
        await given.store.append(append, result=result, fence=stale)


async def test_append_of_nothing_proves_the_fence(given: Stored) -> None:
    stale = await given.leases.acquire("account-1", "worker-a")
    assert stale is not None
    assert (await given.store.append([], fence=stale)).versions == ()
    await given.leases.release(stale, "worker-a")
    fresh = await given.leases.acquire("account-1", "worker-b")
    with pytest.raises(LeaseLost):
        await given.store.append([], fence=stale)
    await given.store.append([], fence=fresh)
    assert await given.events_in_log() == 0


async def test_fence_of_a_lease_never_given_is_refused(given: Stored) -> None:
    with pytest.raises(LeaseLost):
        await given.store.append([StreamAppend(given.stream(), 0, given.events(1))], fence=Fence("account-9", 1))


async def test_each_event_chains_to_the_one_before_it_in_its_stream(given: Stored) -> None:
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


async def test_chain_does_not_depend_on_the_time_zone_of_the_writer(given: Stored) -> None:
    stream, event = given.stream(), given.event()
    east = replace(event, occurred_at=event.occurred_at.astimezone(timezone(timedelta(hours=9))))
    await given.append(stream, 0, east)
    (stored,) = await given.store.read_stream(stream)
    assert stored.event_hash == ChainedEvent(GENESIS_HASH, stream, 1, event).digest()
