"""The execution service over the in-process exchange: whose accounts it works for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from patriot.accounts.events import AccountLinked, AccountUnlinked
from patriot.execution.events import Routing, SignalRouted
from patriot.kernel.bus import decode_all
from patriot.kernel.errors import StoreUnavailable
from patriot.kernel.eventstore import Appended, StreamAppend
from patriot.orders.events import OrderRejected, entry_order_id, order_stream
from patriot.risk.commands import SetLimit
from patriot.risk.decider import RISK
from patriot.risk.events import Scope, limits_stream_id, risk_stream
from patriot.services.account import close_signalled
from patriot.sim.engine.operations import PlaceOrder, SetLeverage
from patriot.sim.engine.words import OrderType, Side
from patriot.simulation.loop import run_virtually
from patriot.strategies.commands import AssignStrategy
from patriot.strategies.events import SignalAction, SignalGenerated, StrategyAssigned, StrategyUnassigned
from patriot.trading.terms import Exchange
from tests.services.paper import ALICE, RANGE, SYMBOLS, TREND, Paper

pytestmark = pytest.mark.integration


def test_account_that_is_unlinked_is_let_go_for_good() -> None:
    async def day() -> None:
        paper = Paper()
        kept, left = await paper.link(ALICE), await paper.link(ALICE)
        async with paper.running() as service:
            assert service.workers.keys() == {kept, left}
            unlinked = AccountUnlinked(left, ALICE, Exchange.BINANCE, "CLIENT", paper.clock.now())
            await paper.write("ACCOUNT", left, unlinked)
            await paper.settle()
            assert service.workers.keys() == {kept}
            assert await paper.leases.acquire(f"account:{left}", "another process") is not None
            assert service.busy == ""
        async with paper.running() as service:
            assert service.workers.keys() == {kept}
            assert service.busy == ""
        assert paper.alarm.raised == []

    run_virtually(day())


def test_account_that_comes_back_follows_nothing_until_its_owner_consents_again() -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await paper.link(ALICE)
        await paper.found([(ALICE, account_id)])
        async with paper.running():
            (linked,) = await paper.log(AccountLinked)
            unlinked = AccountUnlinked(account_id, ALICE, Exchange.BINANCE, "CLIENT", paper.clock.now())
            await paper.write("ACCOUNT", account_id, unlinked)
            await paper.settle()
            ended = await paper.log(StrategyUnassigned)
            assert {(one.strategy_id, one.reason_code) for one in ended} == {
                (TREND, "ACCOUNT_UNLINKED"),
                (RANGE, "ACCOUNT_UNLINKED"),
            }
            await paper.write("ACCOUNT", account_id, replace(linked, linked_at=paper.clock.now()))
            await paper.settle()
            await paper.signal(TREND)
            assert paper.positions(account_id) == {}

            assigned, *_ = await paper.log(StrategyAssigned)
            again = {name: getattr(assigned, name) for name in ("strategy_id", "user_id", "account_id")}
            consent = AssignStrategy(
                **again, assignment_id=UUID(int=4), allocation_fraction=Decimal("0.5"), risk_multiplier=Decimal(1),
                consented_at=paper.clock.now(), at=paper.clock.now(),
            )  # fmt: skip
            await paper.tell(consent)
            await paper.signal(assigned.strategy_id)
            assert paper.positions(account_id).keys() == {SYMBOLS[assigned.strategy_id]}

    run_virtually(day())


def test_strategy_assigned_to_an_account_that_holds_its_symbol_ends_no_process() -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await paper.link(ALICE)
        held = PlaceOrder(1, "BTCUSDT", Side.BUY, OrderType.MARKET, Decimal("0.1"), client_order_id="web_1")
        async with paper.running():
            paper.venue.exchange.apply(held)
            await paper.settle(400)
            await paper.found([(ALICE, account_id)])
            await paper.signal(RANGE)
            assert paper.positions(account_id).keys() == {"BTCUSDT", "ETHUSDT"}

    run_virtually(day())


def test_entry_whose_answer_from_the_store_was_lost_is_ended_when_its_signal_is_too_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await paper.link(ALICE)
        await paper.found([(ALICE, account_id)])
        append, lost = paper.store.append, [True]

        async def losing(appends: Sequence[StreamAppend], **more: Any) -> Appended:
            if paper.clock.monotonic() < away_until[0]:
                raise StoreUnavailable("away")
            appended = await append(appends, **more)
            if lost and any(one.stream.stream_type == "ORDER" for one in appends):
                lost.clear()
                away_until[0] = paper.clock.monotonic() + 15
                raise StoreUnavailable("went away after the commit")
            return appended

        away_until = [0.0]
        async with paper.running():
            monkeypatch.setattr(paper.store, "append", losing)
            signal_id = await paper.signal(TREND)
            await paper.settle(60)
            reserved = RISK.fold(decode_all(await paper.store.read_stream(risk_stream(account_id)))).reserved
            events = decode_all(await paper.store.read_stream(order_stream(entry_order_id(signal_id, account_id))))
            assert [type(event) for event in events[2:]] == [OrderRejected]
            assert reserved == {}
            assert paper.venue.engine.orders(1) == ()
            (routed,) = (await paper.log(SignalRouted))[-1].accounts
            assert routed.routing is Routing.SENT

    run_virtually(day())


@pytest.mark.parametrize(("limit", "leverage"), [(50, 5), (3, 3)], ids=["its strategy's", "its limit's"])
def test_entry_of_an_earlier_life_goes_in_under_the_leverage_of_its_strategy_and_limits(
    monkeypatch: pytest.MonkeyPatch, limit: int, leverage: int
) -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await paper.link(ALICE)
        await paper.found([(ALICE, account_id)])
        account = (Scope.ACCOUNT, str(account_id))
        await paper.tell(
            SetLimit(limits_stream_id(*account), *account, "max_leverage", Decimal(limit), paper.clock.now())
        )
        async with paper.running() as service:
            monkeypatch.setattr(service.workers[account_id], "enter", lambda _events: None)  # it ends before the wire
            await paper.signal(TREND)
        assert paper.positions(account_id) == {}
        paper.venue.exchange.apply(SetLeverage(1, "BTCUSDT", 50))  # by a person
        paper.applied.clear()
        async with paper.running():
            assert paper.positions(account_id).keys() == {"BTCUSDT"}
        done = [one.leverage if isinstance(one, SetLeverage) else one.side for one in paper.applied
                if isinstance(one, SetLeverage | PlaceOrder)]  # fmt: skip
        assert done[:2] == [leverage, Side.BUY]

    run_virtually(day())


@pytest.mark.parametrize("seconds", [0, 8, 60])
def test_close_is_of_what_was_opened_before_it_though_the_clock_was_set_back(seconds: int) -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await paper.link(ALICE)
        await paper.found([(ALICE, account_id)])
        async with paper.running():
            await paper.signal(TREND)
            assert paper.positions(account_id)
            paper.clock.wrong_by = timedelta(seconds=-seconds)
            await paper.signal(TREND, SignalAction.CLOSE)
            assert paper.positions(account_id) == {}
            assert [one.accounts[0].routing for one in await paper.log(SignalRouted)] == [Routing.SENT] * 2

    run_virtually(day())


def test_close_that_comes_late_is_not_of_what_was_opened_after_it() -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await paper.link(ALICE)
        await paper.found([(ALICE, account_id)])
        async with paper.running():
            await paper.signal(TREND)
            close = await paper.signal(TREND, SignalAction.CLOSE)
            await paper.signal(TREND)
            held = paper.positions(account_id)
            (signal,) = [one for one in await paper.log(SignalGenerated) if one.signal_id == close]
            async with paper.plugged_in() as ports:
                assert await close_signalled(ports, account_id, signal) is None
            await paper.settle()
            assert paper.positions(account_id) == held

    run_virtually(day())
