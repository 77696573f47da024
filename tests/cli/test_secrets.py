"""No key leaves: not into a child's environment, a file, the log, an event, a page or an error, whatever goes wrong."""

import asyncio
import base64
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import msgspec
import pytest

from patriot.adapters.postgres.database import Database
from patriot.adapters.simulator.control import SimControl
from patriot.adapters.vault import MasterKey, PostgresShelf, Vault
from patriot.host.data_folder import DataFolder
from patriot.host.folder_database import started_server
from patriot.host.settings import Settings
from patriot.trading.terms import AccountId
from tests.cli.kit import Started, answer, eventually, free_port, patriot
from tests.cli.planted import found_below, found_in

pytestmark = pytest.mark.slow
MASTER = bytes(range(64, 96))
OTHER = "another program's secret"
ERRORS: tuple[dict[str, Any], ...] = (
    {"fault": "error_after", "status": 503, "html": True, "match": {"method": "POST"}, "times": 2, "seconds": 5},
    {"fault": "error_before", "status": 500, "seconds": 1},
    {"fault": "refuse", "code": -2015, "message": "Invalid API-key, IP, or permissions", "times": 2, "seconds": 5},
    {"fault": "drop_after", "times": 3, "seconds": 5},
    {"action": "disconnect", "abrupt": True},
)


def descendants(pid: int) -> list[int]:
    """Return a process's children, theirs, and so on."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    assert patriot("down", str(tmp_path / "home"), home=tmp_path / "home").returncode == 0


async def test_no_key_is_found_after_a_run_full_of_errors(home: Path, tmp_path: Path) -> None:
    port, master = free_port(), base64.b64encode(MASTER).decode()
    given = {"PATRIOT_MASTER_KEY": master, "PATRIOT_LOG_LEVEL": "DEBUG", "OTHER_SECRET": OTHER}
    up = Started(
        *("up", "--accounts", "2", "--lively", "--speed", "60"),
        home=home,
        log=tmp_path / "said.txt",
        PATRIOT_PORT=str(port),
        **given,
    )
    try:
        await up.says("running: Ctrl-C")
        await eventually(lambda: answer(f"http://127.0.0.1:{port}/ready")[0] == 200, up)
        environments = {pid: Path(f"/proc/{pid}/environ").read_bytes() for pid in descendants(up.process.pid)}
        await _go_wrong(DataFolder(home))
        pages = "".join(answer(f"http://127.0.0.1:{port}{path}")[1] for path in ("/health", "/ready", "/metrics"))
        events = patriot("events", "--json", "--limit", "100000", home=home).stdout
        os.kill(up.process.pid, signal.SIGTERM)
        assert await up.ended() == 0, up
    finally:
        up.end()

    ours = {"the master key": MASTER, "another secret": OTHER.encode()}
    assert len(environments) > 3, "simulator, PostgreSQL and two runners were to be looked at"
    assert [found for environment in environments.values() for found in found_in(environment, ours)] == []
    theirs = await _keys_of_clients(DataFolder(home))
    assert len(theirs) == 4
    assert "order.created" in events
    assert "account.key_unfit" in (home / "patriot.log").read_text(), "nothing went wrong badly enough"
    for text in (events, pages, up.said):
        assert found_in(text.encode(), ours | theirs) == []
    books = frozenset((home / "sim").glob("*.journal"))  # the exchange's own: it made the keys
    assert found_below(home, theirs), "the search does not even find the exchange's own copy"
    assert found_below(home, ours | theirs, books) == []


def test_search_finds_what_is_planted_in_any_file_and_any_spelling(tmp_path: Path) -> None:
    secrets = {"the master key": MASTER}
    (tmp_path / "deep" / "er").mkdir(parents=True)
    clean, dirty = b"\0\xff nothing here", base64.b64encode(MASTER)
    for name, planted in (("log", dirty), ("deep/page", b"\0\0" + MASTER), ("deep/er/dump", MASTER.hex().encode())):
        (tmp_path / name).write_bytes(clean + planted + clean)
    (tmp_path / "clean").write_bytes(clean)
    found = found_below(tmp_path, secrets)
    assert [one.split(":")[0] for one in found] == ["deep/er/dump", "deep/page", "log"]
    assert found_below(tmp_path, secrets, frozenset({tmp_path / "log"})) == found[:2]


async def _go_wrong(folder: DataFolder) -> None:
    ports = msgspec.json.decode((folder.sim / "ports.json").read_bytes())
    async with aiohttp.ClientSession() as http:
        control = SimControl(http, f"http://127.0.0.1:{ports['control_port']}", folder.sim_token())
        async with asyncio.timeout(60):
            while not await _traded(control):  # noqa: ASYNC110  nothing tells of it
                await asyncio.sleep(0.5)
        for error in ERRORS * 3:
            await control.call("POST", "/faults", error)
            await asyncio.sleep(0.7)
        await control.call("DELETE", "/faults")
        keys = (await control.state())["keys"]
        held = [row["api_key"] for rows in keys.values() for row in rows if "withdraw" not in row["permissions"]]
        await control.call("DELETE", f"/keys/{held[0]}")
        await control.call("POST", "/faults", {"action": "disconnect"})
        await eventually(lambda: "account.key_unfit" in folder.log.read_text(), "a revoked key goes unnoticed")


async def _keys_of_clients(folder: DataFolder) -> dict[str, bytes]:
    """Return every client's key and secret, out of the vault."""
    secrets: dict[str, bytes] = {}
    listed = patriot("accounts", "--json", home=folder.path)
    async with started_server(folder, Settings(home=folder.path)) as dsn:
        database = await Database.connect(dsn, max_connections=2)
        vault = Vault(PostgresShelf(database), MasterKey(MASTER))
        for account in msgspec.json.decode(listed.stdout):
            key = await vault.open(AccountId(UUID(account["account_id"])))
            secrets |= {f"key of {account['account_id']}": key.api_key.encode()}
            secrets |= {f"secret of {account['account_id']}": key.api_secret.encode()}
        await database.close()
    return secrets


async def _traded(control: SimControl) -> bool:
    return any(account["trades"] for account in (await control.state())["accounts"].values())
