"""The wiring of one account at work: two owners, a person's hand on the account, long lives, ends."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from uuid import UUID

import pytest

from patriot.kernel.errors import LeaseLost, StoreUnavailable
from patriot.orders.client_ids import client_id_prefix
from patriot.orders.events import CancelReason, OrderCreated
from patriot.services.pace import LivePace
from patriot.simulation.loop import run_virtually
from patriot.trading.reports import MoneyMoved
from patriot.trading.terms import OrderId, Side, Urgency
from tests.execution.exchange import D, Exchange
from tests.execution.kit import STOP, TARGET, Account, entered
from tests.orders.kit import ACCOUNT, ORDER_ID, PREFIX, STRATEGY

pytestmark = pytest.mark.unit


class HearingPace(LivePace):
    """A pace that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[datetime] = []

    def venue_said(self, at: datetime) -> None:
        self.heard.append(at)


def test_pace_hears_the_time_of_every_message_of_the_exchange() -> None:
    async def day() -> None:
        account, pace = Account(), HearingPace()
        account.pace = pace
        await account.start()
        assert pace.heard != []
        await account.enter()
        await asyncio.sleep(60)
        pace.heard.clear()
        account.exchange.execute(STOP)
        stopped_at = account.clock.now()
        await account.moment()
        assert stopped_at in pace.heard

    run_virtually(day())


# Two owners


def test_owner_whose_lease_another_has_writes_nothing_any_more_and_ends() -> None:
    async def day() -> None:
        account = await entered()
        await asyncio.sleep(11)
        assert await account.leases.acquire(f"account:{ACCOUNT}", "them") is not None
        before = len(await account.log("order.filled"))
        with pytest.raises(LeaseLost):
            await account.enter(order_id=OrderId(UUID(int=78)), symbol="ETHUSDT")
        account.exchange.execute(STOP)
        with pytest.raises(ExceptionGroup) as ended:
            await account.working
        assert ended.group_contains(LeaseLost)
        assert len(await account.log("order.filled")) == before

    run_virtually(day())


def test_worker_that_is_stopped_ends_and_leaves_nobody_waiting() -> None:
    async def day() -> None:
        account = await entered()
        account.worker.stop()
        with pytest.raises(ExceptionGroup) as ended:
            await account.working
        assert ended.group_contains(LeaseLost)
        assert not account.worker.ready.is_set()
        assert not account.worker.acting.is_set()
        with pytest.raises(StoreUnavailable):
            await account.worker.close("BTCUSDT", STRATEGY, "TEST")

    run_virtually(day())


def test_worker_that_has_ended_asks_and_sends_nothing_whatever_somebody_still_hands_to_it() -> None:
    async def day() -> None:
        account = await entered()
        snapshot = await account.exchange.snapshot()
        account.worker.stop()
        with pytest.raises(ExceptionGroup):
            await account.working
        asked = len(account.exchange.asked)
        account.exchange.execute(STOP)
        account.worker.look_at(replace(snapshot, positions=()))
        account.worker.keeper.want_out(list(account.worker.keeper.open_brackets))
        account.worker.cancel_entries()
        await asyncio.sleep(120)
        assert len(account.exchange.asked) == asked

    run_virtually(day())


def test_worker_that_ends_before_it_knows_its_brackets_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(_stream: object) -> None:
        await asyncio.sleep(3_600)

    async def day() -> None:
        account = Account()
        monkeypatch.setattr(account.store, "read_stream", silent)
        account.begin()
        await account.begun.wait()
        closing = asyncio.create_task(account.worker.flatten("TEST"))
        await account.moment()
        assert not closing.done()
        await account.end()
        with pytest.raises(StoreUnavailable):
            async with asyncio.timeout(5):
                await closing

    run_virtually(day())


def test_worker_whose_background_work_crashes_ends_with_that_error() -> None:
    async def day() -> None:
        account = await entered()

        async def crash() -> None:
            raise ZeroDivisionError

        account.keeper.tasks.start(crash())
        with pytest.raises(ExceptionGroup) as ended:
            await account.working
        assert ended.group_contains(ZeroDivisionError)

    run_virtually(day())


# A person acts on the account


def test_stream_that_owes_an_event_is_opened_again_and_looked_behind_within_seconds() -> None:
    async def day() -> None:
        account = Account(Exchange(deaf=True, heals=True))
        await account.start()
        await account.enter()
        await asyncio.sleep(1)
        account.exchange.cancel_silently(STOP)
        await asyncio.sleep(7)
        assert account.exchange.count("reopen") == 1
        assert "s2" in account.exchange.resting()
        await asyncio.sleep(60)
        assert account.exchange.count("reopen") == 1
        await account.end()

    run_virtually(day())


def test_account_is_looked_at_twice_a_minute_while_it_holds_something_and_else_every_five_minutes() -> None:
    async def day() -> None:
        account = await entered()
        for _ in range(60):
            account.exchange.tell(MoneyMoved("FUNDING_FEE", account.clock.now()))  # the stream speaks: nobody doubts it
            await asyncio.sleep(10)
        looks = account.exchange.times("list BTCUSDT")[1:]
        assert [round(later - earlier) for earlier, later in pairwise(looks)] == [30] * (len(looks) - 1)
        assert len(looks) > 15
        account.exchange.execute(STOP)
        await asyncio.sleep(1)
        account.exchange.asked.clear()
        await asyncio.sleep(3_600)
        looks = account.exchange.times("snapshot")
        assert [round(later - earlier) for earlier, later in pairwise(looks)] == [300] * (len(looks) - 1)
        assert len(looks) > 10
        assert account.exchange.count("list BTCUSDT") == 0
        await account.end()

    run_virtually(day())


@pytest.mark.parametrize("moment", [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75])
def test_stream_that_owes_an_event_is_doubted_within_a_second_after_its_time(moment: float) -> None:
    async def day() -> None:
        account = Account(Exchange(deaf=True))
        await account.start()
        await asyncio.sleep(moment)
        await account.enter()
        began = account.clock.monotonic()
        await asyncio.sleep(10)
        assert 5 < account.exchange.first("reopen") - began < 6.1
        await account.end()

    run_virtually(day())


# The way out


def test_close_is_not_of_a_position_that_is_not_meant() -> None:
    async def day() -> None:
        account = Account()
        worker = await account.start()
        await account.enter()
        await asyncio.sleep(1)
        asked: list[OrderCreated] = []

        async def another_is_meant(entry: OrderCreated) -> bool:
            asked.append(entry)
            return False

        async def is_meant(entry: OrderCreated) -> bool:
            return entry == asked[0]

        assert await worker.close("BTCUSDT", STRATEGY, "SIGNAL", another_is_meant) is None
        assert account.exchange.positions["BTCUSDT"] == 1
        assert await worker.close("BTCUSDT", STRATEGY, "SIGNAL", is_meant) == ORDER_ID
        await asyncio.sleep(2)
        assert account.exchange.positions["BTCUSDT"] == 0
        await account.end()

    run_virtually(day())


def test_close_after_a_takeover_waits_until_nothing_of_the_predecessor_can_arrive() -> None:
    async def day() -> None:
        account = await entered()
        await account.end()
        worker = await account.start()
        began = account.clock.monotonic()
        await worker.flatten("TEST")
        await asyncio.sleep(5)
        assert account.exchange.count("place c1") == 0
        await asyncio.sleep(3)
        assert 5.9 <= account.exchange.first("place c1") - began < 6.1  # a receive window and a second of skew
        await account.end()

    run_virtually(day())


def test_stream_is_heard_while_what_protection_can_do_without_is_still_read() -> None:
    async def day() -> None:
        account = await entered()
        await account.end()
        account.exchange.slow_trades = account.exchange.slow_snapshots = 9.0
        account.begin()
        await asyncio.sleep(2)
        assert not account.worker.ready.is_set()
        await account.exchange.cancel("BTCUSDT", STOP, conditional=True)
        await asyncio.sleep(1)
        assert "s2" in account.exchange.resting()
        assert account.exchange.urgencies["list"] is Urgency.PROTECTION
        await account.worker.flatten("TEST")
        await asyncio.sleep(7)
        assert account.exchange.positions["BTCUSDT"] == 0
        await account.end()

    run_virtually(day())


def test_refused_way_out_of_one_position_says_nothing_of_another() -> None:
    async def day() -> None:
        account = await entered()
        await account.enter(order_id=OrderId(UUID(int=78)), symbol="ETHUSDT")
        await asyncio.sleep(1)
        account.exchange.trade("BTCUSDT", Side.SELL, D(1))
        held = account.exchange.positions.pop("ETHUSDT")  # a list that is older than the entry
        await account.worker.close("BTCUSDT", STRATEGY, "SIGNAL")
        await asyncio.sleep(5)
        account.exchange.positions["ETHUSDT"] = held
        assert [adjusted.symbol for _, adjusted in await account.log("position.adjusted")] == ["BTCUSDT"]
        assert [bracket.position for bracket in account.keeper.open_brackets.values()] == [held]
        await account.end()

    run_virtually(day())


def test_close_that_was_wished_for_before_a_crash_is_carried_out_after_it() -> None:
    async def day() -> None:
        account = await entered(Exchange(silent={"c1"}))
        await account.worker.flatten("TEST")
        await account.end()
        account.exchange.silent.clear()
        await account.start()
        await asyncio.sleep(30)
        assert account.exchange.positions["BTCUSDT"] == 0
        assert len(await account.log("position.closed")) == 1
        await account.end()

    run_virtually(day())


def test_entry_that_is_canceled_unfilled_gives_its_exposure_back() -> None:
    async def day() -> None:
        account = Account(Exchange(silent={"e1"}))
        worker = await account.start()
        await account.enter()
        await asyncio.sleep(0.05)
        worker.cancel_entries()
        assert ORDER_ID in (await account.risk()).reserved
        await asyncio.sleep(130)
        assert (await account.risk()).reserved == {}
        assert not await account.log("position.closed")
        assert [event.reason_code for _, event in await account.log("order.cancel_requested")] == [CancelReason.RISK]
        await account.end()

    run_virtually(day())


def test_account_whose_exchange_is_away_is_asked_again_soon_and_then_every_few_seconds() -> None:
    async def day() -> None:
        account = Account(Exchange(failing={"snapshot": 8}))
        began = account.clock.monotonic()
        await account.start()
        asked = account.exchange.times("snapshot")[:9]
        pauses = [later - earlier for earlier, later in pairwise(asked)]
        assert pauses == sorted(pauses)
        assert pauses[0] < 0.2
        assert asked[4] - began < 4
        assert 4.9 < pauses[-1] < 5.1
        await account.end()

    run_virtually(day())


# Long lives


def test_old_brackets_are_forgotten_and_a_live_one_is_not() -> None:
    async def day() -> None:
        account = Account()
        await account.start()
        await account.enter(symbol="ETHUSDT")
        await asyncio.sleep(1)
        for number in range(30):
            order_id = OrderId(UUID(int=1_000 + number))
            await account.enter(order_id=order_id)
            await asyncio.sleep(1)
            account.exchange.execute(client_id_prefix(order_id) + "s1")
            await asyncio.sleep(1)
        assert len(await account.log("position.closed")) == 30
        assert account.keeper.open_brackets.keys() == {ORDER_ID}
        account.exchange.execute(STOP)
        await asyncio.sleep(1)
        assert account.exchange.resting() == {}
        assert len(await account.log("position.closed")) == 31
        assert len(await account.log("order.filled")) == 62
        assert account.alarm.names == []
        await account.end()

    run_virtually(day())


def test_several_positions_are_each_protected_and_closed_largest_first() -> None:
    async def day() -> None:
        account = Account()
        worker = await account.start()
        await account.enter()
        other = OrderId(UUID(int=78))
        await account.enter(order_id=other, symbol="ETHUSDT", quantity=D(3))
        await asyncio.sleep(1)
        await worker.flatten("TEST")
        await asyncio.sleep(3)
        closes = [event.group_id for _, event in await account.log("position.close_requested")]
        assert closes == [other, ORDER_ID]
        assert set(account.exchange.positions.values()) == {D(0)}
        assert len(await account.log("position.closed")) == 2
        await account.end()

    run_virtually(day())


def test_money_that_moved_is_booked_and_leaves_the_worker_at_work() -> None:
    async def day() -> None:
        account = await entered()
        asked = account.exchange.count("income")
        account.exchange.tell(MoneyMoved("FUNDING_FEE", account.clock.now()))
        await asyncio.sleep(1)
        assert account.exchange.count("income") == asked + 1
        assert account.exchange.resting().keys() == {STOP.removeprefix(PREFIX), TARGET.removeprefix(PREFIX)}
        await account.end()

    run_virtually(day())


@pytest.mark.parametrize(("deaf", "urgency"), [(False, Urgency.POSITION), (True, Urgency.PROTECTION)])
def test_what_rests_is_asked_for_from_the_reserve_only_while_the_stream_owes_an_event(
    deaf: bool, urgency: Urgency, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def day() -> None:
        account = Account(Exchange(deaf=deaf))
        monkeypatch.setattr(account.exchange, "reopen_stream", lambda _reason: None)  # what resumes asks by itself
        await account.start()
        await account.enter()
        await asyncio.sleep(1)
        account.exchange.asked.clear()
        await asyncio.sleep(33 if not deaf else 7)
        assert account.exchange.count("list BTCUSDT") >= 1
        assert account.exchange.urgencies["list"] is urgency
        await account.end()

    run_virtually(day())
