"""`patriot verify` over one kept demo: nothing to complain about, and each thing that a person could have changed."""

import base64
import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from patriot.host.embedded import EmbeddedPostgres
from tests.cli.kit import patriot
from tests.conftest import execute

pytestmark = pytest.mark.slow
UNLOCK, LOCK = (f"ALTER TABLE eventing.events {what} TRIGGER history_is_append_only" for what in ("DISABLE", "ENABLE"))


async def change(folder: Path, *statements: str) -> None:
    """Change the database as its owner, behind the application's back."""
    async with EmbeddedPostgres(folder / "postgres") as address:
        await execute(address.dsn, UNLOCK, *statements, LOCK)


def judged(folder: Path) -> tuple[int, dict[str, Any]]:
    done = patriot("verify", str(folder), "--json", home=folder.parent)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def problems(found: dict[str, Any], law: str) -> str:
    return "\n".join(found["laws"][law]["problems"])


def test_verify_of_a_kept_demo_finds_nothing_wrong(demo_folder: Path) -> None:
    status, found = judged(demo_folder)
    assert status == 0
    assert {number: law["ok"] for number, law in found["laws"].items()} == dict.fromkeys(found["laws"], True)
    assert found["orders_on_exchange"] > 0
    assert set(found["unexplained"].values()) == {"0"}


async def test_verify_of_an_event_with_one_changed_digit_names_the_event(demo_folder: Path) -> None:
    price = 'substring(data from \'"price":"([0-9])\')'
    await change(
        demo_folder,
        'UPDATE eventing.events SET data = regexp_replace(data, \'"price":"[0-9]\', \'"price":"\' ||'
        f" ((({price})::int + 1) % 10)::text) WHERE position ="
        " (SELECT min(position) FROM eventing.events WHERE event_type = 'order.filled')",
    )
    status, found = judged(demo_folder)
    assert status == 1
    assert not found["chain_ok"]
    assert "expected hash" in problems(found, "10")
    assert "the log has other figures than the exchange" in problems(found, "4")


async def test_verify_of_one_changed_cell_of_a_read_model_names_the_cell(demo_folder: Path) -> None:
    await change(
        demo_folder,
        "UPDATE read.positions SET funding = funding + 0.01 WHERE account_id ="
        " (SELECT account_id FROM read.positions ORDER BY account_id LIMIT 1)",
    )
    status, found = judged(demo_folder)
    assert status == 1
    assert found["chain_ok"]
    assert not found["rebuild_identical"]
    assert "positions" in problems(found, "10")
    assert "funding" in problems(found, "10")


async def test_verify_of_a_deleted_funding_record_shows_exactly_its_amount(demo_folder: Path) -> None:
    chosen = "(SELECT min(position) FROM eventing.events WHERE event_type = 'funding.paid')"
    async with EmbeddedPostgres(demo_folder / "postgres") as address:
        amount, account_id = await _funding(address.dsn, chosen)
        await execute(address.dsn, UNLOCK, f"DELETE FROM eventing.events WHERE position = {chosen}", LOCK)
    status, found = judged(demo_folder)
    assert status == 1
    assert amount != 0
    assert Decimal(found["unexplained"].pop(account_id)) == amount
    assert set(found["unexplained"].values()) == {"0"}
    assert f"{account_id}: {amount} is unexplained" in problems(found, "8")
    assert not found["chain_ok"]


def test_verify_of_an_invoice_with_one_changed_digit_names_the_file(demo_folder: Path) -> None:
    invoice = min((demo_folder / "invoices").glob("*.json"))
    text = invoice.read_text()
    at = text.index("equity") + text[text.index("equity") :].index("1")
    invoice.write_text(text[:at] + "2" + text[at + 1 :])
    status, found = judged(demo_folder)
    assert status == 1
    assert invoice.name in problems(found, "9")
    assert found["chain_ok"]


def test_verify_of_a_folder_without_its_simulator_judges_the_log_and_says_what_it_did_not(demo_folder: Path) -> None:
    shutil.rmtree(demo_folder / "sim")
    done = patriot("verify", str(demo_folder), home=demo_folder.parent)
    assert done.returncode == 3, done.stdout
    assert "laws 1, 4, 8 and 11 were not tested against the exchange" in done.stdout
    assert done.stdout.count("not seen    account ") == 3


async def test_verify_finds_an_account_of_the_exchange_that_the_log_no_longer_knows(demo_folder: Path) -> None:
    async with EmbeddedPostgres(demo_folder / "postgres") as address:
        connection = await asyncpg.connect(address.dsn)
        account_id = await connection.fetchval("SELECT min(account_id::text) FROM read.fills")
        await connection.close()
    whose = f"account_id = '{account_id}' OR stream_id = '{account_id}'"
    await change(
        demo_folder,
        f"DELETE FROM eventing.streams WHERE (stream_type, stream_id) IN"
        f" (SELECT stream_type, stream_id FROM eventing.events WHERE {whose})",
        f"DELETE FROM eventing.events WHERE {whose}",
    )
    status, found = judged(demo_folder)
    assert status == 1
    assert found["chain_ok"]
    assert len(found["accounts_unclaimed"]) == 1
    assert "it holds orders of ours, and no account of the log claims it" in problems(found, "4")
    assert "root 1: " in problems(found, "10")


def test_verify_without_a_data_folder_says_what_to_run(tmp_path: Path) -> None:
    done = patriot("verify", str(tmp_path / "nowhere"), home=tmp_path)
    assert done.returncode == 2
    assert "nothing here yet: run `patriot demo --keep` or `patriot up`" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "nowhere").exists()


def test_verify_with_another_master_key_says_that_law_6_was_not_tested(demo_folder: Path) -> None:
    another = base64.b64encode(bytes(32)).decode()
    done = patriot("verify", str(demo_folder), home=demo_folder.parent, PATRIOT_MASTER_KEY=another)
    assert done.returncode == 3, done.stdout
    assert "its key does not open" in done.stdout
    (law,) = [line for line in done.stdout.splitlines() if "keys never leave the vault" in line]
    assert "not tested" in law


def test_verify_without_the_master_key_says_where_it_was(demo_folder: Path) -> None:
    (demo_folder / "master.key").unlink()
    done = patriot("verify", str(demo_folder), home=demo_folder.parent)
    assert done.returncode == 2
    assert "master.key is missing" in done.stderr
    assert not (demo_folder / "master.key").exists()


async def _funding(dsn: str, chosen: str) -> tuple[Decimal, str]:
    connection = await asyncpg.connect(dsn)
    try:
        row = await connection.fetchrow(f"SELECT data, account_id FROM eventing.events WHERE position = {chosen}")
    finally:
        await connection.close()
    assert row is not None
    return Decimal(json.loads(row["data"])["amount"]), str(row["account_id"])
