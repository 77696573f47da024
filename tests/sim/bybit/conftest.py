"""Fixtures of the face's tests: a stepped simulator on a small recording, and one account."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.sim.binance.client import flat, write_dump
from tests.sim.bybit.client import BybitSim, Trader, running_bybit


@pytest.fixture
async def sim(tmp_path: Path) -> AsyncIterator[BybitSim]:
    bars = [
        *flat("40000.0", 15),
        ("40000.0", "40600.0", "39000.0", "39500.0"),
        *flat("39500.0", 44),
    ]
    async with running_bybit(write_dump(tmp_path / "BTCUSDT-1m.csv", bars)) as running:
        yield running


@pytest.fixture
async def trader(sim: BybitSim) -> Trader:
    return await sim.trader()
