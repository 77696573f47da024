"""The judge can fail: a part that breaks a rule is found, on a day on which the true part breaks none."""

import re

import pytest

from patriot.simulation.faults import Fault, Trouble
from patriot.simulation.world import World
from tests.simulation.mutants import MUTANTS, Plant

pytestmark = pytest.mark.integration
DAYS = 40


@pytest.mark.parametrize(("plant", "law", "faults"), MUTANTS, ids=[plant.__name__ for plant, _, _ in MUTANTS])
def test_planted_fault_is_found(plant: Plant, law: str, faults: tuple[Fault, ...]) -> None:
    trouble = Trouble(frozenset(faults), 0.05, 0.3, 0.2, 0.2, 0.4, 0.02, 4)
    for seed in range(DAYS):
        with pytest.MonkeyPatch.context() as patch:
            plant(patch)
            found = World(seed, trouble).run().violations
        if any(re.match(law, violation) for violation in found) and not World(seed, trouble).run().violations:
            return
    pytest.fail(f"not found on {DAYS} days")
