"""The coverage gate holds each module to its own figure, and a figure below the gate may only rise."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import coverage_gate

pytestmark = pytest.mark.unit

PACKAGES = Path(__file__).resolve().parents[2] / "src" / "patriot"
NOT_GATED = {"audit", "cli", "demo", "market", "portfolio", "sim", "simulation", "strategies", "users"}

Judge = Callable[..., tuple[int, str]]


def summary(branches: int, lines: int) -> dict[str, int]:
    return {"num_branches": 100, "covered_branches": branches, "num_statements": 100, "covered_lines": lines}


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Judge:
    """Give a function that judges the modules given, in a project of two packages, and returns status and print."""

    def judge(short: dict[str, tuple[float, float]], **modules: dict[str, int]) -> tuple[int, str]:
        files = {f"src/patriot/orders/{name}.py": {"summary": figures} for name, figures in modules.items()}
        (tmp_path / "coverage.json").write_text(json.dumps({"files": files}))
        monkeypatch.setattr(coverage_gate, "ROOT", tmp_path)
        monkeypatch.setattr(coverage_gate, "GATED", ("orders",))
        monkeypatch.setattr(coverage_gate, "SHORT", {f"orders/{name}.py": least for name, least in short.items()})
        return coverage_gate.main(), capsys.readouterr().out

    return judge


def test_naked_module_is_not_hidden_by_a_covered_one(judge: Judge) -> None:
    status, said = judge({}, good=summary(100, 100), naked=summary(88, 95))
    assert status == 1
    assert "orders/naked.py: branches 88.0 %, lines 95.0 %: expected 90 % of each" in said
    assert judge({}, good=summary(100, 100), other=summary(89, 89))[0] == 0


@pytest.mark.parametrize(
    ("branches", "status"),
    [(69, 0), (68, 1), (75, 0), (76, 1), (90, 1)],
    ids=["one less", "fell", "rose", "passed", "reached"],
)
def test_figure_of_a_module_that_falls_short_is_kept_true(judge: Judge, branches: int, status: int) -> None:
    assert judge({"x": (70.0, 99.0)}, x=summary(branches, 99))[0] == status


def test_one_branch_may_be_missing_of_a_few(judge: Judge) -> None:
    few = {"num_branches": 4, "covered_branches": 3, "num_statements": 5, "covered_lines": 4}
    assert judge({}, small=few)[0] == 0
    assert judge({}, small=few | {"covered_branches": 2})[0] == 1


def test_module_that_is_gone_and_package_that_was_not_measured_are_named(judge: Judge) -> None:
    assert judge({"gone": (1.0, 1.0)}, good=summary(100, 100))[0] == 1
    assert judge({})[0] == 1


def test_every_package_is_gated_except_those_named_here() -> None:
    packages = {path.parent.name for path in PACKAGES.glob("*/__init__.py")}
    gated = set(coverage_gate.GATED)
    assert packages - gated == NOT_GATED | {"adapters"}
    assert {"adapters/postgres", "adapters/exchanges"} <= gated
