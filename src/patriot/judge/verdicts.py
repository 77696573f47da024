"""Gathers the evidence of a run and judges it: the demo's summary, and `patriot verify`."""

import asyncio
import sys
from collections.abc import Mapping
from decimal import Decimal, localcontext
from importlib.resources import files
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from patriot.accounts.ports import KeyVault
from patriot.adapters.environment import environment_of_child
from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.integrity import verify_log
from patriot.adapters.postgres.shadow import compare
from patriot.billing.documents import export_invoice, invoice_page
from patriot.judge.evidence import LogEvidence, read_log, read_venue
from patriot.judge.judge import (
    Case,
    Verdict,
    at_most_once,
    commands_were_durable,
    count_orders,
    exchange_owns_facts,
    max_unprotected_seconds,
    money_adds_up,
    never_naked,
    rights_beyond_trading,
    unexplained,
    unknown_is_a_state,
    verdict,
)
from patriot.kernel.errors import PatriotError
from patriot.kernel.eventstore import LogPosition
from patriot.kernel.money import EXACT, ZERO, plain
from patriot.kernel.projection import Projection
from patriot.services.parts import Parts
from patriot.services.projections import PROJECTIONS
from patriot.trading.terms import AccountId

SERVER_SETTINGS = (
    "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes')"
)


class Summary(msgspec.Struct):
    """What a run came to; every amount is a decimal string in the accounts' quote asset."""

    accounts: int
    bars: int
    signals: int
    intents: int
    intents_denied: int
    intents_refused: int
    orders_on_exchange: int
    duplicate_orders: int
    max_unprotected_seconds: str
    fills: int
    equity_start: str
    equity_end: str
    realized_pnl: str
    unrealized_pnl: str
    fees: str
    funding: str
    transfers: str
    unexplained: dict[str, str]
    invoices: int
    invoices_verified: int
    events: int
    chain_ok: bool
    rebuild_identical: bool
    wall_seconds: float
    laws: dict[str, Verdict]

    @property
    def all_laws_hold(self) -> bool:
        """Return whether every law was put to the test and kept."""
        return all(law.ok for law in self.laws.values())

    @property
    def broken(self) -> bool:
        """Return whether anything was found wrong; a law that was not put to the test is not broken."""
        return any(law.problems for law in self.laws.values())


async def judge_run(
    parts: Parts,
    vault: KeyVault,
    state: dict[str, Any],
    uids: Mapping[AccountId, int],
    folder: Path,
    *,
    bars: int,
    wall_seconds: float,
    invoices: Path | None = None,
) -> Summary:
    """Judge everything that happened in a data folder; invoices are exported to `invoices`, or into the folder."""
    log = await read_log(parts.store)
    accounts, marks = read_venue(state)
    case = Case(log, {account_id: accounts[uid] for account_id, uid in uids.items()}, marks)
    count = count_orders(case)
    chain = await verify_log(parts.database, parts.store)
    differences = [one for projection in PROJECTIONS for one in await _differences(parts, projection)]
    rows = sum([await _rows(parts.database, table) for projection in PROJECTIONS for table in projection.tables])
    proofs = await verify_invoices(parts, log, invoices or folder / "invoices")
    secrets_found, places = await find_secrets(parts, vault, list(uids), folder)
    settings = {row["name"]: row["setting"] for row in await parts.database.fetch(SERVER_SETTINGS)}
    history = [f"{f.stream.stream_type} {f.stream.stream_id} v{f.stream_version}: {f.problem}" for f in chain.faults]
    history += differences
    laws = {
        "1": at_most_once(count),
        "2": never_naked(case),
        "3": unknown_is_a_state(case),
        "4": exchange_owns_facts(case),
        "6": verdict(places + log.refused_keys + len(case.venue), [*secrets_found, *rights_beyond_trading(case)]),
        "8": money_adds_up(case),
        "9": verdict(len(proofs), [f"{name}: {said}" for name, said in proofs.items() if said]),
        "10": verdict(chain.events + rows, history),
        "11": commands_were_durable(case, settings),
    }
    return Summary(
        accounts=len(uids),
        bars=bars,
        signals=log.signals,
        intents=count.sent_intents,
        intents_denied=len(log.intents) - len(log.approved),
        intents_refused=len(log.rejected),
        orders_on_exchange=count.on_exchange,
        duplicate_orders=count.duplicates,
        max_unprotected_seconds=plain(max_unprotected_seconds(case)),
        fills=sum(len(account.fills) for account in log.accounts.values()),
        unexplained={str(account_id): _zero_as_zero(rest) for account_id, rest in unexplained(case).items()},
        invoices=len(proofs),
        invoices_verified=sum(1 for said in proofs.values() if not said),
        events=log.events,
        chain_ok=chain.ok,
        rebuild_identical=not differences,
        wall_seconds=round(wall_seconds, 1),
        laws=laws,
        **_money(case),
    )


def _money(case: Case) -> dict[str, str]:
    books = [case.log.accounts[account_id].book for account_id in case.venue]
    samples = [case.log.accounts[account_id].samples for account_id in case.venue]
    with localcontext(EXACT):
        return {
            "equity_start": plain(sum((s[0].equity for s in samples if s), ZERO)),
            "equity_end": plain(sum((account.equity for account in case.venue.values()), ZERO)),
            "realized_pnl": plain(sum((book.balance.realized_pnl for book in books), ZERO)),
            "unrealized_pnl": plain(sum((book.unrealized(case.marks) for book in books), ZERO)),
            "fees": plain(sum((book.balance.commission for book in books), ZERO)),
            "funding": plain(sum((book.balance.funding for book in books), ZERO)),
            "transfers": plain(sum((book.balance.transfers for book in books), ZERO)),
        }


def _zero_as_zero(amount: Decimal) -> str:
    return plain(amount) if amount else "0"


async def _differences(parts: Parts, projection: Projection) -> list[str]:
    """Return where a read model is not what the log gives; a log that gives none is a difference too."""
    try:
        found = await compare(parts.database, parts.store, projection)
    except (PatriotError, asyncpg.PostgresError, LookupError, ArithmeticError, ValueError) as error:
        return [f"{projection.name} cannot be rebuilt from the log: {error}"]
    return [f"{d.table} {' '.join(d.key)} {d.column or 'row'}: {d.live}, rebuilt {d.rebuilt}" for d in found]


async def _rows(database: Database, table: str) -> int:
    (row,) = await database.fetch(f"SELECT count(*) AS n FROM read.{table.removeprefix('read.')}")  # noqa: S608
    return int(row["n"])


async def verify_invoices(parts: Parts, log: LogEvidence, folder: Path) -> dict[str, str]:
    """Export every invoice and run the offline verifier on each file; return its complaint, or "" where it has none."""
    _make(folder)
    said: dict[str, str] = {}
    for account_id, period in log.invoices:
        try:
            proof = await export_invoice(parts.store, account_id, period)
            page = await invoice_page(parts.store, account_id, period)
        except (PatriotError, LookupError, ArithmeticError, ValueError) as error:
            said[f"{period} of {account_id}"] = f"cannot be exported from this log: {error}"
            continue
        name = f"invoice-{msgspec.json.decode(proof)['invoice']['number']}"  # as the page tells the client
        (folder / f"{name}.json").write_bytes(proof)
        (folder / f"{name}.html").write_text(page)
        said[name] = await run_verifier(folder / f"{name}.json")
    return said


async def run_verifier(path: Path) -> str:
    """Run the verifier as a client's accountant would: a process of its own, the standard library only."""
    program = files("patriot.billing") / "verify_invoice.py"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(program), str(path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment_of_child(),
    )
    output, _ = await process.communicate()
    lines = output.decode(errors="replace").strip().splitlines() or ["no answer"]
    return "" if process.returncode == 0 else lines[-1]


async def find_secrets(parts: Parts, vault: KeyVault, accounts: list[AccountId], folder: Path) -> tuple[list[str], int]:
    """Look for every client's key in events, logs and results; return what was found, and how many places were read."""
    needles: dict[str, str] = {}
    for account_id in accounts:
        key = await vault.open(account_id)
        needles |= {key.api_secret: f"the secret of account {account_id}", key.api_key: f"the key of {account_id}"}
    found: list[str] = []
    places = 0
    async for page in parts.store.scan(LogPosition()):
        for envelope in page:
            places += 1
            found += [
                f"{name} in event {envelope.event_id}" for needle, name in needles.items() if needle in envelope.data
            ]
    texts = _texts(folder)
    found += [f"{name} in {file}" for file, text in texts.items() for needle, name in needles.items() if needle in text]
    return found, places + len(texts)


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)


def _texts(folder: Path) -> dict[str, str]:
    """Return the logs, summaries and invoices of a data folder."""
    paths = [*folder.glob("*.log"), *folder.glob("*.json"), *folder.glob("invoices/*")]
    return {path.name: path.read_text(errors="replace") for path in sorted(paths)}
