"""Every fault in the simulator's guide can be asked for as it stands there, and none is missing."""

import re
from pathlib import Path

import msgspec
import pytest

from patriot.sim.faults.rules import RestFault, StreamFault
from patriot.sim.faults.scenario import load_scenario
from patriot.sim.faults.wishes import Action, FaultWish, check

pytestmark = pytest.mark.integration

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "simulator.md").read_text()
EXAMPLES = re.findall(r"`(\{\"(?:fault|stream|action)\".*?\})` \|", GUIDE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_is_taken(example: str) -> None:
    check(msgspec.json.decode(example, type=FaultWish))


@pytest.mark.parametrize("kind", [*RestFault, *StreamFault, *Action])
def test_every_fault_has_its_row(kind: str) -> None:
    rows = [line.split(" | ")[0] for line in GUIDE.splitlines() if line.startswith("| `")]

    assert any(f"`{kind}`" in row for row in rows)


def test_scenario_is_taken(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    path = tmp_path / "scenario.yaml"
    path.write_text(text)

    assert len(load_scenario(path).entries) == text.count("- at") + text.count("- after_orders")
