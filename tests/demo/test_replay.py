"""The driver's tools over a real simulator: control over HTTP, quiet, and who sets the pace."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from patriot.adapters.simulator.control import SimControl, SimGone
from patriot.demo import replay
from patriot.demo.replay import Quiet, ReplayPace, StuckReplay
from patriot.kernel.clock import ReplayClock, from_epoch_ms
from patriot.kernel.errors import StartupError
from tests.sim.binance.client import START_MS, TOKEN, Sim, flat, running_sim, write_dump
from tests.support import eventually

pytestmark = pytest.mark.integration

START = from_epoch_ms(START_MS)
BARS = 60


@pytest.fixture
async def sim(tmp_path: Path) -> AsyncIterator[Sim]:
    async with running_sim(write_dump(tmp_path / "BTCUSDT-1m.csv", flat("40000.0", BARS))) as running:
        yield running


@pytest.fixture
def control(sim: Sim) -> SimControl:
    return SimControl(sim.http, f"http://127.0.0.1:{sim.server.control_port}", TOKEN)


# The control API ------------------------------------------------------------------------------------------------------


async def test_step_stops_at_what_a_strategy_must_see(control: SimControl) -> None:
    stepped = await control.step(START + timedelta(hours=1))

    assert stepped.now == START + timedelta(minutes=15)
    assert (stepped.bars_played, stepped.bars_left) == (15, BARS - 15)
    assert "kline:BTCUSDT:15m" in stepped.stopped_by


async def test_health_tells_the_place_in_the_recording(control: SimControl) -> None:
    await control.step(START + timedelta(minutes=7))

    health = await control.health()

    assert (health.bars_played, health.bars_left, health.streams) == (7, BARS - 7, 0)
    assert health.now == START + timedelta(minutes=7)


async def test_account_gets_its_money_and_its_transfers_are_named(control: SimControl) -> None:
    account = await control.open_account(Decimal("1000.5"), ("read", "trade"))
    await control.transfer(account.uid, Decimal("-0.5"), "demo withdrawal")

    state = await control.state()

    assert state["accounts"][str(account.uid)]["wallet"] == "1000"
    assert state["accounts"][str(account.uid)]["income"][-1]["info"] == "demo withdrawal"
    assert account.api_secret not in repr(account)


async def test_refusal_is_told_in_the_simulators_own_words(control: SimControl) -> None:
    with pytest.raises(StartupError, match="no account 99"):
        await control.transfer(99, Decimal(1), "nobody")


async def test_wrong_token_is_refused(sim: Sim) -> None:
    stranger = SimControl(sim.http, f"http://127.0.0.1:{sim.server.control_port}", "guess")

    with pytest.raises(StartupError, match="token"):
        await stranger.health()


async def test_simulator_that_is_gone_is_told_apart(sim: Sim, control: SimControl) -> None:
    await sim.server.stop()

    with pytest.raises(SimGone, match="does not answer"):
        await control.health()


# Quiet ----------------------------------------------------------------------------------------------------------------


async def test_quiet_comes_when_work_is_done_and_the_exchange_is_still(control: SimControl) -> None:
    busy = 1
    waiting = asyncio.create_task(Quiet(control).wait(accounts=lambda: busy))
    await asyncio.sleep(0.05)
    assert not waiting.done()

    busy = 0

    await eventually(waiting.done)
    await waiting


async def test_activity_of_the_exchange_holds_quiet_back_until_it_ends(control: SimControl) -> None:
    """Work that begins only after the first barrier must be seen by the second."""
    before = await control.barrier()
    left = 3

    def busy() -> int:
        nonlocal left
        left -= 1
        return max(left, 0)

    await Quiet(control).wait(accounts=busy)

    assert await control.barrier() == before
    assert left < 0


async def test_replay_that_never_rests_says_what_is_under_way(
    control: SimControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "QUIET_SECONDS", 0.1)

    with pytest.raises(StuckReplay, match="strategies: 2 bars"):
        await Quiet(control).wait(accounts=lambda: 0, strategies=lambda: "2 bars")


# Pace -----------------------------------------------------------------------------------------------------------------


async def test_bar_waits_until_accounts_have_dealt_with_what_was_before_it() -> None:
    pace = ReplayPace(ReplayClock(START))
    waiting = asyncio.create_task(pace.before_bar())
    await asyncio.sleep(0)
    assert not waiting.done()

    pace.pass_bars()
    await waiting

    pace.hold_bars()
    held = asyncio.create_task(pace.before_bar())
    await asyncio.sleep(0)
    assert not held.done()
    held.cancel()


def test_clock_follows_the_venue_and_never_runs_backwards() -> None:
    clock = ReplayClock(START)
    pace = ReplayPace(clock)

    pace.venue_said(START + timedelta(minutes=2))
    pace.venue_said(START + timedelta(minutes=1))

    assert clock.now() == START + timedelta(minutes=2)


async def test_signal_is_settled_before_the_next_one() -> None:
    settled = []

    async def settle() -> None:
        settled.append(True)

    pace = ReplayPace(ReplayClock(START))
    await pace.settle()
    pace.settled = settle
    await pace.settle()

    assert len(settled) == 1
