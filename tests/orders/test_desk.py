"""The desk on a venue that behaves badly in one way at a time: what once went wrong stays right."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from uuid import UUID

import pytest

from patriot.kernel.errors import ExchangeRefused, ExchangeUnavailable, OutcomeUnknown
from patriot.kernel.eventstore import ActorType
from patriot.orders.client_ids import leg_order_id
from patriot.orders.decider import Status
from patriot.orders.events import CancelReason, OrderApproved
from patriot.simulation.loop import START, run_virtually
from patriot.trading.reports import (
    PositionReport,
    TradeReport,
    VenueStatus,
)
from patriot.trading.terms import Leg, OrderId, Side
from tests.orders.bench import ENTRY, STOP, Bench
from tests.orders.kit import ORDER_ID, D

pytestmark = pytest.mark.unit


def test_entry_is_sent_once_however_many_ask_for_it() -> None:
    async def run() -> None:
        bench = Bench()
        await asyncio.gather(bench.desk.submit(ENTRY), bench.desk.submit(ENTRY))
        assert bench.venue.asked.count("place e1") == 1

    run_virtually(run())


def test_actor_of_an_event_is_who_decided_or_told_of_it() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.placing = [None, OutcomeUnknown("lost"), ExchangeRefused(-2021, "would trigger at once")]
        await bench.desk.submit(ENTRY)
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        await bench.desk.open_leg(ENTRY, Leg.STOP, 2, Decimal(1))
        await asyncio.sleep(0.05)
        assert bench.written == [
            ("RecordSubmitted", ActorType.SYSTEM),
            ("RecordAccepted", ActorType.EXCHANGE),
            ("OpenLeg", ActorType.SYSTEM),
            ("RecordSubmitted", ActorType.SYSTEM),
            ("RecordUnknown", ActorType.SYSTEM),
            ("OpenLeg", ActorType.SYSTEM),
            ("RecordSubmitted", ActorType.SYSTEM),
            ("RecordRejected", ActorType.EXCHANGE),
        ]

    run_virtually(run())


def test_entry_the_exchange_did_nothing_about_is_repeated() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.placing = [ExchangeUnavailable("busy"), ExchangeUnavailable("busy")]
        await bench.desk.submit(ENTRY)
        assert bench.venue.asked.count("place e1") == 3
        assert bench.status(Leg.ENTRY) is Status.ACCEPTED

    run_virtually(run())


def test_entry_of_unknown_outcome_is_watched_for_two_minutes_and_never_sent_again() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.placing = [OutcomeUnknown("lost")]
        await bench.desk.submit(ENTRY)
        await asyncio.sleep(119.5)
        assert bench.status(Leg.ENTRY) is Status.UNKNOWN
        await asyncio.sleep(1)
        assert bench.status(Leg.ENTRY) is Status.REJECTED
        assert bench.venue.asked.count("place e1") == 1
        assert bench.venue.asked.count("history BTCUSDT") == 1
        assert bench.desk.contested == set()

    run_virtually(run())


def test_entry_is_told_of_once_where_nothing_tells_in_time_what_became_of_it() -> None:
    async def run(known_after: float) -> list[OrderId]:
        bench = Bench()
        bench.venue.placing = [OutcomeUnknown("lost")]
        await bench.desk.submit(ENTRY)
        await asyncio.sleep(known_after)
        bench.venue.has(ENTRY.client_order_id, VenueStatus.FILLED, "1", "1")
        await asyncio.sleep(300)
        return bench.untold

    assert run_virtually(run(1.3)) == [ORDER_ID]
    assert run_virtually(run(0.9)) == []


def test_entry_whose_position_can_be_seen_is_never_recorded_as_absent() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.placing = [OutcomeUnknown("lost")]
        bench.venue.positions = (PositionReport("BTCUSDT", D("0.7"), D(1), D(1), D(0), 5, isolated=True),)
        await bench.desk.submit(ENTRY)
        await asyncio.sleep(1)
        assert bench.executed[0] == (ORDER_ID, D("0.7"), False)
        await asyncio.sleep(300)
        assert bench.status(Leg.ENTRY) is Status.UNKNOWN
        assert bench.desk.contested == {ENTRY.client_order_id}
        bench.venue.positions = ()
        await asyncio.sleep(40)
        assert bench.status(Leg.ENTRY) is Status.REJECTED
        assert bench.desk.contested == set()

    run_virtually(run())


def test_order_that_must_be_there_is_asked_for_twice_a_minute_for_as_long_as_it_takes() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.placing = [OutcomeUnknown("lost")]
        bench.venue.positions = (PositionReport("BTCUSDT", D(1), D(1), D(1), D(0), 5, isolated=True),)
        await bench.desk.submit(ENTRY)
        await asyncio.sleep(121 + 30 * 60)
        assert len(bench.venue.times("history BTCUSDT")) == 61
        bench.venue.has(ENTRY.client_order_id, VenueStatus.NEW)
        await asyncio.sleep(31)
        assert bench.status(Leg.ENTRY) is Status.ACCEPTED

    run_virtually(run())


@pytest.mark.parametrize(
    ("leg", "known_after"),  # seconds, by what the order's first question came to: soon at first, seldom in the end
    [
        (Leg.ENTRY, [0.3, 1, 2, 3, 4, 5, 6.5, 10, 20, 30, 45, 60, 90, 120]),
        (Leg.STOP, [0.1, 0.3, 0.6, 1, 2, 4, 7, 15, 30, 60, 120]),
    ],
)
def test_order_that_turns_up_late_is_found_soon_and_one_that_protects_sooner(
    leg: Leg, known_after: list[float]
) -> None:
    async def turn_up(after: float, known: float) -> None:
        bench = Bench()
        bench.venue.placing = [OutcomeUnknown("lost")]
        await (bench.desk.submit(ENTRY) if leg is Leg.ENTRY else bench.desk.open_leg(ENTRY, leg, 1, Decimal(1)))
        await asyncio.sleep(after)
        bench.venue.has(ENTRY.client_order_id if leg is Leg.ENTRY else STOP, VenueStatus.NEW)
        await asyncio.sleep(known - after - 0.03)
        assert bench.status(leg) is Status.UNKNOWN
        await asyncio.sleep(0.06)
        assert bench.status(leg) is Status.ACCEPTED
        if leg is Leg.STOP:  # an entry at market that rests is asked about until it has executed
            asked = list(bench.venue.asked)
            await asyncio.sleep(200)
            assert bench.venue.asked == asked

    for before, known in pairwise([0.0, *known_after]):
        run_virtually(turn_up(before + 0.02, known))


def test_entry_whose_stop_has_traded_is_never_recorded_as_absent() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.placing = [OutcomeUnknown("lost")]
        await bench.desk.submit(ENTRY)
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        bench.desk.on_trade(
            TradeReport(
                "t-1", f"algo:{STOP}", STOP, "BTCUSDT", Side.SELL, D(1), D(39_000), D(0), "USDT", D(0), False, START
            )
        )
        await asyncio.sleep(300)
        assert bench.status(Leg.ENTRY) is Status.UNKNOWN

    run_virtually(run())


def test_position_of_the_other_side_speaks_for_no_entry() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.placing = [OutcomeUnknown("lost")]
        bench.venue.positions = (PositionReport("BTCUSDT", D(-1), D(1), D(1), D(0), 5, isolated=True),)
        await bench.desk.submit(ENTRY)
        await asyncio.sleep(125)
        assert bench.executed == []
        assert bench.status(Leg.ENTRY) is Status.REJECTED

    run_virtually(run())


def test_entry_that_only_a_list_knows_is_taken_from_the_list() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.placing = [OutcomeUnknown("lost")]
        await bench.desk.submit(ENTRY)
        await asyncio.sleep(100)
        bench.venue.lists_only = {ENTRY.client_order_id}
        bench.venue.has(ENTRY.client_order_id, VenueStatus.NEW)
        await asyncio.sleep(25)
        assert bench.status(Leg.ENTRY) is Status.ACCEPTED

    run_virtually(run())


def test_leg_of_unknown_outcome_is_asked_for_once_before_its_fate_is_unknown() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.placing = [OutcomeUnknown("lost")]
        bench.venue.has(STOP, VenueStatus.NEW)
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        assert bench.status(Leg.STOP) is Status.ACCEPTED

        del bench.venue.orders[STOP]
        bench.venue.placing = [OutcomeUnknown("lost")]
        await bench.desk.open_leg(ENTRY, Leg.STOP, 2, Decimal(1))
        assert bench.venue.asked[-2:] == ["place s2", "find s2"]
        assert bench.status(Leg.STOP, 2) is Status.UNKNOWN

    run_virtually(run())


def test_question_before_the_next_stop_goes_out_is_a_short_one() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.placing = [OutcomeUnknown("lost")]
        bench.venue.slow_finds = 30
        began = bench.clock.monotonic()
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        assert bench.status(Leg.STOP) is Status.UNKNOWN
        assert bench.clock.monotonic() - began < 0.25

    run_virtually(run())


def test_entry_that_the_exchange_does_nothing_about_is_given_up_within_four_seconds() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.placing = [ExchangeUnavailable("busy")] * 100
        began = bench.clock.monotonic()
        await bench.desk.submit(ENTRY)
        tried = bench.venue.times("place e1")
        pauses = [later - earlier for earlier, later in pairwise(tried)]
        assert len(tried) == 6
        assert pauses == sorted(pauses)
        assert pauses[0] < 0.1
        assert bench.clock.monotonic() - began < 4
        assert bench.status(Leg.ENTRY) is Status.REJECTED

    run_virtually(run())


def test_entry_that_is_too_old_or_unwanted_never_goes_out() -> None:
    async def run() -> None:
        late = Bench()
        await asyncio.sleep(61)
        await late.desk.submit(ENTRY)
        assert (late.venue.asked, late.status(Leg.ENTRY)) == ([], Status.REJECTED)

    async def run_unwanted() -> None:
        bench = Bench()
        await bench.desk.cancel(ENTRY, CancelReason.RISK)
        await bench.desk.submit(ENTRY)
        assert "place e1" not in bench.venue.asked
        assert bench.status(Leg.ENTRY) is Status.CANCELED

    run_virtually(run())
    run_virtually(run_unwanted())


def test_entry_that_nobody_wants_any_more_when_its_submission_is_durable_never_goes_out() -> None:
    async def run_unwanted() -> None:
        bench = Bench()
        bench.write_seconds = 20
        bench.venue.canceling = [ExchangeRefused(-2011, "Unknown order sent.")] * 100
        sending = asyncio.create_task(bench.desk.submit(ENTRY))
        await asyncio.sleep(1)
        canceling = asyncio.create_task(bench.desk.cancel(ENTRY, CancelReason.RISK))
        await asyncio.gather(sending, canceling)
        assert "place e1" not in bench.venue.asked
        assert bench.status(Leg.ENTRY) is Status.CANCELED

    async def run_late() -> None:
        bench = Bench()
        bench.write_seconds = 61
        await bench.desk.submit(ENTRY)
        assert "place e1" not in bench.venue.asked
        assert bench.status(Leg.ENTRY) is Status.REJECTED

    run_virtually(run_unwanted())
    run_virtually(run_late())


def test_cancel_that_does_not_get_through_is_repeated_until_it_does() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        bench.venue.canceling = [ExchangeUnavailable("down")] * 12
        await bench.desk.cancel(bench.created(Leg.STOP), CancelReason.OCO_SIBLING)
        assert bench.status(Leg.STOP) is Status.CANCELED
        pauses = [later - earlier for earlier, later in pairwise(bench.venue.times("cancel s1"))]
        assert pauses == sorted(pauses)
        assert 0 < pauses[0] < 0.1
        assert 1.9 < pauses[-1] < 2.1

    run_virtually(run())


def test_stop_turned_down_at_its_trigger_rests_no_more() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        bench.desk.on_order(bench.venue.has(STOP, VenueStatus.REJECTED))
        assert bench.status(Leg.STOP) is Status.EXPIRED

    run_virtually(run())


def test_last_word_on_an_order_outlives_an_older_one_that_comes_later() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        older = bench.venue.has(STOP, VenueStatus.PARTIALLY_FILLED, executed="0.6")
        bench.desk.on_order(bench.venue.has(STOP, VenueStatus.EXPIRED, executed="0.6"))
        bench.desk.on_order(older)
        trade = TradeReport(
            "t-1", f"algo:{STOP}", STOP, "BTCUSDT", Side.SELL, D("0.6"), D(39_000), D(0), "USDT", D(0), False, START
        )
        bench.desk.on_trade(trade)
        assert bench.status(Leg.STOP) is Status.EXPIRED

    run_virtually(run())


def test_cancel_refused_while_the_order_still_rests_is_repeated() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        bench.venue.canceling = [ExchangeRefused(-2011, "Unknown order sent.")] * 3
        await bench.desk.cancel(bench.created(Leg.STOP), CancelReason.OCO_SIBLING)
        tried = bench.venue.times("cancel s1")
        assert len(tried) == 4
        assert all(later - earlier > 0.04 for earlier, later in pairwise(tried))
        assert bench.status(Leg.STOP) is Status.CANCELED

    run_virtually(run())


def test_executions_that_an_answer_tells_of_and_the_stream_does_not_are_fetched_within_half_a_second() -> None:
    async def run() -> None:
        bench = Bench()
        behind = START - timedelta(seconds=4)  # by an exchange whose trades and orders go by different clocks
        trade = TradeReport("t-1", "v", "", "BTCUSDT", Side.BUY, D(1), D(40_000), D(0), "USDT", D(0), False, behind)
        bench.venue.traded = [replace(trade, venue_order_id=ENTRY.client_order_id)]
        await bench.desk.submit(ENTRY)
        bench.desk.on_order(bench.venue.has(ENTRY.client_order_id, VenueStatus.FILLED, executed="1"))
        assert bench.executed == [(ORDER_ID, D(1), True)]
        await asyncio.sleep(0.5)
        assert bench.status(Leg.ENTRY) is Status.FILLED
        assert len(bench.venue.times("trades BTCUSDT")) == 1

    run_virtually(run())


def test_executions_that_an_answer_told_of_are_asked_for_until_they_are_known() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.desk.submit(ENTRY)
        bench.desk.on_order(bench.venue.has(ENTRY.client_order_id, VenueStatus.FILLED, executed="1"))
        await asyncio.sleep(60)
        asked = bench.venue.times("trades BTCUSDT")
        assert 25 < len(asked) < 40
        pauses = [later - earlier for earlier, later in pairwise(asked)]
        assert pauses == pytest.approx(sorted(pauses))
        assert 0 < pauses[0] < 0.1
        assert pauses[-1] < 2.1

    run_virtually(run())


@pytest.mark.parametrize(
    ("status", "over"),
    [
        (VenueStatus.CANCELED, True),
        (VenueStatus.EXPIRED, True),
        (VenueStatus.REJECTED, True),
        (VenueStatus.PARTIALLY_FILLED, False),
        (VenueStatus.UNKNOWN, False),
    ],
)
def test_order_that_ended_half_done_is_told_to_execute_no_more_before_its_trades_are_known(
    status: VenueStatus, over: bool
) -> None:
    async def run() -> None:
        bench = Bench()
        await bench.desk.submit(ENTRY)
        bench.desk.on_order(bench.venue.has(ENTRY.client_order_id, status, executed="0.4"))
        assert bench.executed == [(ORDER_ID, D("0.4"), over)]

    run_virtually(run())


def test_order_without_its_creation_is_not_taken_for_one() -> None:
    async def run() -> None:
        bench, other = Bench(), OrderId(UUID(int=99))
        bench.desk.adopt((OrderApproved(other),))
        with pytest.raises(LookupError, match="creation"):
            bench.desk.known.created(other)

    run_virtually(run())


def test_ids_of_others_are_remembered_up_to_a_bound() -> None:
    async def run() -> None:
        bench = Bench()
        for number in range(1_500):
            bench.desk.on_order(bench.venue.has("web_" + f"{number:030}", VenueStatus.NEW))
            bench.desk.on_order(bench.venue.has(f"p{'a' * 26}s{number + 1}", VenueStatus.NEW))
        assert len(bench.desk.foreign) == len(bench.desk.strays) == 1_000
        assert "web_" + f"{1_499:030}" in bench.desk.foreign

    run_virtually(run())


def test_closed_brackets_are_forgotten_but_for_the_newest() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.desk.submit(ENTRY)
        bench.desk.forget(ORDER_ID)
        bench.desk.on_order(bench.venue.has(ENTRY.client_order_id, VenueStatus.NEW))
        assert bench.desk.strays == []
        for number in range(30):
            bench.desk.forget(leg_order_id(ORDER_ID, Leg.STOP, number))
        bench.desk.on_order(bench.venue.has(ENTRY.client_order_id, VenueStatus.NEW))
        assert bench.desk.strays == [ENTRY.client_order_id]

    run_virtually(run())
