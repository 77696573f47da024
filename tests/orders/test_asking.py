"""Questions about orders: how soon, how urgent, how long each may take, and what is left open when none is answered."""

from __future__ import annotations

import asyncio

import pytest

from patriot.kernel.errors import OutcomeUnknown
from patriot.orders.decider import Status
from patriot.orders.events import OrderSubmitted
from patriot.simulation.loop import START, run_virtually
from patriot.trading.reports import VenueStatus
from patriot.trading.terms import Leg, Urgency
from tests.orders.bench import ENTRY, Bench
from tests.orders.kit import ORDER_ID

pytestmark = pytest.mark.unit


def test_entry_is_not_held_for_absent_while_nobody_says_what_is_held() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.placing, bench.venue.slow_snapshots = [OutcomeUnknown("lost")], 60
        await bench.desk.submit(ENTRY)
        await asyncio.sleep(300)
        assert bench.status(Leg.ENTRY) is Status.UNKNOWN
        bench.venue.slow_snapshots = 0
        await asyncio.sleep(35)
        assert bench.status(Leg.ENTRY) is Status.REJECTED

    run_virtually(run())


def test_only_questions_that_protection_waits_for_may_spend_what_is_kept_for_it() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.placing = [OutcomeUnknown("lost")]
        await bench.desk.submit(ENTRY)
        await asyncio.sleep(125)
        assert bench.venue.urgencies == {
            "place": {Urgency.PROTECTION},
            "find": {Urgency.PROTECTION},
            "snapshot": {Urgency.PROTECTION},
            "history": {Urgency.POSITION},
        }

    run_virtually(run())


def test_question_that_is_never_answered_holds_up_no_later_one() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.placing, bench.venue.slow_finds = [OutcomeUnknown("lost")], 3600
        await bench.desk.submit(ENTRY)
        await asyncio.sleep(0.5)
        bench.venue.slow_finds = 0
        bench.venue.has(ENTRY.client_order_id, VenueStatus.NEW)
        await asyncio.sleep(0.7)
        assert bench.status(Leg.ENTRY) is Status.ACCEPTED

    run_virtually(run())


def test_order_of_an_earlier_life_is_asked_for_at_once_however_long_ago_it_was_sent() -> None:
    async def run() -> None:
        bench = Bench(OrderSubmitted(ORDER_ID, ENTRY.client_order_id, 1, START))
        await asyncio.sleep(50)  # the next question of those that began with the order is due after 60 s
        bench.desk.count_on_nothing()
        await asyncio.sleep(0.01)
        assert bench.venue.asked[:1] == ["find e1"]

    run_virtually(run())
