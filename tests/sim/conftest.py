"""What tests of the simulator's process share."""

from pathlib import Path

import pytest

from tests.sim.binance.client import flat, write_dump


@pytest.fixture
def data(tmp_path: Path) -> Path:
    bars = [*flat("40000.0", 5), ("40000.0", "40600.0", "39000.0", "39500.0"), *flat("39500.0", 30)]
    return write_dump(tmp_path / "BTCUSDT-1m.csv", bars)
