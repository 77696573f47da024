"""What a kept demo shows: accounts, orders, positions, invoices, events; and read models built again."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.kit import patriot

pytestmark = pytest.mark.slow


def listed(kept: Path, *words: str) -> Any:
    """Run a command on the folder; return what it printed as JSON."""
    done = patriot(*words, "--json", home=kept.parent)  # finds the kept demo in it
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def table(kept: Path, *words: str) -> str:
    done = patriot(*words, "--home", str(kept), home=kept.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(kept: Path, *words: str) -> str:
    done = patriot(*words, home=kept.parent)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def test_accounts_have_their_newest_equity(kept_demo: Path) -> None:
    accounts = listed(kept_demo, "accounts")
    assert len(accounts) == 3
    assert all(Decimal(account["equity"]) > 0 for account in accounts)
    shown = table(kept_demo, "accounts")
    assert all(account["account_id"] in shown for account in accounts)


def test_orders_are_filtered_by_account_status_and_limit(kept_demo: Path) -> None:
    account = listed(kept_demo, "accounts")[0]["account_id"]
    filled = listed(kept_demo, "orders", "--account", account, "--status", "filled", "--limit", "2")
    assert len(filled) == 2
    assert {(order["account_id"], order["status"]) for order in filled} == {(account, "FILLED")}
    assert filled[0]["created_at"] >= filled[1]["created_at"]
    assert "FILLED" in table(kept_demo, "orders", "--status", "FILLED")


def test_positions_are_those_that_are_open(kept_demo: Path) -> None:
    positions = listed(kept_demo, "positions")
    assert all(Decimal(position["quantity"]) != 0 for position in positions)
    assert all(position["account_id"] in table(kept_demo, "positions") for position in positions)


def test_invoice_that_was_listed_is_shown_written_and_verified(kept_demo: Path, tmp_path: Path) -> None:
    number = listed(kept_demo, "invoices", "list")[0]["number"]
    page, proof = tmp_path / "invoice.html", tmp_path / "invoice.json"
    shown = listed(kept_demo, "invoices", "show", number, "--html", str(page), "--proof", str(proof))
    assert shown["number"] == number
    assert Decimal(shown["total"]) == sum(Decimal(line["fee"]) for line in shown["lines"])
    assert number in page.read_text()
    verified = patriot("invoice", "verify", str(proof), home=tmp_path)
    assert verified.returncode == 0
    assert verified.stdout.endswith("VERIFIED\n")
    unsealed = patriot("invoice", "verify", str(proof), "--head", "00" * 32, home=tmp_path)
    assert unsealed.returncode == 1
    assert "NOT VERIFIED" in unsealed.stdout
    assert number in table(kept_demo, "invoices", "list")


def test_invoice_that_does_not_exist_is_refused(kept_demo: Path, tmp_path: Path) -> None:
    assert "no invoice 1999-01-X" in refusal(kept_demo, "invoices", "show", "1999-01-X")
    number = listed(kept_demo, "invoices", "list")[0]["number"]
    lost = tmp_path / "no" / "folder.html"
    assert f"--html: {lost} cannot be written" in refusal(kept_demo, "invoices", "show", number, "--html", str(lost))


def test_events_are_the_newest_or_those_after_a_position(kept_demo: Path) -> None:
    newest = lines(kept_demo, "--limit", "3")
    assert len(newest) == 3
    first = lines(kept_demo, "--after", "0", "--limit", "1")
    assert first[0]["position"] == 1
    after = lines(kept_demo, "--after", str(newest[0]["position"]), "--limit", "10")
    assert [event["position"] for event in after] == [event["position"] for event in newest[1:]]


def test_events_are_filtered_by_type_stream_and_account(kept_demo: Path) -> None:
    fill = lines(kept_demo, "--type", "order.filled", "--limit", "1")[0]
    stream = lines(kept_demo, "--stream", fill["stream_id"])
    assert stream[0]["event_type"] == "order.created"
    assert {event["stream_id"] for event in stream} == {fill["stream_id"]}
    of_order = [event["stream_version"] for event in stream if event["stream_type"] == "ORDER"]
    assert of_order == list(range(1, len(of_order) + 1))
    about = lines(kept_demo, "--account", fill["account_id"], "--limit", "20")
    assert {event["account_id"] for event in about} == {fill["account_id"]}
    assert "order.filled" in table(kept_demo, "events", "--type", "order.filled")


def lines(kept: Path, *words: str) -> list[dict[str, Any]]:
    done = patriot("events", "--json", *words, home=kept.parent)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_events_after_a_position_that_is_not_there_are_refused(kept_demo: Path) -> None:
    assert "--after: no event stands at position 999999" in refusal(kept_demo, "events", "--after", "999999")


def test_halt_of_somebody_unknown_is_refused(kept_demo: Path) -> None:
    nobody = "01890000-0000-7000-8000-000000000000"
    said = refusal(kept_demo, "halt", "--scope", "user", "--reference", nobody)
    assert f"there is no user {nobody}" in said


def test_halt_is_raised_once_and_lifted_once(demo_folder: Path) -> None:
    strategy = lines(demo_folder, "--type", "strategy.created", "--limit", "1")[0]["stream_id"]
    scope = ("halt", "--scope", "strategy", "--reference", strategy)
    assert f"STRATEGY {strategy}: halted at H3" in table(demo_folder, *scope, "--level", "H3")
    assert "stays halted at H3" in table(demo_folder, *scope)
    (halt,) = listed(demo_folder, "halts")
    assert (halt["scope"], halt["reference"], halt["level"]) == ("STRATEGY", strategy, "H3")
    assert strategy in table(demo_folder, "halts")
    assert "trading goes on" in table(demo_folder, *scope, "--lift")
    assert "nothing was halted" in table(demo_folder, *scope, "--lift")
    assert "it holds from the next start on" in table(demo_folder, *scope)


def test_rebuilt_read_models_show_the_same(demo_folder: Path) -> None:
    before = listed(demo_folder, "orders", "--limit", "1000")
    assert patriot("db", "rebuild", "all", "--home", str(demo_folder), home=demo_folder.parent).returncode == 0
    assert listed(demo_folder, "orders", "--limit", "1000") == before
    assert "the schema is at version" in table(demo_folder, "db", "migrate")
