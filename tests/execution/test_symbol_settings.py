"""What a client changes between two trades is seen before the next entry."""

from __future__ import annotations

import asyncio

import pytest

from patriot.execution.symbol_settings import SettingsKeeper
from patriot.kernel.errors import CommandRefused
from patriot.simulation.loop import run_virtually
from patriot.trading.reports import SettingsChanged, StreamLost
from tests.execution.exchange import D, Exchange
from tests.execution.kit import STOP, Account, Alarm
from tests.orders.kit import ACCOUNT

pytestmark = pytest.mark.unit


def test_symbol_that_is_set_as_wanted_is_only_looked_at() -> None:
    async def day() -> None:
        exchange, alarm = Exchange(leverage=5), Alarm()
        keeper = SettingsKeeper(ACCOUNT, exchange, alarm)
        await keeper.prepare("BTCUSDT", 5)
        await keeper.prepare("BTCUSDT", 5)
        assert (exchange.prepared, alarm.names) == ([], [])
        assert exchange.count("settings BTCUSDT") == 2

    run_virtually(day())


def test_first_settings_and_another_leverage_of_ours_are_set_without_an_alarm() -> None:
    async def day() -> None:
        exchange, alarm = Exchange(leverage=20, isolated=False), Alarm()
        keeper = SettingsKeeper(ACCOUNT, exchange, alarm)
        await keeper.prepare("BTCUSDT", 5)
        await keeper.prepare("BTCUSDT", 3)
        assert (exchange.prepared, alarm.names) == ([("BTCUSDT", 5), ("BTCUSDT", 3)], [])

    run_virtually(day())


@pytest.mark.parametrize(("leverage", "isolated"), [(100, True), (5, False)])
def test_settings_that_somebody_changed_are_told_and_set_again(leverage: int, isolated: bool) -> None:
    async def day() -> None:
        exchange, alarm = Exchange(), Alarm()
        keeper = SettingsKeeper(ACCOUNT, exchange, alarm)
        await keeper.prepare("BTCUSDT", 5)
        exchange.leverage, exchange.isolated = leverage, isolated
        await keeper.prepare("BTCUSDT", 5)
        assert alarm.names == ["account.settings_changed"]
        assert (exchange.leverage, exchange.isolated) == (5, True)

    run_virtually(day())


def test_account_in_hedge_mode_takes_no_entry_until_it_is_one_way_again() -> None:
    async def day() -> None:
        account = Account(Exchange(hedge_mode=True))
        worker = await account.start()
        while worker.busy:
            await account.moment()
        assert account.alarm.names == ["account.modes_changed"]
        for _ in range(2):
            with pytest.raises(CommandRefused, match="one-way"):
                await worker.prepare("BTCUSDT", 5)
        assert len(account.alarm.names) == 1
        account.exchange.hedge_mode = False
        await worker.prepare("BTCUSDT", 5)
        await account.end()

    run_virtually(day())


@pytest.mark.parametrize("told", [True, False])
def test_mode_that_somebody_switches_on_while_the_account_is_at_work_lets_no_entry_through(told: bool) -> None:
    async def day() -> None:
        account = Account()
        worker = await account.start()
        await worker.prepare("BTCUSDT", 5)
        while worker.busy:
            await account.moment()
        account.exchange.hedge_mode = True
        if told:
            account.exchange.tell(SettingsChanged("", account.clock.now()))
            await asyncio.sleep(1)
            assert account.alarm.names == ["account.modes_changed"]
        with pytest.raises(CommandRefused, match="one-way"):
            await worker.prepare("BTCUSDT", 5)
        assert account.alarm.names == ["account.modes_changed"]
        await account.end()

    run_virtually(day())


def test_stream_that_is_refused_for_the_key_has_the_key_looked_at() -> None:
    async def day() -> None:
        account = Account()
        await account.start()
        heard: list[str] = []
        account.worker.refusals.on_key_refused = lambda: heard.append("refused")
        account.exchange.tell(StreamLost(account.clock.now()))
        await account.moment()
        assert heard == []
        account.exchange.tell(StreamLost(account.clock.now(), key_refused=True))
        await account.moment()
        assert heard == ["refused"]
        await account.end()

    run_virtually(day())


def test_stream_that_cannot_be_opened_has_what_rests_looked_at_within_seconds() -> None:
    async def day() -> None:
        account = Account()
        await account.start()
        await account.enter()
        await asyncio.sleep(1)
        account.exchange.asked.clear()
        account.exchange.tell(StreamLost(account.clock.now()))
        account.exchange.cancel_silently(STOP)
        await asyncio.sleep(7)
        assert account.exchange.resting() == {"s2": D(1), "t1": D(1)}
        await account.end()

    run_virtually(day())
