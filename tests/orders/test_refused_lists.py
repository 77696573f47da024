"""A symbol of which the exchange tells nothing: refused with a code, or not answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from patriot.kernel.errors import ExchangeUnavailable
from patriot.orders.client_ids import client_id_prefix, client_order_id
from patriot.orders.decider import Status
from patriot.orders.events import OrderApproved, OrderCreated
from patriot.simulation.loop import START, run_virtually
from patriot.trading.reports import OrderReport, VenueStatus
from patriot.trading.terms import Leg, OrderId, Urgency
from tests.orders import kit
from tests.orders.bench import ENTRY, STOP, Bench
from tests.orders.kit import D

pytestmark = pytest.mark.unit

Ask = Callable[[Bench], Awaitable[object]]
ASKED: list[tuple[str, str, Ask]] = [
    ("list", "what rests in BTCUSDT", lambda bench: bench.desk.recover(takeover=False)),
    ("list", "what rests in BTCUSDT", lambda bench: bench.desk.check_resting(Urgency.POSITION)),
    ("trades", "executions in BTCUSDT", lambda bench: bench.desk.catch_up(search=False)),
    ("history", "past orders in BTCUSDT", lambda bench: bench.desk.search("BTCUSDT")),
]


@pytest.mark.parametrize(("request_", "what", "ask"), ASKED)
def test_read_of_a_symbol_is_told_as_refused_and_later_as_answered(request_: str, what: str, ask: Ask) -> None:
    async def run() -> None:
        bench, told = Bench(), list[tuple[str, int | None]]()
        bench.desk.on_read = lambda what, refusal: told.append((what, refusal.code if refusal else None))
        bench.venue.refused = {f"{request_} BTCUSDT"}
        await ask(bench)
        bench.venue.refused.clear()
        await ask(bench)
        assert told == [(what, -1121), (what, None)]

    run_virtually(run())


def test_legs_of_a_symbol_that_is_not_told_at_a_start_are_counted_on_no_more() -> None:
    async def run() -> None:
        before = Bench()
        await before.desk.submit(ENTRY)
        await before.desk.open_leg(ENTRY, Leg.STOP, 1, D(1))
        noted = [event for event in before.events if event.order_id != ENTRY.order_id]
        after = Bench(*(event for event in noted if isinstance(event, OrderCreated | OrderApproved)))
        after.venue.refused, after.venue.slow_finds = {"list BTCUSDT"}, 3600
        await after.desk.recover(takeover=True)
        assert after.status(Leg.STOP) is Status.UNKNOWN

    run_virtually(run())


def test_search_that_is_refused_has_found_nothing_and_the_symbol_stays_in_doubt() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.refused = {"history BTCUSDT"}
        assert not await bench.desk.search("BTCUSDT")
        bench.desk.doubt("BTCUSDT")
        assert not await bench.desk.find_lost_legs("BTCUSDT")
        bench.venue.refused.clear()
        await bench.desk.catch_up(search=False)
        assert bench.venue.asked.count("history BTCUSDT") == 3

    run_virtually(run())


def test_only_one_leg_waits_for_past_orders_that_are_not_answered_until_there_is_a_new_doubt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        bench, waited = Bench(), list[bool]()

        async def silent(_symbol: str, *, urgency: Urgency) -> list[OrderReport]:
            await asyncio.sleep(3600)
            return []

        monkeypatch.setattr(bench.venue, "recent_orders", silent)
        for doubted in (True, False, False, True):
            if doubted:
                bench.desk.doubt("BTCUSDT")
            began = bench.clock.monotonic()
            assert not await bench.desk.find_lost_legs("BTCUSDT")
            waited.append(bench.clock.monotonic() - began > 0.5)
        assert waited == [True, False, False, True]

    run_virtually(run())


def test_look_that_is_not_answered_for_one_symbol_ends_once_the_other_was_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        bench = Bench()
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, D(1))
        other, prefix = OrderId(UUID(int=78)), client_id_prefix(UUID(int=78))
        entry = kit.created(
            order_id=other,
            group_id=other,
            client_id_prefix=prefix,
            client_order_id=client_order_id(prefix, Leg.ENTRY, 1),
            symbol="ETHUSDT",
            created_at=START,
        )
        bench.desk.adopt((entry, OrderApproved(other)))
        over = bench.venue.has(STOP, VenueStatus.CANCELED)

        async def list_orders(symbol: str, *, urgency: Urgency) -> list[OrderReport]:
            if symbol == "ETHUSDT":
                raise ExchangeUnavailable("away")
            await asyncio.sleep(1)
            return [over]

        monkeypatch.setattr(bench.venue, "open_orders", list_orders)
        with pytest.raises(ExchangeUnavailable):
            await bench.desk.check_resting(Urgency.POSITION)
        assert bench.status(Leg.STOP) is Status.CANCELED

    run_virtually(run())
