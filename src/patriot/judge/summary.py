"""Judges a whole run, from all evidence there is: the demo's summary, and `patriot verify`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import msgspec

from patriot.accounts.ports import ApiKey
from patriot.judge.case import Case, Verdict, join, verdict
from patriot.judge.ends import came_to_rest, checkpoints_are_within_the_log
from patriot.judge.invoices import verify_invoices
from patriot.judge.laws import (
    LAWS,
    commands_were_durable,
    count_orders,
    max_excused_seconds,
    max_unprotected_seconds,
    rights_beyond_trading,
    unexplained,
)
from patriot.judge.leaks import find_leaks
from patriot.judge.log_evidence import read_log
from patriot.judge.ports import DatabaseEvidence, VerifyInvoice
from patriot.judge.published_roots import compare_roots
from patriot.kernel.eventstore import START, EventStore
from patriot.kernel.feed import LogFeed
from patriot.kernel.money import EXACT, ZERO, plain
from patriot.trading.terms import AccountId

ROUTER = "execution"  # the reader of the log that routes signals
LAW_NAMES = ("1", "2", "3", "4", "6", "8", "9", "10", "11", "end")


class Summary(msgspec.Struct):
    """What a run came to; every amount is a decimal string in the accounts' quote asset."""

    accounts: int
    accounts_judged: dict[str, int]
    accounts_unreachable: list[str]
    accounts_unclaimed: list[int]
    keys_unopened: list[str]
    exchange_shown: bool
    bars: int
    signals: int
    intents: int
    intents_denied: int
    intents_refused: int
    lost_entries: list[str]
    orders_on_exchange: int
    duplicate_orders: int
    max_unprotected_seconds: str
    max_excused_seconds: str
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
    events_since_root: int
    roots: int
    newest_root: str
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


@dataclass(frozen=True, slots=True)
class Records:
    """Where the evidence of a run lies: `keys` are those that opened, and must be found nowhere.

    `roots` are the lines kept beside the log.
    """

    store: EventStore
    feed: LogFeed
    database: DatabaseEvidence
    keys: Mapping[AccountId, ApiKey]
    roots: Sequence[str]
    folder: Path
    invoices: Path
    verify_invoice: VerifyInvoice


async def judge_run(
    records: Records,
    state: dict[str, Any] | None,
    uids: Mapping[AccountId, int],
    *,
    bars: int,
    wall_seconds: float,
) -> Summary:
    """Judge everything that happened: the log of `records` against the exchange's `state`, and what was made of it.

    Without a state (the exchange is live, or its journal away) what the log alone can answer is judged.
    """
    log = await read_log(records.feed)
    case = join(log, state, uids)
    count = count_orders(case)
    chain = await records.database.chain()
    differences = await records.database.differences()
    proofs = await verify_invoices(records.store, log.invoices, records.invoices, records.verify_invoice)
    leaks, places = await find_leaks(records.feed, records.keys, records.folder)
    unopened = sorted(log.linked.keys() - log.unlinked - records.keys.keys())
    history = [f"{f.stream.stream_type} {f.stream.stream_id} v{f.stream_version}: {f.problem}" for f in chain.faults]
    roots = await compare_roots(records.store, records.feed, records.roots)
    history += [*roots.problems, *differences]
    checkpoints = await records.database.checkpoints()
    history += checkpoints_are_within_the_log(records.feed, checkpoints, await records.feed.newest())
    if log.routed and ROUTER not in checkpoints:
        history.append(f"{ROUTER} has routed signals, and how far it claims to have come is gone")
    router = checkpoints.get(ROUTER, START)
    laws = {name: law(case) for name, law in LAWS.items()} | {
        "6": verdict(
            0 if unopened else places + log.refused_keys + len(case.venue),  # what did not open was not looked for
            [*leaks, *rights_beyond_trading(case)],
        ),
        "9": verdict(len(proofs), [f"{name}: {said}" for name, said in proofs.items() if said]),
        "10": verdict(chain.events + await records.database.rows(), history),
        "11": commands_were_durable(case, await records.database.settings()),
        "end": came_to_rest(case, lambda place: records.feed.reached(router, place)),
    }
    return Summary(
        accounts=len(case.venue),
        accounts_judged={str(account_id): account.uid for account_id, account in case.venue.items()},
        accounts_unreachable=[str(account_id) for account_id in case.unreachable],
        accounts_unclaimed=[account.uid for account in case.unclaimed],
        keys_unopened=[str(account_id) for account_id in unopened],
        exchange_shown=case.shown,
        bars=bars,
        signals=len(log.signals),
        intents=len(log.sent()),
        intents_denied=len(log.intents) - len(log.approved),
        intents_refused=len(log.rejected),
        lost_entries=log.lost_entries(),
        orders_on_exchange=count.on_exchange,
        duplicate_orders=count.duplicates,
        max_unprotected_seconds=plain(max_unprotected_seconds(case)),
        max_excused_seconds=plain(max_excused_seconds(case)),
        fills=sum(len(account.fills) for account in log.accounts.values()),
        unexplained={str(account_id): _zero_as_zero(rest) for account_id, rest in unexplained(case).items()},
        invoices=len(proofs),
        invoices_verified=sum(1 for said in proofs.values() if not said),
        events=log.events,
        events_since_root=roots.since,
        roots=roots.compared,
        newest_root=roots.newest.root if roots.newest is not None else "",
        chain_ok=chain.ok,
        rebuild_identical=not differences,
        wall_seconds=round(wall_seconds, 1),
        laws={name: laws[name] for name in LAW_NAMES},
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
