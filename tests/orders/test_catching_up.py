"""What the desk learns of orders that it did not send, or lost sight of: by lists, history and what the stream says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from patriot.kernel.errors import OutcomeUnknown
from patriot.orders.client_ids import client_id_prefix, client_order_id
from patriot.orders.decider import Status
from patriot.orders.events import OrderApproved, OrderCreated
from patriot.simulation.loop import START, run_virtually
from patriot.trading.reports import OrderReport, TradeReport, VenueStatus
from patriot.trading.terms import Leg, OrderId, Side, Urgency
from tests.orders import kit
from tests.orders.bench import ENTRY, STOP, Bench
from tests.orders.kit import PREFIX, D

pytestmark = pytest.mark.unit

SECOND = client_order_id(PREFIX, Leg.STOP, 2)


def test_leg_whose_note_of_being_sent_was_lost_is_not_counted_on_while_the_exchange_does_not_answer() -> None:
    async def run() -> None:
        before = Bench()
        await before.desk.open_leg(ENTRY, Leg.STOP, 1, D(1))
        noted = [event for event in before.events if isinstance(event, OrderCreated | OrderApproved)]
        after = Bench(*noted[-2:])
        after.venue.slow_finds = 3600
        after.desk.count_on_nothing()
        assert after.status(Leg.STOP) is Status.UNKNOWN

    run_virtually(run())


def test_lost_leg_of_a_covered_position_is_found_when_the_desk_catches_up() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.has(ENTRY.client_order_id, VenueStatus.NEW)
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, D(1))
        close = client_order_id(PREFIX, Leg.CLOSE, 1)
        bench.venue.has(close, VenueStatus.CANCELED)
        await bench.desk.recover(takeover=True)
        assert "history BTCUSDT" not in bench.venue.asked
        bench.venue.urgencies.clear()
        await bench.desk.catch_up(search=False)
        assert bench.status(Leg.CLOSE) is Status.CANCELED
        assert bench.venue.urgencies["history"] == bench.venue.urgencies["trades"] == {Urgency.NORMAL}

    run_virtually(run())


@pytest.mark.parametrize("newest_first", [True, False])
def test_order_whose_id_was_used_again_is_what_the_newer_one_is_in_whatever_order_a_list_has_them(
    newest_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        bench = Bench()
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, D(1))
        over = replace(bench.venue.has(STOP, VenueStatus.CANCELED), venue_order_id="algo:old")
        await asyncio.sleep(1)
        rests = replace(bench.venue.has(STOP, VenueStatus.NEW), venue_order_id="algo:new")

        async def recent(_symbol: str, *, urgency: Urgency) -> list[OrderReport]:
            return [rests, over] if newest_first else [over, rests]

        monkeypatch.setattr(bench.venue, "recent_orders", recent)
        await bench.desk.search("BTCUSDT")
        assert bench.status(Leg.STOP) is Status.ACCEPTED

    run_virtually(run())


def silent(bench: Bench) -> None:
    bench.venue.slow_finds = 3600


def lagging(bench: Bench) -> None:
    bench.venue.lists_only = {SECOND}


@pytest.mark.parametrize("questions", [silent, lagging])
def test_lost_leg_is_adopted_as_it_was_told_though_no_question_for_it_is_answered(
    questions: Callable[[Bench], None],
) -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.has(ENTRY.client_order_id, VenueStatus.NEW)
        questions(bench)
        bench.desk.on_order(bench.venue.has(SECOND, VenueStatus.NEW))
        await asyncio.sleep(2)
        assert bench.status(Leg.STOP, 2) is Status.ACCEPTED

    run_virtually(run())


@pytest.mark.parametrize("number", [2, 9, 18, 24])
def test_leg_above_numbers_that_starts_have_skipped_is_ours(number: int) -> None:
    async def run() -> None:
        bench = Bench()
        bench.desk.on_order(bench.venue.has(client_order_id(PREFIX, Leg.STOP, number), VenueStatus.NEW))
        await asyncio.sleep(1)
        assert bench.status(Leg.STOP, number) is Status.ACCEPTED
        assert bench.desk.foreign == set()

    run_virtually(run())


def test_executions_are_asked_for_from_the_oldest_of_the_open_entries_on() -> None:
    async def run() -> None:
        bench = Bench()
        young, prefix = OrderId(UUID(int=78)), client_id_prefix(UUID(int=78))
        ids: dict[str, Any] = {"order_id": young, "group_id": young, "client_id_prefix": prefix}
        entry = kit.created(
            **ids, client_order_id=client_order_id(prefix, Leg.ENTRY, 1), created_at=START + timedelta(minutes=10)
        )
        bench.desk.adopt((entry, OrderApproved(young)))
        bench.venue.has(ENTRY.client_order_id, VenueStatus.FILLED, executed="1")
        words = ("BTCUSDT", Side.BUY, D(1), D(40_000), D(0), "USDT", D(0), False, START + timedelta(seconds=1))
        bench.venue.traded = [TradeReport("t-1", "v", ENTRY.client_order_id, *words)]
        await asyncio.sleep(900)
        await bench.desk.catch_up(search=False)
        assert bench.status(Leg.ENTRY) is Status.FILLED

    run_virtually(run())


def test_working_order_that_is_asked_for_already_is_not_asked_for_by_every_look_as_well() -> None:
    async def run(look: Callable[[Bench], Awaitable[None]]) -> None:
        bench = Bench()
        await bench.desk.submit(ENTRY)  # acknowledged only, and watched until it has executed
        await asyncio.sleep(65)
        del bench.venue.orders[ENTRY.client_order_id]
        bench.venue.asked.clear()
        await look(bench)
        assert bench.venue.asked == ["list BTCUSDT"]
        assert bench.status(Leg.ENTRY) is Status.ACCEPTED

    run_virtually(run(lambda bench: bench.desk.check_resting(Urgency.POSITION)))
    run_virtually(run(lambda bench: bench.desk.recover(takeover=False)))


def test_stop_whose_executions_are_still_to_come_is_not_doubted_though_questions_do_not_know_it() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.has(ENTRY.client_order_id, VenueStatus.NEW)
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, D(1))
        await asyncio.sleep(70)
        bench.desk.on_order(bench.venue.has(STOP, VenueStatus.FILLED, executed="1"))
        del bench.venue.orders[STOP]
        await bench.desk.check_resting(Urgency.POSITION)
        assert bench.status(Leg.STOP) is Status.ACCEPTED

    run_virtually(run())


def test_stop_that_is_accepted_before_its_answer_comes_is_nothing_that_a_look_asks_for() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.desk.submit(ENTRY)
        bench.venue.slow_places = 0.5
        sending = asyncio.create_task(bench.desk.open_leg(ENTRY, Leg.STOP, 1, D(1)))
        await asyncio.sleep(0.1)
        bench.desk.on_order(bench.venue.has(STOP, VenueStatus.NEW))
        bench.venue.orders.pop(STOP)  # lists and questions lag behind the stream
        await bench.desk.check_resting(Urgency.POSITION)
        assert "find s1" not in bench.venue.asked
        await sending

    run_virtually(run())


def test_entry_that_went_out_while_the_account_was_prepared_in_vain_is_not_recorded_as_rejected() -> None:
    async def run() -> None:
        bench = Bench()

        async def in_vain(_created: OrderCreated) -> bool:
            await asyncio.sleep(1)
            return False

        bench.desk.prepare_again = in_vain
        resuming = asyncio.create_task(bench.desk.resume(ENTRY))
        bench.venue.placing = [OutcomeUnknown("lost")]
        await bench.desk.submit(ENTRY)
        await resuming
        assert bench.status(Leg.ENTRY) is Status.UNKNOWN

    run_virtually(run())
