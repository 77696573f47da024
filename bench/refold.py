"""What a start costs whoever folds the log: risk, reconciliation and execution over the records of 100 accounts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from bench import Figure, Server
from patriot.accounts.events import EquitySampled, LedgerOpened, PositionSample, SampleReason
from patriot.accounts.policies import MoneyWatch, reconcile
from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.eventstore import PostgresEventStore
from patriot.adapters.postgres.snapshots import PostgresSnapshots
from patriot.kernel.clock import SystemClock
from patriot.kernel.codec import EVENTS, encode
from patriot.kernel.ids import derived_id
from patriot.kernel.memory import MemoryCheckpoints, MemorySnapshots
from patriot.kernel.policy import Keep, PolicyRunner, Snapshots
from patriot.kernel.projection import Recorded
from patriot.orders.events import OrderFilled
from patriot.risk.policies import RiskWatch, watch_money
from patriot.services import execution, execution_fold, reconciliation, risk
from patriot.services.execution_fold import ExecutionFold
from patriot.trading.terms import AccountId, Exchange, Leg, OrderId, Side, StrategyId, UserId

W = TypeVar("W")

ACCOUNTS = 100
EVENTS_IN_LOG = 100_000
FILLS_PER_SAMPLE = 3
RUNS = 3
OPENED = datetime(2022, 1, 1, tzinfo=UTC)
D = Decimal
COLUMNS = (
    *("tx_id", "event_id", "stream_type", "stream_id", "stream_version", "event_type", "schema_version"),
    *("occurred_at", "recorded_at", "correlation_id", "actor_type", "actor_id", "data", "previous_hash", "event_hash"),
)


async def measure(server: Server) -> list[Figure]:
    dsn = await server.fresh_database()
    await fill(dsn)
    database = await Database.connect(dsn)
    figures: list[Figure] = []
    async with PostgresEventStore(database, SystemClock()) as store:
        for kept in (False, True):
            snapshots = PostgresSnapshots(database) if kept else None
            figures += [
                await start(store, snapshots, risk.TAIL, risk.EVENT_TYPES, RiskWatch, watch_money),
                await start(store, snapshots, reconciliation.TAIL, reconciliation.EVENT_TYPES, MoneyWatch, reconcile),
                await start(
                    store, snapshots, execution.TAIL, execution_fold.EVENT_TYPES, ExecutionFold, ExecutionFold.apply
                ),
            ]
    await database.close()
    return figures


async def start(
    store: PostgresEventStore,
    snapshots: Snapshots | None,
    name: str,
    types: frozenset[str],
    watch: type[W],
    fold: Callable[[W, Any], Any],
) -> Figure:
    """Measure the start of a policy that has handled the whole log; with snapshots, one is kept beforehand."""
    checkpoints = MemoryCheckpoints()
    await checkpoints.save(name, await store.feed.newest())

    async def once() -> float:
        states = [watch()]

        async def react(recorded: Recorded, follows: object) -> None:
            raise AssertionError(recorded)

        keep = Keep(snapshots or MemorySnapshots(), watch, lambda: states[-1], states.append)
        runner = PolicyRunner(
            store.feed, checkpoints, name, types, lambda recorded: fold(states[-1], recorded.event), react, keep
        )
        began = time.perf_counter()
        await runner.begin()
        return time.perf_counter() - began

    if snapshots is not None:
        await once()
    runs = tuple([await once() for _ in range(RUNS)])
    said = "from a snapshot" if snapshots is not None else f"log of {EVENTS_IN_LOG:,} events"
    return Figure(f"start of {name}, {said}", "s", runs, lower_is_better=True)


async def fill(dsn: str) -> None:
    """Write a history past the store: only its reading is measured."""
    session = await asyncpg.connect(dsn)
    transaction = await session.fetchval("SELECT pg_current_xact_id()")
    rows = (
        (
            *(transaction, derived_id("bench", n), "BENCH", derived_id("stream", n), 1, *EVENTS.name_of(event)),
            *(OPENED, OPENED, UUID(int=9), "SYSTEM", "bench", encode(event), bytes(32), bytes(32)),
        )
        for n, event in enumerate(history())
    )
    await session.copy_records_to_table("events", schema_name="eventing", columns=COLUMNS, records=rows)
    await session.execute("ANALYZE eventing.events")
    await session.close()


def history() -> Iterator[Any]:
    """Yield what 100 accounts record: their books opened, then hour by hour three fills and a sample of each."""
    accounts = [AccountId(UUID(int=n + 1)) for n in range(ACCOUNTS)]
    user, order, strategy = UserId(UUID(int=1)), OrderId(UUID(int=2)), StrategyId(UUID(int=3))
    for account in accounts:
        yield LedgerOpened(account, user, "USDT", D(10_000), OPENED, (), OPENED)
    position = PositionSample("BTCUSDT", D("0.013"), D("46319.50"), D("46400.10"), D("1.04780000"))
    for n in range((EVENTS_IN_LOG - ACCOUNTS) // (FILLS_PER_SAMPLE + 1)):
        account, at = accounts[n % ACCOUNTS], OPENED + timedelta(hours=1 + n // ACCOUNTS)
        for fill_ in range(FILLS_PER_SAMPLE):
            yield OrderFilled(
                *(order, order, Leg.ENTRY, user, account, strategy, Exchange.BINANCE, "BTCUSDT", Side.BUY),
                *(f"t-{n}-{fill_}", "8389765", D("0.013"), D("46319.50"), D("0.24086140"), "USDT", D("0.24086140")),
                *(False, D("0.013"), at - timedelta(minutes=50 - 10 * fill_)),
            )
        yield EquitySampled(account, user, SampleReason.HOURLY, "USDT", D(10_000), D("10001.0478"), (position,), at)
