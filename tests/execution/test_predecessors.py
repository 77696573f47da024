"""What another owner of the account sent, before or without knowing that it is none any more."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from patriot.kernel.errors import ExchangeRefused
from patriot.orders.client_ids import leg_order_id
from patriot.simulation.loop import run_virtually
from patriot.trading.reports import VenueStatus
from patriot.trading.terms import Leg
from tests.execution.exchange import D, Exchange
from tests.execution.kit import STOP, Account
from tests.orders.kit import ORDER_ID, PREFIX

pytestmark = pytest.mark.unit


def test_bracket_that_is_found_again_uses_no_id_that_another_owner_has_used() -> None:
    async def day() -> None:
        account = Account(Exchange(silent={"e1"}))
        await account.start()
        await account.enter()
        await asyncio.sleep(130)
        await account.end()
        tried = sum(asked.startswith("place s") for _, asked in account.exchange.asked)  # ahead of the entry
        account.exchange.place_as_predecessor(f"s{tried + 1}", D(1))  # a living owner's, whose log lags behind
        account.exchange.cancel_silently(PREFIX + f"s{tried + 1}")
        await account.start()
        account.exchange.arrive("e1")
        await asyncio.sleep(5)
        assert account.exchange.count(f"place s{tried + 1}") == 0
        assert account.exchange.resting() == {f"s{tried + 2}": D(1), "t1": D(1)}
        await account.end()

    run_virtually(day())


def test_close_that_another_owner_sent_before_under_the_same_id_is_recorded_with_its_executions() -> None:
    async def day() -> None:
        account = Account()
        worker = await account.start()
        await account.enter()
        await asyncio.sleep(5)
        account.exchange.deaf = True
        account.exchange.place_as_predecessor("c1", D(1))
        await asyncio.sleep(25)
        await worker.flatten("TEST")
        await asyncio.sleep(60)
        assert [event.leg for _, event in await account.log("order.filled")] == [Leg.ENTRY, Leg.CLOSE]
        assert len(await account.log("position.closed")) == 1
        assert worker.busy == {}
        await account.end()

    run_virtually(day())


@pytest.mark.parametrize("refused", [False, True])
def test_entry_of_an_earlier_life_goes_out_only_as_the_account_must_be_set(
    refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_symbol: str, _leverage: int) -> None:
        raise ExchangeRefused(-4048, "Margin type cannot be changed if there exists position.")

    async def day() -> None:
        account = Account()
        worker = await account.start()
        monkeypatch.setattr(worker, "enter", lambda _events: None)  # it ends between the log and the wire
        await account.enter()
        await account.end()
        account.exchange.leverage = 50  # a person changes what was set
        if refused:
            monkeypatch.setattr(account.exchange, "prepare_symbol", refuse)
        await account.start()
        await asyncio.sleep(3)
        assert account.exchange.count("place e1") == (0 if refused else 1)
        assert account.exchange.prepared == ([] if refused else [("BTCUSDT", 5)])
        assert account.keeper.open_brackets.keys() == (set() if refused else {ORDER_ID})
        await account.end()

    run_virtually(day())


def test_lost_legs_are_found_over_gaps_with_their_fills() -> None:
    async def day() -> None:
        account = Account()
        await account.start()
        await account.enter()
        await asyncio.sleep(1)
        await account.end()
        account.exchange.place_as_predecessor("s3", D(1))
        account.exchange.place_as_predecessor("c2", D("0.4"))
        await account.start()
        await asyncio.sleep(10)
        legs = [(event.leg, event.quantity) for _, event in await account.log("order.filled")]
        assert legs == [(Leg.ENTRY, D(1)), (Leg.CLOSE, D("0.4")), (Leg.CLOSE, D("0.6"))]  # somebody wanted out
        assert account.exchange.resting() == {}
        await account.end()

    run_virtually(day())


def test_id_that_a_predecessor_used_is_not_used_again_although_the_exchange_would_take_it() -> None:
    async def day() -> None:
        account = Account()
        await account.start()
        await account.enter()
        await asyncio.sleep(1)
        await account.end()
        account.exchange.place_as_predecessor("c1", D("0.4"))
        worker = await account.start()
        await worker.flatten("TEST")
        await asyncio.sleep(20)
        assert account.exchange.count("place c1") == 0
        assert account.exchange.count("place c2") == 1
        assert account.exchange.positions["BTCUSDT"] == 0
        await account.end()

    run_virtually(day())


@pytest.mark.parametrize("owners_since", [0, 1])
def test_stop_that_a_deposed_owner_sends_after_the_end_is_found_although_nobody_tells_of_it(owners_since: int) -> None:
    async def day() -> None:
        account = Account()
        await account.start()
        await account.enter()
        await asyncio.sleep(1)
        await account.end()  # it lives on elsewhere, and does not know
        worker = await account.start()
        await worker.flatten("TEST")
        await asyncio.sleep(8)
        assert len(await account.log("position.closed")) == 1
        for _ in range(owners_since):
            await account.end()
            worker = await account.start()
        account.exchange.deaf = True
        account.exchange.place_as_predecessor("s2", D(1))
        await asyncio.sleep(30)
        assert account.exchange.resting() == {}
        assert [event.client_order_id for _, event in await account.log("order.created")][-1] == PREFIX + "s2"
        assert (await account.risk()).reserved == {}
        assert len(await account.log("position.closed")) == 1
        assert worker.busy == {}
        await account.end()

    run_virtually(day())


@pytest.mark.parametrize("deaf", [True, False])
def test_stop_that_a_deposed_owner_sends_again_under_an_id_that_is_over_is_believed_and_canceled(deaf: bool) -> None:
    async def day() -> None:
        account = Account()
        await account.start()
        await account.enter()
        await asyncio.sleep(1)
        await account.end()  # it lives on elsewhere, and does not know
        worker = await account.start()
        await worker.flatten("TEST")
        await asyncio.sleep(8)
        ended = account.exchange.orders[STOP]
        assert ended.status is VenueStatus.CANCELED
        account.exchange.deaf = deaf
        account.exchange.place_as_predecessor("s1", D(1))
        account.exchange.tell(ended)  # once more: it says nothing of the new one
        await asyncio.sleep(30)
        assert account.exchange.resting() == {}
        canceled = [event for _, event in await account.log("order.canceled")]
        assert len([one for one in canceled if one.order_id == leg_order_id(ORDER_ID, Leg.STOP, 1)]) == 2
        assert worker.busy == {}
        await account.end()

    run_virtually(day())


def test_only_the_first_leg_waits_for_the_list_of_past_orders_after_a_takeover() -> None:
    async def day() -> None:
        account = Account()
        await account.start()
        await account.enter()
        await asyncio.sleep(1)
        await account.end()
        exchange = account.exchange
        exchange.failing["history"] = 10**6
        await account.start()
        await asyncio.sleep(20)
        for most in (2.0, 0.2, 0.2):
            (resting,) = [PREFIX + leg for leg in exchange.resting() if leg.startswith("s")]
            exchange.cancel_silently(resting)
            exchange.tell(replace(exchange.orders[resting], status=VenueStatus.CANCELED))
            began = account.clock.monotonic()
            while not any(leg.startswith("s") for leg in exchange.resting()):
                await account.moment()
            assert account.clock.monotonic() - began < most
        await account.end()

    run_virtually(day())


@pytest.mark.parametrize(("seconds", "final"), [(10, False), (30, True)])
def test_refusal_is_final_once_nothing_of_a_predecessor_can_come_any_more(seconds: float, *, final: bool) -> None:
    async def day() -> None:
        account = Account()
        await account.start()
        await account.enter()
        await asyncio.sleep(1)
        await account.end()
        await account.start()
        await asyncio.sleep(seconds)
        exchange = account.exchange
        exchange.refusals["s2"] = [ExchangeRefused(-2021, "Order would immediately trigger.")]
        exchange.cancel_silently(STOP)
        exchange.tell(exchange.orders[STOP])
        await asyncio.sleep(5)
        rejected = [event.order_id for _, event in await account.log("order.rejected")]
        assert rejected == ([leg_order_id(ORDER_ID, Leg.STOP, 2)] if final else [])
        assert "s3" in exchange.resting()
        await account.end()

    run_virtually(day())
