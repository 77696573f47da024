"""A whole run judged from all evidence: the figures of a sound one, and each kind of evidence that breaks a law."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from patriot.accounts.events import AccountStatus, AccountStatusChanged
from patriot.accounts.ports import ApiKey
from patriot.audit import streams as audit
from patriot.audit.effects import RootPublisher
from patriot.execution.events import RoutedAccount, Routing, SignalRouted
from patriot.judge.case import Verdict
from patriot.judge.summary import LAW_NAMES, Records, Summary, judge_run
from patriot.kernel.bus import CommandBus
from patriot.kernel.clock import FakeClock, to_epoch_ms
from patriot.kernel.eventstore import Envelope, Place, StreamKey
from patriot.kernel.ids import Ids
from patriot.kernel.integrity import ChainFault, ChainReport, verify_chain
from patriot.kernel.memory import MemoryEventStore
from patriot.trading.terms import SignalId
from tests.billing.support import closed_world, gained
from tests.judge.cases import BOUGHT, ENTRY, EVENTS, LATER, STOP, STOPPED, WALLET
from tests.portfolio.facts import ALICES, BOB, BOBS, NOON, TREND, History, linked, sampled

pytestmark = pytest.mark.unit

UID = 1
KEY = ApiKey("the-key-of-alice", "the-secret-of-alice")


@dataclass
class Shelf:
    """Roots kept in memory."""

    kept: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        return list(self.kept)

    def add(self, line: str) -> None:
        self.kept.append(line)


@dataclass
class Evidence:
    """`DatabaseEvidence` of a log in memory; tests spoil it."""

    log: list[Envelope]
    faults: tuple[ChainFault, ...] = ()
    places: dict[str, Place] = field(default_factory=dict)
    differing: list[str] = field(default_factory=list)
    durable: dict[str, str] = field(default_factory=lambda: {"fsync": "on"})

    async def chain(self) -> ChainReport:
        report = verify_chain(self.log)
        return replace(report, faults=self.faults, fault_count=len(self.faults))

    async def checkpoints(self) -> Mapping[str, Place]:
        return self.places

    async def differences(self) -> list[str]:
        return self.differing

    async def rows(self) -> int:
        return 7

    async def settings(self) -> Mapping[str, str]:
        return self.durable


def ms(moment: datetime) -> int:
    return to_epoch_ms(moment)


def state_of_exchange() -> dict[str, Any]:
    """Return what the simulator's `/state` says of the case in `cases.py`."""
    times = {"created_ms": ms(NOON), "updated_ms": ms(LATER)}
    plain = {"symbol": "BTCUSDT", "quantity": "2", "closing": False, "algo_id": None, **times}
    stop = {**plain, "side": "SELL", "reduce_only": True, "status": "FINISHED", "triggered_ms": ms(LATER)}
    trades = [
        {
            "trade_id": trade.trade_id, "order_id": trade.order_id, "symbol": trade.symbol, "side": trade.side,
            "quantity": str(trade.quantity), "price": str(trade.price), "commission": str(trade.commission),
            "realized_pnl": str(trade.realized_pnl), "at_ms": ms(trade.at),
        }
        for trade in (BOUGHT, STOPPED)
    ]  # fmt: skip
    bought = {"order_id": 11, "client_order_id": ENTRY.client_order_id, "side": "BUY", "reduce_only": False}
    worked = {"order_id": 12, "client_order_id": "of-the-venue", "side": "SELL", "reduce_only": True, "algo_id": 5}
    account = {
        "uid": UID, "permissions": ["read", "trade"], "wallet": str(WALLET), "equity": str(WALLET), "positions": [],
        "orders": [
            {**plain, **bought, "order_type": "MARKET", "status": "FILLED"},
            {**plain, **worked, "algo_id": 5, "order_type": "MARKET", "status": "FILLED"},
        ],
        "algo_orders": [
            {**stop, "algo_id": 5, "client_algo_id": STOP.client_order_id, "order_type": "STOP_MARKET"},
        ],
        "trades": trades,
    }  # fmt: skip
    now_ms = ms(LATER + timedelta(minutes=1))
    return {"now_ms": now_ms, "accounts": {str(UID): account}, "tickers": {"BTCUSDT": {"mark": "91"}}}


class Run:
    """A run that is over: its log, its exchange, its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state: dict[str, Any] | None = state_of_exchange()
        self.complaint = ""
        self.keys = {ALICES: KEY}
        self.store = MemoryEventStore(FakeClock(NOON))
        self.evidence = Evidence([])
        self.shelf = Shelf()

    async def take_place(self, *more: object) -> None:
        await History([linked(), sampled("1000"), *EVENTS, *more]).append_to(self.store)
        clock = FakeClock(LATER)
        bus = CommandBus(self.store, clock, Ids(clock))
        audit.register(bus)
        await RootPublisher(self.store, self.store.feed, bus, self.shelf, clock).publish()
        await self.look()

    async def look(self) -> None:
        """Take the log as it is now as the database's."""
        self.evidence.log = [envelope async for page in self.store.feed.scan() for envelope in page]

    async def judged(self) -> Summary:
        async def verify(_: Path) -> str:
            return self.complaint

        records = Records(
            self.store, self.store.feed, self.evidence, self.keys, self.shelf.kept, self.folder,
            self.folder / "invoices", verify,
        )  # fmt: skip
        return await judge_run(records, self.state, {ALICES: UID}, bars=3, wall_seconds=1.26)


@pytest.fixture
async def run(tmp_path: Path) -> Run:
    one = Run(tmp_path)
    await one.take_place()
    return one


async def test_sound_run_is_summed_up_to_the_last_digit(run: Run) -> None:
    summary = await run.judged()

    said = msgspec.to_builtins(summary)
    laws = said.pop("laws")
    assert said == {
        "accounts": 1,
        "accounts_judged": {str(ALICES): UID},
        "accounts_unreachable": [],
        "accounts_unclaimed": [],
        "keys_unopened": [],
        "exchange_shown": True,
        "bars": 3,
        "signals": 0,
        "intents": 2,
        "intents_denied": 0,
        "intents_refused": 0,
        "lost_entries": [],
        "orders_on_exchange": 2,
        "duplicate_orders": 0,
        "max_unprotected_seconds": "0.02",
        "max_excused_seconds": "0",
        "fills": 2,
        "equity_start": "1000",
        "equity_end": "980.40",
        "realized_pnl": "-20",
        "unrealized_pnl": "0",
        "fees": "0.10",
        "funding": "0.5",
        "transfers": "1000",
        "unexplained": {str(ALICES): "0"},
        "invoices": 0,
        "invoices_verified": 0,
        "events": len(EVENTS) + 3,
        "events_since_root": 1,
        "roots": 1,
        "newest_root": summary.newest_root,
        "chain_ok": True,
        "rebuild_identical": True,
        "wall_seconds": 1.3,
    }
    assert list(laws) == list(LAW_NAMES)
    assert {name for name, law in laws.items() if not law["ok"]} == {"9"}, "there is no invoice to verify"
    assert laws["6"]["checked"] == said["events"] + 1, "every event, and the one account's rights"
    assert not summary.broken
    assert not summary.all_laws_hold
    assert bytes.fromhex(summary.newest_root)


Spoil = Callable[[Run], None]


def damage_chain(run: Run) -> None:
    run.evidence.faults = (ChainFault(StreamKey("ORDER", UUID(int=1)), 2, "the hash does not fit"),)


def differ(run: Run) -> None:
    run.evidence.differing = ["orders differ"]


def claim_too_much(run: Run) -> None:
    run.evidence.places = {"routing": Place("1000")}


def lose_roots(run: Run) -> None:
    run.shelf.kept[:] = [run.shelf.kept[0].replace('"events":', '"events":1')]


def write_secret(run: Run) -> None:
    (run.folder / "patriot.log").write_text(f"request failed: {KEY.api_secret}")


def write_key_deeper(run: Run) -> None:
    (run.folder / "postgres").mkdir()
    (run.folder / "postgres" / "server.log").write_text(f"statement: {KEY.api_key}")


def write_key_beside_invoices(run: Run) -> None:
    (run.folder / "invoices").mkdir()
    (run.folder / "invoices" / "invoice-1.html").write_text(KEY.api_key)


def let_withdraw(run: Run) -> None:
    assert run.state is not None
    run.state["accounts"][str(UID)]["permissions"].append("withdraw")


def sync_nothing(run: Run) -> None:
    run.evidence.durable = {"fsync": "on", "synchronous_commit": "off"}


BROKEN: list[tuple[Spoil, str, str]] = [
    (damage_chain, "10", "v2: the hash does not fit"),
    (differ, "10", "orders differ"),
    (claim_too_much, "10", "routing claims to have come to 1000"),
    (lose_roots, "10", "root 1"),
    (write_secret, "6", f"the secret of account {ALICES} in patriot.log"),
    (write_key_deeper, "6", f"the key of {ALICES} in postgres/server.log"),
    (write_key_beside_invoices, "6", f"the key of {ALICES} in invoices/invoice-1.html"),
    (let_withdraw, "6", "its key may withdraw"),
    (sync_nothing, "11", "PostgreSQL runs with synchronous_commit = off"),
]


@pytest.mark.parametrize(("spoil", "law", "problem"), BROKEN, ids=[spoil.__name__ for spoil, _, _ in BROKEN])
async def test_each_kind_of_evidence_breaks_its_law_and_no_other(
    run: Run, spoil: Spoil, law: str, problem: str
) -> None:
    spoil(run)

    summary = await run.judged()

    assert [name for name, verdict in summary.laws.items() if verdict.problems] == [law]
    assert any(problem in said for said in summary.laws[law].problems)
    assert summary.broken
    assert summary.chain_ok is (spoil is not damage_chain)
    assert summary.rebuild_identical is (spoil is not differ)


async def test_router_whose_checkpoint_is_gone_breaks_law_10(tmp_path: Path) -> None:
    run = Run(tmp_path)
    share = RoutedAccount(ALICES, Routing.SKIPPED, None, "PAUSED", None)
    await run.take_place(SignalRouted(SignalId(UUID(int=7)), TREND, (share,), NOON))
    gone = await run.judged()
    run.evidence.places = {"execution": await run.store.feed.newest()}
    there = await run.judged()

    assert gone.laws["10"].problems == ("execution has routed signals, and how far it claims to have come is gone",)
    assert there.laws["10"].ok


async def test_key_that_an_event_tells_breaks_law_6(tmp_path: Path) -> None:
    run = Run(tmp_path)
    await run.take_place(linked(asset=KEY.api_secret))

    summary = await run.judged()

    assert [said.partition(" in event ")[0] for said in summary.laws["6"].problems] == [
        f"the secret of account {ALICES}"
    ]


async def test_key_that_does_not_open_leaves_law_6_untested(run: Run) -> None:
    write_secret(run)
    run.keys.clear()

    summary = await run.judged()

    assert summary.keys_unopened == [str(ALICES)]
    assert summary.laws["6"] == Verdict(ok=False, checked=0)
    assert not summary.broken


async def test_leak_of_one_key_is_told_though_another_does_not_open(tmp_path: Path) -> None:
    run = Run(tmp_path)
    await run.take_place(linked(BOBS))
    write_secret(run)

    summary = await run.judged()

    assert summary.keys_unopened == [str(BOBS)]
    assert summary.laws["6"].problems == (f"the secret of account {ALICES} in patriot.log",)


@pytest.mark.parametrize("again", [False, True])
async def test_key_of_an_unlinked_account_is_destroyed_and_not_missed(tmp_path: Path, again: bool) -> None:
    run = Run(tmp_path)
    ended = AccountStatusChanged(BOBS, BOB, AccountStatus.ACTIVE, AccountStatus.UNLINKED, "OWNER", LATER)
    await run.take_place(linked(BOBS), ended, *([linked(BOBS)] if again else []))

    summary = await run.judged()

    assert summary.keys_unopened == ([str(BOBS)] if again else [])
    assert summary.laws["6"].ok is not again


async def test_without_the_exchange_nothing_is_said_of_it(run: Run) -> None:
    run.state = None

    summary = await run.judged()

    assert not summary.exchange_shown
    assert summary.accounts_unreachable == [str(ALICES)]
    assert (summary.accounts, summary.equity_end, summary.fills) == (0, "0", 2)
    assert not summary.broken
    assert not summary.laws["4"].ok


@pytest.mark.parametrize("complaint", ["", "the fee is not what the events give"])
async def test_each_invoice_is_written_down_and_what_the_verifier_says_of_it_is_told(
    tmp_path: Path, complaint: str
) -> None:
    run = Run(tmp_path)
    world = await closed_world(gained(), final=True)
    run.store, run.state, run.complaint = world.store, None, complaint  # type: ignore[assignment]
    await run.look()

    summary = await run.judged()

    assert (summary.invoices, summary.invoices_verified) == (1, 0 if complaint else 1)
    (written,) = (tmp_path / "invoices").glob("*.json")
    assert written.with_suffix(".html").read_text()
    expected = (f"{written.stem}: {complaint}",) if complaint else ()
    assert summary.laws["9"].problems == expected
    assert summary.laws["9"].ok is not bool(complaint)
