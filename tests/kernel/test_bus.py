"""Commands over the store in memory: remembered states, gates, idempotency keys."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from patriot.kernel.bus import CommandBus, Handler
from patriot.kernel.clock import FakeClock
from patriot.kernel.errors import CommandRefused, IdempotencyMismatch, LeaseLost, VersionConflict
from patriot.kernel.eventstore import START, Appended, Envelope, Fence, IdempotentResult, StreamAppend, StreamKey
from patriot.kernel.ids import Ids
from patriot.kernel.memory import MemoryEventStore, MemoryLeases
from tests.kernel.toys import (
    ACCOUNT,
    CONTEXT,
    LIMIT_STREAM,
    Credit,
    Credited,
    Debit,
    Debited,
    account_stream,
    register,
)

pytestmark = pytest.mark.unit

ALICE = UUID(int=100)


class CountingStore(MemoryEventStore):
    """Counts loads and streams written, and can let another writer in before an append."""

    loads = 0
    conflicts = 0

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.appended: list[int] = []  # streams written by each append

    async def read_streams(self, streams: Sequence[StreamKey]) -> list[list[Envelope]]:
        self.loads += 1
        return await super().read_streams(streams)

    async def append(
        self, appends: Sequence[StreamAppend], *, result: IdempotentResult | None = None, fence: Fence | None = None
    ) -> Appended:
        if self.conflicts:
            self.conflicts -= 1
            raise VersionConflict("another writer was here")
        answer = await super().append(appends, result=result, fence=fence)
        self.appended.append(sum(bool(append.events) for append in appends))
        return answer


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = CountingStore(self.clock)
        self.bus = self.another_process()

    def another_process(self) -> CommandBus:
        return register(CommandBus(self.store, self.clock, Ids(self.clock)))

    async def history(self, stream: StreamKey) -> list[str]:
        return [envelope.event_type for envelope in await self.store.read_stream(stream)]


@pytest.fixture
async def world() -> World:
    return World()


async def test_command_gives_its_events_and_the_new_version(world: World) -> None:
    decided = await world.bus.dispatch(Credit(ALICE, Decimal(5)), CONTEXT)
    assert (decided.events, decided.version, decided.replayed) == ((Credited(ALICE, Decimal(5)),), 1, None)


async def test_events_carry_the_context_and_the_time_of_the_clock(world: World) -> None:
    await world.bus.dispatch(Credit(ALICE, Decimal(5)), CONTEXT)
    (stored,) = await world.store.read_stream(account_stream(ALICE))
    assert (stored.context, stored.occurred_at) == (CONTEXT, world.clock.now())


async def test_command_can_say_when_the_world_did_it(world: World) -> None:
    then = datetime(2022, 1, 31, 23, 59, tzinfo=UTC)
    bus = CommandBus(world.store, world.clock, Ids(world.clock))
    bus.handle(Credit, Handler(lambda c: account_stream(c.account_id), ACCOUNT, occurred_at=lambda _: then))
    await bus.dispatch(Credit(ALICE, Decimal(5)), CONTEXT)
    (stored,) = await world.store.read_stream(account_stream(ALICE))
    assert (stored.occurred_at, stored.recorded_at) == (then, world.clock.now())


async def test_command_that_changes_nothing_writes_nothing(world: World) -> None:
    decided = await world.bus.dispatch(Credit(ALICE, Decimal(0)), CONTEXT)
    assert (decided.events, decided.version) == ((), 0)
    assert await world.store.feed.newest() == START


async def test_refusal_reaches_the_caller_and_writes_nothing(world: World) -> None:
    await world.bus.dispatch(Credit(ALICE, Decimal(5)), CONTEXT)
    with pytest.raises(CommandRefused, match="debit of 6 from 5"):
        await world.bus.dispatch(Debit(ALICE, Decimal(6)), CONTEXT)
    assert await world.history(account_stream(ALICE)) == ["toy.credited"]
    assert await world.history(LIMIT_STREAM) == []


async def test_first_writer_of_a_stream_never_loads_it(world: World) -> None:
    for _ in range(5):
        await world.bus.dispatch(Credit(ALICE, Decimal(1)), CONTEXT)
    assert world.store.loads == 0


async def test_writer_that_comes_later_loads_a_stream_once(world: World) -> None:
    await world.bus.dispatch(Credit(ALICE, Decimal(1)), CONTEXT)
    later = world.another_process()
    for _ in range(5):
        await later.dispatch(Credit(ALICE, Decimal(1)), CONTEXT)
    assert world.store.loads == 1


async def test_stale_memory_is_noticed_by_the_append_and_decided_again(world: World) -> None:
    await world.bus.dispatch(Credit(ALICE, Decimal(5)), CONTEXT)
    await world.another_process().dispatch(Debit(ALICE, Decimal(3)), CONTEXT)
    decided = await world.bus.dispatch(Credit(ALICE, Decimal(1)), CONTEXT)
    assert decided.version == 3


async def test_refusal_on_stale_memory_is_not_believed(world: World) -> None:
    await world.bus.dispatch(Credit(ALICE, Decimal(5)), CONTEXT)
    await world.bus.dispatch(Debit(ALICE, Decimal(1)), CONTEXT)
    await world.another_process().dispatch(Credit(ALICE, Decimal(10)), CONTEXT)
    decided = await world.bus.dispatch(Debit(ALICE, Decimal(12)), CONTEXT)
    assert decided.events == (Debited(ALICE, Decimal(12)),)


async def test_approval_on_stale_memory_is_not_believed_either(world: World) -> None:
    await world.bus.dispatch(Credit(ALICE, Decimal(5)), CONTEXT)
    await world.bus.dispatch(Debit(ALICE, Decimal(1)), CONTEXT)
    await world.another_process().dispatch(Debit(ALICE, Decimal(3)), CONTEXT)
    with pytest.raises(CommandRefused, match="debit of 2 from 1"):
        await world.bus.dispatch(Debit(ALICE, Decimal(2)), CONTEXT)


async def test_gate_writes_in_the_same_append_or_not_at_all(world: World) -> None:
    await world.bus.dispatch(Credit(ALICE, Decimal(500)), CONTEXT)
    await world.bus.dispatch(Debit(ALICE, Decimal(60)), CONTEXT)
    assert await world.history(LIMIT_STREAM) == ["toy.reserved"]
    assert world.store.appended[-1] == 2
    with pytest.raises(CommandRefused):
        await world.bus.dispatch(Debit(ALICE, Decimal(60)), CONTEXT)  # 40 are left
    assert await world.history(LIMIT_STREAM) == ["toy.reserved"]


async def test_gate_that_moved_meanwhile_is_asked_again(world: World) -> None:
    other = world.another_process()
    for bus, account in ((world.bus, ALICE), (other, UUID(int=200))):
        await bus.dispatch(Credit(account, Decimal(500)), CONTEXT)
    await world.bus.dispatch(Debit(ALICE, Decimal(2)), CONTEXT)  # remembers both streams
    await other.dispatch(Debit(UUID(int=200), Decimal(90)), CONTEXT)
    with pytest.raises(CommandRefused):
        await world.bus.dispatch(Debit(ALICE, Decimal(20)), CONTEXT)  # 98 in memory, 8 in truth


async def test_gate_without_events_still_has_to_stand_where_it_was_asked(world: World) -> None:
    await world.bus.dispatch(Credit(ALICE, Decimal(500)), CONTEXT)
    await world.bus.dispatch(Debit(ALICE, Decimal(2)), CONTEXT)
    loads = world.store.loads
    other = world.another_process()
    await other.dispatch(Credit(UUID(int=200), Decimal(500)), CONTEXT)
    await other.dispatch(Debit(UUID(int=200), Decimal(90)), CONTEXT)
    await world.bus.dispatch(Debit(ALICE, Decimal(1)), CONTEXT)  # the gate passes it silently, on an old state
    assert world.store.loads == loads + 2  # each process learned from the append that the gate stood elsewhere


async def test_conflicts_are_retried_and_given_up_after_eight(world: World) -> None:
    world.store.conflicts = 7
    assert (await world.bus.dispatch(Credit(ALICE, Decimal(1)), CONTEXT)).version == 1
    world.store.conflicts = 100
    with pytest.raises(VersionConflict, match="8 attempts"):
        await world.bus.dispatch(Credit(ALICE, Decimal(1)), CONTEXT)


async def test_repeated_command_with_its_key_gets_the_stored_answer(world: World) -> None:
    first = await world.bus.dispatch(Credit(ALICE, Decimal(5)), CONTEXT, idempotency_key="k")
    again = await world.another_process().dispatch(Credit(ALICE, Decimal(5)), CONTEXT, idempotency_key="k")
    assert (first.version, again.version, again.events, again.replayed) == (1, 1, (), "1")
    assert await world.history(account_stream(ALICE)) == ["toy.credited"]


async def test_key_of_another_command_is_refused(world: World) -> None:
    await world.bus.dispatch(Credit(ALICE, Decimal(5)), CONTEXT, idempotency_key="k")
    with pytest.raises(IdempotencyMismatch):
        await world.bus.dispatch(Credit(ALICE, Decimal(6)), CONTEXT, idempotency_key="k")


async def test_second_handler_of_a_command_is_a_mistake(world: World) -> None:
    with pytest.raises(ValueError, match="Credit has a handler already"):
        register(world.bus)


async def test_command_that_changes_nothing_is_refused_to_a_stale_owner(world: World) -> None:
    leases = MemoryLeases(world.clock)
    store = MemoryEventStore(world.clock, leases)
    bus = register(CommandBus(store, world.clock, Ids(world.clock)))
    stale = await leases.acquire("account", "a process that was paused")
    assert stale is not None
    await bus.dispatch(Credit(ALICE, Decimal(0)), CONTEXT, fence=stale)
    await bus.dispatch(Credit(ALICE, Decimal(0)), CONTEXT, fence=stale)
    await leases.release(stale, "a process that was paused")
    fresh = await leases.acquire("account", "its successor")
    with pytest.raises(LeaseLost):
        await bus.dispatch(Credit(ALICE, Decimal(0)), CONTEXT, fence=stale)
    assert (await bus.dispatch(Credit(ALICE, Decimal(0)), CONTEXT, fence=fresh)).events == ()
