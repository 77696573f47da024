"""A policy's runner over the feed in memory: what is folded, what is done, and what a crash in between repeats."""

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

import pytest

from patriot.kernel.bus import CommandBus
from patriot.kernel.clock import FakeClock
from patriot.kernel.errors import StoreUnavailable
from patriot.kernel.eventstore import START, Place
from patriot.kernel.feed import Page
from patriot.kernel.ids import Ids
from patriot.kernel.memory import MemoryCheckpoints, MemoryEventStore, MemoryFeed, MemorySnapshots
from patriot.kernel.policy import Keep, PolicyRunner, Snapshot
from patriot.kernel.projection import Recorded
from tests.kernel.toys import CONTEXT, Credit, register
from tests.support import eventually

pytestmark = pytest.mark.unit

ALICE = UUID(int=100)
CREDITS = frozenset({"toy.credited"})


class FlakyFeed(MemoryFeed):
    """A feed that goes away after so many reads, once."""

    reads_left = -1

    async def read(self, after: Place, limit: int = 1000, event_types: frozenset[str] | None = None) -> Page:
        self.reads_left -= 1
        if self.reads_left == 0:
            raise StoreUnavailable("the server is starting up")
        return await super().read(after, min(limit, 2), event_types)


class World:
    """A log, and policies that sum up what was credited; each of them is a new process."""

    def __init__(self) -> None:
        clock = FakeClock()
        store = MemoryEventStore(clock)
        self.feed = store.feed = FlakyFeed()
        self.bus = register(CommandBus(store, clock, Ids(clock)))
        self.checkpoints = MemoryCheckpoints()
        self.snapshots = MemorySnapshots()

    async def credit(self, *amounts: int) -> None:
        for amount in amounts:
            await self.bus.dispatch(Credit(ALICE, Decimal(amount)), CONTEXT)

    def policy(self) -> "Sums":
        return Sums(self)


@dataclass
class Sum:
    """The state: what was credited so far."""

    total: int = 0


class Sums:
    """The policy: its state is the sum, what follows from an event is the sum after it."""

    def __init__(self, world: World) -> None:
        self.state = Sum()
        self.folded: list[int] = []
        self.done: list[int] = []
        self.fails_at = 0
        keep = Keep(world.snapshots, Sum, lambda: self.state, self.take_up)
        self.runner = PolicyRunner(world.feed, world.checkpoints, "sums", CREDITS, self.fold, self.react, keep)

    def take_up(self, state: Sum) -> None:
        self.state = state

    def fold(self, recorded: Recorded) -> int:
        self.folded.append(int(recorded.event.amount))
        self.state.total += int(recorded.event.amount)
        return self.state.total

    async def react(self, _: Recorded, total: int) -> None:
        self.done.append(total)
        if total == self.fails_at:
            self.fails_at = 0
            raise StoreUnavailable("gone")


@pytest.fixture
async def world() -> World:
    return World()


async def test_new_policy_answers_every_event(world: World) -> None:
    await world.credit(1, 2, 3)
    policy = world.policy()
    await policy.runner.drain()
    assert policy.done == [1, 3, 6]


async def test_restarted_policy_folds_what_was_handled_and_answers_only_what_came_after(world: World) -> None:
    await world.credit(1, 2, 3, 4, 5)
    await world.policy().runner.drain()
    await world.credit(10)
    policy = world.policy()
    await policy.runner.drain()
    assert (policy.state.total, policy.done) == (25, [25])


async def test_policy_that_begins_holds_its_state_before_anything_is_answered(world: World) -> None:
    await world.credit(1, 2, 3)
    await world.policy().runner.drain()
    await world.credit(10)
    policy = world.policy()
    await policy.runner.begin()
    assert (policy.state.total, policy.done) == (6, [])
    await policy.runner.begin()
    await policy.runner.drain()
    assert (policy.state.total, policy.done) == (16, [16])


async def test_store_that_goes_away_while_a_policy_begins_makes_it_fold_nothing_twice(world: World) -> None:
    await world.credit(1, 2, 3, 4, 5)
    await world.policy().runner.drain()
    policy = world.policy()
    world.feed.reads_left = 2
    with pytest.raises(StoreUnavailable):
        await policy.runner.begin()
    assert policy.state.total == 3
    await policy.runner.begin()
    assert (policy.state.total, policy.done) == (15, [])


async def test_answer_that_failed_is_repeated_and_its_event_not_folded_again(world: World) -> None:
    await world.credit(1, 2, 3)
    policy = world.policy()
    policy.fails_at = 3
    running = asyncio.create_task(policy.runner.run())
    await eventually(lambda: policy.done == [1, 3, 3, 6])
    running.cancel()
    assert policy.state.total == 6


async def test_events_of_other_types_are_neither_folded_nor_answered(world: World) -> None:
    policy = PolicyRunner(world.feed, world.checkpoints, "debits", frozenset({"toy.debited"}), fail, fail_later)
    await world.credit(1, 2)
    assert await policy.drain() == 2
    assert world.feed.reached(policy.place, await world.feed.newest())
    assert policy.place != START


async def test_kept_state_spares_the_next_start_what_was_folded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patriot.kernel.policy.KEEP_AFTER_FOLDED", 3)
    await world.credit(1, 2, 3, 4, 5)
    await world.policy().runner.drain()
    await world.credit(10)
    policy = world.policy()
    await policy.runner.drain()
    assert (policy.state.total, policy.done) == (25, [25])
    assert policy.folded == [5, 10]  # the others came with the state


async def test_state_is_kept_again_when_a_start_had_much_to_fold(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.credit(1, 2, 3, 4, 5)
    await world.policy().runner.drain()
    assert await world.snapshots.load("sums") is None
    monkeypatch.setattr("patriot.kernel.policy.KEEP_AFTER_FOLDED", 3)
    await world.policy().runner.begin()
    policy = world.policy()
    await policy.runner.begin()
    assert (policy.state.total, policy.folded) == (15, [])


async def test_state_is_never_kept_ahead_of_the_checkpoint(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patriot.kernel.policy.KEEP_AFTER_FOLDED", 1)
    policy = world.policy()
    for amount in range(1, 8):
        await world.credit(amount)
        await policy.runner.drain()
        kept = await world.snapshots.load("sums")
        assert kept is not None
        assert kept.place == await world.checkpoints.load("sums")


async def test_state_ahead_of_the_checkpoint_is_not_taken_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patriot.kernel.policy.KEEP_AFTER_FOLDED", 1)
    await world.credit(1, 2, 3)
    await world.policy().runner.drain()
    (first, *_) = (await world.feed.read(START)).events
    await world.checkpoints.save("sums", first.place)  # the server crashed, and the newest checkpoint with it
    policy = world.policy()
    await policy.runner.drain()
    assert (policy.state.total, policy.done, policy.folded) == (6, [3, 6], [1, 2, 3])


@pytest.mark.parametrize("damaged", [b"", b"\xc1", b"\x81\xa5total\xa1x"])
async def test_damaged_state_is_folded_anew(world: World, damaged: bytes) -> None:
    await world.credit(1, 2, 3)
    await world.policy().runner.drain()
    await world.snapshots.save("sums", Snapshot(await world.checkpoints.load("sums"), damaged))
    policy = world.policy()
    await policy.runner.drain()
    assert (policy.state.total, policy.folded) == (6, [1, 2, 3])


def fail(recorded: Recorded) -> None:
    raise AssertionError(recorded)


async def fail_later(recorded: Recorded, _: None) -> None:
    raise AssertionError(recorded)
