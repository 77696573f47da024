"""Lists of a platform that has nothing to list, and lists about somebody whom the log does not know."""

import json
from pathlib import Path

import pytest

from tests.cli.kit import patriot

pytestmark = pytest.mark.integration

NOBODY = "01890000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["accounts"], "no account is linked"),
        (["orders"], "no orders"),
        (["orders", "--status", "filled"], "no such orders"),
        (["positions"], "no open positions"),
        (["halts"], "no halt is in force"),
        (["invoices", "list"], "no invoices: the first comes with the end of a month"),
        (["events"], "no event in the log"),
    ],
)
def test_empty_list_says_what_is_not_there(words: list[str], said: str, database: str, tmp_path: Path) -> None:
    done = patriot(*words, home=tmp_path, DATABASE_URL=database)
    assert (done.returncode, done.stdout) == (0, f"{said}\n"), done.stderr
    as_json = patriot(*words, "--json", home=tmp_path, DATABASE_URL=database)
    assert json.loads(as_json.stdout or "[]") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["orders", "--account", NOBODY], f"--account: there is no account {NOBODY}"),
        (["positions", "--account", NOBODY, "--json"], f"--account: there is no account {NOBODY}"),
        (["events", "--account", NOBODY], f"--account: there is no account {NOBODY}"),
        (["events", "--stream", NOBODY, "--follow"], f"--stream: there is no stream {NOBODY}"),
    ],
)
def test_list_about_nobody_is_refused_by_option(words: list[str], said: str, database: str, tmp_path: Path) -> None:
    done = patriot(*words, home=tmp_path, DATABASE_URL=database)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"patriot: {said}")
