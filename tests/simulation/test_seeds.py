"""A sample of `make simulate` in every test run: days under all kinds of faults, on which no law is broken.

A day that fails is one line, `make simulate SEED=n`, which shows what happened and leaves out what it does not need.
"""

import pytest

from patriot.simulation.__main__ import run_seed

pytestmark = pytest.mark.integration

SEEDS = range(20, 50)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_law_is_broken_under_any_fault(seed: int) -> None:
    assert run_seed(seed).violations == (), f"make simulate SEED={seed}"
