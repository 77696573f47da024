"""Judges that cannot fail prove nothing: one thing of a sound run is spoiled, and exactly that is found."""

import asyncio
import re
import shutil
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import msgspec
import pytest

from patriot.adapters.exchanges.binance.budget import RateBudget
from patriot.adapters.exchanges.binance.session import BinanceSession
from patriot.adapters.exchanges.binance.signing import Signer
from patriot.adapters.exchanges.binance.venue import BinanceAccountSession
from patriot.adapters.exchanges.binance.venue_time import VenueTime
from patriot.adapters.simulator.control import SimControl
from patriot.adapters.vault import PostgresShelf, Vault, load_master_key
from patriot.host.data_folder import DataFolder
from patriot.host.folder_database import simulator_of
from patriot.host.sim_process import SimProcess
from patriot.kernel.clock import ReplayClock
from patriot.trading.reports import VenueOrder
from patriot.trading.terms import AccountId, OrderType, Side
from tests.acceptance.demo_runs import DemoFolder
from tests.conftest import run
from tests.support import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
EVENTS = "eventing.events"


class Entry(msgspec.Struct):
    """The part of `order.created` that placing it again takes."""

    account_id: UUID
    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal


@pytest.fixture(scope="module")
def sound(recording: str, tmp_path_factory: pytest.TempPathFactory) -> DemoFolder:
    """Give the data folder of a run in which nothing is wrong."""
    folder = DemoFolder(tmp_path_factory.mktemp("sound"), recording)
    run(folder.run()).require_green()
    return folder


@pytest.fixture
def spoiled(sound: DemoFolder, tmp_path: Path) -> DemoFolder:
    """Give a copy of it to spoil."""
    shutil.copytree(sound.home, tmp_path / "home", ignore=shutil.ignore_patterns("socket"))
    return replace(sound, home=tmp_path / "home")


async def verify(folder: DemoFolder) -> tuple[int, dict[str, Any]]:
    """Return the exit status and the judgment of `patriot verify`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "patriot.cli.main", "verify", str(folder.path), "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, msgspec.json.decode(output)


def broken(judgment: dict[str, Any]) -> set[str]:
    return {number for number, law in judgment["laws"].items() if not law["ok"]}


async def change(folder: DemoFolder, statement: str) -> str:
    """Do what only the owner of the server can do to history; return what it returns as `told`."""
    async with folder.database() as database, database.transaction() as sql:
        await sql.execute(f"ALTER TABLE {EVENTS} DISABLE TRIGGER USER")
        (row,) = await sql.fetch(statement)
        await sql.execute(f"ALTER TABLE {EVENTS} ENABLE TRIGGER USER")
        return str(row["told"])


async def test_sound_run_is_verified_again(sound: DemoFolder) -> None:
    status, judgment = await verify(sound)

    assert status == 0
    assert broken(judgment) == set()


@pytest.mark.parametrize(
    "where",
    [
        pytest.param(r'"fee":"\d*(\d)', id="the fee itself"),
        pytest.param(r'\\"wallet_balance\\":\\"\d*(\d)', id="an event that it comes from"),
    ],
)
async def test_changed_digit_of_an_invoice_is_found(where: str, spoiled: DemoFolder) -> None:
    invoice = sorted(spoiled.path.glob("invoices/*.json"))[0]
    text = invoice.read_text()
    digit = re.search(where, text)
    assert digit is not None
    changed = str((int(digit[1]) + 1) % 10)
    invoice.write_text(text[: digit.start(1)] + changed + text[digit.end(1) :])

    status, judgment = await verify(spoiled)

    assert status == 1
    assert broken(judgment) == {"9"}
    assert any(problem.startswith(invoice.name) for problem in judgment["laws"]["9"]["problems"])


async def test_changed_digit_of_an_event_is_found(spoiled: DemoFolder) -> None:
    stream = await change(
        spoiled,
        f"""UPDATE {EVENTS} SET data = regexp_replace(data, '"confidence":"0.(.)', '"confidence":"0.0')
            WHERE position = (SELECT max(position) FROM {EVENTS} WHERE event_type = 'strategy.signal_generated')
            RETURNING stream_id AS told""",
    )

    status, judgment = await verify(spoiled)

    assert status == 1
    assert not judgment["chain_ok"]
    assert any(stream in problem for problem in judgment["laws"]["10"]["problems"])


async def test_changed_digit_of_a_read_model_is_found(spoiled: DemoFolder) -> None:
    trade = await change(
        spoiled,
        """UPDATE read.fills SET price = price + 0.1
           WHERE trade_id = (SELECT max(trade_id) FROM read.fills) RETURNING trade_id AS told""",
    )

    status, judgment = await verify(spoiled)

    assert status == 1
    assert broken(judgment) == {"10"}
    assert not judgment["rebuild_identical"]
    assert any("fills" in problem and trade in problem for problem in judgment["laws"]["10"]["problems"])


async def test_deleted_funding_record_is_unexplained_by_exactly_its_amount(spoiled: DemoFolder) -> None:
    deleted = msgspec.json.decode(
        await change(
            spoiled,
            f"""DELETE FROM {EVENTS} WHERE position =
                (SELECT max(position) FROM {EVENTS} WHERE event_type = 'funding.paid') RETURNING data AS told""",
        )
    )

    status, judgment = await verify(spoiled)

    assert status == 1
    assert "8" in broken(judgment)
    rest = {account: Decimal(amount) for account, amount in judgment["unexplained"].items() if amount != "0"}
    assert rest == {deleted["account_id"]: Decimal(deleted["amount"])}


@pytest.mark.parametrize(
    "whose",
    [
        pytest.param("account_id = (SELECT account_id FROM read.fills ORDER BY 1 LIMIT 1)", id="of one account"),
        pytest.param("stream_type = 'EXECUTION'", id="of all routing"),
        pytest.param("stream_type = 'ROOTS'", id="of all roots"),
    ],
)
async def test_removed_streams_are_missed_though_every_chain_is_whole(whose: str, spoiled: DemoFolder) -> None:
    await change(
        spoiled,
        f"""WITH gone AS (DELETE FROM {EVENTS} WHERE {whose} RETURNING stream_type, stream_id),
            heads AS (DELETE FROM eventing.streams s USING gone
                      WHERE (s.stream_type, s.stream_id) = (gone.stream_type, gone.stream_id))
            SELECT count(*) AS told FROM gone""",
    )

    status, judgment = await verify(spoiled)

    assert status == 1
    assert judgment["chain_ok"]
    assert any(problem.startswith("root ") for problem in judgment["laws"]["10"]["problems"])


async def test_order_placed_a_second_time_under_its_client_id_is_counted(spoiled: DemoFolder) -> None:
    client_id = await repeat_an_entry(spoiled)

    status, judgment = await verify(spoiled)

    assert status == 1
    assert judgment["duplicate_orders"] == 1
    assert f"{client_id}: 2 orders of one intent" in judgment["laws"]["1"]["problems"]


async def repeat_an_entry(folder: DemoFolder) -> str:
    """Place the first entry again, which is long filled, with its account's own key, on the exchange itself."""
    data = DataFolder(folder.path)
    spec = simulator_of(data, "step")
    assert spec is not None
    async with folder.database() as database:
        (row,) = await database.fetch(
            f"""SELECT data FROM {EVENTS} WHERE event_type = 'order.created' AND data LIKE '%"ENTRY"%'
                ORDER BY position LIMIT 1"""
        )
        entry = msgspec.json.decode(row["data"], type=Entry)
        vault = Vault(PostgresShelf(database), load_master_key(data.master_key, None))
        key = await vault.open(AccountId(entry.account_id))
    sim = await SimProcess.start(spec)
    try:
        async with aiohttp.ClientSession() as http:
            clock = ReplayClock((await SimControl(http, sim.control_url, spec.token).health()).now)
            session = BinanceSession(
                sim.base_url,
                sim.ws_url,
                http,
                Signer(key),
                clock=clock,
                budget=RateBudget(clock, None),
                time=VenueTime(clock),
            )
            orders = BinanceAccountSession.open(session).orders
            again = VenueOrder(entry.client_order_id, entry.symbol, entry.side, OrderType.MARKET, entry.quantity, False)
            await orders.place(again, clock.now())
    finally:
        await sim.stop()
    return entry.client_order_id


async def test_stop_that_comes_three_seconds_late_breaks_law_2(recording: str, database: str, tmp_path: Path) -> None:
    folder = DemoFolder(tmp_path, recording, database)
    running = await folder.start()
    await eventually(lambda: (folder.path / "demo.json").exists(), 60)
    async with folder.control() as control:
        await control.add_fault(
            fault="delay", match={"method": "POST", "path": "/fapi/v1/algoOrder"}, times=1, delay_ms=3000
        )

    ended = await running.ended()

    assert ended.status == 1
    assert {number for number, kept in ended.laws.items() if not kept} == {"2"}
    assert "law 2: " in ended.output
    assert ended.summary is not None
    assert Decimal(3) <= Decimal(ended.summary["max_unprotected_seconds"]) < 5
