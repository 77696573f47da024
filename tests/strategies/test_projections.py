"""Read models of strategies on PostgreSQL: what views show, who sees what; a rebuild gives the same rows."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import asyncpg
import pytest

from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.eventstore import PostgresEventStore
from patriot.adapters.postgres.projections import ProjectionRunner
from patriot.adapters.postgres.shadow import compare, rebuild
from patriot.kernel.bus import CommandBus
from patriot.kernel.clock import FakeClock
from patriot.kernel.eventstore import Context
from patriot.kernel.ids import Ids
from patriot.strategies import queries
from patriot.strategies.commands import (
    ChangeAllocation,
    ConfigureStrategy,
    PauseStrategy,
    ResumeStrategy,
    StopStrategy,
    UnassignStrategy,
)
from patriot.strategies.events import StrategyStatus
from patriot.strategies.interface import ActiveStrategy
from patriot.strategies.parameters import complete
from patriot.strategies.projections import StrategiesProjection
from patriot.strategies.streams import register
from patriot.trading.terms import SignalId, UserId
from tests.strategies.test_decider import ALICE, ASSIGN, ASSIGNMENT, BOB, BUY, CREATE, HALF, NOON, ONE, OWNER, TWO

pytestmark = pytest.mark.integration

OTHER_OWNER, OTHER_ASSIGNMENT = UserId(UUID(int=22)), UUID(int=32)
LATER = NOON + timedelta(hours=1)
ASSIGN_BOB = replace(ASSIGN, account_id=BOB, user_id=OTHER_OWNER, assignment_id=OTHER_ASSIGNMENT)


class World:
    """Commands in, rows out."""

    def __init__(self, database: Database, store: PostgresEventStore) -> None:
        self.database, self.store = database, store
        clock = FakeClock(NOON)
        self._bus = CommandBus(store, clock, Ids(clock))
        register(self._bus)

    async def after(self, *commands: object) -> Database:
        """Dispatch the commands and bring the read model up to date."""
        for command in commands:
            await self._bus.dispatch(command, Context(UUID(int=0)))
        await ProjectionRunner(self.database, self.store.feed, StrategiesProjection()).drain()
        return self.database


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    sql = await Database.connect(database)
    async with PostgresEventStore(sql, FakeClock(NOON)) as store:
        yield World(sql, store)
    await sql.close()


async def test_strategy_is_shown_with_its_label_and_followers(world: World) -> None:
    (view,) = await queries.strategies(await world.after(CREATE, ASSIGN, ASSIGN_BOB))
    assert (view.name, view.label, view.status, view.followers) == (
        "Breakout",
        "Donchian breakout with ATR stop",
        StrategyStatus.ACTIVE,
        2,
    )
    assert view.parameters == complete("donchian", {"entry_bars": "30"})
    assert view == await queries.strategy(world.database, ONE)
    assert await queries.strategy(world.database, TWO) is None


async def test_active_strategies_run_from_their_last_change(world: World) -> None:
    sql = await world.after(CREATE, replace(CREATE, strategy_id=TWO, kind="ema_cross", parameters={}))
    first, second = await queries.active_strategies(sql)
    assert first == ActiveStrategy(ONE, "donchian", CREATE.exchange, "BTCUSDT", "15m", first.parameters, NOON)
    await world.after(PauseStrategy(ONE, "ADMIN", NOON), ConfigureStrategy(TWO, {}, Decimal("0.02"), LATER))
    assert await queries.active_strategies(sql) == [replace(second, active_from=LATER)]
    await world.after(ResumeStrategy(ONE, LATER), StopStrategy(TWO, "X", LATER))
    assert await queries.active_strategies(sql) == [replace(first, active_from=LATER)]
    assert [view.status for view in await queries.strategies(sql)] == [StrategyStatus.ACTIVE, StrategyStatus.STOPPED]


async def test_followers_are_those_of_this_moment(world: World) -> None:
    sql = await world.after(CREATE, ASSIGN, ASSIGN_BOB)
    alice = queries.FollowerView(ALICE, OWNER, ASSIGNMENT, HALF, Decimal(1))
    bob = replace(alice, account_id=BOB, user_id=OTHER_OWNER, assignment_id=OTHER_ASSIGNMENT)
    assert await queries.followers_of(sql, ONE) == [alice, bob]
    change = ChangeAllocation(ONE, ALICE, Decimal("0.25"), Decimal(2), LATER)
    await world.after(change, UnassignStrategy(ONE, BOB, "CLIENT", LATER))
    changed = replace(alice, allocation_fraction=Decimal("0.25"), risk_multiplier=Decimal(2))
    assert await queries.followers_of(sql, ONE) == [changed]
    assert await queries.followers_of(sql, TWO) == []


async def test_assignments_of_one_owner_are_not_shown_to_another(world: World) -> None:
    sql = await world.after(CREATE, ASSIGN, ASSIGN_BOB, UnassignStrategy(ONE, BOB, "CLIENT", LATER))
    assert [one.account_id for one in await queries.assignments(sql, OWNER)] == [ALICE]
    assert await queries.assignments(sql, ASSIGN_BOB.user_id) == []
    (left,) = await queries.assignments(sql, ASSIGN_BOB.user_id, active_only=False)
    assert (left.account_id, left.unassigned_at, left.reason_code) == (BOB, LATER, "CLIENT")
    assert await queries.assignments(sql, OWNER, BOB, active_only=False) == []
    assert len(await queries.assignments(sql, None, active_only=False)) == 2


async def test_follower_who_comes_back_is_followed_again(world: World) -> None:
    sql = await world.after(CREATE, ASSIGN, UnassignStrategy(ONE, ALICE, "CLIENT", LATER), ASSIGN)
    assert [one.account_id for one in await queries.followers_of(sql, ONE)] == [ALICE]
    (only,) = await queries.assignments(sql, OWNER, active_only=False)
    assert only.unassigned_at is None


async def test_signals_are_shown_newest_first(world: World) -> None:
    later = replace(BUY, signal_id=SignalId(UUID(int=6)), bar_closed_at=LATER)
    sql = await world.after(BUY, later, BUY)
    found = await queries.signals(sql)
    assert [one.signal_id for one in found] == [later.signal_id, BUY.signal_id]
    assert (found[1].stop_price, found[1].indicators) == (Decimal(90), {"atr": "5"})
    assert await queries.signals(sql, ONE, limit=1) == found[:1]
    assert await queries.signals(sql, TWO) == []


async def test_rebuilt_rows_are_the_live_rows(world: World) -> None:
    sql = await world.after(CREATE, ASSIGN, BUY, PauseStrategy(ONE, "ADMIN", NOON), ASSIGN_BOB)
    live = await queries.strategies(sql), await queries.assignments(sql, None), await queries.signals(sql)
    assert await compare(sql, world.store.feed, StrategiesProjection()) == []
    assert await rebuild(sql, world.store.feed, StrategiesProjection())
    assert (await queries.strategies(sql), await queries.assignments(sql, None), await queries.signals(sql)) == live


async def test_client_sees_its_own_assignments_and_no_parameters(world: World, database: str) -> None:
    await world.after(CREATE, ASSIGN, ASSIGN_BOB, BUY)
    reader = await Database.connect(database, role="patriot_reader")
    async with reader.transaction() as sql:
        await sql.execute(f"SET LOCAL patriot.user_id = '{OWNER}'")
        assert [row["account_id"] for row in await sql.fetch("SELECT account_id FROM read.assignments")] == [ALICE]
        assert [row["name"] for row in await sql.fetch("SELECT name FROM read.strategies")] == ["Breakout"]
    for secret in ("SELECT parameters FROM read.strategies", "SELECT 1 FROM read.signals"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.fetch(secret)
    await reader.close()
