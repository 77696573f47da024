"""What a person does on the account: seen, told, and never taken for ours."""

from __future__ import annotations

import asyncio

import pytest

from patriot.simulation.loop import run_virtually
from patriot.trading.reports import AccountSnapshot
from patriot.trading.terms import Side, Urgency
from tests.execution.exchange import D, Exchange
from tests.execution.kit import STOP, TARGET, Account, entered

pytestmark = pytest.mark.unit


def test_position_that_a_person_closed_is_recorded_as_closed_elsewhere() -> None:
    async def day() -> None:
        account = await entered()
        account.exchange.trade("BTCUSDT", Side.SELL, D(1))
        await asyncio.sleep(70)
        assert not await account.log("position.adjusted")  # an exchange's books can be apart for a minute
        await asyncio.sleep(80)
        ((_, adjusted),) = await account.log("position.adjusted")
        assert (adjusted.expected, adjusted.found, adjusted.closed_elsewhere) == (D(1), D(0), D(1))
        ((_, closed),) = await account.log("position.closed")
        assert closed.close_reason == "ELSEWHERE"
        assert account.exchange.resting() == {}
        assert (await account.risk()).reserved == {}
        await account.end()

    run_virtually(day())


def test_stop_is_resized_to_what_a_person_left() -> None:
    async def day() -> None:
        account = await entered()
        account.exchange.trade("BTCUSDT", Side.SELL, D("0.3"))
        await asyncio.sleep(150)
        assert account.exchange.resting() == {"s2": D("0.7"), "t2": D("0.7")}
        await account.end()
        await account.start()
        await asyncio.sleep(10)
        assert account.position == D("0.7")
        assert account.exchange.resting() == {"s2": D("0.7"), "t2": D("0.7")}
        await account.end()

    run_virtually(day())


def test_position_that_a_person_enlarged_is_told_and_not_taken_over() -> None:
    async def day() -> None:
        account = await entered()
        account.exchange.trade("BTCUSDT", Side.BUY, D(2))
        await asyncio.sleep(400)
        assert account.alarm.names == ["position.differs"]
        assert account.exchange.resting() == {"s1": D(1), "t1": D(1)}
        assert not await account.log("position.adjusted")
        await account.end()

    run_virtually(day())


def test_stop_that_a_person_canceled_in_silence_is_replaced_within_one_check() -> None:
    async def day() -> None:
        account = await entered()
        account.exchange.cancel_silently(STOP)
        await asyncio.sleep(32)
        assert account.exchange.resting() == {"s2": D(1), "t1": D(1)}
        await account.end()

    run_virtually(day())


@pytest.mark.parametrize("takeover", [False, True])
def test_way_out_of_a_position_that_a_person_closed_ends_at_once(takeover: bool) -> None:
    async def day() -> None:
        account = await entered()
        if takeover:
            await account.end()
            await account.start()
            await asyncio.sleep(7)
        account.exchange.trade("BTCUSDT", Side.SELL, D(1))
        await account.worker.flatten("TEST")
        await asyncio.sleep(5)
        assert (account.exchange.count("place c1"), account.exchange.count("place c2")) == (1, 0)
        assert len(await account.log("position.closed")) == 1
        assert account.exchange.resting() == {}
        await account.end()

    run_virtually(day())


@pytest.mark.parametrize("by_hand", [True, False], ids=["closed by a person", "closed by its target"])
def test_bracket_that_is_over_stays_over_when_a_person_holds_its_symbol_after_a_restart(by_hand: bool) -> None:
    async def day() -> None:
        account = await entered()
        if by_hand:
            account.exchange.trade("BTCUSDT", Side.SELL, D(1))
        else:
            account.exchange.execute(TARGET)
        await asyncio.sleep(200)
        assert (len(await account.log("position.closed")), account.exchange.resting()) == (1, {})
        account.exchange.trade("BTCUSDT", Side.SELL, D(3))
        await account.end()
        account.alarm.raised.clear()
        reserved = len(await account.log("risk.exposure_reserved"))
        await account.start()
        await asyncio.sleep(200)

        assert account.exchange.resting() == {}, "nothing is placed for what a person holds"
        assert account.exchange.count("place s2") == account.exchange.count("place t2") == 0
        assert account.alarm.names == ["position.unexplained"]
        assert [told.quantity for _, told in await account.log("position.unexplained")][-1] == D(-3)
        assert len(await account.log("risk.exposure_reserved")) == reserved
        assert len(await account.log("position.closed")) == 1
        await account.end()

    run_virtually(day())


class Queue(Exchange):
    """An exchange that keeps how urgently the account is read."""

    async def snapshot(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSnapshot:
        self.read.append(urgency)
        return await super().snapshot(urgency=urgency)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.read: list[Urgency] = []


def test_look_at_an_account_that_holds_nothing_waits_behind_entries_until_it_finds_something() -> None:
    async def day() -> None:
        exchange = Queue()
        account = Account(exchange)
        await account.start()
        await asyncio.sleep(5)
        exchange.read.clear()
        await asyncio.sleep(310)
        assert exchange.read == [Urgency.BACKGROUND]  # in its turn
        exchange.trade("ETHUSDT", Side.BUY, D(1))
        exchange.read.clear()
        await asyncio.sleep(400)
        assert account.alarm.names == ["position.unexplained"]
        assert exchange.read[:2] == [Urgency.BACKGROUND, Urgency.POSITION]  # what it found is confirmed at once
        assert set(exchange.read[2:]) == {Urgency.POSITION}  # and is looked at as what is held
        await account.end()

    run_virtually(day())
