"""Roots come at the start, once on each new day, and when asked for; a full disk stops nobody."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from patriot.audit.events import ROOTS, RootPublished
from patriot.kernel.bus import decode_all
from patriot.kernel.clock import FakeClock
from patriot.kernel.ids import Ids
from patriot.kernel.memory import MemoryCheckpoints, MemoryEventStore, MemoryLeases
from patriot.services.alerts import LogAlerts
from patriot.services.commands import full_bus
from patriot.services.ledger import LedgerService
from patriot.services.ports import Ports
from tests.audit.kit import Shelf
from tests.kernel.toys import CONTEXT, Credit, register

pytestmark = pytest.mark.unit

EVENING = datetime(2030, 1, 2, 23, 50, tzinfo=UTC)


class FullDisk(Shelf):
    """A shelf that cannot be written."""

    def add(self, line: str) -> None:
        raise OSError(28, "No space left on device")


class Running:
    """A ledger service over a log in memory to which somebody writes."""

    def __init__(self, shelf: Shelf) -> None:
        self.clock = FakeClock(EVENING)
        self.store = MemoryEventStore(self.clock)
        ids = Ids(self.clock)
        self.alerts = LogAlerts()
        self.ports = Ports(
            clock=self.clock,
            ids=ids,
            store=self.store,
            feed=self.store.feed,
            checkpoints=MemoryCheckpoints(),
            leases=MemoryLeases(self.clock),
            bus=register(full_bus(self.store, self.clock, ids)),
            venues={},
            alerts=self.alerts,
        )
        self.service = LedgerService(self.ports, shelf)

    async def tick(self, **later: float) -> list[int]:
        """Let something happen, let time pass, and return the numbers of all roots."""
        await self.ports.bus.dispatch(Credit(UUID(int=1), Decimal(1)), CONTEXT)
        self.clock.advance(timedelta(**later))
        await self.service.tick(self.clock.now())
        return await self.published()

    async def published(self) -> list[int]:
        """Return the numbers of all roots."""
        published: list[RootPublished] = decode_all(await self.store.read_stream(ROOTS))
        return [root.number for root in published]


async def test_root_is_published_at_the_start_and_once_on_each_new_day() -> None:
    running = Running(Shelf())

    assert await running.tick() == [1]
    assert await running.tick(minutes=9) == [1]
    assert await running.tick(minutes=2) == [1, 2]
    assert await running.tick(hours=23) == [1, 2]
    assert await running.tick(hours=1) == [1, 2, 3]


async def test_new_process_publishes_at_its_start_on_the_same_day() -> None:
    shelf = Shelf()
    running = Running(shelf)
    await running.tick()
    running.service = LedgerService(running.ports, shelf)

    assert await running.tick() == [1, 2]
    assert len(shelf.kept) == 2


async def test_span_in_which_nothing_happened_has_no_root() -> None:
    shelf = Shelf()
    running = Running(shelf)

    assert await running.tick() == [1]
    await running.service.publish()
    assert await running.published() == [1]
    assert len(shelf.kept) == 1


async def test_shelf_that_cannot_be_written_is_alarmed_and_completed_later() -> None:
    running = Running(FullDisk())

    assert await running.tick() == [1]
    assert running.alerts.raised == 1

    shelf = Shelf()
    running.service = LedgerService(running.ports, shelf)
    assert await running.tick() == [1, 2]
    assert len(shelf.kept) == 2
    assert running.alerts.raised == 1
