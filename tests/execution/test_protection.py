"""A position is protected as soon as anything shows that it is there, whatever else is late or silent."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from patriot.kernel.errors import CommandRefused, ExchangeError, ExchangeRefused, ExchangeUnavailable
from patriot.simulation.loop import run_virtually
from patriot.simulation.process import MachineClock
from patriot.trading.reports import OrderReport, VenueStatus
from patriot.trading.terms import Side
from tests.execution.exchange import D, Exchange, lost
from tests.execution.kit import ENTRY, STOP, Account
from tests.orders.kit import ORDER_ID, PREFIX

pytestmark = pytest.mark.unit


def test_position_is_protected_from_the_answer_while_its_executions_are_late() -> None:
    async def day() -> None:
        account = Account(Exchange(fills_streamed=False, trades_lag=40))
        await account.start()
        await account.enter()
        await asyncio.sleep(1)
        assert account.exchange.resting() == {"s1": D(1), "t1": D(1)}
        assert not await account.log("order.filled")
        await asyncio.sleep(60)
        assert [event.quantity for _, event in await account.log("order.filled")] == [D(1)]
        assert account.exchange.resting() == {"s1": D(1), "t1": D(1)}
        assert await account.log("execution.position_protected")
        await account.end()

    run_virtually(day())


def test_position_whose_stop_fired_is_flat_before_its_executions_are_known() -> None:
    async def day() -> None:
        account = Account(Exchange(fills_streamed=False, trades_lag=40))
        await account.start()
        await account.enter()
        await asyncio.sleep(1)
        account.exchange.execute(next(key for key in account.exchange.orders if key.endswith("s1")))
        await asyncio.sleep(5)
        assert account.exchange.resting() == {}
        assert not await account.log("position.closed")
        await asyncio.sleep(80)
        assert len(await account.log("order.filled")) == 2
        assert len(await account.log("position.closed")) == 1
        await account.end()

    run_virtually(day())


def test_entry_that_only_the_position_tells_of_is_protected_within_a_second_and_sent_once() -> None:
    async def day() -> None:
        account = Account(Exchange(answers={"e1": [lost()]}, query_lag=60, list_lag=60, trades_lag=60, deaf=True))
        await account.start()
        await account.enter()
        await asyncio.sleep(1.5)
        assert "s1" in account.exchange.resting()
        await asyncio.sleep(130)
        assert account.exchange.count("place e1") == 1
        assert [event.quantity for _, event in await account.log("order.filled")] == [D(1)]
        assert account.exchange.resting() == {"s1": D(1), "t1": D(1)}
        assert account.alarm.names == []
        await account.end()

    run_virtually(day())


def test_entry_that_no_question_tells_of_is_protected_within_two_seconds() -> None:
    async def day() -> None:
        account = Account(Exchange(answers={"e1": [lost()]}, deaf=True))
        await account.start()
        account.exchange.failing = {"find": 12}  # an overload, from which orders that reduce are exempt
        await account.enter()
        await asyncio.sleep(60)
        filled_at = account.exchange.first("place e1")
        assert account.exchange.first("place s1") - filled_at < 1.5
        assert account.exchange.count("place e1") == 1
        assert account.exchange.resting() == {"s1": D(1), "t1": D(1)}
        assert account.alarm.names == []
        await account.end()

    run_virtually(day())


def test_entry_that_arrives_after_a_question_is_protected_though_no_later_one_is_answered() -> None:
    async def day() -> None:
        account = Account(Exchange(silent={"e1"}, deaf=True))
        await account.start()
        await account.enter()
        await asyncio.sleep(1.1)
        account.exchange.failing = {"find": 60, "snapshot": 60}
        account.exchange.arrive("e1")
        arrived_at = account.exchange.clock.monotonic()
        await asyncio.sleep(60)
        assert account.exchange.first("place s1") - arrived_at < 2
        await account.end()

    run_virtually(day())


def test_stop_of_an_entry_that_nobody_could_tell_of_goes_when_it_proves_absent() -> None:
    async def day() -> None:
        account = Account(Exchange(silent={"e1"}))
        await account.start()
        account.exchange.positions["BTCUSDT"] = D(3)  # of another hand: an exchange may refuse what reduces nothing
        account.exchange.failing = {"find": 4, "snapshot": 7}
        await account.enter()
        await asyncio.sleep(2)
        assert account.exchange.resting() == {"s1": D(1)}
        account.exchange.positions["BTCUSDT"] = D(0)
        await asyncio.sleep(140)
        assert account.exchange.resting() == {}
        assert await account.reasons_of_entry() == ["PROVEN_ABSENT"]
        assert (await account.risk()).reserved == {}
        await account.end()

    run_virtually(day())


def test_entry_in_flight_at_a_takeover_is_protected_although_queries_lag() -> None:
    async def day() -> None:
        account = Account(Exchange(answers={"e1": [lost()]}, query_lag=60, list_lag=60, trades_lag=60, deaf=True))
        await account.start()
        await account.enter()
        await asyncio.sleep(0.05)  # it is executed, and the answer lost
        await account.end()
        await account.start()
        await asyncio.sleep(1)
        assert "s1" in account.exchange.resting()
        await asyncio.sleep(130)
        assert account.exchange.count("place e1") == 1
        assert len(await account.log("order.filled")) == 1
        await account.end()

    run_virtually(day())


def test_entry_noted_as_submitted_and_never_sent_is_lost_and_not_sent_later() -> None:
    async def day() -> None:
        account = Account(Exchange(silent={"e1"}))
        await account.start()
        await account.enter()
        await asyncio.sleep(0.05)
        await account.end()
        account.exchange.silent.clear()
        await account.start()
        await asyncio.sleep(130)
        assert account.exchange.count("place e1") == 1
        assert await account.reasons_of_entry() == ["PROVEN_ABSENT"]
        assert (await account.risk()).reserved == {}
        await account.end()

    run_virtually(day())


def test_stop_whose_answer_is_lost_is_followed_by_the_next_and_a_double_is_canceled() -> None:
    async def day() -> None:
        account = Account(Exchange(answers={"s1": [lost()]}, query_lag=20, list_lag=20, deaf=True))
        await account.start()
        await account.enter()
        await asyncio.sleep(2)
        assert {"s1", "s2"} <= account.exchange.resting().keys()
        await asyncio.sleep(60)
        assert account.exchange.resting() == {"s2": D(1), "t1": D(1)}
        await account.end()

    run_virtually(day())


def test_position_whose_stops_get_no_answer_is_left_at_market_within_two_seconds() -> None:
    async def day() -> None:
        account = Account(Exchange(silent={"s1", "s2", "s3"}))
        await account.start()
        await account.enter()
        await asyncio.sleep(5)
        filled_at = account.exchange.first("place e1")
        assert account.exchange.first("place x1") - filled_at < 2
        assert account.exchange.positions["BTCUSDT"] == 0
        assert account.alarm.names == ["position.protection_failed"]
        await account.end()

    run_virtually(day())


def test_order_recorded_as_absent_that_turns_up_is_protected_and_its_exposure_reserved_again() -> None:
    async def day(*, restart: bool) -> None:
        account = Account(Exchange(silent={"e1"}))
        await account.start()
        await account.enter()
        await asyncio.sleep(130)
        assert await account.log("order.rejected")
        assert (await account.risk()).reserved == {}
        if restart:
            await account.end()
            await account.start()
        account.exchange.arrive("e1")
        await asyncio.sleep(3)
        stop, target = account.exchange.resting()
        assert account.exchange.resting() == {stop: D(1), target: D(1)}
        assert (stop[0], target) == ("s", "t1")
        assert ORDER_ID in (await account.risk()).reserved

        await account.end()
        await account.start()
        await asyncio.sleep(8)
        assert account.position == D(1)
        account.exchange.execute(PREFIX + stop)
        await asyncio.sleep(5)
        assert (await account.risk()).reserved == {}
        assert len(await account.log("position.closed")) == 1
        await account.end()

    run_virtually(day(restart=False))
    run_virtually(day(restart=True))


def test_position_that_no_bracket_explains_is_told_to_a_person_and_its_symbol_left_alone() -> None:
    async def day() -> None:
        account = Account()
        worker = await account.start()
        account.exchange.trade("ETHUSDT", Side.BUY, D(2))
        await asyncio.sleep(310)
        assert account.alarm.names == ["position.unexplained"]
        ((_, told),) = await account.log("position.unexplained")
        assert (told.symbol, told.quantity) == ("ETHUSDT", D(2))
        assert not [asked for _, asked in account.exchange.asked if asked.startswith(("place", "cancel"))]
        with pytest.raises(CommandRefused, match="ETHUSDT: expected no position, found 2"):
            await worker.prepare("ETHUSDT", 5)

        account.exchange.trade("ETHUSDT", Side.SELL, D(2))
        await asyncio.sleep(60)
        assert [event.quantity for _, event in await account.log("position.unexplained")] == [D(2), D(0)]
        await worker.prepare("ETHUSDT", 5)
        await account.end()

    run_virtually(day())


def test_position_of_a_bracket_that_was_forgotten_is_found_by_its_client_id() -> None:
    async def day() -> None:
        account = Account(Exchange(silent={"e1"}))
        await account.start()
        await account.enter()
        await asyncio.sleep(130)
        await account.end()
        account.exchange.arrive("e1")  # nobody listens
        await account.start()
        await asyncio.sleep(5)
        assert sorted((leg[0], quantity) for leg, quantity in account.exchange.resting().items()) == [
            ("s", D(1)),
            ("t", D(1)),
        ]
        assert "position.unexplained" not in account.alarm.names
        await account.end()

    run_virtually(day())


def test_stop_waits_for_an_exchange_that_opens_in_a_moment_instead_of_failing_three_times() -> None:
    async def day() -> None:
        closed: dict[str, list[ExchangeError]] = {leg: [ExchangeUnavailable("closed", 1.0)] for leg in ("s1", "s2")}
        account = Account(Exchange(refusals=closed))
        await account.start()
        await account.enter()
        await asyncio.sleep(5)
        assert account.exchange.first("place s3") - account.exchange.first("place s1") == pytest.approx(2, abs=0.1)
        assert account.exchange.resting() == {"s3": D(1), "t1": D(1)}
        assert account.alarm.names == []
        await account.end()

    run_virtually(day())


def test_way_out_is_tried_at_once_when_the_exchange_opens_again() -> None:
    async def day() -> None:
        closed: dict[str, list[ExchangeError]] = {
            **{f"s{number}": [ExchangeUnavailable("closed for long", 60.0)] for number in (1, 2, 3)},
            **{f"x{number}": [ExchangeUnavailable("closed")] for number in (1, 2, 3)},
        }
        closed["x4"] = [ExchangeUnavailable("closed", 0.3)]
        account = Account(Exchange(refusals=closed))
        await account.start()
        await account.enter()
        await asyncio.sleep(10)
        assert account.exchange.first("place x1") - account.exchange.first("place s1") < 0.1
        assert account.exchange.first("place x5") - account.exchange.first("place x4") == pytest.approx(0.31, abs=0.05)
        assert account.exchange.positions["BTCUSDT"] == 0
        await account.end()

    run_virtually(day())


def test_order_accepted_a_moment_ago_that_lists_do_not_show_yet_still_works() -> None:
    async def day() -> None:
        account = Account(Exchange(query_lag=50, list_lag=50, deaf=True))
        await account.start()
        await account.enter()
        await asyncio.sleep(60)
        assert account.exchange.resting() == {"s1": D(1), "t1": D(1)}
        assert account.exchange.count("place s2") == 0
        await account.end()

    run_virtually(day())


def test_bracket_that_was_closed_and_trades_again_is_protected_and_released_again() -> None:
    async def day() -> None:
        account = Account()
        await account.start()
        await account.enter()
        await asyncio.sleep(1)
        account.exchange.execute(STOP)
        await asyncio.sleep(1)
        assert len(await account.log("position.closed")) == 1

        account.exchange.trade("BTCUSDT", Side.BUY, D("0.2"), f"v-{ENTRY}", ENTRY)  # of the entry, told very late
        await asyncio.sleep(1)
        assert ORDER_ID in (await account.risk()).reserved
        assert account.exchange.resting() == {"s2": D("0.2"), "t2": D("0.2")}

        await account.end()
        await account.start()
        await asyncio.sleep(8)
        account.exchange.execute(PREFIX + "s2")
        await asyncio.sleep(2)
        assert (await account.risk()).reserved == {}
        assert account.exchange.resting() == {}
        await account.end()

    run_virtually(day())


def test_order_with_an_id_of_another_installation_is_told_and_not_touched() -> None:
    async def day() -> None:
        account = Account()
        await account.start()
        stranger = "p" + "a" * 26 + "s1"
        report = OrderReport(
            stranger, "algo:1", "BTCUSDT", Side.SELL, VenueStatus.NEW, D(1), D(0), account.clock.now(), conditional=True
        )
        account.exchange.tell(report)
        await asyncio.sleep(1)
        assert account.alarm.raised[-1][0] == "order.stray_report"
        assert account.alarm.raised[-1][1]["client_ids"] == [stranger]
        assert account.exchange.count("cancel s1") == 0
        await account.end()

    run_virtually(day())


def test_entry_that_the_stream_shows_as_new_and_whose_executions_it_loses_is_asked_about_at_once() -> None:
    async def day() -> None:
        account = Account(Exchange(answers={"e1": [lost()]}, stream_lag=0.1, fills_streamed=False))
        account.exchange.states_streamed = frozenset({VenueStatus.NEW})
        await account.start()
        await account.enter()
        await asyncio.sleep(1)
        assert account.exchange.resting() == {"s1": D(1), "t1": D(1)}
        await account.end()

    run_virtually(day())


def test_close_that_the_stream_shows_as_new_and_whose_executions_it_loses_is_asked_about_at_once() -> None:
    async def day() -> None:
        account = Account()
        await account.start()
        await account.enter()
        await asyncio.sleep(1)
        account.exchange.answers["c1"], account.exchange.stream_lag = [lost()], 0.1
        account.exchange.states_streamed, account.exchange.fills_streamed = frozenset({VenueStatus.NEW}), False
        await account.worker.flatten("TEST")
        await asyncio.sleep(3)
        assert account.exchange.resting() == {}
        assert account.keeper.open_brackets == {}
        await account.end()

    run_virtually(day())


def test_machine_clock_that_steps_shortens_no_watch_over_an_unknown_entry() -> None:
    async def day() -> None:
        clock = MachineClock()
        account = Account(Exchange(silent={"e1"}), clock)
        await account.start()
        await account.enter()
        await asyncio.sleep(0.1)
        clock.wrong_by = timedelta(seconds=300)
        await asyncio.sleep(100)
        assert await account.reasons_of_entry() == []
        await asyncio.sleep(25)
        assert await account.reasons_of_entry() == ["PROVEN_ABSENT"]
        await account.end()

    run_virtually(day())


def test_tries_that_never_went_out_slow_down_no_later_way_out() -> None:
    """The exchange is closed for a while; the first close that reaches it is lost, and the next one follows soon."""
    closed = [ExchangeUnavailable("closed") for _ in range(6)]

    async def day() -> None:
        account = Account(Exchange(refusals={f"x{n}": [closed.pop()] for n in range(1, 6)}, silent={"x6"}))
        account.exchange.refusals |= {f"s{n}": [ExchangeRefused(-2021, "no stop")] for n in range(1, 4)}
        await account.start()
        await account.enter()
        await asyncio.sleep(20)
        assert account.exchange.positions["BTCUSDT"] == 0
        assert account.exchange.first("place x7") - account.exchange.first("place x6") < 1.1
        assert account.exchange.first("place x6") - account.exchange.first("place x5") >= 1.9, (
            "while closed it is paced"
        )
        await account.end()

    run_virtually(day())
