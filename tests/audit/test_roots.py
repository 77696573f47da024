"""Roots are published once for each span, by whoever comes first, as an event and as a line beside the log."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from patriot.audit.effects import RootPublisher
from patriot.audit.events import ROOTS, RootPublished
from patriot.audit.streams import register as register_audit
from patriot.kernel.bus import CommandBus, decode_all
from patriot.kernel.clock import FakeClock
from patriot.kernel.codec import encode
from patriot.kernel.ids import Ids
from patriot.kernel.memory import MemoryEventStore
from tests.audit.kit import Shelf
from tests.kernel.toys import CONTEXT, Credit, register

pytestmark = pytest.mark.unit

ALICE, BOB = UUID(int=100), UUID(int=200)


class Ledger:
    """A log in memory, somebody who writes, and two processes that publish."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryEventStore(self.clock)
        self.bus = register(CommandBus(self.store, self.clock, Ids(self.clock)))
        register_audit(self.bus)
        self.shelf = Shelf()
        self.publisher = RootPublisher(self.store, self.store.feed, self.bus, self.shelf, self.clock)

    async def credit(self, account_id: UUID, times: int = 1) -> None:
        for _ in range(times):
            await self.bus.dispatch(Credit(account_id, Decimal(1)), CONTEXT)

    async def published(self) -> list[RootPublished]:
        return decode_all(await self.store.read_stream(ROOTS))


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


async def test_root_names_its_span_and_stands_in_log_and_shelf(ledger: Ledger) -> None:
    await ledger.credit(ALICE, 2)
    await ledger.credit(BOB)

    root = await ledger.publisher.publish()

    assert root is not None
    assert (root.number, root.events, root.last_stream_id, root.last_stream_version) == (1, 3, BOB, 1)
    assert root.previous_root == "0" * 64
    assert root.published_at == ledger.clock.now()
    assert await ledger.published() == [root]
    assert ledger.shelf.kept == [encode(root)]


async def test_next_span_begins_behind_the_last_and_holds_the_roots_event(ledger: Ledger) -> None:
    await ledger.credit(ALICE, 2)
    first = await ledger.publisher.publish()
    await ledger.credit(BOB, 2)
    second = await ledger.publisher.publish()

    assert first is not None
    assert second is not None
    assert (second.number, second.events, second.previous_root) == (2, 3, first.root)


async def test_nothing_is_published_where_nothing_happened(ledger: Ledger) -> None:
    assert await ledger.publisher.publish() is None
    await ledger.credit(ALICE)
    await ledger.publisher.publish()
    ledger.clock.advance(timedelta(days=1))

    assert await ledger.publisher.publish() is None
    assert len(await ledger.published()) == 1


async def test_another_process_goes_on_where_the_first_one_ended(ledger: Ledger) -> None:
    other = RootPublisher(ledger.store, ledger.store.feed, ledger.bus, ledger.shelf, ledger.clock)
    await ledger.credit(ALICE)
    await ledger.publisher.publish()
    await ledger.credit(ALICE)
    await other.publish()
    await ledger.credit(ALICE)
    await ledger.publisher.publish()

    assert [root.number for root in await ledger.published()] == [1, 2, 3]
    assert ledger.shelf.kept == [encode(root) for root in await ledger.published()]


async def test_line_that_a_crash_left_out_is_added_by_the_next_one(ledger: Ledger) -> None:
    await ledger.credit(ALICE)
    await ledger.publisher.publish()
    ledger.shelf.kept.clear()
    await ledger.credit(ALICE)

    await ledger.publisher.publish()

    assert ledger.shelf.kept == [encode(root) for root in await ledger.published()]


async def test_shelf_that_was_lost_is_not_written_anew(ledger: Ledger) -> None:
    for _ in range(2):
        await ledger.credit(ALICE)
        await ledger.publisher.publish()
    ledger.shelf.kept.clear()
    await ledger.credit(ALICE)

    newest = await ledger.publisher.publish()

    assert ledger.shelf.kept == [encode(newest)]
