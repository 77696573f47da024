"""The times in which an account was told to ask for nothing: what a judge is shown of a 429 and a 418."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.kernel.clock import FakeClock
from patriot.sim.binance.limits import UNLIMITED, Limits
from patriot.sim.closed_times import ClosedTimes
from tests.sim.binance.client import Sim, running_sim
from tests.sim.faults.clients import fault

pytestmark = pytest.mark.integration


async def state_of(sim: Sim) -> Any:
    return (await sim.control("GET", "/state")).body


def lengths(spans: list[list[int]]) -> list[int]:
    return [over - begun for begun, over in spans]


async def throttle(sim: Sim, **more: Any) -> None:
    await fault(sim, venue="binance", fault="rate_limit", retry_after_seconds=1, **more)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20))
def test_spans_are_disjoint_and_close_every_millisecond_that_was_told(told: list[tuple[int, int]]) -> None:
    closed, now, expected = ClosedTimes(), 0, set[int]()
    for pause, length in told:
        now += pause
        closed.add(1, now, now + length)
        expected |= set(range(now, now + length))

    spans = closed.state().get("1", [])
    assert {at for begun, over in spans for at in range(begun, over)} == expected
    assert all(before[1] < after[0] for before, after in pairwise(spans))


def test_oldest_spans_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patriot.sim.closed_times.KEPT_SPANS", 2)
    closed = ClosedTimes()
    for begun in (0, 10, 20):
        closed.add(1, begun, begun + 5)

    assert closed.state() == {"1": [[10, 15], [20, 25]]}


async def test_429_to_one_account_closes_out_all_of_its_address_until_the_retry_after_is_over() -> None:
    clock = FakeClock()
    from_elsewhere = aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=("127.0.0.2", 0)))
    async with running_sim(None, speed=1, clock=clock) as sim, from_elsewhere:
        first, second, silent, elsewhere = [await sim.trader() for _ in range(4)]
        await second.market("BUY", "0.01")
        assert (await replace(elsewhere, http=from_elsewhere).market("BUY", "0.01")).status == 200
        before = await state_of(sim)
        await throttle(sim, times=2)
        refused = [await first.send("GET", "/fapi/v1/ping", "")]
        clock.advance(timedelta(milliseconds=400))
        refused.append(await first.send("GET", "/fapi/v1/ping", ""))
        clock.advance(timedelta(seconds=5))
        taken = await first.market("BUY", "0.01")
        after = await state_of(sim)

    begun, wire_begun = before["now_ms"], before["wire_ms"]["now"]
    assert [answer.status for answer in refused] == [429, 429]
    assert taken.status == 200
    assert before["closed_ms"] == before["wire_ms"]["closed"] == {}
    both = (str(first.uid), str(second.uid))
    assert after["closed_ms"] == {uid: [[begun, begun + 1_400]] for uid in both}, f"not {silent.uid}, {elsewhere.uid}"
    assert after["wire_ms"]["closed"] == {uid: [[wire_begun, wire_begun + 1_400]] for uid in both}


async def test_closed_times_lie_on_the_venues_own_clock_at_any_speed() -> None:
    clock = FakeClock()
    async with running_sim(None, speed=60, clock=clock) as sim:
        trader = await sim.trader()
        await throttle(sim)
        await trader.send("GET", "/fapi/v1/ping", "")
        state = await state_of(sim)

    assert lengths(state["closed_ms"][str(trader.uid)]) == [60_000]
    assert lengths(state["wire_ms"]["closed"][str(trader.uid)]) == [1_000]


async def test_driven_clock_stands_still_while_an_account_is_closed_out(data: Path) -> None:
    async with running_sim(data) as sim:
        trader = await sim.trader()
        await throttle(sim)
        await trader.send("GET", "/fapi/v1/ping", "")
        state = await state_of(sim)

    assert state["closed_ms"] == {}
    assert lengths(state["wire_ms"]["closed"][str(trader.uid)]) == [1_000]


async def test_ban_closes_out_the_address_and_other_failures_close_out_nobody() -> None:
    clock = FakeClock()
    async with running_sim(None, speed=1, clock=clock, limits=UNLIMITED) as sim:
        trader = await sim.trader()
        for kind in ("overload", "503_before"):
            await fault(sim, venue="binance", fault=kind, times=1)
            assert (await trader.send("GET", "/fapi/v1/ping", "")).status == 503
        open_still = await state_of(sim)
        await fault(sim, venue="binance", fault="ban", retry_after_seconds=120, times=1)
        assert (await trader.send("GET", "/fapi/v1/ping", "")).status == 418
        banned = await state_of(sim)

    assert open_still["closed_ms"] == {}
    assert lengths(banned["closed_ms"][str(trader.uid)]) == [120_000]


async def test_who_spends_too_much_has_itself_to_blame() -> None:
    async with running_sim(None, speed=1, clock=FakeClock(), limits=Limits(weight_per_minute=2)) as sim:
        trader = await sim.trader()
        answers = [await trader.send("GET", "/fapi/v1/ping", "") for _ in range(3)]
        state = await state_of(sim)

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert state["closed_ms"] == state["wire_ms"]["closed"] == {}


async def test_closed_times_come_back_with_the_journal_and_without_those_of_the_wire(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_sim(None, speed=1, clock=clock, journal=tmp_path / "j") as sim:
        trader = await sim.trader()
        await throttle(sim, times=2)
        await asyncio.gather(*(trader.send("GET", "/fapi/v1/ping", "") for _ in range(2)))
        before = await state_of(sim)
    records = (tmp_path / "j" / "sim.journal").read_bytes()
    async with running_sim(None, journal=tmp_path / "j") as sim:
        after = await state_of(sim)

    assert lengths(before["closed_ms"][str(trader.uid)]) == [1_000]
    assert after["closed_ms"] == before["closed_ms"]
    assert after["wire_ms"]["closed"] == {}
    assert records.count(b'"ToldToWait"') == 1, "what closes out nobody for longer is not written again"
