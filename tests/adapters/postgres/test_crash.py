"""A server that is killed in the middle of appends: what was acknowledged is there, and everybody goes on."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.eventstore import PostgresEventStore
from patriot.adapters.postgres.integrity import verify_log
from patriot.adapters.postgres.migrate import migrate
from patriot.host.embedded import EmbeddedPostgres
from patriot.kernel.clock import FakeClock
from patriot.kernel.errors import StoreUnavailable
from patriot.kernel.eventstore import Context, NewEvent, StreamAppend, StreamKey
from patriot.kernel.ids import Ids
from patriot.kernel.memory import MemoryCheckpoints
from patriot.kernel.projection import Recorded
from patriot.kernel.subscription import Subscription
from tests.kernel.toys import Credited  # registers the events of the tests
from tests.support import eventually

pytestmark = pytest.mark.integration

CLOCK = FakeClock()
IDS = Ids(CLOCK)
DATA = '{"account_id":"00000000-0000-0000-0000-000000000064","amount":"1"}'


@pytest.fixture
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("crash"))
    yield server
    await server.stop()
    shutil.rmtree(server.data_folder)


class Storm:
    """Writers that append one event after another and remember what was acknowledged."""

    def __init__(self, store: PostgresEventStore) -> None:
        self._store = store
        self.acknowledged: set[UUID] = set()
        self.refused = 0
        self.over = False

    async def acknowledge(self, more: int) -> None:
        """Wait until so many more appends were answered."""
        target = len(self.acknowledged) + more
        await eventually(lambda: len(self.acknowledged) >= target, deadline_s=20)

    async def refuse(self, more: int) -> None:
        """Wait until so many more appends failed."""
        target = self.refused + more
        await eventually(lambda: self.refused >= target)

    async def write(self) -> None:
        stream, version = StreamKey("TOY", IDS.new()), 0
        while not self.over:
            event = NewEvent(IDS.new(), "toy.credited", 1, CLOCK.now(), DATA, Context(IDS.new()))
            try:
                await self._store.append([StreamAppend(stream, version, (event,))])
            except StoreUnavailable:
                self.refused += 1
                stream, version = StreamKey("TOY", IDS.new()), 0  # the old one may or may not have moved
                await asyncio.sleep(0.01)
            else:
                version += 1
                self.acknowledged.add(event.event_id)


async def test_server_killed_in_a_storm_of_appends_loses_nothing_acknowledged(server: EmbeddedPostgres) -> None:
    address = await server.start()
    await migrate(address.dsn)
    database = await Database.connect(address.dsn)
    seen: list[UUID] = []

    async def note(recorded: Recorded) -> None:
        assert isinstance(recorded.event, Credited)
        seen.append(recorded.envelope.event_id)

    async with PostgresEventStore(database, CLOCK) as store:
        tail = asyncio.create_task(Subscription(store.feed, MemoryCheckpoints(), "witness", note).run())
        storm = Storm(store)
        writers = [asyncio.create_task(storm.write()) for _ in range(20)]
        for _ in range(2):
            await storm.acknowledge(300)
            os.kill(address.pid, signal.SIGKILL)
            await storm.refuse(20)
            address = await server.start()
        await storm.acknowledge(300)
        storm.over = True
        await asyncio.gather(*writers)

        stored = [envelope.event_id async for page in store.feed.scan() for envelope in page]
        assert storm.acknowledged <= set(stored)
        await eventually(lambda: len(seen) >= len(stored))
        assert seen == stored
        assert (await verify_log(database, store.feed)).ok
        tail.cancel()
    await database.close()
