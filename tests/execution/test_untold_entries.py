"""An entry whose answer is lost, or tells nothing of what it did, and an exchange that is not asked with success."""

from __future__ import annotations

import asyncio

import pytest

from patriot.simulation.loop import run_virtually
from tests.execution.exchange import D, Exchange, lost
from tests.execution.kit import STOP, Account, Acknowledging, entered, first_stop
from tests.orders.kit import ORDER_ID

pytestmark = pytest.mark.unit


def test_stops_that_are_turned_away_ahead_of_the_position_are_sent_again() -> None:
    async def day() -> None:
        account = Account(Exchange(answers={"e1": [lost()]}, deaf=True))
        await account.start()
        account.exchange.failing = {"find": 60, "snapshot": 60}  # an overload: questions are turned away for long
        await account.enter()
        await asyncio.sleep(1)
        account.exchange.failing["place"] = 2  # and the first two tries of a stop
        await asyncio.sleep(60)
        assert first_stop(account.exchange) - account.exchange.first("place e1") < 2
        await account.end()

    run_virtually(day())


def test_entry_that_arrives_after_the_first_question_is_protected_though_no_other_is_answered() -> None:
    async def day() -> None:
        account = Account(Exchange(silent={"e1"}, deaf=True))
        await account.start()
        await account.enter()
        await asyncio.sleep(1.1)
        account.exchange.failing = {"find": 60, "snapshot": 60}
        account.exchange.arrive("e1")
        at = account.exchange.clock.monotonic()
        await asyncio.sleep(60)
        assert first_stop(account.exchange) - at < 3
        await account.end()

    run_virtually(day())


def test_entry_that_is_only_acknowledged_is_protected_though_no_question_is_answered() -> None:
    async def day() -> None:
        account = Account(Acknowledging(deaf=True))
        await account.start()
        account.exchange.failing = {"find": 60, "list": 60, "snapshot": 60}
        await account.enter()
        await asyncio.sleep(60)
        assert first_stop(account.exchange) - account.exchange.first("place e1") < 2
        await account.end()

    run_virtually(day())


def test_two_refused_stops_ahead_of_the_position_and_one_lost_answer_are_not_three_failures() -> None:
    async def day() -> None:
        account = Account(Exchange(silent={"e1"}))
        account.exchange.answers = {"s3": [lost()]}
        await account.start()
        account.exchange.failing = {"find": 7}
        await account.enter()
        await asyncio.sleep(3)
        account.exchange.query_lag = 1
        account.exchange.arrive("e1")
        await asyncio.sleep(10)
        assert account.alarm.names == []
        assert account.exchange.positions["BTCUSDT"] == D(1)
        await account.end()

    run_virtually(day())


def test_entry_in_flight_at_a_restart_is_protected_though_no_question_is_answered() -> None:
    async def day() -> None:
        account = Account(Exchange(answers={"e1": [lost()]}, deaf=True))
        await account.start()
        account.exchange.failing = {"find": 1_000, "snapshot": 1_000}
        account.exchange.list_lag = 60
        await account.enter()
        await asyncio.sleep(1)
        await account.end()
        account.exchange.deaf = False
        account.begin()
        at = account.exchange.clock.monotonic()
        await asyncio.sleep(60)
        assert 0 < first_stop(account.exchange) - at < 5
        await account.end()

    run_virtually(day())


def test_entry_that_is_only_acknowledged_is_protected_although_the_stream_is_dead() -> None:
    async def day() -> None:
        account = Account(Acknowledging(deaf=True))
        await account.start()
        await account.enter()
        await asyncio.sleep(60)
        assert first_stop(account.exchange) - account.exchange.first("place e1") < 2
        await account.end()

    run_virtually(day())


def test_stop_ahead_of_its_position_that_was_reset_twice_is_sent_again() -> None:
    async def day() -> None:
        account = Account(Exchange(answers={"e1": [lost()]}, refusals={"s1": [lost()], "s2": [lost()]}, deaf=True))
        await account.start()
        account.exchange.failing = {"find": 80, "snapshot": 80}
        await account.enter()
        await asyncio.sleep(60)
        assert first_stop(account.exchange) - account.exchange.first("place e1") < 2
        await account.end()

    run_virtually(day())


def test_entry_that_nobody_tells_of_is_led_out_by_its_position() -> None:
    async def day() -> None:
        account = Account(Exchange(answers={"e1": [lost()]}, deaf=True))
        await account.start()
        account.exchange.failing = {"find": 40}
        await account.enter()
        await asyncio.sleep(2)
        await account.worker.flatten("HALTED")
        await asyncio.sleep(10)
        assert account.exchange.positions["BTCUSDT"] == D(0)
        await account.end()

    run_virtually(day())


def test_entry_that_never_was_ends_although_its_stop_took_what_a_person_held() -> None:
    async def day() -> None:
        account = Account(Exchange(silent={"e1"}))
        await account.start()
        account.exchange.failing = {"find": 8}
        await account.enter()
        account.exchange.positions["BTCUSDT"] = D(1)  # of another hand
        await asyncio.sleep(2)
        account.exchange.execute(STOP)
        await asyncio.sleep(590)
        assert list(account.keeper.open_brackets) == [ORDER_ID]
        assert account.alarm.names.count("order.contested") == 1
        await asyncio.sleep(60)
        assert account.keeper.open_brackets == {}
        assert (await account.risk()).reserved == {}
        await account.end()

    run_virtually(day())


def test_stop_that_is_refused_ahead_of_its_position_is_sent_seldom_and_forgotten_with_its_entry() -> None:
    async def day() -> None:
        account = Account(Exchange(silent={"e1"}))  # which refuses what reduces nothing
        await account.start()
        account.exchange.failing = {"find": 1000}
        await account.enter()
        await asyncio.sleep(60)
        tries = [at for at, asked in account.exchange.asked if asked.startswith("place s")]
        assert 8 < len(tries) < 14
        account.exchange.failing = {}
        await asyncio.sleep(150)
        remembered = {name: kept for name, kept in vars(account.keeper).items() if isinstance(kept, dict | set)}
        kept = {name for name, groups in remembered.items() if ORDER_ID in groups}
        assert kept == {"_over", "_group_of"}  # for the reports that still come
        await account.end()

    run_virtually(day())


def test_pause_between_stops_ahead_of_the_position_ends_when_the_position_is_known() -> None:
    async def day() -> None:
        account = Account(Exchange(silent={"e1"}))
        await account.start()
        account.exchange.failing = {"find": 1000}
        await account.enter()
        await asyncio.sleep(30)
        tried = max(at for at, asked in account.exchange.asked if asked.startswith("place s"))
        await asyncio.sleep(max(0.0, tried + 1 - account.exchange.clock.monotonic()))
        at = account.exchange.clock.monotonic()
        account.exchange.arrive("e1")  # the stream tells of it
        await asyncio.sleep(5)
        assert first_stop(account.exchange) - at < 0.5
        await account.end()

    run_virtually(day())


@pytest.mark.parametrize("age", [1, 50, 600])
def test_stop_that_is_on_no_list_is_replaced_though_no_question_for_it_is_answered(age: int) -> None:
    async def day() -> None:
        account = await entered()
        await asyncio.sleep(age)
        account.exchange.cancel_silently(STOP)
        account.exchange.failing = {"find": 200}
        await asyncio.sleep(100)
        assert account.exchange.resting()["s2"] == D(1)
        await account.end()

    run_virtually(day())


def test_stop_that_is_on_no_list_is_doubted_as_soon_as_lists_and_questions_cannot_lag_so_far_behind() -> None:
    async def day() -> None:
        account = Account()
        await account.start()
        await asyncio.sleep(5)
        await account.enter()
        await asyncio.sleep(40)
        account.exchange.cancel_silently(STOP)
        account.exchange.failing = {"find": 200}
        await asyncio.sleep(25)  # the next look at what rests comes later
        assert account.exchange.resting()["s2"] == D(1)
        await account.end()

    run_virtually(day())


def test_entry_that_was_only_acknowledged_before_a_restart_is_protected_though_no_question_is_answered() -> None:
    async def day() -> None:
        account = Account(Acknowledging(deaf=True, list_lag=60))
        await account.start()
        account.exchange.failing = {"find": 1000, "snapshot": 1000, "trades": 1000}
        await account.enter()
        await asyncio.sleep(0.5)
        await account.end()
        account.begin()
        at = account.exchange.clock.monotonic()
        await asyncio.sleep(60)
        assert first_stop(account.exchange) - at < 5
        await account.end()

    run_virtually(day())


def test_stop_of_an_entry_never_covers_more_than_the_entry_although_another_hand_holds_more() -> None:
    async def day() -> None:
        account = Account(Exchange(silent={"e1"}))
        await account.start()
        account.exchange.failing = {"find": 60}
        await account.enter()
        account.exchange.positions["BTCUSDT"] = D(3)
        await asyncio.sleep(2)
        assert account.exchange.resting()["s1"] == D(1)
        await account.end()

    run_virtually(day())


def test_entry_that_is_only_acknowledged_is_asked_for_soon() -> None:
    async def day() -> None:
        account = Account(Acknowledging(deaf=True))
        await account.start()
        await account.enter()
        await asyncio.sleep(1)
        assert account.exchange.first("find e1") - account.exchange.first("place e1") < 0.5
        await account.end()

    run_virtually(day())


def test_position_is_read_no_more_once_the_question_for_the_order_is_answered() -> None:
    async def day() -> None:
        account = Account(Exchange(silent={"e1"}))
        await account.start()
        account.exchange.failing = {"find": 2}
        await account.enter()
        await asyncio.sleep(100)
        assert account.exchange.count("snapshot") < 25
        await account.end()

    run_virtually(day())
