"""The fleet: leases kept and lost, failures that stay with one account, samples that are late and not lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from random import Random
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
import structlog

from patriot.accounts.events import SampleReason
from patriot.execution.fleet import Care, Fleet
from patriot.execution.keys import KeyState
from patriot.execution.worker import AccountWorker
from patriot.kernel.errors import ExchangeRefused, ExchangeUnavailable, LeaseLost, NotFound, StoreUnavailable
from patriot.kernel.eventstore import Fence
from patriot.kernel.ids import Ids
from patriot.kernel.lease import LEASE_TTL
from patriot.kernel.memory import MemoryLeases
from patriot.simulation.loop import VirtualClock, run_virtually
from patriot.trading.reports import AccountSnapshot
from patriot.trading.terms import AccountId, Urgency, UserId

pytestmark = pytest.mark.unit

ONE, TWO, ALICE = AccountId(UUID(int=1)), AccountId(UUID(int=2)), UserId(UUID(int=9))
TTL = LEASE_TTL.total_seconds()
NOTHING_HELD = AccountSnapshot("USDT", Decimal(1), Decimal(1), Decimal(0), (), datetime(2030, 1, 2, tzinfo=UTC))


class Work:
    """An account's worker: in step at once, at work until it is stopped or fails."""

    def __init__(self, account_id: AccountId, failures: list[Exception]) -> None:
        self.account_id, self.user_id = account_id, ALICE
        self.key, self.refusals = KeyState(), SimpleNamespace(words="")
        self.acting, self.ready, self.stopped = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.checked: list[AccountSnapshot] = []
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


@day
async def test_lease_is_kept_for_as_long_as_the_account_is_at_work() -> None:
    yard = Yard()
    async with at_work(yard, ONE):
        for _ in range(10):
            await asyncio.sleep(TTL / 2)
            assert await yard.leases.acquire(f"account:{ONE}", "another process") is None
    assert await yard.leases.acquire(f"account:{ONE}", "another process") is not None  # released at the end


@day
async def test_owner_whose_renewal_hangs_asks_again_and_hears_that_another_has_the_lease() -> None:
    yard = Yard()
    async with at_work(yard, ONE):
        first, renew = yard.of(ONE)[0], yard.leases.renew
        yard.leases.renew = lambda *_of: asyncio.sleep(3600)  # type: ignore[method-assign]
        await asyncio.sleep(TTL / 2)
        yard.leases.renew = renew  # type: ignore[method-assign]
        await yard.leases.release(first.fence, yard.leases.owners[f"account:{ONE}"])
        assert await yard.leases.acquire(f"account:{ONE}", "another process") is not None
        await asyncio.sleep(TTL)
        assert first.worker.stopped.is_set()
        assert yard.counted["account.lease_lost"] == 1


@day
async def test_owner_that_could_not_renew_hears_of_its_lost_lease_as_soon_as_it_can_ask() -> None:
    yard = Yard()
    async with at_work(yard, ONE):
        first, renew = yard.of(ONE)[0], yard.leases.renew
        yard.leases.renew = away  # type: ignore[assignment,method-assign]
        await asyncio.sleep(TTL * 2 + 1)
        assert await yard.leases.acquire(f"account:{ONE}", "another process") is not None
        assert not first.worker.stopped.is_set(), "an absent store is no reason to leave positions alone"
        yard.leases.renew = renew  # type: ignore[method-assign]
        await asyncio.sleep(1)
        assert first.worker.stopped.is_set()


@day
async def test_owner_whose_lease_another_took_stops_and_comes_back_with_a_newer_fence() -> None:
    yard = Yard()
    async with at_work(yard, ONE, TWO) as fleet:
        first = yard.of(ONE)[0]
        await yard.leases.release(first.fence, yard.leases.owners[f"account:{ONE}"])
        taken = await yard.leases.acquire(f"account:{ONE}", "another process")
        assert taken is not None
        await asyncio.sleep(TTL)
        assert first.worker.stopped.is_set()
        assert ONE not in fleet.workers
        assert yard.counted["account.lease_lost"] == 1
        await yard.leases.release(taken, "another process")
        await asyncio.sleep(TTL)
        assert yard.of(ONE)[-1].fence.token > taken.token > first.fence.token
        assert yard.counted["account.at_work"] == 3
        assert len(yard.of(TWO)) == 1  # nobody else noticed


@day
async def test_failure_of_one_account_is_tried_again_within_seconds_and_stays_with_it() -> None:
    yard = Yard(work_fails={ONE: [ExchangeUnavailable("away"), StoreUnavailable("away")]})
    async with at_work(yard, ONE, TWO) as fleet:
        await asyncio.sleep(5)
        assert len(yard.of(ONE)) == 3
        assert len(yard.of(TWO)) == 1
        assert set(fleet.workers) == {ONE, TWO}
        assert yard.counted["account.worker_failed"] == 2
        assert yard.alarms == ["account.worker_failed"] * 2
        assert yard.caught_up[ONE] >= 1
        assert yard.caught_up[TWO] == 1


@day
async def test_account_that_fails_again_and_again_is_started_at_longer_and_longer_pauses() -> None:
    yard = Yard(work_fails={ONE: [ExchangeUnavailable("away")] * 8})
    async with at_work(yard, ONE):
        await asyncio.sleep(300)
        started = [put.at for put in yard.of(ONE)]
        assert [later - earlier for earlier, later in pairwise(started)] == [1, 2, 4, 8, 16, 30, 30, 30]


@day
async def test_failure_after_a_minute_at_work_counts_as_the_first() -> None:
    yard = Yard(work_fails={ONE: [ExchangeUnavailable("away")] * 5})
    async with at_work(yard, ONE):
        await asyncio.sleep(31 + 60.5)  # five failures, and a minute
        await yard.leases.release(yard.of(ONE)[-1].fence, yard.leases.owners[f"account:{ONE}"])
        yard.of(ONE)[-1].worker.stop()
        ended = yard.clock.monotonic()
        await asyncio.sleep(60)
        assert yard.of(ONE)[-1].at - ended == 1


@day
async def test_fleet_ends_also_while_a_worker_is_failing() -> None:
    yard = Yard(work_fails={ONE: [ExchangeUnavailable("away")] * 1_000})
    async with at_work(yard, ONE):
        await asyncio.sleep(0)


@day
async def test_end_that_meets_a_failure_in_the_same_moment_is_not_forgotten() -> None:
    yard = Yard()
    async with at_work(yard, ONE, TWO):
        yard.of(ONE)[0].worker.stop()  # its group fails in the moment in which it is canceled
        yard.of(TWO)[0].worker.stop()


@day
async def test_key_that_does_not_open_holds_up_no_start() -> None:
    yard = Yard(start_fails={ONE: [NotFound("no key")] * 1_000})
    async with at_work(yard, ONE, TWO) as fleet:
        assert yard.clock.monotonic() < 1
        assert set(fleet.workers) == {TWO}
        assert fleet.busy["starting"] == 0


@day
async def test_refusal_of_the_exchange_has_the_key_looked_at() -> None:
    yard = Yard(work_fails={ONE: [ExchangeRefused(-2015, "no such key")]})
    async with at_work(yard, ONE, TWO):
        await asyncio.sleep(5)
        assert yard.checked == {ONE: 3, TWO: 1}, "at each start, and once more for the refusal"


@day
async def test_look_at_a_key_that_met_a_failure_is_repeated_until_it_is_answered() -> None:
    failures: list[Exception] = [ExchangeUnavailable("HTTP 502"), StoreUnavailable("away")] * 4
    yard = Yard(look_fails={ONE: failures})
    async with at_work(yard, ONE, TWO) as fleet:
        for account in (ONE, TWO):
            yard.of(account)[0].worker.ready.set()
        await asyncio.sleep(0.1)
        assert fleet.troubles() == {ONE: "its key was not looked at yet, and nothing is entered before"}
        assert not await yard.of(ONE)[0].worker.key.known(5)
        assert await yard.of(ONE)[0].worker.key.known(150)
        assert yard.checked == {ONE: 9, TWO: 1}
        assert fleet.troubles() == {}


@day
async def test_key_that_is_unfit_is_told_once_with_its_reason_until_that_changes() -> None:
    failures: list[Exception] = [ExchangeRefused(-2015, "no such key") for _ in range(8)]
    yard = Yard(work_fails={ONE: failures}, key_problems={ONE: "INVALID"})
    async with at_work(yard, ONE) as fleet:
        await asyncio.sleep(300)
        assert yard.checked[ONE] > 8
        yard.key_problems[ONE] = "WITHDRAW_ENABLED"
        fleet.look_at_keys()
        await asyncio.sleep(1)
        del yard.key_problems[ONE]
        fleet.look_at_keys()
        await asyncio.sleep(1)
        yard.key_problems[ONE] = "WITHDRAW_ENABLED"
        fleet.look_at_keys()
        await asyncio.sleep(1)
        told = [fields for name, fields in zip(yard.alarms, yard.told, strict=True) if name == "account.key_unfit"]
        assert told == [{"account_id": ONE, "reason": why} for why in ("INVALID", *["WITHDRAW_ENABLED"] * 2)]


@day
async def test_refusals_that_come_again_and_again_have_the_key_looked_at_now_and_then() -> None:
    yard = Yard()
    async with at_work(yard, ONE) as fleet:
        for _ in range(60):
            fleet.look_after_refusal(ONE)
            await asyncio.sleep(1)
        assert yard.checked[ONE] == 1 + 2


@day
async def test_unlinked_account_is_let_go_and_its_lease_with_it() -> None:
    yard = Yard()
    async with at_work(yard, ONE, TWO) as fleet:
        fleet.let_go(ONE)
        await asyncio.sleep(5)
        assert set(fleet.workers) == {TWO}
        assert await yard.leases.acquire(f"account:{ONE}", "another process") is not None
        assert yard.alarms == []
        assert fleet.busy["starting"] == 0


@day
async def test_sample_that_failed_is_repeated_within_the_hour() -> None:
    refusals = [ExchangeUnavailable("429", 20.0), ExchangeUnavailable("5xx"), StoreUnavailable("away")]
    yard = Yard(books_fail={ONE: list(refusals)})
    async with at_work(yard, ONE, TWO) as fleet:
        fleet.sample_equity(SampleReason.HOURLY)
        await asyncio.sleep(60)
        (late,) = yard.of(ONE)[0].ledger.sampled
        (punctual,) = yard.of(TWO)[0].ledger.sampled
        assert late[1] is punctual[1] is SampleReason.HOURLY
        assert punctual[0] < 2
        assert 20 < late[0] < 60  # the exchange's own wish to wait is heeded
        assert yard.counted["account.sample_late"] == 1
        assert yard.of(ONE)[0].worker.checked == [NOTHING_HELD]


@day
async def test_sample_goes_on_with_the_worker_that_comes_next() -> None:
    yard = Yard(books_fail={ONE: [ExchangeUnavailable("away")]})
    async with at_work(yard, ONE) as fleet:
        fleet.sample_equity(SampleReason.HOURLY)
        yard.of(ONE)[0].worker.stop()
        await asyncio.sleep(30)
        assert yard.of(ONE)[0].ledger.sampled == []
        assert len(yard.of(ONE)[-1].ledger.sampled) == 1


@day
async def test_samples_of_many_accounts_are_paced() -> None:
    yard = Yard()
    many = [AccountId(UUID(int=100 + number)) for number in range(20)]
    async with at_work(yard, *many) as fleet:
        fleet.sample_equity(SampleReason.HOURLY)
        await asyncio.sleep(60)
        moments = Counter(put.ledger.sampled[0][0] for put in yard.put)
        assert len(moments) == 5
        assert set(moments.values()) == {4}
        assert {one for put in yard.put for one in put.ledger.urgencies} == {Urgency.BACKGROUND}


@day
async def test_samples_of_a_month_end_wait_for_nobody() -> None:
    yard = Yard()
    many = [AccountId(UUID(int=100 + number)) for number in range(20)]
    async with at_work(yard, *many) as fleet:
        fleet.sample_equity(SampleReason.HOURLY, paced=False)
        await asyncio.sleep(60)
        assert len({put.ledger.sampled[0][0] for put in yard.put}) == 1
        assert {one for put in yard.put for one in put.ledger.urgencies} == {Urgency.NORMAL}


@day
async def test_second_wish_for_a_sample_joins_the_one_under_way() -> None:
    yard = Yard(books_fail={ONE: [ExchangeUnavailable("away")]})
    async with at_work(yard, ONE) as fleet:
        fleet.sample_equity(SampleReason.HOURLY)
        await asyncio.sleep(0.5)
        fleet.sample_equity(SampleReason.HOURLY)
        await asyncio.sleep(30)
        assert len(yard.of(ONE)[0].ledger.sampled) == 1
        fleet.sample_equity(SampleReason.HOURLY)
        await asyncio.sleep(30)
        assert len(yard.of(ONE)[0].ledger.sampled) == 2


@day
async def test_account_that_is_not_in_step_has_its_reason_and_others_have_none() -> None:
    yard = Yard(start_fails={TWO: [NotFound("no key")]})
    async with at_work(yard, ONE, TWO) as fleet:
        yard.of(ONE)[0].worker.ready.set()
        assert fleet.troubles() == {TWO: "nobody works for it: NotFound: no key"}
        await asyncio.sleep(TTL)
        assert fleet.troubles() == {TWO: "it is compared with its exchange, after NotFound: no key"}
        yard.of(TWO)[0].worker.ready.set()
        assert fleet.troubles() == {}


@day
async def test_sample_that_fails_again_and_again_is_tried_at_longer_and_longer_pauses() -> None:
    yard = Yard(books_fail={ONE: [StoreUnavailable("away") for _ in range(6)]})
    async with at_work(yard, ONE) as fleet:
        began = yard.clock.monotonic()
        fleet.sample_equity(SampleReason.HOURLY)
        await asyncio.sleep(200)
        ((sampled_at, _),) = yard.of(ONE)[0].ledger.sampled
        assert sampled_at - began == 7 + (1 + 2 + 5 + 10 + 30 + 30)  # each try takes a second


@day
async def test_account_whose_books_are_not_open_is_told() -> None:
    yard = Yard()
    async with at_work(yard, ONE, TWO) as fleet:
        for account in (ONE, TWO):
            yard.of(account)[0].worker.ready.set()
        yard.of(ONE)[0].ledger.opened = False
        await asyncio.sleep(0.1)
        assert fleet.troubles() == {ONE: "its books are not open yet, and nothing is entered before"}


async def bug() -> None:
    raise KeyError("a symbol nobody thought of")


@day
async def test_failure_of_a_chore_that_nobody_foresaw_is_raised() -> None:
    yard = Yard()
    fleet = yard.fleet()
    fleet.start_chore(bug)
    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.timeout(60):
            await fleet.failed()
    assert raised.group_contains(KeyError)
    await fleet.close()


@day
async def test_failure_of_an_account_that_nobody_foresaw_is_raised() -> None:
    yard = Yard(start_fails={ONE: [KeyError("a symbol nobody thought of")]})
    fleet = yard.fleet()
    fleet.take_on(ONE, ALICE)
    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.timeout(60):
            await fleet.failed()
    assert raised.group_contains(KeyError)
    await fleet.close()
