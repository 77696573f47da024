"""What a person types wrong is told in one sentence that names the option or the line, and nothing is changed."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from patriot.cli.main import app
from tests.acceptance.demo_runs import RECORDED, DemoFolder

pytestmark = pytest.mark.integration

ROWS = gzip.decompress(RECORDED.read_bytes()).decode().splitlines()[:60]
BAD_FILES: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "cut": (lambda rows: [*rows[:-1], rows[-1][:40]], "line 60"),
    "unsorted": (lambda rows: [*rows[:30], rows[31], rows[30], *rows[32:]], "line 31: gap"),
    "repeated": (lambda rows: [*rows[:30], rows[29], *rows[30:]], "line 31: duplicate bar"),
    "gap": (lambda rows: [*rows[:30], *rows[31:]], "line 31: gap"),
    "not a number": (lambda rows: [*rows[:9], rows[9].replace(rows[9].split(",")[4], "NaN", 1)], "line 10"),
    "negative": (lambda rows: [*rows[:9], rows[9].replace(",", ",-", 1)], "line 10"),
    "far too large": (lambda rows: [*rows[:9], rows[9].replace(rows[9].split(",")[1], "1e400", 1)], "line 10"),
    "empty": (lambda rows: rows[:1], "expected at least one bar"),
}


@pytest.fixture
def folder(tmp_path: Path) -> DemoFolder:
    """Give a data folder in which an earlier demo was kept."""
    demo = tmp_path / "home/demo"
    demo.mkdir(parents=True)
    (demo / "demo.json").write_text("an earlier demo")
    return DemoFolder(tmp_path / "home", str(RECORDED))


def refused(folder: DemoFolder, *options: str) -> str:
    """Return the one sentence that a run ends with; it must have changed nothing."""
    before = sorted(folder.home.rglob("*"))
    days = ["--days", str(folder.days)] if folder.days else []
    words = ["demo", "--data", folder.data, "--accounts", str(folder.accounts), *days, *options]
    ended = CliRunner().invoke(app, words, env={"PATRIOT_HOME": str(folder.home)})
    assert ended.exit_code == 2, ended.output
    assert sorted(folder.home.rglob("*")) == before
    assert (folder.path / "demo.json").read_text() == "an earlier demo"
    (sentence,) = ended.output.strip().splitlines()
    return sentence


@pytest.mark.parametrize("what", BAD_FILES)
def test_broken_recording_is_refused_by_file_and_line(what: str, folder: DemoFolder, tmp_path: Path) -> None:
    spoil, named = BAD_FILES[what]
    path = tmp_path / "BTCUSDT-1m-bad.csv"
    path.write_text("\n".join(spoil(ROWS)))

    sentence = refused(replace(folder, data=str(path)))

    assert path.name in sentence
    assert named in sentence


def test_archive_that_is_cut_is_refused_by_name(folder: DemoFolder, tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1m-bad.csv.gz"
    path.write_bytes(RECORDED.read_bytes()[:5000])

    assert path.name in refused(replace(folder, data=str(path)))


def test_prices_of_another_symbol_are_refused(folder: DemoFolder, tmp_path: Path) -> None:
    path = tmp_path / "ETHUSDT-1m-bad.csv"
    path.write_text("\n".join(ROWS))

    assert "expected prices of BTCUSDT" in refused(replace(folder, data=str(path)))


def test_recording_that_is_not_there_is_refused_by_name(folder: DemoFolder) -> None:
    assert "there is no file nowhere.csv" in refused(replace(folder, data="nowhere.csv"))


@pytest.mark.parametrize("accounts", [0, -1, 501])
def test_number_of_accounts_out_of_range_is_refused(accounts: int, folder: DemoFolder) -> None:
    assert "--accounts: expected 1 to 500" in refused(replace(folder, accounts=accounts))


def test_negative_number_of_days_is_refused(folder: DemoFolder) -> None:
    assert "--days: expected at least 1" in refused(replace(folder, days=-1))


@pytest.mark.parametrize("path", ["/proc/nope/x.json", "/proc", "/dev/null/x.json"])
def test_summary_that_cannot_be_written_is_refused_before_the_run(path: str, folder: DemoFolder) -> None:
    assert refused(folder, "--json", path).startswith(f"patriot: --json: {path} cannot be written: ")


def test_resume_where_no_demo_was_begun_is_refused(tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["demo", "--resume", "--accounts", "1"], env={"PATRIOT_HOME": str(tmp_path)})
    assert ended.exit_code == 2
    assert (
        ended.output == f"patriot: --resume: no demo is under way in {tmp_path / 'demo'}: begin it without --resume\n"
    )
    assert list(tmp_path.iterdir()) == []
