"""Runs of `patriot demo` as a person starts them: real processes, real sockets, a real database, a data folder each."""

from __future__ import annotations

import asyncio
import gzip
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from patriot.accounts.events import EquitySampled
from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.feed import PostgresFeed
from patriot.host.crash import VARIABLE as KILL_AT
from patriot.host.data_folder import DataFolder
from patriot.host.embedded import EmbeddedPostgres
from patriot.host.sim_process import PORTS_FILE
from patriot.kernel.codec import EVENTS
from patriot.kernel.projection import Recorded
from patriot.orders.events import OrderCreated, OrderFilled, OrderRejected
from patriot.trading.terms import Leg, OrderId

PROJECT = Path(__file__).parents[2]
RECORDED = PROJECT / "examples/data/BTCUSDT-1m-3d.csv.gz"
SHORT_BARS = 840  # enough for entries, stops, targets and a close by signal
END_SECONDS = 100.0
KILLED = -signal.SIGKILL
TOLD = frozenset(EVENTS.name_of_class(told) for told in (OrderCreated, OrderFilled, OrderRejected, EquitySampled))


def cut_recording(folder: Path, bars: int = SHORT_BARS) -> Path:
    """Write the first bars of the demo's recording to a file of its own."""
    rows = gzip.decompress(RECORDED.read_bytes()).decode().splitlines()
    path = folder / "BTCUSDT-1m-cut.csv"
    path.write_text("\n".join(rows[: bars + 1]) + "\n")
    return path


@dataclass(frozen=True)
class Ended:
    """How a run ended: its status, all that it printed, and its summary if it came to one."""

    status: int
    output: str
    summary: dict[str, Any] | None

    @property
    def laws(self) -> dict[str, bool]:
        """Return which laws were kept."""
        assert self.summary is not None, self.output
        return {number: law["ok"] for number, law in self.summary["laws"].items()}

    def require_green(self) -> None:
        """Fail unless the run ended by itself with every law kept."""
        assert self.summary is not None, f"status {self.status}\n{self.output[-2000:]}"
        problems = {number: law["problems"] for number, law in self.summary["laws"].items() if not law["ok"]}
        assert (self.status, problems) == (0, {})
        assert self.summary["duplicate_orders"] == 0
        assert set(self.summary["unexplained"].values()) == {"0"}


@dataclass(frozen=True)
class Story:
    """What clients would see of a run: every execution and every equity sample, in a fixed order.

    `lost` names, by account, when the first entry was created that a kill cost it: what follows may differ.
    """

    fills: list[tuple[str, ...]]
    equity: list[tuple[str, ...]]
    lost: dict[str, datetime] = field(default_factory=dict, compare=False)

    def until(self, ends: Mapping[str, datetime]) -> Story:
        """Return what happened on each account before a moment of its own, where it has one."""

        def before(row: tuple[str, ...]) -> bool:
            return row[0] not in ends or datetime.fromisoformat(row[1]) < ends[row[0]]

        return Story(list(filter(before, self.fills)), list(filter(before, self.equity)))

    def require_same(self, undisturbed: Story, ended: Ended) -> None:
        """Fail unless the run equals one that nobody killed, but for what it names as lost."""
        assert ended.summary is not None
        assert bool(ended.summary["lost_entries"]) == bool(self.lost)
        assert self.until(self.lost) == undisturbed.until(self.lost)


@dataclass(frozen=True)
class DemoFolder:
    """One data folder with the words its demo is started with. Without a DSN the demo has its own server."""

    home: Path
    data: str
    dsn: str | None = None
    accounts: int = 3
    seed: int = 7
    days: int | None = None

    @property
    def path(self) -> Path:
        return self.home / "demo"

    async def start(self, *, resume: bool = False, kill_at: str | None = None) -> RunningDemo:
        """Start the demo in the background."""
        self.home.mkdir(parents=True, exist_ok=True)
        summary = self.home / "out.json"
        summary.unlink(missing_ok=True)
        words = ["--accounts", str(self.accounts), "--data", self.data, "--seed", str(self.seed), "--keep"]
        words += ["--days", str(self.days)] if self.days else []
        words += ["--resume"] if resume else []
        known = {name: value for name, value in os.environ.items() if not name.startswith(("PATRIOT_", "DATABASE_"))}
        given = {"PATRIOT_HOME": str(self.home), "DATABASE_URL": self.dsn, KILL_AT: kill_at}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "patriot.cli.main", "demo", *words, "--json", str(summary)),
            env=known | {name: value for name, value in given.items() if value},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        return RunningDemo(self, process, summary)

    async def run(self, *, resume: bool = False, kill_at: str | None = None) -> Ended:
        """Run the demo to its end, whatever that is."""
        running = await self.start(resume=resume, kill_at=kill_at)
        return await running.ended()

    async def story(self) -> Story:
        """Read what happened from the log that the run left."""
        async with self.database() as database:
            return await read_story(database)

    async def events(self) -> int:
        """Return how many events the log has."""
        async with self.database() as database:
            (row,) = await database.fetch("SELECT count(*) AS n FROM eventing.events")
            return int(row["n"])

    @asynccontextmanager
    async def server(self) -> AsyncIterator[str]:
        """Give the address of the database that the run left; bring its server up if it is down."""
        if self.dsn:
            yield self.dsn
            return
        async with EmbeddedPostgres(DataFolder(self.path).postgres) as address:
            yield address.dsn

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        """Connect to the database that the run left, as its owner."""
        async with self.server() as dsn:
            database = await Database.connect(dsn, role=None)
            try:
                yield database
            finally:
                await database.close()

    @asynccontextmanager
    async def control(self) -> AsyncIterator[SimControlClient]:
        """Reach the control API of the simulator that runs on this folder."""
        folder = DataFolder(self.path)
        ports = msgspec.json.decode((folder.sim / PORTS_FILE).read_bytes())
        headers = {"Authorization": f"Bearer {folder.sim_token()}"}
        async with aiohttp.ClientSession(f"http://127.0.0.1:{ports['control_port']}", headers=headers) as http:
            yield SimControlClient(http)


class SimControlClient:
    """The few control calls that acceptance tests make beside the demo's own."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def add_fault(self, **fault: object) -> None:
        """Have the simulator do something wrong, a counted number of times."""
        async with self._http.post("/faults", data=msgspec.json.encode(fault)) as answer:
            assert answer.status == 200, await answer.text()

    async def bars_played(self) -> int:
        """Return the place in the recording."""
        async with self._http.get("/health") as answer:
            return int((await answer.json())["bars_played"])


class RunningDemo:
    """A demo under way, with every process that belongs to it."""

    def __init__(self, folder: DemoFolder, process: asyncio.subprocess.Process, summary: Path) -> None:
        self.folder = folder
        self._process = process
        self._summary = summary
        self._output = asyncio.create_task(self._read())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def over(self) -> bool:
        return self._process.returncode is not None

    async def _read(self) -> bytes:
        assert self._process.stdout is not None
        return await self._process.stdout.read()

    async def ended(self, within_s: float = END_SECONDS) -> Ended:
        """Wait for the end; a demo that hangs is killed, and has failed."""
        try:
            async with asyncio.timeout(within_s):
                status = await self._process.wait()
        except TimeoutError:
            kill(self.family())
            status = await self._process.wait()
            raise AssertionError(f"the demo hung: {(await self._output).decode(errors='replace')[-3000:]}") from None
        output = (await self._output).decode(errors="replace")
        summary = msgspec.json.decode(self._summary.read_bytes()) if self._summary.exists() else None
        return Ended(status, output, summary)

    async def playing(self, bars: int, within_s: float = 60.0) -> None:
        """Return when so many bars have been played. Fails if the demo ends before."""
        async with asyncio.timeout(within_s):
            while not (self.folder.path / "demo.json").exists():
                assert not self.over, (await self.ended()).output
                await asyncio.sleep(0.02)
        async with asyncio.timeout(within_s), self.folder.control() as control:
            while await control.bars_played() < bars:  # noqa: ASYNC110  asked over HTTP
                await asyncio.sleep(0.005)

    def family(self) -> list[int]:
        """Return the process ids of the demo and of everything it started, itself first."""
        return [self.pid, *descendants(self.pid)]

    def children_named(self, word: str) -> list[int]:
        """Return those of the demo's processes whose command line holds a word."""
        return [pid for pid in self.family() if word in command_line(pid)]


def descendants(pid: int) -> list[int]:
    """Return the processes below a process, on Linux."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in task.read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def command_line(pid: int) -> str:
    """Return a process's command line; empty when it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def kill(pids: Iterable[int], number: int = signal.SIGKILL) -> None:
    """Send a signal to each process that is still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


async def read_story(database: Database) -> Story:
    """Return fills and equity of the log, sorted by account and time."""
    fills: list[tuple[str, ...]] = []
    equity: list[tuple[str, ...]] = []
    entries: dict[OrderId, OrderCreated] = {}
    lost: dict[str, datetime] = {}
    async for page in PostgresFeed(database).scan():
        for envelope in page:
            if envelope.event_type not in TOLD:
                continue
            match Recorded.of(envelope).event:
                case OrderFilled() as f:
                    fills.append(
                        _texts(
                            f.account_id,
                            f.filled_at,
                            f.symbol,
                            f.side,
                            f.leg,
                            f.quantity,
                            f.price,
                            f.commission,
                            f.realized_pnl,
                        )
                    )
                case OrderCreated(leg=Leg.ENTRY) as created:
                    entries[created.order_id] = created
                case OrderRejected(reason_code="PROVEN_ABSENT") as rejected if rejected.order_id in entries:
                    created = entries[rejected.order_id]
                    lost.setdefault(str(created.account_id), created.created_at)
                case EquitySampled() as e:
                    equity.append(_texts(e.account_id, e.sampled_at, e.reason, e.wallet_balance, e.equity))
    return Story(sorted(fills), sorted(equity), lost)


def _texts(*values: object) -> tuple[str, ...]:
    return tuple(str(value) for value in values)
