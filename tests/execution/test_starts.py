"""A start while the exchange answers no question of some kind, or opens no stream: what the log has must do."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import cast
from uuid import UUID

import pytest

from patriot.kernel.eventstore import Context
from patriot.orders.events import CancelReason, OrderCanceled
from patriot.risk.commands import AccountRisk
from patriot.sim.engine.events import Result
from patriot.sim.engine.operations import Operation, PlaceAlgoOrder, PlaceOrder
from patriot.sim.faults.rules import RestFault, RestRule, Scope, Term
from patriot.simulation.faults import CALM
from patriot.simulation.loop import run_virtually
from patriot.simulation.plan import Plan
from patriot.simulation.world import Shape, World
from patriot.trading.reports import AccountSettings, PrivateReport, StreamLost
from patriot.trading.terms import OrderId, Urgency
from tests.execution.exchange import D, Exchange, lost
from tests.execution.kit import AMPLE, STOP, TARGET, Account, Acknowledging, entered, first_stop
from tests.orders import kit
from tests.orders.kit import ACCOUNT, ORDER_ID, PREFIX

pytestmark = pytest.mark.unit

LEASE_SECONDS = 9.2  # a calm start takes as long: the lease of the dead owner runs out first


async def killed_before_its_stop() -> Account:
    """Give an account whose entry executed, and whose process ended while the first stop was on its way."""
    account = Account(Exchange(silent={"s1"}))
    await account.start()
    await account.enter()
    await asyncio.sleep(0.3)
    assert account.exchange.positions["BTCUSDT"] == D(1)
    await account.end()
    return account


@pytest.mark.parametrize(
    "unanswered", [("list",), ("history",), ("find",), ("list", "history", "find", "snapshot", "trades")]
)
def test_naked_position_is_protected_though_questions_are_not_answered(unanswered: tuple[str, ...]) -> None:
    async def day() -> None:
        account = await killed_before_its_stop()
        account.exchange.failing = dict.fromkeys(unanswered, 10_000)
        account.begin()
        at = account.exchange.clock.monotonic()
        await asyncio.sleep(60)
        assert 0 < first_stop(account.exchange) - at < 5
        await account.end()

    run_virtually(day())


def test_lost_leg_that_ended_does_not_hold_up_a_start_where_it_cannot_be_asked_for() -> None:
    async def day() -> None:
        account = await killed_before_its_stop()
        account.exchange.place_as_predecessor("s3", D(1))
        account.exchange.cancel_silently(PREFIX + "s3")
        account.exchange.failing = {"find": 10_000}
        account.begin()
        at = account.exchange.clock.monotonic()
        await asyncio.sleep(60)
        stops = [placed for placed in account.exchange.placed_at.values() if placed > at]
        assert min(stops) - at < 5
        await account.end()

    run_virtually(day())


def test_start_asks_which_ids_were_used_before_it_uses_one_though_what_rests_is_not_told() -> None:
    async def day() -> None:
        account = await killed_before_its_stop()
        for number in (2, 3):  # of a life whose log was lost
            account.exchange.place_as_predecessor(f"s{number}", D(1))
            account.exchange.cancel_silently(PREFIX + f"s{number}")
        account.exchange.failing = {"list": 10_000}
        account.begin()
        await asyncio.sleep(10)
        assert account.exchange.resting() == {"s4": D(1), "t1": D(1)}
        await account.end()

    run_virtually(day())


def test_start_that_cannot_learn_which_ids_were_used_uses_none_of_them() -> None:
    async def day() -> None:
        account = await killed_before_its_stop()
        account.exchange.deaf = True
        for number in range(2, 9):  # of a life whose log was lost
            account.exchange.place_as_predecessor(f"s{number}", D(1))
            account.exchange.cancel_silently(PREFIX + f"s{number}")
        account.exchange.deaf = False
        account.exchange.failing = {"list": 10_000, "history": 10_000}
        account.begin()
        await asyncio.sleep(10)
        assert account.exchange.resting() == {"s10": D(1), "t9": D(1)}
        await account.end()
        account.exchange.failing = {}
        account.begin()  # which finds them in the log, above the numbers left out
        await asyncio.sleep(10)
        assert account.exchange.resting() == {"s10": D(1), "t9": D(1)}
        account.exchange.execute(PREFIX + "s10")
        await asyncio.sleep(5)
        assert account.exchange.resting() == {}
        await asyncio.sleep(130)  # the first stop, of which nobody knows whether it arrived
        assert len(await account.log("position.closed")) == 1
        await account.end()

    run_virtually(day())


@dataclass
class Unopenable(Exchange):
    """Opens no stream once it is `shut`, as where the listen key cannot be had."""

    shut: bool = False

    async def reports(self) -> AsyncIterator[PrivateReport]:
        if not self.shut:
            async for report in super().reports():
                yield report
        while True:
            yield StreamLost(self.clock.now(), key_refused=False)
            await asyncio.sleep(5)


def test_position_is_led_out_though_the_stream_cannot_be_opened() -> None:
    async def day() -> None:
        exchange = Unopenable()
        account = await entered(exchange)
        await account.end()
        exchange.shut = True
        account.begun.clear()
        account.begin()
        await account.begun.wait()
        await asyncio.sleep(2)
        await account.worker.flatten("HALTED")
        await asyncio.sleep(20)
        assert exchange.positions["BTCUSDT"] == D(0)
        await account.end()

    run_virtually(day())


def test_position_is_protected_though_the_stream_cannot_be_opened() -> None:
    async def day() -> None:
        exchange = Unopenable(silent={"s1"})
        account = Account(exchange)
        await account.start()
        await account.enter()
        await asyncio.sleep(0.3)
        await account.end()
        exchange.shut = True
        account.begin()
        at = exchange.clock.monotonic()
        await asyncio.sleep(60)
        assert 0 < first_stop(exchange) - at < 5
        assert await account.worker.is_ready(0)
        await account.end()

    run_virtually(day())


class Attacked(World):
    """Kills every process between an entry and its stop, and has the exchange fail from then on."""

    fault = ""
    entered_at = stopped_at = float("inf")

    async def _found(self) -> None:
        await super()._found()
        self.plan = cast("Plan", self)

    async def bring(self) -> None:
        """Be the plan of trouble."""
        judged = self.venue.exchange.watch

        assert judged is not None

        def watch(operation: Operation, result: Result) -> None:
            judged(operation, result)
            now = self.loop.time()
            if isinstance(operation, PlaceAlgoOrder) and self.entered_at < now:
                self.stopped_at = min(self.stopped_at, now)
            if isinstance(operation, PlaceOrder) and self.entered_at == float("inf"):
                self.entered_at = now
                self._fail()
                for process in self.processes:
                    self._kill(process.life)

        self.venue.exchange.watch = watch
        await asyncio.sleep(45)
        self.venue.faults.clear()

    def _fail(self) -> None:
        if self.fault == "overload":
            self.venue.faults.add(RestRule(fault=RestFault.OVERLOAD, term=Term(times=None)))
        elif self.fault:
            method, _, path = self.fault.partition(" ")
            scope = Scope(method=method, path=path)
            rule = RestRule(fault=RestFault.ERROR_BEFORE, scope=scope, term=Term(times=None), html=True)
            self.venue.faults.add(rule)


@pytest.mark.parametrize(
    "fault",
    [
        "",
        "GET /fapi/v1/exchangeInfo",
        "POST /fapi/v1/listenKey",
        "GET /fapi/v1/openAlgoOrders",
        "GET /fapi/v1/allOrders",
        "overload",
    ],
)
def test_position_is_protected_after_a_kill_though_the_exchange_answers_no_such_request(fault: str) -> None:
    """On the wire: the services and the adapter of production, and the faults of the simulator itself."""
    world = Attacked(910001, CALM, Shape(1, 1, 30.0, 3.0, 0.0))
    world.fault = fault
    world.run()
    assert world.stopped_at - world.entered_at < LEASE_SECONDS + 5


# An entry that was placed and not sent


@dataclass
class SlowSettings(Exchange):
    """Answers each question for an account's modes after a while; from the n-th on they are others."""

    delays: deque[float] = field(default_factory=deque)
    modes_change_at: int = 10**9
    modes_asked: int = -1  # without the first start's

    async def account_settings(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSettings:
        self.modes_asked += 1
        number = self.modes_asked
        await asyncio.sleep(self.delays.popleft() if self.delays else 0)
        found = await super().account_settings(urgency=urgency)
        return replace(found, hedge_mode=number >= self.modes_change_at)


@pytest.mark.parametrize("answer_lost", [True, False])
def test_entry_that_was_not_sent_goes_out_once_though_two_recoveries_resume_it(*, answer_lost: bool) -> None:
    async def day() -> None:
        exchange = SlowSettings(answers={"e1": [lost()]} if answer_lost else {}, query_lag=3, stream_lag=1.5)
        account = Account(exchange)
        await account.start()
        now, risk = account.clock.now(), AccountRisk(D(10**6), D(10**6), D(10**6))
        valid_until = now + timedelta(seconds=10)
        place = kit.place(verdict=None, at=now, valid_until=valid_until, risk=risk, limits=AMPLE)
        await account.worker.dispatch(place, Context(ACCOUNT))
        await account.end()
        exchange.delays = deque([0.1, 0.9, 0.9, 0.9])
        account.begin()
        await asyncio.sleep(0.05)
        exchange.resume()
        await asyncio.sleep(8)
        assert not account.working.done()
        assert exchange.count("place e1") == 1
        await account.end()

    run_virtually(day())


# An entry that the log has as accepted, and whose executions it lacks


@pytest.mark.parametrize(
    "unanswered", [("list",), ("find",), ("find", "list"), ("find", "list", "snapshot", "trades", "history")]
)
def test_entry_that_was_acknowledged_is_protected_after_a_kill_though_questions_are_not_answered(
    unanswered: tuple[str, ...],
) -> None:
    async def day() -> None:
        account = Account(Acknowledging(deaf=True))
        await account.start()
        account.exchange.failing = {"find": 3}
        await account.enter()
        await asyncio.sleep(0.2)
        await account.end()
        assert account.exchange.resting() == {}
        account.exchange.failing = dict.fromkeys(unanswered, 10_000)
        account.begin()
        at = account.exchange.clock.monotonic()
        await asyncio.sleep(60)
        assert 0 < first_stop(account.exchange) - at < 5
        await account.end()

    run_virtually(day())


@pytest.mark.parametrize("unanswered", [("list",), ("history",), ("list", "history")])
def test_entry_that_was_filled_is_protected_after_a_kill_though_questions_are_not_answered(
    unanswered: tuple[str, ...],
) -> None:
    async def day() -> None:
        account = Account(Exchange(silent={"s1"}, fills_streamed=False, trades_lag=5))
        await account.start()
        await account.enter()
        await asyncio.sleep(0.3)
        await account.end()
        account.exchange.failing = dict.fromkeys(unanswered, 10_000)
        account.begin()
        at = account.exchange.clock.monotonic()
        await asyncio.sleep(60)
        assert 0 < first_stop(account.exchange) - at < 5
        await account.end()

    run_virtually(day())


@pytest.mark.parametrize("unanswered", [(), ("list",), ("list", "history"), ("find",), ("snapshot",)])
def test_position_whose_executions_the_log_lacks_is_led_out_though_questions_are_not_answered(
    unanswered: tuple[str, ...],
) -> None:
    async def day() -> None:
        account = Account(Exchange(fills_streamed=False, trades_lag=5))
        await account.start()
        await account.enter()
        await asyncio.sleep(1)
        assert "s1" in account.exchange.resting()
        await account.end()
        account.exchange.failing = dict.fromkeys(unanswered, 10_000)
        account.begun.clear()
        account.begin()
        await account.begun.wait()
        await asyncio.sleep(2)
        await account.worker.flatten("HALTED")
        await asyncio.sleep(30)
        assert account.exchange.positions["BTCUSDT"] == D(0)
        await account.end()

    run_virtually(day())


def test_entry_that_two_recoveries_resume_is_not_given_up_by_the_second() -> None:
    async def day() -> None:
        exchange = SlowSettings(answers={"e1": [lost()]}, deaf=True, query_lag=5)
        account = Account(exchange)
        await account.start()
        now, risk = account.clock.now(), AccountRisk(D(10**6), D(10**6), D(10**6))
        place = kit.place(verdict=None, at=now, valid_until=now + timedelta(seconds=10), risk=risk, limits=AMPLE)
        await account.worker.dispatch(place, Context(ACCOUNT))
        await account.end()
        exchange.delays, exchange.modes_change_at = deque([0.1, 0.15, 0.15, 0.15]), 3
        account.begin()
        await asyncio.sleep(0.02)
        exchange.resume()
        await asyncio.sleep(60)
        assert exchange.count("place e1") == 1
        assert first_stop(exchange) - exchange.first("place e1") < 2
        await account.end()

    run_virtually(day())


# What is asked again and again


def test_requests_do_not_grow_while_the_stream_flaps_and_lists_are_not_answered() -> None:
    async def day() -> None:
        account = await entered()
        await asyncio.sleep(5)
        exchange = account.exchange
        exchange.failing = {"list": 10**9}
        for _ in range(60):
            exchange.resume()
            await asyncio.sleep(5)
        now = exchange.clock.monotonic()
        assert len([at for at in exchange.times("list BTCUSDT") if at > now - 30]) < 60
        exchange.failing = {}
        before = len(exchange.asked)
        await asyncio.sleep(10)
        assert len(exchange.asked) - before < 100
        await account.end()

    run_virtually(day())


@pytest.mark.parametrize("unanswered", ["snapshot", "trades"])
def test_stop_that_is_gone_without_a_word_is_replaced_though_another_question_is_not_answered(unanswered: str) -> None:
    async def day() -> None:
        account = await entered()
        await asyncio.sleep(70)
        account.exchange.failing = {unanswered: 10**9}
        await asyncio.sleep(60)
        account.exchange.deaf = True
        account.exchange.cancel_silently(STOP)
        await asyncio.sleep(60)
        assert account.exchange.resting()["s2"] == D(1)
        await account.end()

    run_virtually(day())


def test_nothing_is_remembered_of_a_bracket_that_ended_but_for_the_reports_that_still_come() -> None:
    async def day() -> None:
        account = await entered()
        account.exchange.execute(TARGET)
        await asyncio.sleep(5)
        remembered = {name: kept for name, kept in vars(account.keeper).items() if isinstance(kept, dict | set)}
        assert {name for name, groups in remembered.items() if ORDER_ID in groups} == {"_over", "_group_of"}
        await account.end()

    run_virtually(day())


def test_what_is_told_late_of_a_bracket_that_ended_or_of_none_opens_nothing() -> None:
    async def day() -> None:
        account = await entered()
        account.exchange.execute(TARGET)
        await asyncio.sleep(5)
        keeper, nobodys = account.keeper, OrderId(UUID(int=1_234))
        keeper.observe(OrderCanceled(ORDER_ID, ACCOUNT, CancelReason.EXCHANGE, D(1), account.clock.now()))
        keeper.observe_executed(ORDER_ID, D(1), over=True)
        keeper.observe_untold(ORDER_ID)
        keeper.observe(OrderCanceled(nobodys, ACCOUNT, CancelReason.EXCHANGE, D(0), account.clock.now()))
        keeper.observe_executed(nobodys, D(1), over=True)
        await asyncio.sleep(5)
        assert keeper.open_brackets == {}
        assert account.alarm.names == []
        await account.end()

    run_virtually(day())
