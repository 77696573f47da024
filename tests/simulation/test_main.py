"""`python -m patriot.simulation` says what it found, and ends with status 1 when a seed broke a law."""

from collections import Counter

import pytest

from patriot.simulation import __main__ as simulation
from patriot.simulation.__main__ import Outcome, main
from patriot.simulation.faults import Fault

pytestmark = pytest.mark.unit

FAILING = 4
BROKEN = "law 4: account 1 still does not add up"
MET = Counter({(Fault.CUT_AFTER.value, "POST /fapi/v1/order ENTRY"): 2})


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one seed break a law, and each meet two faults."""

    def run_seed(seed: int) -> Outcome:
        return Outcome(seed, (BROKEN,) if seed == FAILING else (), MET)

    monkeypatch.setattr(simulation, "run_seed", run_seed)
    monkeypatch.setattr("logging.disable", lambda _level: None)


@pytest.mark.usefixtures("outcomes")
def test_seed_that_breaks_a_law_is_named_and_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--first", "3", "--seeds", "3"]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"make simulate SEED={FAILING}  # {BROKEN}"
    assert lines[-1] == "3 seeds, 6 faults, 1 seeds that broke a law"
    assert f"{Fault.CUT_AFTER.value:32}       6  POST /fapi/v1/order ENTRY 6" in lines
    assert f"{Fault.HALT.value:32}   never" in lines


@pytest.mark.usefixtures("outcomes")
def test_seeds_that_break_no_law_are_status_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--first", "0", "--seeds", str(FAILING)]) == 0

    out = capsys.readouterr().out
    assert "make simulate" not in out
    assert out.endswith(f"{FAILING} seeds, {2 * FAILING} faults, 0 seeds that broke a law\n")


@pytest.mark.usefixtures("outcomes")
def test_one_seed_that_fails_is_shrunk_told_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    smaller = object()
    monkeypatch.setattr(simulation, "shrink", lambda seed: (smaller, [f"{BROKEN}, seed {seed}, smaller"]))
    monkeypatch.setattr(simulation, "_account", lambda world: ["what happened"] if world is smaller else [])

    assert main(["--seed", str(FAILING)]) == 1

    assert capsys.readouterr().out.splitlines()[:3] == [
        f"make simulate SEED={FAILING}  # {BROKEN}",
        "what happened",
        f"{BROKEN}, seed {FAILING}, smaller",
    ]
