"""The fan-out of one signal over accounts that answer late, refuse or say nothing: nobody holds up anybody."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import pytest

from patriot.accounts.events import AccountLinked, PositionMode
from patriot.execution.commands import RecordRouting
from patriot.execution.events import RoutedAccount, Routing
from patriot.execution.followers import FollowerBook
from patriot.execution.keys import KeyState
from patriot.execution.routing import RoutingNeeds, SignalRouter
from patriot.kernel.bus import Decided
from patriot.kernel.errors import CommandRefused, ExchangeRefused, ExchangeUnavailable, LeaseLost, StoreUnavailable
from patriot.orders.commands import PlaceOrder
from patriot.orders.decider import ORDER
from patriot.orders.events import OrderCreated
from patriot.risk.commands import AccountRisk, EffectiveLimits
from patriot.risk.events import HaltLevel, ReasonCode
from patriot.simulation.loop import START, VirtualClock, run_virtually
from patriot.strategies.events import SignalAction, SignalGenerated, StrategyAssigned, StrategyCreated, StrategyStopped
from patriot.trading.steps import Step
from patriot.trading.terms import (
    AccountId,
    Environment,
    Exchange,
    Instrument,
    OrderId,
    Side,
    SignalId,
    StrategyId,
    UserId,
)
from tests.execution.kit import AMPLE
from tests.orders.kit import RESERVED

pytestmark = pytest.mark.unit

D = Decimal
EQUITY = D(10_000)
STRATEGY, USER, SIGNAL = StrategyId(UUID(int=9)), UserId(UUID(int=1)), SignalId(UUID(int=4))
BTC = Instrument(
    Exchange.BINANCE, "BTCUSDT", "BTC", "USDT", D("0.1"), D("0.001"), D("0.001"), D(1000), D(120), D(100)
)  # fmt: skip


def good_key() -> KeyState:
    key = KeyState()
    key.take(None)
    return key


@dataclass
class Hand:
    """What the router sees of one account's worker."""

    user_id: UserId = USER
    key: KeyState = field(default_factory=good_key)
    known: set[OrderId] = field(default_factory=set)
    ready_after: float = 0.0
    prepares_in: float = 0.0
    refuses: Exception | None = None
    equity: Decimal | None = EQUITY
    placed: list[PlaceOrder] = field(default_factory=list)
    entered_at: list[float] = field(default_factory=list)
    prepared: list[tuple[str, int]] = field(default_factory=list)
    closed: list[tuple[str, StrategyId | None, str]] = field(default_factory=list)
    canceled: list[StrategyId] = field(default_factory=list)
    placing: Callable[[], None] = lambda: None  # what happens meanwhile

    @property
    def keeper(self) -> Hand:
        return self

    def knows(self, group_id: OrderId) -> bool:
        return group_id in self.known

    async def is_ready(self, within_seconds: float) -> bool:
        await asyncio.sleep(min(self.ready_after, within_seconds))
        return self.ready_after < within_seconds

    async def prepare(self, symbol: str, leverage: int) -> None:
        self.prepared.append((symbol, leverage))
        await asyncio.sleep(self.prepares_in)
        if self.refuses is not None:
            raise self.refuses

    async def read_equity(self) -> Decimal | None:
        return self.equity

    async def dispatch(self, command: PlaceOrder | RecordRouting, context: object) -> Decided:
        if isinstance(command, RecordRouting):
            return await self.tell(command, context)
        self.placed.append(command)
        self.placing()
        return Decided(tuple(ORDER.decide(ORDER.initial, replace(command, verdict=RESERVED))), 2)

    async def tell(self, command: RecordRouting, context: object) -> Decided:
        raise NotImplementedError

    async def close(self, symbol: str, strategy_id: StrategyId | None, reason: str) -> None:
        self.closed.append((symbol, strategy_id, reason))

    def cancel_entries(self, strategy_id: StrategyId) -> None:
        self.canceled.append(strategy_id)

    def enter(self, events: object) -> None:
        self.entered_at.append(asyncio.get_running_loop().time())


class Round:
    """One signal on its way to accounts, whose records are kept with the time of each."""

    def __init__(self, hands: list[Hand]) -> None:
        self.put_off: list[Callable[[], Awaitable[None]]] = []
        self.clock, self.steps, self.halts_asked = VirtualClock(), list[Step](), 0
        self.halt: HaltLevel | None = None
        self.halt_folded: HaltLevel | None = None
        self.overtaken = False
        self.hands = {AccountId(UUID(int=100 + number)): hand for number, hand in enumerate(hands)}
        self.routed: set[tuple[SignalId, AccountId]] = set()
        self.records: dict[AccountId, tuple[float, RoutedAccount]] = {}
        self.book, linked = FollowerBook(), (Exchange.BINANCE, Environment.SIM, PositionMode.ONE_WAY, "USDT", 1, START)
        self.book.apply(
            StrategyCreated(STRATEGY, "s", "ema", Exchange.BINANCE, "BTCUSDT", "1m", {}, D("0.01"), D(5), D(1), START)
        )
        for account_id, hand in self.hands.items():
            hand.tell = self.dispatch  # type: ignore[method-assign]
            self.book.apply(AccountLinked(account_id, USER, *linked))
            self.book.apply(StrategyAssigned(STRATEGY, UUID(int=3), USER, account_id, D("0.5"), D(1), START, START))
        needs = RoutingNeeds(
            cast("Any", self.hands),
            {(Exchange.BINANCE, "BTCUSDT"): BTC},
            self,
            self._never,
            self._nobody_to_ask,
            self._was_placed,
            self._was_routed,
            self._is_owned,
            self._put_off,
            self._halt_in_log,
            lambda _signal: self.overtaken,
        )
        self.router = SignalRouter(self.book, needs, cast("Any", self), self.clock, self.steps.append)

    def limits_for(self, *scopes: object) -> EffectiveLimits:
        return AMPLE

    def halt_for(self, *scopes: object) -> HaltLevel | None:
        return self.halt_folded

    def risk_of(self, account_id: AccountId, equity: Decimal) -> AccountRisk | None:
        return None

    async def _never(self, entry: OrderCreated, signal: SignalGenerated) -> bool:
        raise NotImplementedError

    async def _nobody_to_ask(self, account_id: AccountId, signal: SignalGenerated) -> OrderId | None:
        raise NotImplementedError

    async def _was_placed(self, order_id: OrderId) -> bool:
        return False

    async def _was_routed(self, signal_id: SignalId, account_id: AccountId) -> bool:
        return (signal_id, account_id) in self.routed

    async def _is_owned(self, account_id: AccountId) -> bool:
        return False

    def _put_off(self, work: Callable[[], Awaitable[None]]) -> None:
        self.put_off.append(work)

    async def _halt_in_log(self, *scopes: object) -> HaltLevel | None:
        self.halts_asked += 1
        return self.halt

    async def dispatch(self, command: RecordRouting, context: object) -> Decided:
        self.routed.add((command.signal_id, command.account.account_id))
        self.records[command.account.account_id] = (self.clock.monotonic(), command.account)
        return Decided((), 1)

    async def route(self, age: float = 0.0, *, late: bool = False, **changes: Any) -> list[RoutedAccount]:
        """Route a signal to buy that is so old; return the records in order of the accounts."""
        at = self.clock.now() - timedelta(seconds=age)
        fields: dict[str, Any] = {"stop_price": D(39_000), "take_profit_price": None, "action": SignalAction.BUY}
        fields |= {"signal_id": SIGNAL, "strategy_id": STRATEGY, "valid_until": at + timedelta(minutes=15)} | changes
        signal = SignalGenerated(
            exchange=Exchange.BINANCE, symbol="BTCUSDT",
            reference_price=D(40_000), confidence=D(1), indicators={}, bar_closed_at=at, generated_at=at, **fields,
        )  # fmt: skip
        await self.router.route(signal, late=late)
        for work in self.put_off:
            await work()
        return [self.records[account_id][1] for account_id in self.hands]


def day(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Run a test in virtual time."""

    def run() -> None:
        run_virtually(cast("Any", test()))

    run.__name__ = test.__name__
    return run


@day
async def test_hundred_followers_are_served_in_two_turns_of_fifty() -> None:
    signalled = Round([Hand(prepares_in=1) for _ in range(100)])
    shares = await signalled.route()
    assert {share.routing for share in shares} == {Routing.SENT}
    assert Counter(at for hand in signalled.hands.values() for at in hand.entered_at) == {1.0: 50, 2.0: 50}
    assert signalled.steps == [Step.ORDER_CREATED] * 100 + [Step.SIGNAL_ROUTED]


@day
async def test_exchange_that_says_nothing_costs_its_account_the_signal_while_that_is_still_good_for_others() -> None:
    signalled = Round([Hand(), Hand(ready_after=1.99, prepares_in=60), Hand(ready_after=60), Hand(ready_after=1.5)])
    prompt, silent, unready, late = await signalled.route()
    assert (prompt.routing, late.routing) == (Routing.SENT, Routing.SENT)
    assert (silent.routing, silent.reason_code) == (Routing.SKIPPED, ReasonCode.EXCHANGE_UNAVAILABLE)
    assert (unready.routing, unready.reason_code) == (Routing.SKIPPED, ReasonCode.EQUITY_UNKNOWN)
    waited = [signalled.records[account_id][0] for account_id in signalled.hands]
    assert waited[0] == 0
    assert waited[2] == 2
    assert 9.9 < waited[1] <= 10  # for as long as its signal is good, and no longer


@pytest.mark.parametrize(
    ("hand", "reason"),
    [
        (Hand(refuses=CommandRefused("in use")), ReasonCode.SYMBOL_IN_USE),
        (Hand(refuses=ExchangeRefused(-4046, "No need")), ReasonCode.SYMBOL_IN_USE),
        (Hand(refuses=ExchangeUnavailable("busy")), ReasonCode.EXCHANGE_UNAVAILABLE),
        (Hand(refuses=LeaseLost("theirs")), ReasonCode.ACCOUNT_NOT_ACTIVE),
        (Hand(equity=None), ReasonCode.EQUITY_UNKNOWN),
        (Hand(equity=D(1)), ReasonCode.BELOW_MIN_NOTIONAL),
    ],
)
def test_account_that_cannot_take_part_is_told_why_and_the_next_one_is_served(hand: Hand, reason: ReasonCode) -> None:
    async def run() -> None:
        out, served = await Round([hand, Hand()]).route()
        assert (out.routing, out.order_id, out.reason_code) == (Routing.SKIPPED, None, reason)
        assert served.routing is Routing.SENT
        assert not hand.placed
        assert not hand.entered_at

    run_virtually(run())


@pytest.mark.parametrize(("age", "routing"), [(9.9, Routing.SENT), (10.1, Routing.SKIPPED)])
def test_signal_is_good_for_ten_seconds(age: float, routing: Routing) -> None:
    async def run() -> None:
        signalled = Round([Hand()])
        (share,) = await signalled.route(age)
        assert share.routing is routing
        assert share.reason_code == (None if routing is Routing.SENT else ReasonCode.SIGNAL_EXPIRED)
        for order in signalled.hands[share.account_id].placed:
            assert order.valid_until == START + timedelta(seconds=10 - age)  # and the order no longer than it

    run_virtually(run())


@pytest.mark.parametrize(("age", "asked"), [(0.9, 0), (1.1, 1), (-0.9, 0), (-1.1, 1)])
def test_signal_from_another_second_is_checked_against_the_halts_in_the_log(age: float, asked: int) -> None:
    async def run() -> None:
        signalled = Round([Hand()])
        signalled.halt = HaltLevel.H1
        await signalled.route(age)
        assert signalled.halts_asked == asked
        (order,) = next(iter(signalled.hands.values())).placed
        assert order.halt is (HaltLevel.H1 if asked else None)

    run_virtually(run())


@day
async def test_order_has_the_size_side_and_leverage_that_its_account_is_given() -> None:
    signalled = Round([Hand()])
    (share,) = await signalled.route(action=SignalAction.SELL, stop_price=D(41_000))
    (hand,) = signalled.hands.values()
    (order,) = hand.placed
    assert share.quantity == order.quantity == D("0.050")  # 10,000 x 50 % x 1 % / 1,000
    assert (order.side, order.stop_price) == (Side.SELL, D(41_000))
    assert hand.prepared == [("BTCUSDT", 5)]


@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("level", [HaltLevel.H1, HaltLevel.H2, HaltLevel.H3])
async def test_entry_that_a_halt_has_just_missed_is_led_out(*, late: bool, folded: bool, level: HaltLevel) -> None:
    """The tail comes to a halt while an entry is being placed; of one that is late it was there before."""
    hand = Hand()
    fan_out = Round([hand])

    def halt() -> None:
        if folded:
            fan_out.halt_folded = level
        fan_out.halt = level

    hand.placing = halt
    (routed,) = await fan_out.route(late=late)
    assert routed.routing is Routing.SENT
    heard = late or folded
    assert hand.closed == ([("BTCUSDT", STRATEGY, "HALTED")] if heard and level is HaltLevel.H3 else [])
    assert hand.canceled == ([STRATEGY] if heard and level is not HaltLevel.H1 else [])


@day
async def test_entry_whose_strategy_stops_while_it_is_prepared_stays_out_and_one_that_was_placed_is_led_out() -> None:
    preparing, placing = Hand(prepares_in=2), Hand()
    fan_out = Round([preparing, placing])
    placing.placing = lambda: fan_out.book.apply(StrategyStopped(STRATEGY, "TEST", START))
    out, placed = await fan_out.route()
    assert (out.routing, out.reason_code) == (Routing.SKIPPED, ReasonCode.HALTED)
    assert not preparing.placed
    assert placed.routing is Routing.SENT
    assert placing.closed == [("BTCUSDT", STRATEGY, "HALTED")]


@day
async def test_signals_of_a_strategy_are_served_one_after_the_other() -> None:
    hand = Hand(prepares_in=3)
    fan_out = Round([hand])
    await asyncio.gather(fan_out.route(), fan_out.route(signal_id=SignalId(UUID(int=5))))
    assert hand.entered_at == [3, 6]


@day
async def test_signal_of_a_strategy_waits_for_every_follower_of_the_one_before() -> None:
    slow, quick = Hand(prepares_in=3), Hand()
    fan_out = Round([slow, quick])
    await asyncio.gather(fan_out.route(), fan_out.route(signal_id=SignalId(UUID(int=5))))
    assert (slow.entered_at, quick.entered_at) == ([3, 6], [0, 3])


@day
async def test_account_is_set_for_one_strategy_after_the_other_on_a_symbol() -> None:
    hand, other = Hand(prepares_in=3), StrategyId(UUID(int=6))
    fan_out = Round([hand])
    fan_out.book.apply(
        StrategyCreated(other, "o", "ema", Exchange.BINANCE, "BTCUSDT", "1m", {}, D("0.01"), D(5), D(1), START)
    )
    (account_id,) = fan_out.hands
    fan_out.book.apply(StrategyAssigned(other, UUID(int=7), USER, account_id, D("0.5"), D(1), START, START))
    await asyncio.gather(fan_out.route(), fan_out.route(signal_id=SignalId(UUID(int=5)), strategy_id=other))
    assert hand.entered_at == [3, 6]


@day
async def test_share_is_served_when_the_store_is_there_again() -> None:
    hand, other = Hand(), Hand()
    fan_out = Round([hand, other])
    away = [StoreUnavailable("away")] * 3

    def place() -> None:
        if away:
            raise away.pop()

    hand.placing = place
    first, second = await fan_out.route()
    assert (first.routing, second.routing) == (Routing.SENT, Routing.SENT)
    assert (len(hand.placed), len(other.placed)) == (4, 1)
