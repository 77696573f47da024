"""Judges a data folder at rest: its log, its read models, its invoices, and its exchange's own records against them.

Everything is brought up for the time of the judgment: PostgreSQL on the folder, the simulator from its journal with its
clock standing still. Nothing trades.
"""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

from patriot.accounts.ports import ApiKey, KeyVault
from patriot.adapters.postgres.evidence import PostgresEvidence
from patriot.adapters.simulator.control import SimControl
from patriot.adapters.vault import PostgresShelf, Vault
from patriot.host.data_folder import DataFolder
from patriot.host.folder_database import (
    NOTHING_YET,
    holds_data,
    linked_accounts,
    master_key_of,
    simulator_of,
    started_server,
)
from patriot.host.offline_verifier import verify_invoice
from patriot.host.root_file import RootFile
from patriot.host.settings import Settings
from patriot.host.sim_process import SimProcess
from patriot.judge.case import verdict
from patriot.judge.summary import Records, Summary, judge_run
from patriot.kernel.clock import Clock, ReplayClock, SystemClock
from patriot.kernel.errors import HistoryDamaged, NotFound, StartupError
from patriot.services.plugged_in import ExchangeAddress, PluggedIn, plug_in
from patriot.services.table import PROJECTIONS
from patriot.trading.terms import AccountId

NOWHERE = ExchangeAddress("http://127.0.0.1:9", "ws://127.0.0.1:9")  # nothing is asked there


async def verify_folder(folder: DataFolder, settings: Settings, phase: Callable[[str], None]) -> Summary:
    """Return the judgment. `phase` is told what is under way.

    Errors: StartupError for a folder without data or with a running platform; HistoryDamaged for a log that cannot even
    be read to its end.
    """
    if not settings.database_url and not holds_data(folder):
        raise StartupError(f"{folder.path}: {NOTHING_YET}")
    if settings.master_key is None and not folder.master_key.exists():
        raise StartupError(f"{folder.master_key} is missing: put it back, or set PATRIOT_MASTER_KEY")
    async with AsyncExitStack() as stack:
        lock = folder.lock()
        stack.callback(lock.release)
        phase("starting PostgreSQL")
        dsn = await stack.enter_async_context(started_server(folder, settings))
        phase("bringing the simulated exchange back from its journal")
        control = await _exchange(stack, folder)
        state = None if control is None else await control.state()
        clock: Clock = SystemClock() if control is None else ReplayClock((await control.health()).now)
        plugged = await stack.enter_async_context(plug_in(dsn, NOWHERE, clock))
        vault = Vault(PostgresShelf(plugged.database), master_key_of(folder, settings))
        phase("judging")
        return await _judge(plugged, vault, state, folder)


async def _exchange(stack: AsyncExitStack, folder: DataFolder) -> SimControl | None:
    spec = simulator_of(folder, "step")
    if spec is None:
        return None
    sim = await SimProcess.start(spec)
    stack.push_async_callback(sim.stop)
    http = await stack.enter_async_context(aiohttp.ClientSession())
    return SimControl(http, sim.control_url, spec.token)


async def records_of(plugged: PluggedIn, vault: KeyVault, folder: DataFolder, invoices: Path) -> Records:
    """Return where the evidence of a data folder lies; a key that does not open is in no `keys`."""
    keys: dict[AccountId, ApiKey] = {}
    async for linked in linked_accounts(plugged.ports.feed):
        with suppress(NotFound):
            keys[linked.account_id] = await vault.open(linked.account_id)
    feed = plugged.ports.feed
    database = PostgresEvidence(plugged.database, feed, PROJECTIONS)
    roots = RootFile(folder.roots).lines()
    return Records(plugged.store, feed, database, keys, roots, folder.path, invoices, verify_invoice)


async def _judge(plugged: PluggedIn, vault: KeyVault, state: dict[str, Any] | None, folder: DataFolder) -> Summary:
    started = plugged.ports.clock.monotonic()
    try:
        with TemporaryDirectory() as exported:  # beside the files that clients were given: those are judged as they lie
            records = await records_of(plugged, vault, folder, Path(exported))
            uids = _accounts_on_exchange(records.keys, state)
            bars = state["bars_played"] if state is not None else 0
            summary = await judge_run(records, state, uids, bars=bars, wall_seconds=0)
    except (LookupError, ValueError, ArithmeticError, AssertionError) as error:
        raise HistoryDamaged(f"the log contradicts itself so that it cannot be judged: {error!r}") from error
    given = {path.name: await verify_invoice(path) for path in sorted((folder.path / "invoices").glob("*.json"))}
    complaints = [f"{name}: {said}" for name, said in given.items() if said]
    invoices = summary.laws["9"]
    summary.laws["9"] = verdict(invoices.checked + len(given), [*invoices.problems, *complaints])
    summary.wall_seconds = round(plugged.ports.clock.monotonic() - started, 1)
    return summary


def _accounts_on_exchange(keys: Mapping[AccountId, ApiKey], state: dict[str, Any] | None) -> dict[AccountId, int]:
    """Match accounts of the log with accounts of the exchange: by the key that each was linked with."""
    shown = state["keys"] if state is not None else {}
    uid_of = {key["api_key"]: int(uid) for uid, keys in shown.items() for key in keys}
    return {account_id: uid_of[key.api_key] for account_id, key in keys.items() if key.api_key in uid_of}
