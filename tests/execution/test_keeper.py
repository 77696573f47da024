"""What the keeper of one account's brackets sends and notes, and when: without an exchange, by the events alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, cast
from uuid import UUID

import pytest

from patriot.execution.bracket import Bracket
from patriot.execution.commands import CloseBracket, RecordProtected, RecordProtectionFailed
from patriot.execution.effects import BracketKeeper
from patriot.kernel.eventstore import Actor
from patriot.orders.client_ids import leg_order_id
from patriot.orders.commands import (
    OrderCommand,
    RecordAccepted,
    RecordCanceled,
    RecordFill,
    RecordRejected,
    RecordSubmitted,
    RequestCancel,
)
from patriot.orders.decider import ORDER, Order
from patriot.orders.events import CancelReason, OrderCreated, RejectStage
from patriot.orders.legs import leg_command
from patriot.risk.commands import ReleaseExposure
from patriot.simulation.loop import VirtualClock, run_virtually
from patriot.trading.terms import Leg, OrderId
from tests.execution.kit import Alarm
from tests.orders import kit
from tests.orders.kit import ORDER_ID, STRATEGY, D

pytestmark = pytest.mark.unit


@dataclass
class Keeping:
    """A keeper at work; its desk refuses the legs that it is told to refuse, and lets the others rest."""

    refused: frozenset[Leg] = frozenset()
    sent: list[tuple[float, Leg, Decimal]] = field(default_factory=list)
    canceled: list[OrderId] = field(default_factory=list)
    noted: list[object] = field(default_factory=list)
    orders: dict[OrderId, Order] = field(default_factory=dict)
    trades: int = 0

    def __post_init__(self) -> None:
        self.clock, self.alarm = VirtualClock(), Alarm()
        self.keeper = BracketKeeper(cast("Any", self), self.clock, self.alarm)
        self.keeper.attach(cast("Any", self))
        self.keeper.resume()

    # Its writer and its desk

    def put(self, command: object, actor: Actor) -> None:
        self.noted.append(command)

    async def find_lost_legs(self, symbol: str) -> bool:
        return False

    async def open_leg(self, entry: OrderCreated, leg: Leg, sequence: int, quantity: Decimal) -> None:
        self.sent.append((self.clock.monotonic(), leg, quantity))
        now, order_id = self.clock.now(), leg_order_id(entry.order_id, leg, sequence)
        self.tell(leg_command(entry, leg, sequence, quantity, now))
        self.tell(RecordSubmitted(order_id, 1, now))
        if leg in self.refused:
            self.tell(RecordRejected(order_id, RejectStage.EXCHANGE, "EXCHANGE_REFUSED", -1, "no", now))
        else:
            self.tell(RecordAccepted(order_id, f"v-{order_id}", now))

    async def cancel(self, created: OrderCreated, reason: CancelReason) -> None:
        self.canceled.append(created.order_id)
        self.tell(RequestCancel(created.order_id, reason, self.clock.now()))
        self.tell(RecordCanceled(created.order_id, self.clock.now()))

    def forget(self, group_id: OrderId) -> None:
        """Nothing is remembered."""

    # What happens

    def tell(self, command: OrderCommand) -> None:
        order = self.orders.get(command.order_id, ORDER.initial)
        for event in ORDER.decide(order, command):
            order = ORDER.evolve(order, event)
            self.keeper.observe(event)
        self.orders[command.order_id] = order

    def enter(self, quantity: str = "1", **changes: Any) -> OrderId:
        """Have an entry on its way to the exchange."""
        now = self.clock.now()
        command = kit.place(quantity=D(quantity), at=now, valid_until=now + timedelta(seconds=10), **changes)
        self.tell(command)
        self.tell(RecordSubmitted(command.order_id, 1, now))
        return command.order_id

    def fill(self, order_id: OrderId, quantity: str, price: str = "40000", at: datetime | None = None) -> None:
        self.trades += 1
        traded = (f"t{self.trades}", "v", D(quantity), D(price), D("0.1"), "USDT", D("1.5"))
        self.tell(RecordFill(order_id, *traded, is_maker=False, at=at or self.clock.now()))

    async def hold(self, quantity: str = "1", **changes: Any) -> OrderId:
        """Have a position that is protected."""
        group_id = self.enter(quantity, **changes)
        self.fill(group_id, quantity)
        await asyncio.sleep(1)
        return group_id

    def stop_of(self, group_id: OrderId, sequence: int = 1) -> OrderId:
        return leg_order_id(group_id, Leg.STOP, sequence)

    def all_of(self, kind: type[Any]) -> list[Any]:
        """Return what was noted of one kind."""
        return [command for command in self.noted if isinstance(command, kind)]

    def times(self, *legs: Leg) -> list[float]:
        """Return when orders of these legs were sent."""
        return [at for at, leg, _ in self.sent if leg in legs]


def day(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Run a test in virtual time."""

    def run() -> None:
        run_virtually(cast("Any", test()))

    run.__name__ = test.__name__
    return run


# Protection


@day
async def test_executions_that_come_together_get_one_stop_for_all_of_them() -> None:
    keeping = Keeping()
    keeping.enter()
    for _ in range(4):
        keeping.fill(ORDER_ID, "0.25")
        await asyncio.sleep(0.02)
    await asyncio.sleep(1)
    assert [(leg, quantity) for _, leg, quantity in keeping.sent] == [(Leg.STOP, D(1)), (Leg.TARGET, D(1))]
    assert keeping.canceled == []


@day
async def test_entry_that_stays_half_done_has_its_stop_within_half_a_second() -> None:
    keeping = Keeping()
    keeping.enter()
    began = keeping.clock.monotonic()
    keeping.fill(ORDER_ID, "0.5")
    await asyncio.sleep(1)
    (sent_at,) = keeping.times(Leg.STOP)
    assert sent_at - began < 0.5


@day
async def test_position_that_grows_is_not_waited_for_once_it_has_a_stop() -> None:
    keeping = Keeping()
    keeping.enter()
    keeping.fill(ORDER_ID, "0.5")
    await asyncio.sleep(1)
    began = keeping.clock.monotonic()
    keeping.fill(ORDER_ID, "0.25")
    await asyncio.sleep(1)
    assert keeping.sent[2] == (began, Leg.STOP, D("0.75"))


@day
async def test_time_without_a_stop_is_measured_once_by_the_clock_that_shows_more() -> None:
    keeping = Keeping()
    keeping.enter()
    keeping.fill(ORDER_ID, "0.5", at=keeping.clock.now() - timedelta(seconds=1))  # told a second late
    await asyncio.sleep(1)
    keeping.fill(ORDER_ID, "0.5")
    await asyncio.sleep(1)
    (protected,) = keeping.all_of(RecordProtected)
    assert protected.group_id == ORDER_ID
    assert D("1.2") <= protected.unprotected_seconds < D("1.3")
    assert protected.first_filled_at == protected.at - timedelta(seconds=float(protected.unprotected_seconds))

    skewed = Keeping()
    skewed.enter()
    skewed.fill(ORDER_ID, "0.5", at=skewed.clock.now() + timedelta(hours=1))  # by an exchange whose clock is ahead
    await asyncio.sleep(1)
    (protected,) = skewed.all_of(RecordProtected)
    assert D("0.2") <= protected.unprotected_seconds < D("0.3")


@day
async def test_stops_that_fail_lead_out_and_the_alarm_tells_how_many_failed() -> None:
    keeping = Keeping(refused=frozenset({Leg.STOP}))
    keeping.enter()
    keeping.fill(ORDER_ID, "1")
    await asyncio.sleep(1)
    assert [leg for _, leg, _ in keeping.sent] == [Leg.STOP] * 3 + [Leg.EMERGENCY]
    ((name, told),) = keeping.alarm.raised
    assert (name, told["symbol"], told["attempts"]) == ("position.protection_failed", "BTCUSDT", 3)
    (failed,) = keeping.all_of(RecordProtectionFailed)
    assert (failed.group_id, failed.attempts) == (ORDER_ID, 3)


# The way out


@pytest.mark.parametrize("leg", [Leg.CLOSE, Leg.EMERGENCY])
def test_way_out_is_tried_at_once_and_then_at_longer_and_longer_pauses_of_two_seconds_at_most(leg: Leg) -> None:
    async def run() -> None:
        keeping = Keeping(refused=frozenset({leg}))
        group_id = await keeping.hold()
        began = keeping.clock.monotonic()
        if leg is Leg.EMERGENCY:
            keeping.refused |= {Leg.STOP}
            keeping.tell(RecordCanceled(keeping.stop_of(group_id), keeping.clock.now()))
        else:
            keeping.keeper.want_out([group_id])
        await asyncio.sleep(12)
        times = keeping.times(leg)
        pauses = [later - earlier for earlier, later in pairwise(times)]
        assert times[0] - began < 0.05
        assert 0 < pauses[0] < 0.2
        assert pauses[:4] == sorted(set(pauses[:4]))
        assert 1.9 < max(pauses) == pauses[-1] < 2.1
        assert len(times) > 6

    run_virtually(run())


@day
async def test_position_that_is_flat_before_the_next_try_is_not_left_again() -> None:
    keeping = Keeping(refused=frozenset({Leg.CLOSE}))
    group_id = await keeping.hold("0.5")
    keeping.keeper.want_out([group_id])
    await asyncio.sleep(0.3)  # the third try is under way
    tries = len(keeping.times(Leg.CLOSE))
    keeping.fill(keeping.stop_of(group_id), "0.5")
    await asyncio.sleep(10)
    assert len(keeping.times(Leg.CLOSE)) == tries
    assert len(keeping.all_of(CloseBracket)) == 1


@day
async def test_wish_to_leave_is_of_one_bracket_and_of_what_still_comes_of_it() -> None:
    keeping = Keeping()
    other = OrderId(UUID(int=78))
    await keeping.hold()
    await keeping.hold(order_id=other, symbol="ETHUSDT")
    keeping.keeper.want_out([ORDER_ID])
    await asyncio.sleep(1)
    keeping.fill(leg_order_id(ORDER_ID, Leg.CLOSE, 1), "1")
    await asyncio.sleep(1)
    assert [command.group_id for command in keeping.all_of(CloseBracket)] == [ORDER_ID]
    keeping.fill(ORDER_ID, "0.1")  # told very late
    await asyncio.sleep(1)
    assert [quantity for _, leg, quantity in keeping.sent if leg is Leg.CLOSE] == [D(1), D("0.1")]
    assert keeping.alarm.names == ["position.opened_again"]
    assert set(keeping.keeper.open_brackets) == {ORDER_ID, other}


# What is told of it


@day
async def test_bracket_is_found_by_symbol_and_strategy() -> None:
    keeping = Keeping()
    await keeping.hold()
    for symbol, strategy_id, found in (
        ("BTCUSDT", None, True),
        ("BTCUSDT", STRATEGY, True),
        ("BTCUSDT", UUID(int=999), False),
        ("ETHUSDT", None, False),
        ("ETHUSDT", STRATEGY, False),
    ):
        assert (keeping.keeper.bracket_on(symbol, cast("Any", strategy_id)) is not None) is found


@day
async def test_closed_position_is_told_with_its_figures_rounded_once() -> None:
    keeping = Keeping()
    opened_at = keeping.clock.now()
    keeping.enter("3")
    for price in ("40000", "40000", "40001"):
        keeping.fill(ORDER_ID, "1", price)
    await asyncio.sleep(1)
    keeping.fill(keeping.stop_of(ORDER_ID), "3", "39000")
    await asyncio.sleep(1)
    (over,) = keeping.all_of(CloseBracket)
    assert (over.quantity, over.entry_price, over.exit_price) == (D(3), D("40000.33333333"), D(39_000))
    assert (over.realized_pnl, [str(paid.amount) for paid in over.commissions]) == (D(6), ["0.4"])
    assert (over.close_reason, over.opened_at) == ("STOP", opened_at)
    assert keeping.all_of(ReleaseExposure) == []  # the close of the bracket releases it


@day
async def test_entry_that_came_to_nothing_is_no_position_and_gives_its_exposure_back() -> None:
    keeping = Keeping()
    group_id = keeping.enter()
    keeping.tell(RecordCanceled(group_id, keeping.clock.now()))
    await asyncio.sleep(1)
    assert keeping.all_of(CloseBracket) == []
    assert [command.order_id for command in keeping.all_of(ReleaseExposure)] == [group_id]
    assert keeping.keeper.open_brackets == {}
    assert keeping.keeper.knows(group_id)


@day
async def test_nothing_is_sent_before_the_account_was_compared_with_its_exchange() -> None:
    keeping = Keeping()
    fresh = BracketKeeper(cast("Any", keeping), keeping.clock, keeping.alarm)
    fresh.attach(cast("Any", keeping))
    keeping.keeper = fresh
    keeping.enter()
    keeping.fill(ORDER_ID, "1")
    await asyncio.sleep(5)
    assert keeping.sent == []
    fresh.resume()
    await asyncio.sleep(0.1)
    assert [leg for _, leg, _ in keeping.sent][:1] == [Leg.STOP]


def test_bracket_without_its_entry_is_not_restored() -> None:
    keeper = BracketKeeper(cast("Any", None), VirtualClock(), Alarm())
    with pytest.raises(LookupError, match="entry"):
        keeper.restore(Bracket())


@day
async def test_keeper_without_a_desk_fails_loudly() -> None:
    keeping = Keeping()
    keeping.keeper = BracketKeeper(cast("Any", keeping), keeping.clock, keeping.alarm)
    keeping.keeper.resume()
    keeping.enter()
    keeping.fill(ORDER_ID, "1")
    with pytest.raises(LookupError, match="desk"):
        async with asyncio.timeout(5):
            await keeping.keeper.tasks.failed()
