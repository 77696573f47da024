"""What an account's worker reads anew: when it is asked for, how urgently, and what is wrong without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NoReturn

import pytest

from patriot.kernel.errors import CommandRefused, StoreUnavailable
from patriot.simulation.loop import run_virtually
from patriot.simulation.process import MachineClock
from patriot.trading.reports import AccountSnapshot, MoneyMoved, OrderReport, PrivateReport, VenueOrder
from patriot.trading.terms import Side, Urgency
from tests.execution.exchange import D, Exchange
from tests.execution.kit import STOP, Account, Acknowledging, entered, first_stop
from tests.orders.kit import ORDER_ID, PREFIX

pytestmark = pytest.mark.unit


@dataclass
class Patchy(Exchange):
    """Its stream can be away, its list of what rests can leave orders out, its balance changes."""

    away: bool = False
    unlisted: set[str] = field(default_factory=set)
    balance: str = "10000"
    snapshots: list[Urgency] = field(default_factory=list)  # how urgently what is held was asked for

    async def reports(self) -> AsyncIterator[PrivateReport]:
        if self.away:
            await asyncio.sleep(10**6)
        async for report in super().reports():
            yield report

    async def open_orders(self, symbol: str | None = None, *, urgency: Urgency = Urgency.NORMAL) -> list[OrderReport]:
        found = await super().open_orders(symbol, urgency=urgency)
        return [report for report in found if report.client_order_id not in self.unlisted]

    async def snapshot(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSnapshot:
        self.snapshots.append(urgency)
        return replace(await super().snapshot(urgency=urgency), wallet_balance=D(self.balance))


async def held_by(exchange: Patchy) -> Account:
    return await entered(exchange)


# The account is looked at


def test_stop_that_vanishes_while_the_stream_never_opens_is_replaced_within_seconds() -> None:
    async def day() -> None:
        exchange = Patchy()
        account = await held_by(exchange)
        await account.end()
        exchange.away = True
        await account.start()
        await asyncio.sleep(10)
        exchange.cancel_silently(STOP)
        await asyncio.sleep(8)  # the next turn to look comes later
        assert "s2" in exchange.resting()
        await account.end()

    run_virtually(day())


def test_position_of_somebody_else_is_told_at_a_start_and_nothing_is_entered_on_its_symbol() -> None:
    async def day() -> None:
        account = Account()
        account.exchange.trade("BTCUSDT", Side.BUY, D(3))
        await account.start()
        await asyncio.sleep(2)
        assert account.alarm.names == ["position.unexplained"]
        with pytest.raises(CommandRefused):
            await account.worker.prepare("BTCUSDT", 5)
        await account.end()

    run_virtually(day())


def test_close_that_a_predecessor_sent_and_nobody_told_of_is_found_when_the_position_is_gone() -> None:
    async def day() -> None:
        account = await entered()
        await asyncio.sleep(40)  # what predecessors sent was looked for
        exchange = account.exchange
        exchange.deaf = True
        exchange.place_as_predecessor("c1", D(1))
        await asyncio.sleep(40)  # before a difference counts as somebody else's doing
        ((_, closed),) = await account.log("position.closed")
        assert closed.close_reason == "CLOSE"
        assert not await account.log("position.adjusted")
        await account.end()

    run_virtually(day())


def test_entry_that_arrives_after_its_bracket_ended_in_an_earlier_life_is_found_by_its_position() -> None:
    async def day() -> None:
        account = Account(Exchange(silent={"e1"}))
        await account.start()
        await account.enter()
        await asyncio.sleep(300)
        assert await account.reasons_of_entry() == ["PROVEN_ABSENT"]
        await account.end()
        await account.start()
        await asyncio.sleep(60)  # what predecessors sent lately was looked for
        account.exchange.deaf = True
        account.exchange.arrive("e1")
        await asyncio.sleep(310)  # one turn of an account that holds nothing
        assert [quantity for leg, quantity in account.exchange.resting().items() if leg.startswith("s")] == [D(1)]
        await account.end()

    run_virtually(day())


def test_position_that_is_gone_when_an_older_reading_of_it_is_looked_at_is_told_to_nobody() -> None:
    async def day() -> None:
        account = await entered()
        earlier = await account.exchange.snapshot()
        account.exchange.execute(STOP)
        await asyncio.sleep(1)
        assert account.exchange.resting() == {}
        account.worker.look_at(earlier)
        await asyncio.sleep(5)
        assert account.alarm.names == []
        await account.end()

    run_virtually(day())


# How urgently


@pytest.mark.parametrize(("theirs", "urgency"), [(0, Urgency.BACKGROUND), (3, Urgency.POSITION)])
def test_look_at_an_account_without_a_bracket_waits_behind_entries_unless_something_is_held(
    theirs: int, urgency: Urgency
) -> None:
    async def day() -> None:
        exchange = Patchy(positions={"BTCUSDT": D(theirs)})
        account = Account(exchange)
        await account.start()
        await asyncio.sleep(40)
        exchange.snapshots.clear()
        await asyncio.sleep(320)
        assert set(exchange.snapshots) == {urgency}
        await account.end()

    run_virtually(day())


def test_position_that_nobody_explains_is_confirmed_as_urgently_as_one_of_ours() -> None:
    async def day() -> None:
        exchange = Patchy()
        account = Account(exchange)
        await account.start()
        await asyncio.sleep(40)
        exchange.trade("BTCUSDT", Side.BUY, D(3))
        seen = await exchange.snapshot(urgency=Urgency.BACKGROUND)
        exchange.snapshots.clear()
        account.worker.look_at(seen)
        await asyncio.sleep(5)
        assert set(exchange.snapshots) == {Urgency.POSITION}
        assert account.alarm.names == ["position.unexplained"]
        await account.end()

    run_virtually(day())


# What an entry is sized by


def test_equity_is_read_anew_when_a_position_is_closed() -> None:
    async def day() -> None:
        exchange = Patchy()
        account = await held_by(exchange)
        exchange.balance = "9000"
        exchange.execute(STOP)
        await asyncio.sleep(2)
        assert await account.worker.read_equity() == D(9_000)
        await account.end()

    run_virtually(day())


def test_equity_is_read_anew_when_money_moved() -> None:
    async def day() -> None:
        exchange = Patchy()
        account = Account(exchange)
        await account.start()
        await asyncio.sleep(5)
        exchange.balance = "100"
        exchange.tell(MoneyMoved("WITHDRAW", account.clock.now()))
        await asyncio.sleep(2)
        assert await account.worker.read_equity() == D(100)
        await account.end()

    run_virtually(day())


# What others rely on


def test_executions_are_not_all_written_while_the_store_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_words: object, **_more: object) -> NoReturn:
        raise StoreUnavailable("away")

    async def day() -> None:
        account = await entered()
        assert await account.worker.fetch_fills()
        with monkeypatch.context() as patched:
            patched.setattr(account.store, "append", away)
            account.exchange.execute(STOP)
            await account.moment()
            assert not await account.worker.fetch_fills()
        await asyncio.sleep(5)
        assert await account.worker.fetch_fills()
        await account.end()

    run_virtually(day())


def test_executions_are_not_asked_for_before_the_brackets_are_compared() -> None:
    async def day() -> None:
        account = await entered()
        await account.end()
        account.exchange.failing = {"list": 100}
        account.begin()
        await account.begun.wait()
        await asyncio.sleep(0.5)
        assert not await account.worker.fetch_fills()
        assert account.exchange.count("trades BTCUSDT") == 0
        await account.end()

    run_virtually(day())


def test_gap_in_the_stream_is_no_start_at_which_a_predecessor_is_feared() -> None:
    async def day() -> None:
        account = await entered()
        await account.end()
        await account.start()
        await asyncio.sleep(60)
        account.exchange.asked.clear()
        account.exchange.resume()
        await asyncio.sleep(2)
        assert account.exchange.count("list BTCUSDT") == 1
        assert account.exchange.count("history BTCUSDT") == 0
        await account.end()

    run_virtually(day())


def test_stop_that_is_found_before_the_next_one_goes_out_takes_its_place() -> None:
    async def day() -> None:
        exchange = Patchy(unlisted={PREFIX + "s2"})
        account = await held_by(exchange)
        await account.end()
        exchange.deaf = True  # an earlier owner's stop, of which nothing is told
        exchange.place_as_predecessor("s2", D(1))
        exchange.slow_snapshots = 10  # what rests covers the position, and past orders are read after what is held
        account.begin()
        await asyncio.sleep(2)
        exchange.cancel_silently(STOP)
        exchange.resume()
        await asyncio.sleep(5)
        assert exchange.resting() == {"s2": D(1), "t1": D(1)}
        assert exchange.count("place s1") == 1
        assert not [asked for _, asked in exchange.asked if asked.startswith("place s") and asked != "place s1"]
        await account.end()

    run_virtually(day())


def test_entry_that_is_taken_up_again_goes_out_only_as_the_account_must_be_set() -> None:
    async def day() -> None:
        account = Account(Exchange(leverage=50))
        worker = await account.start()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(worker, "enter", lambda _events: None)  # what the store answered was lost
            await account.enter()
        await worker.enter_again(ORDER_ID)
        await asyncio.sleep(1)
        assert account.exchange.prepared == [("BTCUSDT", 5)]
        assert account.exchange.count("place e1") == 1
        assert first_stop(account.exchange) < float("inf")
        await account.end()

    run_virtually(day())


@dataclass
class Stepping(Acknowledging):
    """Acknowledges an entry, tells nothing of it, and meanwhile the machine's clock steps."""

    machine: MachineClock = field(default_factory=MachineClock)

    async def place(self, order: VenueOrder, sent_at: datetime) -> OrderReport:
        report = await super().place(order, sent_at)
        self.machine.wrong_by = timedelta(seconds=300)
        return report


def test_machine_clock_that_steps_before_the_answer_ages_no_entry_that_was_only_acknowledged() -> None:
    async def day() -> None:
        exchange = Stepping(deaf=True, query_lag=60, list_lag=60, trades_lag=60)
        account = Account(exchange, exchange.machine)
        await account.start()
        await account.enter()
        await asyncio.sleep(30)
        assert "order.contested" not in account.alarm.names
        assert first_stop(exchange) < 4
        await account.end()

    run_virtually(day())
