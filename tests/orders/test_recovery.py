"""The desk after a crash or a gap: what rests, what vanished, what turns up, and whose it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from patriot.kernel.errors import ExchangeRefused, ExchangeUnavailable, OutcomeUnknown
from patriot.orders.client_ids import client_id_prefix, client_order_id
from patriot.orders.decider import Status
from patriot.orders.desk import OrderDesk
from patriot.orders.events import CancelReason, OrderApproved, OrderCreated
from patriot.simulation.loop import run_virtually
from patriot.trading.reports import (
    VenueStatus,
)
from patriot.trading.terms import Leg, OrderId, Side, Urgency
from tests.orders import kit
from tests.orders.bench import ENTRY, STOP, Bench
from tests.orders.kit import ORDER_ID, PREFIX, D

pytestmark = pytest.mark.unit


def test_cancel_noted_before_a_crash_is_carried_out_after_it() -> None:
    async def run() -> None:
        before = Bench()
        await before.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        before.venue.canceling = [ExchangeUnavailable("down")] * 99
        dying = asyncio.create_task(before.desk.cancel(before.created(Leg.STOP), CancelReason.OCO_SIBLING))
        await asyncio.sleep(1)
        dying.cancel()

        after = Bench(*(event for event in before.events if event.order_id != ORDER_ID))
        after.venue.orders = before.venue.orders
        after.venue.has(ENTRY.client_order_id, VenueStatus.NEW)
        await after.desk.recover(takeover=True)
        await asyncio.sleep(1)
        assert after.status(Leg.STOP) is Status.CANCELED

    run_virtually(run())


def test_leg_whose_note_of_being_sent_was_lost_is_noted_as_sent_before_the_exchange_tells_of_it() -> None:
    async def run() -> None:
        before = Bench()
        await before.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        noted = [event for event in before.events if isinstance(event, OrderCreated | OrderApproved)]
        after = Bench(*noted[-2:])
        after.venue.orders = before.venue.orders
        await after.desk.recover(takeover=True)
        told = [type(event).__name__ for event in after.events if event.order_id == after.created(Leg.STOP).order_id]
        assert told == ["OrderCreated", "OrderApproved", "OrderSubmitted", "OrderAccepted"]

    run_virtually(run())


def test_leg_of_a_predecessor_that_is_over_is_known_before_anything_is_sent() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.has(ENTRY.client_order_id, VenueStatus.NEW)
        bench.venue.has(client_order_id(PREFIX, Leg.CLOSE, 2), VenueStatus.CANCELED)
        await bench.desk.recover(takeover=True)
        assert bench.status(Leg.CLOSE, 2) is Status.CANCELED
        assert bench.desk.known.next_sequence(ENTRY, Leg.CLOSE) == 3

    run_virtually(run())


@pytest.mark.parametrize(
    ("takeover", "arrived", "fate"),
    [(True, True, Status.ACCEPTED), (True, False, Status.UNKNOWN), (False, False, Status.REJECTED)],
    ids=["its order is there", "its order may come", "nobody was before us"],
)
def test_refusal_of_a_stop_is_not_final_while_a_predecessor_may_have_sent_it(
    takeover: bool, arrived: bool, fate: Status
) -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.has(ENTRY.client_order_id, VenueStatus.NEW)
        await bench.desk.recover(takeover=takeover)
        if arrived:
            bench.venue.has(STOP, VenueStatus.NEW)
        bench.venue.placing = [ExchangeRefused(-4116, "Duplicate order sent.")]
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        assert bench.status(Leg.STOP) is fate

    run_virtually(run())


def test_naked_position_is_recovered_before_one_that_has_its_stop() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.desk.submit(ENTRY)
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        naked, prefix = OrderId(UUID(int=78)), client_id_prefix(UUID(int=78))
        entry = kit.created(
            order_id=naked,
            group_id=naked,
            symbol="ETHUSDT",
            client_id_prefix=prefix,
            client_order_id=client_order_id(prefix, Leg.ENTRY, 1),
        )
        bench.desk.adopt((entry, OrderApproved(naked)))
        await bench.desk.submit(entry)
        bench.venue.asked.clear()
        await bench.desk.recover(takeover=False)
        assert [asked for asked in bench.venue.asked if asked.startswith("list")] == ["list ETHUSDT", "list BTCUSDT"]

    run_virtually(run())


def test_leg_of_a_dead_predecessor_is_adopted_when_it_turns_up() -> None:
    async def run() -> None:
        bench = Bench()
        second = client_order_id(PREFIX, Leg.STOP, 2)
        report = bench.venue.has(second, VenueStatus.NEW, "0.5")
        bench.desk.on_order(report)
        await asyncio.sleep(1)
        assert bench.status(Leg.STOP, 2) is Status.ACCEPTED
        assert bench.created(Leg.STOP, 2).quantity == D("0.5")
        assert bench.status(Leg.STOP, 1) is Status.UNKNOWN  # without a gap before it, and asked about
        await asyncio.sleep(125)
        assert bench.status(Leg.STOP, 1) is Status.REJECTED

    run_virtually(run())


def test_report_under_our_kind_of_id_without_its_bracket_is_told() -> None:
    async def run() -> None:
        bench = Bench()
        stranger = "p" + "a" * 26 + "s1"
        bench.desk.on_order(bench.venue.has(stranger, VenueStatus.NEW))
        bench.desk.on_order(bench.venue.has("web_" + "b" * 30, VenueStatus.NEW))
        assert bench.desk.strays == [stranger]
        assert bench.desk.foreign == {"web_" + "b" * 30}

    run_virtually(run())


def test_order_found_in_a_state_unknown_to_us_is_neither_sent_again_nor_given_up() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.placing = [OutcomeUnknown("lost")]
        bench.venue.has(ENTRY.client_order_id, VenueStatus.UNKNOWN)
        await bench.desk.submit(ENTRY)
        await asyncio.sleep(120)
        assert bench.venue.asked.count("place e1") == 1
        assert bench.status(Leg.ENTRY) is Status.ACCEPTED

    run_virtually(run())


def test_order_given_up_as_absent_is_taken_back_when_it_turns_up() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.placing = [OutcomeUnknown("lost")]
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        await asyncio.sleep(125)
        assert bench.status(Leg.STOP) is Status.REJECTED
        bench.desk.forget(ORDER_ID)
        bench.desk.on_order(bench.venue.has(STOP, VenueStatus.NEW))
        assert bench.status(Leg.STOP) is Status.ACCEPTED
        await bench.desk.check_resting(Urgency.POSITION)  # its bracket is looked after again
        assert bench.venue.asked[-1] == "list BTCUSDT"

    run_virtually(run())


@pytest.mark.parametrize("forged", ["c25", "c50", "c99999", "s25"])
def test_id_of_ours_with_a_number_we_never_reached_is_not_ours(forged: str) -> None:
    async def run() -> None:
        bench = Bench()
        bench.desk.on_order(bench.venue.has(PREFIX + forged, VenueStatus.NEW))
        await asyncio.sleep(1)
        assert len(bench.events) == 2  # the entry's
        assert bench.desk.foreign == {PREFIX + forged}
        assert bench.venue.asked == []

    run_virtually(run())


@pytest.mark.parametrize("change", [{"side": Side.BUY}, {"quantity": D(2)}, {"conditional": False}])
def test_order_that_does_not_fit_its_bracket_is_not_adopted(change: dict[str, Any]) -> None:
    async def run() -> None:
        bench = Bench()
        report = replace(bench.venue.has(STOP, VenueStatus.NEW), **change)
        bench.venue.orders[STOP] = report
        bench.desk.on_order(report)
        await bench.desk.recover(takeover=True)
        assert not [event for event in bench.events if event.order_id != ORDER_ID]
        assert bench.desk.foreign == {STOP}

    run_virtually(run())


@pytest.mark.parametrize("fate", [None, VenueStatus.CANCELED, VenueStatus.UNKNOWN])
def test_stop_that_vanished_without_a_word_rests_no_more(fate: VenueStatus | None) -> None:
    async def run(look: Callable[[OrderDesk], Awaitable[None]]) -> Status:
        bench = Bench()
        bench.venue.has(ENTRY.client_order_id, VenueStatus.NEW)
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        await look(bench.desk)
        assert bench.status(Leg.STOP) is Status.ACCEPTED
        await asyncio.sleep(61)
        if fate is None:
            del bench.venue.orders[STOP]
        else:
            bench.venue.has(STOP, fate)
        await look(bench.desk)
        return bench.status(Leg.STOP)

    gone = Status.UNKNOWN if fate is None else Status.CANCELED  # what is only not found may come back
    assert run_virtually(run(lambda desk: desk.check_resting(Urgency.POSITION))) in (gone, Status.EXPIRED)
    if fate is not VenueStatus.UNKNOWN:  # only the list of resting orders tells that it does not rest
        assert run_virtually(run(lambda desk: desk.recover(takeover=False))) is gone


def test_stop_that_vanished_is_over_after_two_minutes_of_asking() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.has(ENTRY.client_order_id, VenueStatus.NEW)
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        await asyncio.sleep(61)
        del bench.venue.orders[STOP]
        await bench.desk.check_resting(Urgency.POSITION)
        assert bench.status(Leg.STOP) is Status.UNKNOWN
        await asyncio.sleep(125)
        assert bench.status(Leg.STOP) is Status.CANCELED

    run_virtually(run())


def test_order_absent_for_a_moment_still_rests() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        report = bench.venue.orders.pop(STOP)
        looking = asyncio.create_task(bench.desk.check_resting(Urgency.POSITION))
        await asyncio.sleep(0.2)
        bench.venue.orders[STOP] = report
        await looking
        assert bench.status(Leg.STOP) is Status.ACCEPTED

    run_virtually(run())


def test_order_that_the_exchange_accepted_must_be_known_to_it_after_a_minute_and_is_asked_for_twice() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.has(ENTRY.client_order_id, VenueStatus.NEW)
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        del bench.venue.orders[STOP]
        await asyncio.sleep(59)
        await bench.desk.check_resting(Urgency.POSITION)
        assert bench.status(Leg.STOP) is Status.ACCEPTED
        first, second = bench.venue.times("find s1")
        assert 0.4 < second - first < 0.6
        await asyncio.sleep(0.7)
        await bench.desk.check_resting(Urgency.POSITION)
        assert bench.status(Leg.STOP) is Status.UNKNOWN

    run_virtually(run())


def test_order_that_turned_up_late_has_its_minute_from_then_on() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.has(ENTRY.client_order_id, VenueStatus.NEW)
        bench.venue.placing = [OutcomeUnknown("lost")]
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        await asyncio.sleep(50)
        bench.desk.on_order(bench.venue.has(STOP, VenueStatus.NEW))
        del bench.venue.orders[STOP]
        await asyncio.sleep(40)
        await bench.desk.check_resting(Urgency.POSITION)
        assert bench.status(Leg.STOP) is Status.ACCEPTED

    run_virtually(run())


def test_successor_reads_no_history_for_an_entry_that_was_never_sent() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.desk.recover(takeover=True)
        await asyncio.sleep(1)
        assert bench.venue.asked[:2] == ["list BTCUSDT", "place e1"]
        assert "history BTCUSDT" not in bench.venue.asked

    run_virtually(run())


def test_symbol_in_doubt_is_searched_once_before_a_leg_goes_out() -> None:
    async def run() -> None:
        bench = Bench()
        assert not await bench.desk.find_lost_legs("BTCUSDT")
        bench.desk.doubt("BTCUSDT")
        assert not await bench.desk.find_lost_legs("ETHUSDT")
        assert await bench.desk.find_lost_legs("BTCUSDT")
        assert not await bench.desk.find_lost_legs("BTCUSDT")
        assert bench.venue.asked == ["history BTCUSDT"]

    run_virtually(run())


def test_search_notes_the_newest_of_the_brackets_that_are_not_known_here() -> None:
    async def run() -> None:
        bench = Bench()
        strangers = [
            client_order_id(client_id_prefix(UUID(int=number)), Leg.ENTRY, 1) for number in range(1_000, 1_030)
        ]
        for stranger in strangers:
            bench.venue.has(stranger, VenueStatus.FILLED)
            await asyncio.sleep(1)
        await bench.desk.search("BTCUSDT")
        assert bench.desk.strays == []
        await bench.desk.search("BTCUSDT", strays=True)
        assert bench.desk.strays == strangers[:9:-1]

    run_virtually(run())


def test_only_symbols_with_an_open_bracket_are_asked_for() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.desk.submit(ENTRY)
        await bench.desk.recover(takeover=False)
        assert [asked for asked in bench.venue.asked if asked.startswith("list")] == ["list BTCUSDT"]
        bench.desk.forget(ORDER_ID)
        bench.venue.asked.clear()
        bench.desk.on_order(bench.venue.has(ENTRY.client_order_id, VenueStatus.CANCELED))
        await bench.desk.recover(takeover=False)
        await bench.desk.check_resting(Urgency.POSITION)
        assert bench.venue.asked == []

    run_virtually(run())


def test_legs_that_are_just_being_found_are_not_found_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        before = Bench()
        await before.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        known = list(before.events)
        await before.desk.open_leg(ENTRY, Leg.TARGET, 1, Decimal(1))  # its note was lost
        after = Bench(*(event for event in known if event.order_id != ORDER_ID))
        after.venue.orders = before.venue.orders
        after.venue.has(ENTRY.client_order_id, VenueStatus.NEW)
        target = client_order_id(PREFIX, Leg.TARGET, 1)
        after.venue.orders[target] = replace(after.venue.orders[target], status=VenueStatus.CANCELED)  # does not rest
        await after.desk.recover(takeover=True)
        gate, find = asyncio.Event(), after.venue.find_order

        async def held(*words: Any, **more: Any) -> Any:
            await gate.wait()
            return await find(*words, **more)

        monkeypatch.setattr(after.venue, "find_order", held)
        searching = asyncio.create_task(after.desk.catch_up(search=False))
        await asyncio.sleep(0.05)
        asking = asyncio.create_task(after.desk.find_lost_legs(ENTRY.symbol))
        await asyncio.sleep(0.05)
        assert not asking.done()
        gate.set()
        assert await asking
        await searching
        assert after.created(Leg.TARGET).client_order_id == target

    run_virtually(run())
