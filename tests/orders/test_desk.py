"""The desk on a venue that behaves badly in one way at a time: what once went wrong stays right."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from patriot.kernel.errors import ExchangeRefused, ExchangeUnavailable, OutcomeUnknown
from patriot.kernel.eventstore import ActorType
from patriot.orders.client_ids import leg_order_id
from patriot.orders.decider import Status
from patriot.orders.events import CancelReason
from patriot.simulation.loop import START, run_virtually
from patriot.trading.reports import (
    PositionReport,
    TradeReport,
    VenueStatus,
)
from patriot.trading.terms import Leg, Side
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
        await asyncio.sleep(119)
        assert bench.status(Leg.ENTRY) is Status.UNKNOWN
        await asyncio.sleep(5)
        assert bench.status(Leg.ENTRY) is Status.REJECTED
        assert bench.venue.asked.count("place e1") == 1
        assert bench.venue.asked.count("history BTCUSDT") == 1
        assert bench.desk.contested == set()

    run_virtually(run())


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

    run_virtually(run())


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


def test_cancel_that_does_not_get_through_is_repeated_until_it_does() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        bench.venue.canceling = [ExchangeUnavailable("down")] * 12
        await bench.desk.cancel(bench.created(Leg.STOP), CancelReason.OCO_SIBLING)
        assert bench.status(Leg.STOP) is Status.CANCELED

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
        assert bench.venue.asked.count("cancel s1") == 4
        assert bench.status(Leg.STOP) is Status.CANCELED

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
