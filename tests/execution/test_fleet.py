"""The fleet: leases kept and lost, failures that stay with one account."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from patriot.kernel.errors import ExchangeRefused, ExchangeUnavailable, NotFound, StoreUnavailable
from tests.execution.yard import (
    ALICE,
    ONE,
    TTL,
    TWO,
    Yard,
    at_work,
    away,
    day,
)

pytestmark = pytest.mark.unit


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
async def test_refusal_that_speaks_of_the_key_has_it_looked_at() -> None:
    yard = Yard()
    async with at_work(yard, ONE, TWO):
        for told in (yard.of(ONE)[0].worker.reads, yard.of(ONE)[0].worker.refusals):
            before = yard.checked[ONE]
            told.on_key_refused()
            await asyncio.sleep(60)
            assert yard.checked[ONE] == before + 1
        assert yard.checked[TWO] == 1


@day
async def test_predecessor_of_this_process_is_named_to_the_next_worker_unless_another_owner_was_between() -> None:
    yard = Yard(work_fails={ONE: [ExchangeUnavailable("away")]})
    async with at_work(yard, ONE):
        await asyncio.sleep(5)
        first, second = yard.of(ONE)
        assert (first.worker.predecessor_ended, second.worker.predecessor_ended) == (None, 0)
        name, us = f"account:{ONE}", yard.leases.owners[f"account:{ONE}"]
        await yard.leases.release(second.fence, us)
        theirs = await yard.leases.acquire(name, "another process")
        assert theirs is not None
        second.worker.stop()
        await asyncio.sleep(2)
        await yard.leases.release(theirs, "another process")
        await asyncio.sleep(5)
        assert yard.of(ONE)[-1].worker.predecessor_ended is None


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
async def test_refusal_right_after_a_look_has_the_key_looked_at_once_more_later() -> None:
    yard = Yard()
    async with at_work(yard, ONE):
        for seconds, looks in ((1, 1 + 1), (1, 1 + 1), (40, 1 + 2), (60, 1 + 2)):
            if looks < 3:
                yard.of(ONE)[0].worker.reads.on_key_refused()
            await asyncio.sleep(seconds)
            assert yard.checked[ONE] == looks


@day
async def test_refusals_that_come_again_and_again_have_the_key_looked_at_now_and_then() -> None:
    yard = Yard()
    async with at_work(yard, ONE):
        for _ in range(60):
            yard.of(ONE)[0].worker.reads.on_key_refused()
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
