"""What must be green before a merge is all there: `.ci/run`, and `make ci`, name every check."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
MAKE = shutil.which("make")
CHECKS = [  # a piece of the command of each
    '-m "not slow" --cov',
    "ruff check .",
    "ruff format --check .",
    "scripts/scan_secrets.py",
    "bin/mypy",
    "bin/lint-imports",
    "scripts/check_docs.py",
    "scripts/coverage_gate.py",
    "-m slow",
    "patriot soak",
    "patriot.simulation --seeds 100",
]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Give an environment in which `make` only says what it would do, and whether in CI, but fails when told to."""
    stub = tmp_path / "make"
    stub.write_text(f'#!/bin/sh\necho "CI=$CI"\n[ "$1" != "$FAILING" ] || exit 2\nexec {MAKE} -n "$@"\n')
    stub.chmod(0o755)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}


def said(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("command", [".ci/run", "make ci"])
def test_every_check_is_run(environment: dict[str, str], command: str) -> None:
    done = said(command.split(), environment)
    assert [check for check in CHECKS if check not in done.stdout] == []
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("failing", ["test", "rest"])
def test_ci_fails_with_any_part_of_it(environment: dict[str, str], failing: str) -> None:
    assert said([".ci/run"], environment | {"FAILING": failing}).returncode != 0


def test_ci_says_that_it_is_ci(environment: dict[str, str]) -> None:
    lines = said([".ci/run"], environment).stdout.splitlines()
    assert [line for line in lines if line.startswith("CI=")] == ["CI=1", "CI=1"]
