"""The desk on a venue that behaves badly in one way at a time: what once went wrong stays right."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from patriot.kernel.errors import ExchangeRefused, ExchangeUnavailable, OutcomeUnknown
from patriot.kernel.eventstore import Actor, ActorType
from patriot.orders.client_ids import client_id_prefix, client_order_id, leg_order_id
from patriot.orders.decider import ORDER, Status
from patriot.orders.desk import OrderDesk
from patriot.orders.events import CancelReason, OrderApproved, OrderCreated, OrderEvent
from patriot.orders.journal import Journal
from patriot.simulation.loop import START, VirtualClock, run_virtually
from patriot.trading.reports import (
    AccountSnapshot,
    OrderReport,
    PositionReport,
    TradeReport,
    VenueOrder,
    VenueStatus,
)
from patriot.trading.terms import Leg, OrderId, Side, Urgency
from tests.orders import kit
from tests.orders.kit import ORDER_ID, PREFIX, D

pytestmark = pytest.mark.unit

ENTRY = kit.created(valid_until=START + timedelta(seconds=60), created_at=START)
STOP = client_order_id(PREFIX, Leg.STOP, 1)


class Venue:
    """An exchange that says what it was told to say, and keeps what it was asked."""

    def __init__(self) -> None:
        self.orders: dict[str, OrderReport] = {}
        self.placing: list[Exception | None] = []
        self.canceling: list[Exception | None] = []
        self.asked: list[str] = []
        self.traded: list[TradeReport] = []
        self.lists_only: set[str] = set()  # known to lists, and not yet to queries
        self.positions: tuple[PositionReport, ...] = ()

    def has(self, client_id: str, status: VenueStatus, quantity: str = "1", executed: str = "0") -> OrderReport:
        conditional = client_id[27] in "st"
        venue_id = f"algo:{client_id}" if conditional else client_id
        report = OrderReport(
            client_id, venue_id, "BTCUSDT", Side.SELL, status, D(quantity), D(executed), START, conditional
        )
        self.orders[client_id] = report
        return report

    async def place(self, order: VenueOrder, sent_at: object) -> OrderReport:
        self.asked.append(f"place {order.client_order_id[27:]}")
        trouble = self.placing.pop(0) if self.placing else None
        if trouble is not None:
            raise trouble
        return self.has(order.client_order_id, VenueStatus.NEW, str(order.quantity))

    async def cancel(self, symbol: str, client_order_id: str, *, conditional: bool) -> None:
        self.asked.append(f"cancel {client_order_id[27:]}")
        trouble = self.canceling.pop(0) if self.canceling else None
        if trouble is not None:
            raise trouble
        self.has(client_order_id, VenueStatus.CANCELED)

    async def find_order(
        self, symbol: str, client_order_id: str, *, conditional: bool, urgency: Urgency = Urgency.NORMAL
    ) -> OrderReport | None:
        self.asked.append(f"find {client_order_id[27:]}")
        return None if client_order_id in self.lists_only else self.orders.get(client_order_id)

    async def open_orders(self, symbol: str | None = None, *, urgency: Urgency = Urgency.NORMAL) -> list[OrderReport]:
        self.asked.append(f"list {symbol}")
        return [report for report in self.orders.values() if report.status is VenueStatus.NEW]

    async def recent_orders(self, symbol: str, *, urgency: Urgency = Urgency.NORMAL) -> list[OrderReport]:
        self.asked.append(f"history {symbol}")
        return list(self.orders.values())

    async def snapshot(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSnapshot:
        self.asked.append("snapshot")
        return AccountSnapshot("USDT", D(0), D(0), D(0), self.positions, START)

    async def trades(self, symbol: str, since: object, *, urgency: Urgency = Urgency.NORMAL) -> list[TradeReport]:
        return self.traded


class Bench:
    """A desk with one entry on its hands."""

    def __init__(self, *past: OrderEvent) -> None:
        self.venue = Venue()
        self.events: list[OrderEvent] = []
        self.executed: list[tuple[OrderId, Decimal, bool]] = []
        self.written: list[tuple[str, ActorType]] = []
        self.journal = Journal(self._write)
        self.desk = OrderDesk(self.venue, self.venue, self.journal, VirtualClock(), self)
        self.writing = asyncio.create_task(self.journal.run())
        self.desk.adopt((ENTRY, OrderApproved(ORDER_ID), *past))

    def observe(self, event: OrderEvent) -> None:
        self.events.append(event)

    def observe_executed(self, order_id: OrderId, quantity: Decimal, *, over: bool) -> None:
        self.executed.append((order_id, quantity, over))

    async def _write(self, command: object, actor: Actor) -> None:
        await asyncio.sleep(0.001)
        self.written.append((type(command).__name__, actor.type))

    def status(self, leg: Leg, sequence: int = 1) -> Status:
        order_id = leg_order_id(ORDER_ID, leg, sequence)
        return ORDER.fold(event for event in self.events if event.order_id == order_id).status

    def created(self, leg: Leg, sequence: int = 1) -> OrderCreated:
        order_id = leg_order_id(ORDER_ID, leg, sequence)
        return next(e for e in self.events if isinstance(e, OrderCreated) and e.order_id == order_id)


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


def test_stop_turned_down_at_its_trigger_rests_no_more() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        bench.desk.on_order(bench.venue.has(STOP, VenueStatus.REJECTED))
        assert bench.status(Leg.STOP) is Status.EXPIRED

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
        await bench.desk.check_resting()  # its bracket is looked after again
        assert bench.venue.asked[-1] == "list BTCUSDT"

    run_virtually(run())


@pytest.mark.parametrize("forged", ["c9", "c50", "c99999", "s9"])
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
    assert run_virtually(run(lambda desk: desk.check_resting())) in (gone, Status.EXPIRED)
    if fate is not VenueStatus.UNKNOWN:  # only the list of resting orders tells that it does not rest
        assert run_virtually(run(lambda desk: desk.recover(takeover=False))) is gone


def test_stop_that_vanished_is_over_after_two_minutes_of_asking() -> None:
    async def run() -> None:
        bench = Bench()
        bench.venue.has(ENTRY.client_order_id, VenueStatus.NEW)
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        await asyncio.sleep(61)
        del bench.venue.orders[STOP]
        await bench.desk.check_resting()
        assert bench.status(Leg.STOP) is Status.UNKNOWN
        await asyncio.sleep(125)
        assert bench.status(Leg.STOP) is Status.CANCELED

    run_virtually(run())


def test_order_absent_for_a_moment_still_rests() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.desk.open_leg(ENTRY, Leg.STOP, 1, Decimal(1))
        report = bench.venue.orders.pop(STOP)
        looking = asyncio.create_task(bench.desk.check_resting())
        await asyncio.sleep(0.2)
        bench.venue.orders[STOP] = report
        await looking
        assert bench.status(Leg.STOP) is Status.ACCEPTED

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
        await bench.desk.check_resting()
        assert bench.venue.asked == []

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
