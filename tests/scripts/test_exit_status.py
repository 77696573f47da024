"""A check that finds something ends with 1, so that what called it stops; one that finds nothing ends with 0."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
KEY = "-----BEGIN " + "PRIVATE KEY-----\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give an empty project that has our scripts: each looks at the project that it lies in."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Makefile", tmp_path)
    return tmp_path


def status(project: Path, script: str, *words: str) -> int:
    """Run a script as its make target does, and return what it ends with."""
    command = [sys.executable, str(project / "scripts" / script), *words]
    return subprocess.run(command, cwd=project, capture_output=True, check=False, timeout=60).returncode


def test_scan_for_secrets_ends_with_one_when_a_file_holds_one(project: Path) -> None:
    (project / "kept.txt").write_text("nothing\n")
    (project / "leaked.txt").write_text(KEY)
    assert status(project, "scan_secrets.py", "kept.txt") == 0
    assert status(project, "scan_secrets.py", "kept.txt", "leaked.txt") == 1


def test_scan_without_names_looks_at_every_file_that_git_follows(project: Path) -> None:
    (project / "leaked.txt").write_text(KEY)
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    assert status(project, "scan_secrets.py") == 0
    subprocess.run(["git", "add", "leaked.txt"], cwd=project, check=True)
    assert status(project, "scan_secrets.py") == 1


@pytest.mark.parametrize(
    "broken",
    ["[gone](gone.md)", "[gone](#gone)", "```sh\nmake gone\n```", "```sh\npatriot gone\n```"],
    ids=["file", "heading", "target", "command"],
)
def test_check_of_documents_ends_with_one_when_a_pointer_leads_nowhere(project: Path, broken: str) -> None:
    (project / "README.md").write_text("# Here\n[here](#here)\n```sh\nmake test\npatriot demo\n```\n")
    assert status(project, "check_docs.py") == 0
    (project / "BROKEN.md").write_text(broken + "\n")
    assert status(project, "check_docs.py") == 1


def test_gate_ends_with_one_when_a_package_was_not_measured(project: Path) -> None:
    (project / "coverage.json").write_text(json.dumps({"files": {}}))
    assert status(project, "coverage_gate.py") == 1
