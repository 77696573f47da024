"""The table of commands, and what it promises: every command is there, help is quick, mistakes are one sentence."""

import socket
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest
from typer.testing import CliRunner

from patriot.cli.main import COMMANDS, _load, app
from tests.cli.kit import patriot

pytestmark = pytest.mark.integration

REBASE = ("risk", "rebase", "01890000-0000-7000-8000-000000000000")
HEAVY = ("aiohttp", "alembic", "asyncpg", "fastapi", "numpy", "pydantic", "sqlalchemy", "uvicorn")


def test_help_names_every_command_with_its_first_line() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "300"})
    assert shown.exit_code == 0
    for name, (_, first_line) in COMMANDS.items():
        assert f"{name} " in shown.stdout
        assert first_line in shown.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_command_says_about_itself_what_the_table_says(name: str) -> None:
    assert (_load(name).help or "").splitlines()[0] == COMMANDS[name][1]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_is_readable(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "120"})
    assert shown.exit_code == 0
    assert "Usage:" in shown.stdout
    assert max(len(line) for line in shown.stdout.splitlines()) <= 120


def test_help_imports_nothing_heavy() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, patriot.cli.main; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert set(HEAVY).isdisjoint(loaded)


def test_misspelled_command_is_told_the_right_one() -> None:
    shown = CliRunner().invoke(app, ["verfy"])
    assert shown.exit_code == 2
    assert "verify" in shown.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["up", "--speed", "7"], "'7' is not one of '1', '60'"),
        (["up", "--accounts", "-1"], "--accounts: expected 0 to 500, found -1"),
        (
            ["up", "--data", "nowhere.csv"],
            "--data: expected a recorded file or 'model', and there is no file nowhere.csv",
        ),
        (["events", "--after", str(2**63)], "'--after'"),
        (["events", "--limit", "99999999999999999999"], "'--limit'"),
        (["orders", "--limit", "99999999999999999999"], "'--limit'"),
        (["invoices", "list", "--limit", "99999999999999999999"], "'--limit'"),
        (["up", "--seed", "99999999999999999999"], "'--seed'"),
        (["sim", "--seed", "99999999999999999999"], "'--seed'"),
        (["demo", "--seed", "99999999999999999999"], "'--seed'"),
        (["soak", "--seed", "99999999999999999999"], "'--seed'"),
        (["demo", "--accounts", "0"], "--accounts: expected 1 to 500, found 0"),
        (["demo", "--days", "0"], "--days: expected at least 1, found 0"),
        (["halt", "--scope", "account"], "--reference: expected the id of the account"),
        (["halt", "--reason", "no good"], "--reason: expected capitals, digits and underscores, found 'no good'"),
        (["halt", "--reason", "DAILY_LOSS"], "--reason: DAILY_LOSS is a rule's own, which the rule would lift"),
        (["risk", "rebase", "01890000-0000-7000-8000-000000000000"], "Missing option '--requested-by'"),
        ([*REBASE, "--requested-by", " ", "--approved-by", "Ben", "--reason", "x"], "--requested-by: expected a name"),
        ([*REBASE, "--requested-by", "Anna", "--approved-by", "", "--reason", "x"], "--approved-by: expected a name"),
        (
            [*REBASE, "--requested-by", "Anna", "--approved-by", "anna ", "--reason", "x"],
            "--approved-by: two persons are needed, found 'Anna' and 'anna '",
        ),
        ([*REBASE, "--requested-by", "Anna", "--approved-by", "Ben", "--reason", " "], "--reason: expected why"),
        (["events", "--type", "order.fild"], "--type: no event is called 'order.fild'"),
        (["db", "rebuild", "orderz"], "PROJECTION: expected one of all, users.users"),
        (["invoice", "verify", "nowhere.json"], "FILE: there is no file nowhere.json"),
        (["serve", "market"], "'market' is not one of 'identity'"),
        (["serve", "risk", "--role", "api"], "risk has nothing to run as api: its role is worker"),
        (["serve", "sim", "--role", "worker"], "sim has nothing to run as worker"),
        (["serve", "risk"], "no database: set DATABASE_URL, or run `patriot up`"),
        (["orders"], "nothing here yet: run `patriot demo --keep` or `patriot up`"),
        (["db", "migrate"], "nothing here yet"),
    ],
)
def test_wrong_input_is_one_sentence_and_status_2(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATRIOT_HOME", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    shown = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert shown.exit_code == 2, shown.output
    assert said in " ".join(shown.output.split())
    assert "Traceback" not in shown.output


def test_wrong_setting_is_named(tmp_path: Path) -> None:
    done = patriot("up", home=tmp_path, PATRIOT_PORT="99999")
    assert done.returncode == 2
    assert done.stderr.startswith("patriot: PATRIOT_PORT: ")


def test_real_money_needs_to_be_asked_for(tmp_path: Path) -> None:
    venue = {"PATRIOT_BINANCE_URL": "https://fapi.binance.com", "PATRIOT_BINANCE_WS_URL": "wss://fstream.binance.com"}
    done = patriot("up", home=tmp_path, **venue)
    assert done.returncode == 2
    assert "fapi.binance.com trades real money: set PATRIOT_LIVE=1" in done.stderr


def test_wrong_setting_of_the_simulator_as_a_service_is_named(tmp_path: Path) -> None:
    done = patriot("serve", "sim", home=tmp_path, PATRIOT_PORT="99999")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("patriot: PATRIOT_PORT: ")


def test_serve_on_a_port_that_is_taken_is_told_its_own_option(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        nowhere = "postgresql://127.0.0.1:1/patriot"
        done = patriot("serve", "risk", "--port", port, home=tmp_path, DATABASE_URL=nowhere)
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 cannot be opened" in done.stderr
    assert "or change --port" in done.stderr


def test_parameter_of_a_database_that_there_is_not_is_named(tmp_path: Path) -> None:
    done = patriot("accounts", home=tmp_path, DATABASE_URL="postgresql://u:hush@127.0.0.1:1/x?sslmode=bogus")
    assert done.returncode == 2
    assert done.stderr.startswith("patriot: DATABASE_URL: `sslmode` parameter must be one of")
    assert "hush" not in done.stderr


def test_down_where_nothing_runs_says_so(tmp_path: Path) -> None:
    done = patriot("down", str(tmp_path), home=tmp_path)
    assert done.returncode == 0
    assert done.stdout == f"nothing runs on {tmp_path}\n"


@pytest.mark.parametrize("words", [["accounts"], ["db", "migrate"], ["db", "adopt"], ["serve", "risk"]])
def test_database_that_is_away_is_one_sentence_without_its_password(words: list[str], tmp_path: Path) -> None:
    nobody = "postgresql://patriot:hush@127.0.0.1:1/patriot"
    done = patriot(*words, home=tmp_path, DATABASE_URL=nobody, PATRIOT_MASTER_KEY=b64encode(bytes(32)).decode())
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("patriot: PostgreSQL cannot be reached: ")
    assert "hush" not in done.stderr + done.stdout


def test_file_in_the_place_of_a_data_folder_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("")
    done = patriot("verify", str(file), home=tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"patriot: {file}: expected a folder, and this is a file\n"
    assert patriot("accounts", "--home", str(file), home=tmp_path).stderr == done.stderr
