"""A yard in which a fleet is put to work: workers, books, keys and leases that fail as often as they are told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import structlog

from patriot.accounts.events import SampleReason
from patriot.execution.fleet import Care, Fleet
from patriot.execution.keys import KeyState
from patriot.execution.worker import AccountWorker
from patriot.kernel.errors import LeaseLost, StoreUnavailable
from patriot.kernel.eventstore import Fence
from patriot.kernel.ids import Ids
from patriot.kernel.lease import LEASE_TTL
from patriot.kernel.memory import MemoryLeases
from patriot.simulation.loop import VirtualClock, run_virtually
from patriot.trading.reports import AccountSnapshot
from patriot.trading.terms import AccountId, Urgency, UserId

ONE, TWO, ALICE = AccountId(UUID(int=1)), AccountId(UUID(int=2)), UserId(UUID(int=9))
TTL = LEASE_TTL.total_seconds()
NOTHING_HELD = AccountSnapshot("USDT", Decimal(1), Decimal(1), Decimal(0), (), datetime(2030, 1, 2, tzinfo=UTC))


class Work:
    """An account's worker: in step at once, at work until it is stopped or fails."""

    def __init__(self, account_id: AccountId, failures: list[Exception]) -> None:
        self.account_id, self.user_id = account_id, ALICE
        self.key, self.refusals, self.reads = KeyState(), SimpleNamespace(words=[]), SimpleNamespace(words=[])
        self.money, self.money_asked = SimpleNamespace(ask=self._ask_for_money), 0
        self.acting, self.ready, self.stopped = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.checked: list[AccountSnapshot] = []
        self.predecessor_ended: float | None = None
        self.busy: dict[str, int] = {}
        self._failures = failures

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:  # as the real one: it ends by the failure of a part
            group.create_task(self._part())

    async def _part(self) -> None:
        self.acting.set()
        if self._failures:
            raise self._failures.pop(0)
        await self.stopped.wait()
        raise LeaseLost("no longer ours")

    def stop(self) -> None:
        self.stopped.set()

    def _ask_for_money(self) -> None:
        self.money_asked += 1

    def look_at(self, snapshot: AccountSnapshot) -> None:
        self.checked.append(snapshot)


class Books:
    """An account's money records, whose exchange fails as often as it is told."""

    def __init__(self, failures: list[Exception]) -> None:
        self.opened = True
        self.sampled: list[tuple[float, SampleReason]] = []
        self.urgencies: set[Urgency] = set()
        self._failures = failures

    async def sync_income(self, *, urgency: Urgency = Urgency.BACKGROUND) -> None:
        self.urgencies.add(urgency)
        await asyncio.sleep(1)
        if self._failures:
            raise self._failures.pop(0)

    async def sample_equity(self, reason: SampleReason) -> AccountSnapshot | None:
        self.sampled.append((asyncio.get_running_loop().time(), reason))
        return NOTHING_HELD


class Register(MemoryLeases):
    """Leases that tell who asked for them, so that one can be taken away."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self.owners: dict[str, str] = {}

    async def acquire(self, name: str, owner: str) -> Fence | None:
        self.owners.setdefault(name, owner)
        return await super().acquire(name, owner)


@dataclass
class Put:
    """One account put to work."""

    worker: Any
    ledger: Any
    fence: Fence
    at: float


@dataclass
class Yard:
    """A fleet with what it needs, and everything that was put to work."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    put: list[Put] = field(default_factory=list)
    work_fails: dict[AccountId, list[Exception]] = field(default_factory=dict)
    start_fails: dict[AccountId, list[Exception]] = field(default_factory=dict)
    books_fail: dict[AccountId, list[Exception]] = field(default_factory=dict)
    look_fails: dict[AccountId, list[Exception]] = field(default_factory=dict)
    key_problems: dict[AccountId, str] = field(default_factory=dict)
    checked: Counter[AccountId] = field(default_factory=Counter)
    caught_up: Counter[AccountId] = field(default_factory=Counter)
    alarms: list[str] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)  # log lines by their names, as the metrics show them
    told: list[dict[str, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.leases = Register(self.clock)

    def fleet(self) -> Fleet:
        care = Care(self._put_to_work, self._catch_up, self._look_at_key)
        return Fleet(self.leases, Ids(self.clock, Random(7).randbytes), self.clock, self, care)

    def count(self, _logger: object, _method: str, line: Any) -> Any:
        self.counted[line["event"]] += 1
        return line

    async def _put_to_work(self, account_id: AccountId, fence: Fence) -> Put:
        if failures := self.start_fails.get(account_id):
            raise failures.pop(0)
        work = Work(account_id, self.work_fails.get(account_id, []))
        self.put.append(Put(work, Books(self.books_fail.get(account_id, [])), fence, self.clock.monotonic()))
        return self.put[-1]

    async def _catch_up(self, worker: AccountWorker) -> None:
        self.caught_up[worker.account_id] += 1

    async def _look_at_key(self, account_id: AccountId) -> str | None:
        self.checked[account_id] += 1
        if failures := self.look_fails.get(account_id):
            raise failures.pop(0)
        return self.key_problems.get(account_id)

    def critical(self, name: str, **fields: object) -> None:
        self.alarms.append(name)
        self.told.append(fields)

    def of(self, account_id: AccountId) -> list[Put]:
        """Return what was put to work for an account, oldest first."""
        return [one for one in self.put if one.worker.account_id == account_id]


@asynccontextmanager
async def at_work(yard: Yard, *accounts: AccountId) -> AsyncIterator[Fleet]:
    with structlog.testing.capture_logs(processors=[yard.count]):
        async with _at_work(yard, *accounts) as fleet:
            yield fleet


@asynccontextmanager
async def _at_work(yard: Yard, *accounts: AccountId) -> AsyncIterator[Fleet]:
    fleet = yard.fleet()
    for account_id in accounts:
        fleet.take_on(account_id, ALICE)
    await fleet.started(30)
    failing = asyncio.create_task(fleet.failed())
    try:
        yield fleet
        assert not failing.done()
    finally:
        failing.cancel()
        async with asyncio.timeout(60):  # an end that never comes is what one of these tests is about
            await fleet.close()


async def away(_fence: Fence, _owner: str) -> None:
    raise StoreUnavailable("away")


def day(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Run a test in virtual time."""

    def run() -> None:
        run_virtually(cast("Any", test()))

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run
