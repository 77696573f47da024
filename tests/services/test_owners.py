"""One account and two processes: a stale owner writes nothing, and a close is done by whoever comes next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from patriot.execution.events import CloseRequested, PositionClosed, Routing, SignalRouted
from patriot.execution.worker import AccountWorker
from patriot.kernel.errors import StoreUnavailable
from patriot.kernel.eventstore import START, Actor, ActorType, Appended, Envelope, Fence, StreamAppend
from patriot.orders.events import OrderCreated, OrderFilled, entry_order_id
from patriot.risk.commands import HaltTrading, ResumeTrading
from patriot.risk.events import HaltLevel, ReasonCode, Scope
from patriot.sim.engine.operations import PlaceOrder
from patriot.simulation.loop import run_virtually
from patriot.simulation.venue import PRICES
from patriot.strategies.commands import StopStrategy
from patriot.strategies.events import SignalAction, StrategyStopped, StrategyUnassigned
from patriot.trading.steps import Step
from patriot.trading.terms import AccountId, Leg
from tests.services.paper import ALICE, ANOTHER, RANGE, TREND, Paper

pytestmark = pytest.mark.integration


async def one_client() -> tuple[Paper, AccountId]:
    paper = Paper()
    account_id = await paper.link(ALICE)
    await paper.found([(ALICE, account_id)])
    return paper, account_id


def cut_off_first_owner(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whoever renews first never reach the leases again: its lease runs out, and it does not know."""
    renew, owners = paper.leases.renew, list[str]()

    async def unreachable(fence: Fence, owner: str) -> None:
        owners.append(owner)
        if owner == owners[0] and owner != ANOTHER:
            raise StoreUnavailable("cut off")
        await renew(fence, owner)

    monkeypatch.setattr(paper.leases, "renew", unreachable)


def entries(paper: Paper) -> list[PlaceOrder]:
    """Return the orders that reached the exchange and open something."""
    return [one for one in paper.applied if isinstance(one, PlaceOrder) and not one.reduce_only]


async def envelopes(paper: Paper, stream_type: str) -> list[Envelope]:
    log = (await paper.store.feed.read(START, 10**6)).events
    return [envelope for envelope in log if envelope.stream.stream_type == stream_type]


def test_stale_owner_places_no_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    async def day() -> None:
        paper, account_id = await one_client()
        async with paper.running() as stale:
            cut_off_first_owner(paper, monkeypatch)
            await paper.settle(15)
            async with paper.owned_elsewhere(account_id):
                assert account_id in stale.workers
                await paper.signal(TREND)
                assert await paper.log(SignalRouted) == []  # the other owner knows
                await paper.settle(60)
                (routed,) = (await paper.log(SignalRouted))[-1].accounts
                assert (routed.routing, routed.reason_code) == (Routing.SKIPPED, ReasonCode.SIGNAL_EXPIRED)
                assert await paper.log(OrderCreated) == []
                assert entries(paper) == []

    run_virtually(day())


def test_stale_owner_records_nothing_that_its_exchange_tells_it_and_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    async def day() -> None:
        paper, account_id = await one_client()
        async with paper.running() as stale:
            await paper.signal(TREND)
            assert [fill.leg for fill in await paper.log(OrderFilled)] == [Leg.ENTRY]
            cut_off_first_owner(paper, monkeypatch)
            await paper.settle(15)
            async with paper.owned_elsewhere(account_id):
                paper.venue.move("BTCUSDT", Decimal("-0.05"))
                await paper.settle()
                assert paper.positions(account_id) == {}
                assert account_id not in stale.workers
                assert [fill.leg for fill in await paper.log(OrderFilled)] == [Leg.ENTRY]
                assert paper.alarm.names() == ["account.worker_failed"]
            await paper.settle(60)
            assert account_id in stale.workers
            assert [fill.leg for fill in await paper.log(OrderFilled)] == [Leg.ENTRY, Leg.STOP]
            assert len(await paper.log(PositionClosed)) == 1

    run_virtually(day())


def test_two_living_owners_open_protect_and_close_a_position_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def day() -> None:
        paper, account_id = await one_client()
        async with paper.running() as stale, paper.running_soon() as owner:
            cut_off_first_owner(paper, monkeypatch)
            await paper.settle(60)
            assert account_id in owner.workers
            await paper.signal(TREND)
            await paper.settle(30)
            assert len(await paper.log(OrderCreated)) == 2  # the entry and its stop
            assert len(entries(paper)) == 1
            assert len(paper.venue.engine.open_algo_orders(account_id.int - 100, None)) == 1
            assert stale.workers == {}
            assert account_id in owner.workers
            halt = HaltTrading(Scope.GLOBAL, "", HaltLevel.H3, "OPERATOR", paper.clock.now())
            await paper.tell(halt)
            await paper.settle(30)
            assert paper.positions(account_id) == {}
            assert len(await paper.log(PositionClosed)) == 1

    run_virtually(day())


def test_signal_is_told_of_by_the_process_that_works_for_the_account_however_long_its_exchange_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def day() -> None:
        paper, account_id = await one_client()
        prepare = AccountWorker.prepare

        async def slowly(worker: AccountWorker, symbol: str, leverage: int) -> None:
            await paper.settle(4)
            await prepare(worker, symbol, leverage)

        async with paper.running() as owner, paper.running_soon() as other:
            await other.started.wait()
            assert (set(owner.workers), set(other.workers)) == ({account_id}, set())
            monkeypatch.setattr(AccountWorker, "prepare", slowly)
            signal_id = await paper.signal(TREND)
            await paper.signal(TREND, SignalAction.CLOSE)
            await paper.settle(60)
            routed = [one for record in await paper.log(SignalRouted) for one in record.accounts]
            entry = entry_order_id(signal_id, account_id)
            assert [(one.routing, one.order_id) for one in routed] == [(Routing.SENT, entry)] * 2
            assert len(entries(paper)) == len(await paper.log(PositionClosed)) == 1

    run_virtually(day())


def test_signal_that_came_while_a_dead_owner_had_the_lease_is_entered_once_by_the_next_one() -> None:
    async def day() -> None:
        paper, account_id = await one_client()
        async with paper.running():
            await paper.settle()
        async with paper.running_soon() as first, paper.running_soon() as second:
            async with paper.owned_elsewhere(account_id):
                await first.started.wait()
                await second.started.wait()
                await paper.signal(TREND)
                assert await paper.log(SignalRouted) == []
            await paper.settle(60)
            (routed,) = await paper.log(SignalRouted)
            assert [(one.routing, one.account_id) for one in routed.accounts] == [(Routing.SENT, account_id)]
            assert len(entries(paper)) == 1  # by whoever got the lease while the signal was good

    run_virtually(day())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _account_id, at: StrategyStopped(TREND, "OPERATOR", at), ReasonCode.HALTED),
        (
            lambda account_id, at: StrategyUnassigned(TREND, account_id, ALICE, account_id, "CLIENT", at),
            ReasonCode.ACCOUNT_NOT_ACTIVE,
        ),
    ],
)
def test_signal_that_waited_for_an_owner_is_entered_only_if_it_still_may(
    change: Callable[[AccountId, datetime], object], reason: ReasonCode
) -> None:
    async def day() -> None:
        paper, account_id = await one_client()
        async with paper.running():
            await paper.settle()
        async with paper.running_soon() as service:
            async with paper.owned_elsewhere(account_id):
                await service.started.wait()
                await paper.signal(TREND)
                await paper.write("STRATEGY", TREND, change(account_id, paper.clock.now()))
                await paper.settle(1)
            await paper.settle(60)
            (routed,) = (await paper.log(SignalRouted))[-1].accounts
            assert (routed.routing, routed.reason_code) == (Routing.SKIPPED, reason)
            assert entries(paper) == []

    run_virtually(day())


def closing_signal(paper: Paper, _account_id: AccountId) -> Awaitable[object]:
    return paper.signal(TREND, SignalAction.CLOSE)


def stop_of_the_strategy(paper: Paper, _account_id: AccountId) -> Awaitable[object]:
    return paper.tell(StopStrategy(TREND, "OPERATOR", paper.clock.now()))


def halt_of_the_strategy(paper: Paper, _account_id: AccountId) -> Awaitable[object]:
    return paper.tell(HaltTrading(Scope.STRATEGY, str(TREND), HaltLevel.H3, "OPERATOR", paper.clock.now()))


def halt_of_the_account(paper: Paper, account_id: AccountId) -> Awaitable[object]:
    return paper.tell(HaltTrading(Scope.ACCOUNT, str(account_id), HaltLevel.H3, "OPERATOR", paper.clock.now()))


@pytest.mark.parametrize(
    ("ask", "reason", "closed"),
    [
        (closing_signal, "SIGNAL", {TREND}),
        (stop_of_the_strategy, "STRATEGY_STOPPED", {TREND}),
        (halt_of_the_strategy, "OPERATOR", {TREND}),
        (halt_of_the_account, "OPERATOR", {TREND, RANGE}),
    ],
)
def test_close_asked_of_a_process_without_the_account_is_left_durably_and_done_by_the_next_owner(
    ask: Callable[[Paper, AccountId], Awaitable[object]], reason: str, closed: set[object]
) -> None:
    async def day() -> None:
        paper, account_id = await one_client()
        async with paper.running():
            groups = {one: entry_order_id(await paper.signal(one), account_id) for one in (TREND, RANGE)}
        async with paper.owned_elsewhere(account_id), paper.running() as service:
            assert service.workers == {}
            held = paper.positions(account_id)
            await ask(paper, account_id)
            wishes = await paper.log(CloseRequested)
            assert {(one.group_id, one.account_id, one.reason_code) for one in wishes} == {
                (groups[strategy_id], account_id, reason) for strategy_id in groups if strategy_id in closed
            }
            assert paper.positions(account_id) == held
        async with paper.running():
            await paper.settle(30)
            assert {one.strategy_id for one in await paper.log(PositionClosed)} == closed
            assert len(paper.positions(account_id)) == 2 - len(closed)

    run_virtually(day())


def test_answer_to_a_closing_signal_names_the_bracket_or_that_there_is_none() -> None:
    async def day() -> None:
        paper, account_id = await one_client()
        async with paper.running():
            entry = await paper.signal(TREND)
        async with paper.owned_elsewhere(account_id), paper.running():
            await paper.signal(TREND, SignalAction.CLOSE)
            await paper.signal(RANGE, SignalAction.CLOSE)
            await paper.settle(60)
            routed = [one for record in (await paper.log(SignalRouted))[-2:] for one in record.accounts]
            assert [(one.routing, one.order_id, one.reason_code) for one in routed] == [
                (Routing.SENT, entry_order_id(entry, account_id), None),
                (Routing.SKIPPED, None, ReasonCode.NO_POSITION),
            ]

    run_virtually(day())


def test_entry_that_a_predecessor_placed_is_told_as_sent_where_nobody_works_for_the_account(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def day() -> None:
        paper, account_id = await one_client()
        append = paper.store.append

        async def unsteady(appends: Sequence[StreamAppend], **more: Any) -> Appended:
            if any(one.stream.stream_type == "EXECUTION" for one in appends):
                raise StoreUnavailable("away")
            return await append(appends, **more)

        async with paper.running():
            with monkeypatch.context() as patch:
                patch.setattr(paper.store, "append", unsteady)
                signal_id = await paper.signal(TREND)
        assert await paper.log(SignalRouted) == []
        async with paper.owned_elsewhere(account_id), paper.running():
            await paper.settle(35)  # for as long it is left to the account's owner
            (routed,) = (await paper.log(SignalRouted))[-1].accounts
            assert (routed.routing, routed.order_id) == (Routing.SENT, entry_order_id(signal_id, account_id))
            assert len(entries(paper)) == 1

    run_virtually(day())


def test_what_is_written_of_an_account_names_its_owner_its_signal_and_who_acted() -> None:
    async def day() -> None:
        paper, account_id = await one_client()
        async with paper.running():
            signal_id = await paper.signal(TREND)
            await paper.signal(TREND, SignalAction.CLOSE)
            await paper.settle(30)
        assert len(await paper.log(PositionClosed)) == 1
        orders = await envelopes(paper, "ORDER")
        about = [one.context for one in (*orders, *await envelopes(paper, "PROTECTION"))]
        assert {(one.user_id, one.account_id, one.correlation_id) for one in about} == {(ALICE, account_id, signal_id)}
        actors = {one.event_type: one.context.actor for one in orders}
        assert actors["order.filled"] == Actor(ActorType.EXCHANGE, "BINANCE")
        assert actors["order.submitted"].type is ActorType.SYSTEM
        first = orders[0]
        assert (first.event_type, first.context.actor) == ("order.created", Actor(ActorType.STRATEGY, str(TREND)))
        assert paper.steps.count(Step.FILL_RECORDED) == len(await paper.log(OrderFilled)) == 2
        assert paper.steps.count(Step.SIGNAL_ROUTED) == 2

    run_virtually(day())


def test_position_passes_each_step_of_its_way_where_a_kill_must_lose_nothing() -> None:
    async def day() -> None:
        paper, _ = await one_client()
        async with paper.running():
            paper.steps.clear()
            await paper.signal(TREND, take_profit_price=PRICES["BTCUSDT"] * 2)
            entered = list(dict.fromkeys(paper.steps))
            await paper.signal(TREND, SignalAction.CLOSE)
            await paper.settle(30)
        way = [Step.ORDER_CREATED, Step.ORDER_SUBMITTED, Step.ORDER_SENT, Step.STOP_SENT, Step.TARGET_SENT]
        assert [step for step in entered if step in way] == way
        assert entered.index(Step.STOP_SENT) < entered.index(Step.STOP_ACCEPTED)
        passed = Counter(paper.steps)
        assert {step for step, times in passed.items() if times == 1} >= {*way, Step.STOP_ACCEPTED, Step.CLOSE_SENT}
        assert passed[Step.FILL_RECEIVED] >= passed[Step.FILL_RECORDED] == passed[Step.CANCEL_SENT] == 2
        assert passed[Step.POSITION_CLOSED] == 1
        assert passed[Step.ORDER_ACCEPTED] == 3  # entry, target, close
        assert passed[Step.SIGNAL_ROUTED] == 2

    run_virtually(day())


def test_wish_to_close_that_was_not_durable_at_first_is_left_although_the_halt_was_lifted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def day() -> None:
        paper, account_id = await one_client()
        async with paper.running():
            await paper.signal(TREND)
        append, refused = paper.store.append, list[str]()

        async def refusing(appends: Sequence[StreamAppend], **more: Any) -> Appended:
            wishes = [one for one in appends if one.stream.stream_type == "PROTECTION"]
            if wishes and len(refused) < 3:
                refused.append("wish to close")
                raise StoreUnavailable("full")
            return await append(appends, **more)

        async with paper.owned_elsewhere(account_id), paper.running_soon() as service:
            await service.started.wait()
            monkeypatch.setattr(paper.store, "append", refusing)
            await paper.tell(HaltTrading(Scope.GLOBAL, "", HaltLevel.H3, "OPERATOR", paper.clock.now()))
            await paper.tell(ResumeTrading(Scope.GLOBAL, "", "OPERATOR", paper.clock.now()))
            await paper.settle(10)
            assert len(refused) == 3
            assert [one.account_id for one in await paper.log(CloseRequested)] == [account_id]
        async with paper.running():
            await paper.settle(30)
        assert paper.positions(account_id) == {}

    run_virtually(day())
