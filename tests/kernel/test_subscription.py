"""Tails over the store in memory; the same loop follows PostgreSQL (tests/adapters/postgres/test_log.py)."""

import asyncio
from decimal import Decimal
from uuid import UUID

import pytest

from patriot.kernel.bus import CommandBus
from patriot.kernel.clock import FakeClock
from patriot.kernel.errors import StoreUnavailable
from patriot.kernel.eventstore import START, Place
from patriot.kernel.feed import Page
from patriot.kernel.ids import Ids
from patriot.kernel.memory import MemoryCheckpoints, MemoryEventStore, MemoryFeed
from patriot.kernel.projection import Recorded
from patriot.kernel.subscription import Subscription, at_rest
from patriot.simulation.loop import run_virtually
from tests.kernel.toys import CONTEXT, Credit, Credited, Debit, register
from tests.support import eventually

pytestmark = pytest.mark.unit

ALICE = UUID(int=100)
CREDITS = frozenset({"toy.credited"})


class FlakyFeed(MemoryFeed):
    """A feed whose reads fail for a while, or whose wake-ups are lost."""

    failures = 0
    deaf = False

    async def read(self, after: Place, limit: int = 1000, event_types: frozenset[str] | None = None) -> Page:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("the server is starting up")
        return await super().read(after, limit, event_types)

    async def wait(self, after: Place, timeout_seconds: float) -> None:
        await (asyncio.sleep(timeout_seconds) if self.deaf else super().wait(after, timeout_seconds))


class World:
    def __init__(self) -> None:
        clock = FakeClock()
        self.store = MemoryEventStore(clock)
        self.feed = self.store.feed = FlakyFeed()
        self.bus = register(CommandBus(self.store, clock, Ids(clock)))
        self.checkpoints = MemoryCheckpoints()
        self.amounts: list[Decimal] = []

    def subscribe(self) -> Subscription:
        return Subscription(self.feed, self.checkpoints, "amounts", self.note, CREDITS)

    async def note(self, recorded: Recorded) -> None:
        assert isinstance(recorded.event, Credited)
        self.amounts.append(recorded.event.amount)

    async def credit(self, *amounts: int) -> None:
        for amount in amounts:
            await self.bus.dispatch(Credit(ALICE, Decimal(amount)), CONTEXT)


@pytest.fixture
async def world() -> World:
    return World()


async def test_drain_hands_over_every_wanted_event_in_order(world: World) -> None:
    await world.credit(5, 6)
    await world.bus.dispatch(Debit(ALICE, Decimal(3)), CONTEXT)
    await world.credit(7)
    subscription = world.subscribe()
    assert await subscription.behind()
    assert await subscription.drain() == 5  # the debit is two events, of types not asked for
    assert world.amounts == [5, 6, 7]
    assert not await subscription.behind()
    assert await subscription.drain() == 0


async def test_new_run_of_a_subscription_goes_on_at_its_checkpoint(world: World) -> None:
    await world.credit(5)
    await world.subscribe().drain()
    await world.credit(6)
    await world.subscribe().drain()
    assert world.amounts == [5, 6]


async def test_run_follows_appends_and_survives_an_absent_store(world: World) -> None:
    world.feed.failures = 3
    running = asyncio.create_task(world.subscribe().run())
    await world.credit(5)
    await eventually(lambda: world.amounts == [5])
    world.feed.failures = 2
    await world.credit(6)
    await eventually(lambda: world.amounts == [5, 6])
    running.cancel()


async def test_error_of_the_handler_stops_the_run_before_the_event_is_passed(world: World) -> None:
    handled: list[int] = []

    async def handle(recorded: Recorded) -> None:
        if recorded.event.amount == 6:
            raise ArithmeticError("six")
        handled.append(int(recorded.event.amount))

    subscription = Subscription(world.feed, world.checkpoints, "picky", handle, CREDITS)
    await world.credit(5, 6, 7)
    for _ in range(2):
        with pytest.raises(ArithmeticError):
            await subscription.run()
    assert handled == [5]
    assert subscription.place == (await world.feed.read(START)).events[0].place
    assert subscription.idle


async def test_unavailable_store_inside_a_handler_repeats_only_that_event(world: World) -> None:
    attempts: list[int] = []

    async def handle(recorded: Recorded) -> None:
        attempts.append(int(recorded.event.amount))
        if attempts == [5, 6]:
            raise StoreUnavailable("gone")

    subscription = Subscription(world.feed, world.checkpoints, "retrying", handle, CREDITS)
    await world.credit(5, 6, 7)
    running = asyncio.create_task(subscription.run())
    await eventually(lambda: attempts == [5, 6, 6, 7])
    running.cancel()


async def test_checkpoint_moves_over_a_long_stretch_of_other_events(world: World) -> None:
    for _ in range(1_100):
        await world.credit(1)
    subscription = Subscription(world.feed, world.checkpoints, "debits", world.note, frozenset({"toy.debited"}))
    await subscription.drain()
    assert world.feed.distance(await world.checkpoints.load("debits"), await world.feed.newest()) <= 100
    assert world.feed.reached(subscription.place, await world.feed.newest())


async def test_tails_are_at_rest_only_when_nothing_new_came_of_their_work(world: World) -> None:
    async def answer(recorded: Recorded) -> None:
        if recorded.event.amount > 1:
            await world.bus.dispatch(Credit(ALICE, recorded.event.amount - 1), CONTEXT)

    answering = Subscription(world.feed, world.checkpoints, "answering", answer, CREDITS)
    watching = world.subscribe()
    await world.credit(4)
    assert not await at_rest(world.feed, [answering, watching])
    await watching.drain()
    assert not await at_rest(world.feed, [answering, watching])
    await answering.drain()
    assert not await at_rest(world.feed, [answering, watching])
    await watching.drain()
    assert await at_rest(world.feed, [answering, watching])
    assert world.amounts == [4, 3, 2, 1]


async def test_checkpoint_is_never_ahead_of_the_handler(world: World) -> None:
    await world.credit(5, 6, 7)
    handled: list[Place] = []

    async def handle(recorded: Recorded) -> None:
        saved = await world.checkpoints.load("careful")
        assert saved == START or saved in handled
        handled.append(recorded.envelope.place)

    subscription = Subscription(world.feed, world.checkpoints, "careful", handle, CREDITS)
    await subscription.drain()
    await world.credit(8)
    await subscription.drain()
    assert len(handled) == 4
    assert await world.checkpoints.load("careful") == handled[-1]


@pytest.mark.parametrize("dies_at", [5, 6, 7])
async def test_process_that_dies_in_its_handler_leaves_the_event_to_the_next(world: World, dies_at: int) -> None:
    await world.credit(5, 6, 7)
    dying = asyncio.Event()

    async def handle(recorded: Recorded) -> None:
        if recorded.event.amount == dies_at:
            dying.set()
            await asyncio.Event().wait()

    first = asyncio.create_task(Subscription(world.feed, world.checkpoints, "amounts", handle, CREDITS).run())
    await dying.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await world.subscribe().drain()
    assert dies_at in world.amounts
    assert world.amounts == sorted(set(world.amounts))


async def test_cancelled_run_ends_while_it_waits_and_while_the_store_is_away(world: World) -> None:
    for failures in (0, 1_000):
        world.feed.failures = failures
        running = asyncio.create_task(world.subscribe().run())
        await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(1):
                await running


async def test_checkpoint_that_cannot_be_saved_is_saved_with_the_next_event(world: World) -> None:
    class Away(MemoryCheckpoints):
        failures = 1

        async def save(self, name: str, place: Place) -> None:
            if self.failures:
                self.failures -= 1
                raise StoreUnavailable("the server is starting up")
            await super().save(name, place)

    checkpoints = Away()
    subscription = Subscription(world.feed, checkpoints, "amounts", world.note, CREDITS)
    await world.credit(5, 6)
    with pytest.raises(StoreUnavailable):
        await subscription.drain()
    assert await checkpoints.load("amounts") == START
    await world.credit(7)
    await subscription.drain()
    assert world.amounts == [5, 6, 7]
    assert await checkpoints.load("amounts") == await world.feed.newest()


def test_event_whose_wake_up_was_lost_is_handled_within_ten_seconds() -> None:
    async def day() -> list[Decimal]:
        world = World()
        world.feed.deaf = True
        running = asyncio.create_task(world.subscribe().run())
        await asyncio.sleep(0.5)
        await world.credit(5)
        await asyncio.sleep(10)
        running.cancel()
        return world.amounts

    assert run_virtually(day()) == [Decimal(5)]
