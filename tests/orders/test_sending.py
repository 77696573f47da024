"""Orders on their way out while something else happens: a recovery, a second wish, a refusal."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from patriot.kernel.errors import ExchangeRefused, ExchangeUnavailable
from patriot.orders.decider import Status
from patriot.orders.events import CancelReason
from patriot.simulation.loop import run_virtually
from patriot.trading.terms import Leg
from tests.orders.bench import ENTRY, Bench

pytestmark = pytest.mark.unit

GONE = ExchangeRefused(-2011, "Unknown order sent.")


def test_stop_that_is_just_being_sent_is_nothing_that_a_recovery_asks_for() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.desk.submit(ENTRY)
        bench.venue.slow_places = 0.5
        sending = asyncio.create_task(bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1)))
        await asyncio.sleep(0.1)
        await bench.desk.recover(takeover=False)
        assert "find s1" not in bench.venue.asked
        assert bench.status(Leg.STOP) is Status.SUBMITTED
        await sending
        assert bench.status(Leg.STOP) is Status.ACCEPTED

    run_virtually(run())


def test_cancel_that_is_under_way_is_not_begun_a_second_time() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        bench.venue.canceling = [ExchangeUnavailable("down")] * 3
        stop = bench.created(Leg.STOP)
        await asyncio.gather(*(bench.desk.cancel(stop, CancelReason.RESIZED) for _ in range(5)))
        await asyncio.sleep(5)
        assert bench.venue.asked.count("cancel s1") == 4
        assert bench.status(Leg.STOP) is Status.CANCELED

    run_virtually(run())


def test_cancel_of_an_entry_that_was_never_sent_ends_where_the_exchange_has_nothing_to_cancel() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.canceling = [GONE] * 100
        async with asyncio.timeout(2):
            await bench.desk.cancel(ENTRY, CancelReason.RISK)
        assert bench.venue.asked.count("cancel e1") == 1
        await bench.desk.submit(ENTRY)
        assert bench.status(Leg.ENTRY) is Status.CANCELED

    run_virtually(run())


def test_refused_cancel_is_told_at_once_and_as_one_that_failed_when_it_is_refused_again() -> None:
    async def run() -> None:
        bench, refused, failed = Bench(), list[ExchangeRefused](), list[ExchangeRefused]()
        bench.desk.on_refused = lambda _created, refusal: refused.append(refusal)
        bench.desk.on_cancel_refused = lambda _created, refusal: failed.append(refusal)
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        no_key = ExchangeRefused(-2015, "Invalid API-key, IP, or permissions for action.", about_key=True)
        bench.venue.canceling = [no_key, no_key]
        await bench.desk.cancel(bench.created(Leg.STOP), CancelReason.OCO_SIBLING)
        assert (refused, failed) == ([no_key, no_key], [no_key])

    run_virtually(run())
