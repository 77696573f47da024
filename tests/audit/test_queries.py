from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest

from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.eventstore import PostgresEventStore
from patriot.audit.queries import ActionFilter, actions
from patriot.kernel.clock import FakeClock
from patriot.kernel.eventstore import Actor, ActorType, Context, NewEvent, StreamAppend, StreamKey
from patriot.kernel.ids import Ids, derived_id

pytestmark = pytest.mark.integration

ADMIN, ALICE = Actor(ActorType.ADMIN, "a-1"), Actor(ActorType.USER, "u-1")
OWNER, ACCOUNT = UUID(int=1), UUID(int=2)
FIRST, SECOND = UUID(int=11), UUID(int=12)


@dataclass
class Given:
    sql: Database
    store: PostgresEventStore
    clock: FakeClock
    ids: Ids

    async def acted(self, event_type: str, actor: Actor, correlation: UUID, account: UUID | None = None) -> None:
        stream = StreamKey("HALT", self.ids.new())
        context = Context(correlation, None, OWNER if account else None, account, actor)
        event = NewEvent(derived_id(stream), event_type, 1, self.clock.now(), "{}", context)
        await self.store.append([StreamAppend(stream, 0, (event,))])
        self.clock.advance(timedelta(minutes=1))


@pytest.fixture
async def given(database: str) -> AsyncIterator[Given]:
    sql, clock = await Database.connect(database, max_connections=3), FakeClock()
    async with PostgresEventStore(sql, clock) as store:
        made = Given(sql, store, clock, Ids(clock))
        await made.acted("trading.halted", ADMIN, FIRST)
        await made.acted("account.linked", ALICE, SECOND, ACCOUNT)
        await made.acted("trading.resumed", ADMIN, SECOND)
        yield made
    await sql.close()


async def types(given: Given, wanted: ActionFilter, limit: int = 10) -> list[str]:
    return [action.event_type for action in await actions(given.sql, wanted, limit)]


async def test_acts_are_told_newest_first_with_their_actor(given: Given) -> None:
    newest, linked, _ = await actions(given.sql, ActionFilter())
    assert (newest.event_type, newest.actor, newest.correlation_id) == ("trading.resumed", ADMIN, SECOND)
    assert (linked.actor, linked.account_id, linked.user_id) == (ALICE, ACCOUNT, OWNER)


async def test_each_filter_narrows_the_acts(given: Given) -> None:
    start = FakeClock().now()
    for wanted, expected in (
        (ActionFilter(actor_type=ActorType.USER), ["account.linked"]),
        (ActionFilter(actor_id="a-1"), ["trading.resumed", "trading.halted"]),
        (ActionFilter(user_id=OWNER), ["account.linked"]),
        (ActionFilter(account_id=ACCOUNT), ["account.linked"]),
        (ActionFilter(correlation_id=SECOND), ["trading.resumed", "account.linked"]),
        (ActionFilter(event_types=("trading.halted", "trading.paused")), ["trading.halted"]),
        (ActionFilter(event_types=()), []),
        (ActionFilter(since=start + timedelta(minutes=2)), ["trading.resumed"]),
        (ActionFilter(until=start + timedelta(minutes=1)), ["trading.halted"]),
    ):
        assert await types(given, wanted) == expected, wanted


async def test_pages_follow_each_other_without_a_gap(given: Given) -> None:
    first = await actions(given.sql, ActionFilter(), limit=2)
    rest = await actions(given.sql, ActionFilter(before=first[-1].place), limit=2)
    assert [action.event_type for action in rest] == ["trading.halted"]
