"""Every follower of a signal gets an order, or a reason why not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from patriot.accounts.events import AccountStatus, AccountStatusChanged
from patriot.execution.events import RoutedAccount, Routing, routing_stream
from patriot.kernel.bus import decode_all
from patriot.kernel.ids import derived_id
from patriot.orders.client_ids import entry_order_id
from patriot.risk.events import HaltLevel, ReasonCode
from patriot.sim.engine.operations import Transfer
from patriot.sim.engine.words import Side
from patriot.strategies.events import SignalAction, SignalGenerated, StrategyPaused
from patriot.trading.terms import Exchange, Leg, SignalId
from tests.laws.test_laws import CALM
from tests.laws.virtual_time import START, run_virtually
from tests.laws.world import ACCOUNT, STRATEGIES, USER, World

pytestmark = pytest.mark.unit

D = Decimal
STRATEGY = next(iter(STRATEGIES))


def signal(
    world: World, action: SignalAction = SignalAction.BUY, stop: str = "39500", number: int = 1
) -> SignalGenerated:
    now = world.clock.now()
    return SignalGenerated(
        SignalId(derived_id("signal", number)), STRATEGY, Exchange.BINANCE, "BTCUSDT", action, D(40_000), D(stop), None,
        D(1), {}, now, now, now + timedelta(minutes=15),
    )  # fmt: skip


def routed(prepare: Callable[[World], None], build: Callable[[World], SignalGenerated] = signal) -> RoutedAccount:
    """Route one signal in a prepared world."""

    async def run() -> RoutedAccount:
        world = World(1, CALM)
        async with world.at_work() as process:
            prepare(world)
            (account,) = await process.router.route(build(world))
            return account

    return run_virtually(run())


def test_follower_gets_its_order() -> None:
    account = routed(lambda _: None)
    assert account.routing is Routing.SENT
    assert account.order_id == entry_order_id(SignalId(derived_id("signal", 1)), ACCOUNT)
    assert account.quantity == D("0.100")  # 10,000 x 50 % x 1 % / 500


def suspend(world: World) -> None:
    suspended = AccountStatusChanged(ACCOUNT, USER, AccountStatus.ACTIVE, AccountStatus.SUSPENDED, "OPERATOR", START)
    world.book.apply(suspended)


def pause(world: World) -> None:
    world.book.apply(StrategyPaused(STRATEGY, "OPERATOR", START))


def halt(world: World) -> None:
    world.facts.halt = HaltLevel.H1


def lose_step(world: World) -> None:
    assert world.process is not None
    world.process.worker.ready.clear()


def lose_money(world: World) -> None:
    world.exchange.execute(Transfer(1, D(-9_950)))


def old(world: World) -> SignalGenerated:
    made = signal(world)
    return replace(made, generated_at=made.generated_at - timedelta(seconds=11))


@pytest.mark.parametrize(
    ("prepare", "build", "reason"),
    [
        (suspend, signal, ReasonCode.ACCOUNT_NOT_ACTIVE),
        (pause, signal, ReasonCode.HALTED),
        (lose_step, signal, ReasonCode.EQUITY_UNKNOWN),
        (lambda _: None, old, ReasonCode.SIGNAL_EXPIRED),
        (lambda _: None, lambda w: signal(w, SignalAction.CLOSE), ReasonCode.NO_POSITION),
        (lose_money, lambda w: signal(w, stop="1000"), ReasonCode.BELOW_MIN_NOTIONAL),
    ],
)
def test_follower_left_out_is_told_why(
    prepare: Callable[[World], None], build: Callable[[World], SignalGenerated], reason: ReasonCode
) -> None:
    account = routed(prepare, build)
    assert account == RoutedAccount(ACCOUNT, Routing.SKIPPED, None, reason, None)


def test_entry_during_a_halt_is_denied_by_risk_and_never_sent() -> None:
    account = routed(halt)
    assert (account.routing, account.reason_code) == (Routing.DENIED, ReasonCode.HALTED)


def test_signal_routed_twice_is_one_order() -> None:
    async def run() -> None:
        world = World(1, CALM)
        async with world.at_work() as process:
            first, again = [await process.router.route(signal(world)) for _ in range(2)]
            await asyncio.sleep(2)
            assert first[0].order_id == again[0].order_id
            assert [o.side for o in world.engine.orders(1) if o.client_order_id.startswith("p")] == [Side.BUY]

    run_virtually(run())


def test_each_account_has_a_record_of_its_own() -> None:
    async def run() -> None:
        world = World(1, CALM)
        async with world.at_work() as process:
            (account,) = await process.router.route(signal(world))
            await process.router.route(signal(world))
        (record,) = await world.store.read_stream(routing_stream(SignalId(derived_id("signal", 1)), ACCOUNT))
        assert record.context.account_id == ACCOUNT
        assert decode_all([record])[0].accounts == (account,)

    run_virtually(run())


def test_signal_routed_again_when_its_bracket_is_over_is_still_recorded_as_sent() -> None:
    async def run() -> None:
        world = World(1, CALM)
        async with world.at_work() as process:
            bought = signal(world)
            (first,) = await process.router.route(bought)
            await asyncio.sleep(2)
            await process.router.route(signal(world, SignalAction.CLOSE, number=2))
            await asyncio.sleep(20)
            assert process.keeper.open_brackets == {}
            (again,) = await process.router.route(bought)
            assert (again.routing, again.order_id) == (Routing.SENT, first.order_id)

    run_virtually(run())


def test_way_out_is_open_while_all_entries_are_halted() -> None:
    async def run() -> None:
        world = World(1, CALM)
        async with world.at_work() as process:
            await process.router.route(signal(world))
            await asyncio.sleep(2)
            halt(world)
            (account,) = await process.router.route(signal(world, SignalAction.CLOSE, number=2))
            await asyncio.sleep(2)
            assert account.routing is Routing.SENT
            assert world.engine.positions(1) == ()
            assert world.judge.placed[next(k for k in world.judge.placed if Leg.CLOSE in k)] == 1

    run_virtually(run())


def test_second_entry_on_a_held_symbol_is_denied() -> None:
    async def run() -> None:
        world = World(1, CALM)
        async with world.at_work() as process:
            await process.router.route(signal(world))
            await asyncio.sleep(2)
            (account,) = await process.router.route(signal(world, number=2))
            assert (account.routing, account.reason_code) == (Routing.DENIED, ReasonCode.POSITION_OPEN)

    run_virtually(run())
