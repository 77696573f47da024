"""A soak as a real process tree: it disturbs, judges, and leaves nothing behind, also when it is interrupted."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.kit import Started, eventually, patriot

pytestmark = pytest.mark.slow


def runs_on(folder: Path) -> list[str]:
    """Return the command lines of the processes that were told of a folder, by their arguments or environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in told:
            found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "soaked"
    assert patriot("down", str(tmp_path / "soaked"), home=tmp_path).returncode == 0


def soak(folder: Path, tmp_path: Path, minutes: str) -> Started:
    options = ("--minutes", minutes, "--accounts", "2", "--seed", "3", "--home", str(folder))
    return Started("soak", *options, home=tmp_path, log=tmp_path / "said.txt")


@pytest.mark.timeout(360)  # an order of which nothing is known is watched for two minutes, on a slow machine
async def test_soak_disturbs_judges_names_its_seed_and_leaves_no_process(folder: Path, tmp_path: Path) -> None:
    running = soak(folder, tmp_path, "0.1")
    await eventually(lambda: running.process.poll() is not None, running, seconds=300)
    faults = next(line for line in running.said.splitlines() if line.startswith("faults "))
    assert int(faults.split()[1].rstrip(",")) > 3, running.said
    assert running.process.returncode == 0, running.said
    assert "clean: seed 3, speed 60, 2 accounts" in running.said
    assert "one intent, at most one order" in running.said
    assert runs_on(folder) == []


async def test_soak_that_is_interrupted_ends_all_it_started(folder: Path, tmp_path: Path) -> None:
    running = soak(folder, tmp_path, "5")
    await eventually(lambda: (folder / "sim" / "ports.json").exists(), running)
    assert len(runs_on(folder)) > 2
    os.kill(running.process.pid, signal.SIGINT)
    await eventually(lambda: running.process.poll() is not None, running, seconds=120)
    assert running.process.returncode == 130
    await eventually(lambda: runs_on(folder) == [], "something still runs")


async def test_soak_whose_platform_is_killed_says_so_and_is_judged_nonetheless(folder: Path, tmp_path: Path) -> None:
    running = soak(folder, tmp_path, "5")
    await running.says("disturbing its exchange")
    os.kill(int((folder / "patriot.pid").read_text()), signal.SIGKILL)
    await eventually(lambda: running.process.poll() is not None, running, seconds=120)
    assert running.process.returncode == 1
    assert "broken: the platform ended with status -9" in running.said
    assert "one intent, at most one order" in running.said
    assert runs_on(folder) == []


async def test_soak_on_a_folder_with_something_in_it_is_refused(folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    (folder / "mine.txt").write_text("not yours")
    refused = patriot("soak", "--home", str(folder), home=tmp_path)
    assert refused.returncode == 2
    assert "a soak begins with a fresh folder" in refused.stderr
