"""Rights of keys that change: looked at until the exchange answers; nothing is entered under a key not looked at."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from patriot.accounts.events import AccountStatus, AccountStatusChanged
from patriot.accounts.ports import ApiKey
from patriot.adapters.exchanges.binance.account import BinanceAccount, BinanceKeyProbe
from patriot.execution.events import PositionClosed, Routing, SignalRouted
from patriot.kernel.errors import ExchangeUnavailable
from patriot.orders.events import OrderFilled, OrderRejected
from patriot.risk.commands import HaltTrading
from patriot.risk.events import HaltLevel, ReasonCode, Scope
from patriot.sim.engine.words import Permission
from patriot.simulation.loop import run_virtually
from patriot.simulation.venue import PRICES
from patriot.trading.reports import AccountSnapshot, KeyPermissions
from patriot.trading.terms import AccountId, Urgency
from tests.services.paper import ALICE, TREND, Paper

pytestmark = pytest.mark.integration

KEY_REFUSED = -2015
TRADES = (Permission.READ, Permission.TRADE)


async def set_rights(paper: Paper, account_id: AccountId, *rights: Permission) -> None:
    key = paper.venue.exchange.keys.find((await paper.vault.open(account_id)).api_key)
    assert key is not None
    paper.venue.exchange.set_permissions(key, rights)


def closed_to_looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let no look at a key be answered until what is returned is called."""
    away, answer = [True], BinanceKeyProbe.permissions

    async def permissions(probe: BinanceKeyProbe, key: ApiKey, *, urgency: Urgency = Urgency.NORMAL) -> KeyPermissions:
        if away:
            raise ExchangeUnavailable("HTTP 502: no venue code")
        assert urgency is Urgency.BACKGROUND
        return await answer(probe, key, urgency=urgency)

    monkeypatch.setattr(BinanceKeyProbe, "permissions", permissions)
    return away.clear


def test_entry_waits_for_the_first_look_at_its_key_and_goes_out_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await paper.link(ALICE)
        await paper.found([(ALICE, account_id)])
        answer = closed_to_looks(monkeypatch)
        async with paper.running() as service:
            await paper.signal(TREND)
            (routed,) = (await paper.log(SignalRouted))[-1].accounts
            assert (routed.routing, routed.reason_code) == (Routing.SKIPPED, ReasonCode.EXCHANGE_UNAVAILABLE)
            assert service.troubles() == {account_id: "its key was not looked at yet, and nothing is entered before"}
            answer()
            await paper.settle(30)
            assert service.troubles() == {}
            await paper.signal(TREND)
            assert len(await paper.log(OrderFilled)) == 1

    run_virtually(day())


def test_key_that_gained_a_right_is_found_out_after_looks_that_met_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await paper.link(ALICE)
        await paper.found([(ALICE, account_id)])
        await set_rights(paper, account_id, *TRADES, Permission.WITHDRAW)
        answer = closed_to_looks(monkeypatch)
        async with paper.running() as service:
            answer()
            await paper.settle(30)
            (changed,) = await paper.log(AccountStatusChanged)
            assert (changed.account_id, changed.new_status) == (account_id, AccountStatus.SUSPENDED)
            assert service.troubles() == {account_id: "it is suspended: WITHDRAW_ENABLED"}
            ((name, told),) = paper.alarm.raised
            assert (name, told["account_id"], told["reason"]) == ("account.key_unfit", account_id, "WITHDRAW_ENABLED")

    run_virtually(day())


def test_entry_is_refused_in_the_moment_between_the_look_and_the_suspension(monkeypatch: pytest.MonkeyPatch) -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await paper.link(ALICE)
        await paper.found([(ALICE, account_id)])
        await set_rights(paper, account_id, *TRADES, Permission.WITHDRAW)
        answer = closed_to_looks(monkeypatch)
        monkeypatch.setattr("patriot.execution.keys.ASK_AGAIN_SECONDS", (0.1,))
        async with paper.running():
            answer()
            await paper.signal(TREND)
            (routed,) = (await paper.log(SignalRouted))[-1].accounts
            assert (routed.routing, routed.reason_code) == (Routing.SKIPPED, ReasonCode.ACCOUNT_NOT_ACTIVE)
            assert await paper.log(OrderFilled) == []

    run_virtually(day())


def told(paper: Paper, name: str) -> list[object]:
    return [fields["reason"] for one, fields in paper.alarm.raised if one == name]


def test_close_that_a_key_without_the_right_to_trade_cannot_make_is_told_once_and_made_when_it_can() -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await paper.link(ALICE)
        await paper.found([(ALICE, account_id)])
        async with paper.running() as service:
            await paper.signal(TREND)
            await set_rights(paper, account_id, Permission.READ)
            await paper.tell(HaltTrading(Scope.GLOBAL, "", HaltLevel.H3, "OPERATOR", paper.clock.now()))
            await paper.settle(40)
            assert paper.positions(account_id)
            refused = [one for one in await paper.log(OrderRejected) if one.exchange_code == KEY_REFUSED]
            assert len(refused) > 5
            (reason,) = told(paper, "position.exit_refused")
            assert str(reason).startswith(f"{KEY_REFUSED}: ")
            assert told(paper, "account.key_unfit") == ["NO_TRADE_PERMISSION"]
            assert service.troubles() == {
                account_id: f"the exchange refuses its close in BTCUSDT: {reason}: it is tried again and again"
            }
            await set_rights(paper, account_id, *TRADES)
            await paper.settle(30)
            assert paper.positions(account_id) == {}
            assert len(await paper.log(PositionClosed)) == 1
            assert service.troubles() == {account_id: "it is suspended: NO_TRADE_PERMISSION"}

    run_virtually(day())


def test_refused_close_is_told_although_the_account_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_account: BinanceAccount, *, urgency: Urgency = Urgency.NORMAL) -> AccountSnapshot:
        raise ExchangeUnavailable("HTTP 502: no venue code")

    async def day() -> None:
        paper = Paper()
        account_id = await paper.link(ALICE)
        await paper.found([(ALICE, account_id)])
        async with paper.running() as service:
            await paper.signal(TREND)
            await set_rights(paper, account_id, Permission.READ)
            with monkeypatch.context() as patch:
                patch.setattr(BinanceAccount, "snapshot", away)
                await paper.tell(HaltTrading(Scope.GLOBAL, "", HaltLevel.H3, "OPERATOR", paper.clock.now()))
                await paper.settle(40)
                (reason,) = told(paper, "position.exit_refused")
                assert f"the exchange refuses its close in BTCUSDT: {reason}" in service.troubles()[account_id]
            await set_rights(paper, account_id, *TRADES)
            await paper.settle(30)
            assert paper.positions(account_id) == {}
            assert told(paper, "position.exit_refused") == [reason]

    run_virtually(day())


def test_stop_of_a_flat_bracket_that_a_key_cannot_cancel_is_told_once_and_canceled_when_it_can() -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await paper.link(ALICE)
        await paper.found([(ALICE, account_id)])
        async with paper.running() as service:
            await paper.signal(TREND, take_profit_price=PRICES["BTCUSDT"] * 2)
            await set_rights(paper, account_id, Permission.READ)
            paper.venue.move("BTCUSDT", Decimal("-0.05"))  # the stop ends the position, the target rests
            await paper.settle(60)
            assert paper.positions(account_id) == {}
            (reason,) = told(paper, "order.cancel_refused")
            assert told(paper, "account.key_unfit") == ["NO_TRADE_PERMISSION"]
            assert service.troubles() == {
                account_id: f"the exchange refuses a cancel in BTCUSDT: {reason}: it is tried again and again"
            }
            await set_rights(paper, account_id, *TRADES)
            await paper.settle(30)
            assert len(await paper.log(PositionClosed)) == 1
            assert service.troubles() == {account_id: "it is suspended: NO_TRADE_PERMISSION"}

    run_virtually(day())
