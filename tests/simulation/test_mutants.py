"""The judge can fail: a part that breaks a rule is found, on a day on which the true part breaks none."""

import re

import pytest

from patriot.simulation.world import World
from tests.simulation.mutants import MUTANTS, Plant

pytestmark = pytest.mark.integration
DAYS = 40


@pytest.mark.parametrize(("plant", "law", "first"), MUTANTS, ids=[plant.__name__ for plant, _, _ in MUTANTS])
def test_planted_fault_is_found(plant: Plant, law: str, first: int) -> None:
    """On the day that found it before, or on one of the next: what else changes moves all that happens on a day."""
    for seed in range(first, first + DAYS):
        with pytest.MonkeyPatch.context() as patch:
            plant(patch)
            found = World(seed).run().violations
        if any(re.match(law, violation) for violation in found) and not World(seed).run().violations:
            return
    pytest.fail(f"not found on {DAYS} days")
