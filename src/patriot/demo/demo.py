"""The demo: everything embedded, many clients, recorded prices, bills, and a judgment at the end.

Steps a simulated exchange through a recording and waits for quiet after each step, so that the same seed and data give
the same fills and the same equity, also when the run is killed and resumed.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import aiohttp
import msgspec

from patriot.accounts.ports import KeyVault
from patriot.adapters.runners import SubprocessRunners
from patriot.adapters.simulator.control import SimControl, SimGone, SimHealth
from patriot.billing.period import following, period_end, period_of
from patriot.demo.replay import Quiet, ReplayPace
from patriot.host.data_folder import DataFolder
from patriot.host.embedded import EmbeddedPostgres
from patriot.host.folder_vault import open_folder_vault
from patriot.host.keepers import PostgresKeeper
from patriot.host.onboarding import LinkedClient, onboard
from patriot.host.paper_clients import DemoPlan, PlannedTransfer, make_plan, planned_transfers
from patriot.host.root_file import RootFile
from patriot.host.set_up_file import read_set_up, write_set_up
from patriot.host.sim_process import SimProcess, SimSpec
from patriot.kernel.clock import ReplayClock
from patriot.kernel.errors import StartupError
from patriot.kernel.eventstore import START
from patriot.kernel.tasks import while_serving
from patriot.orders.patience import DeskPatience
from patriot.services.all_in_one import Platform
from patriot.services.billing import CLOSING_DELAY
from patriot.services.plugged_in import ExchangeAddress, PluggedIn, plug_in
from patriot.services.ports import Ports
from patriot.services.table import Supplies
from patriot.trading.steps import Reached, pass_by

MODEL_DAYS = 3
LISTEN_SECONDS = 60.0
# a busy machine answers late, and what that sets off would change the fills; the stepped exchange does not lag
REPLAY_PATIENCE = DeskPatience(answer=5.0, entry=(0.3, 1, 2, 6), protection=(0.1, 0.3, 0.6, 1, 2, 4, 7), lag=0)
SET_UP_FILE = "demo.json"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the person asked for. `recording` None is the seeded price model; `days` None is all there is."""

    folder: Path
    accounts: int = 20
    recording: Path | None = None
    days: int | None = None
    seed: int = 7
    resume: bool = False
    database_url: str | None = None
    master_key: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class DemoProgress:
    """Where the demo stands, for the screen."""

    phase: str = "starting"
    now: datetime | None = None
    bars_played: int = 0
    bars_total: int = 0
    processes: dict[str, int] = field(default_factory=dict)
    figures: dict[str, str] = field(default_factory=dict)


class SetUp(msgspec.Struct, frozen=True):
    """What a resumed demo must know of its start; written once, when every client is linked."""

    seed: int
    accounts: int
    recording: str | None
    days: int | None
    start: datetime
    end: datetime
    linked: list[LinkedClient]


@dataclass(frozen=True, slots=True)
class Finished:
    """What a judge is given when the recording has been played."""

    set_up: SetUp
    plugged: PluggedIn
    vault: KeyVault
    control: SimControl
    bars: int


class Demo:
    """One run of the demo over one data folder."""

    def __init__(
        self,
        options: DemoOptions,
        progress: DemoProgress,
        reached: Reached = pass_by,
        patience: DeskPatience | None = None,
    ) -> None:
        self._options = options
        self._progress = progress
        self._reached = reached
        self._patience = patience or REPLAY_PATIENCE
        self._folder = DataFolder(options.folder)
        self._plan = make_plan(options.accounts, options.seed, options.recording)
        # A run that was interrupted before every client was linked is begun anew: nothing had traded.
        self._resumed = options.resume and (self._folder.path / SET_UP_FILE).exists()
        self._server: EmbeddedPostgres | None = None  # our own; with DATABASE_URL there is none

    async def run(self, judge: Callable[[Finished], Awaitable[T]]) -> T:
        """Run to the end of the recording, hand everything to `judge`, and return what it says."""
        async with AsyncExitStack() as stack:
            lock = self._folder.lock()
            stack.callback(lock.release)
            dsn = await self._database(stack)
            sim = await self._simulator()
            stack.push_async_callback(sim.stop)
            http = await stack.enter_async_context(aiohttp.ClientSession())
            control = SimControl(http, sim.control_url, self._folder.sim_token())
            clock = ReplayClock((await control.health()).now)
            address = ExchangeAddress(sim.base_url, sim.ws_url, replayed=True)
            plugged = await stack.enter_async_context(plug_in(dsn, address, clock, self._reached))
            if not self._resumed and await plugged.ports.feed.newest() != START:
                raise StartupError(self._used_database())
            await plugged.leases.release_all()  # we hold the folder's lock: whoever had them is dead
            vault = (await open_folder_vault(self._folder, self._options.master_key, plugged.database)).vault
            pace = ReplayPace(clock)
            spawn = SubprocessRunners(self._folder.path / "runners.log")
            shelf = RootFile(self._folder.roots)
            platform = Platform(
                Supplies(plugged.ports, plugged.read_models, lambda: vault, shelf, spawn, pace, self._patience)
            )
            work = self._work(plugged, vault, platform, pace, control, judge)
            try:
                keepers = [PostgresKeeper(self._server).run()] if self._server else []
                return await while_serving(work, platform.run(), sim.died(), *keepers)
            except SimGone as gone:
                raise StartupError(
                    f"{gone}: its journal has all it accepted; go on with the same options and `--resume`"
                ) from gone

    async def _database(self, stack: AsyncExitStack) -> str:
        self._progress.phase = "starting PostgreSQL"
        if not self._resumed:
            await wipe(self._folder)
        if self._options.database_url:
            return self._options.database_url
        self._server = EmbeddedPostgres(self._folder.postgres)
        address = await self._server.start()
        stack.push_async_callback(self._server.stop)
        self._progress.processes["PostgreSQL"] = address.pid
        return address.dsn

    def _used_database(self) -> str:
        used = "DATABASE_URL: this database holds events already; name an empty one"
        if self._options.resume:
            return f"{used} (the interrupted run had not linked its accounts yet: begin anew without --resume)"
        return f"{used}, or --resume"

    async def _simulator(self) -> SimProcess:
        self._progress.phase = "starting the simulated exchange"
        options = self._options
        sim = await SimProcess.start(
            SimSpec(self._folder.sim, self._folder.sim_token(), options.seed, "step", options.recording)
        )
        self._progress.processes["sim"] = sim.pid
        return sim

    async def _work(
        self,
        plugged: PluggedIn,
        vault: KeyVault,
        platform: Platform,
        pace: ReplayPace,
        control: SimControl,
        judge: Callable[[Finished], Awaitable[T]],
    ) -> T:
        set_up = await self._set_up(plugged.ports, vault, control)
        driver = Driver(set_up, self._plan, plugged.ports, platform, pace, control, self._progress)
        bars = await driver.run()
        self._progress.phase = "judging"
        await platform.finish()
        await platform.read_models_caught_up()
        return await judge(Finished(set_up, plugged, vault, control, bars))

    async def _set_up(self, ports: Ports, vault: KeyVault, control: SimControl) -> SetUp:
        options, path = self._options, self._folder.path / SET_UP_FILE
        recording = str(options.recording) if options.recording else None
        if self._resumed:
            set_up = read_set_up(path, SetUp)
            asked = (options.seed, options.accounts, recording, options.days)
            if asked != (set_up.seed, set_up.accounts, set_up.recording, set_up.days):
                raise StartupError(f"--resume: this data folder holds another demo: {path}")
            return set_up
        self._progress.phase = "linking accounts"
        health = await control.health()
        linked = await onboard(self._plan, ports, vault, control)
        set_up = SetUp(
            options.seed,
            options.accounts,
            recording,
            options.days,
            health.now,
            _end_of(health, options.days),
            linked,
        )
        write_set_up(path, set_up)
        return set_up


class Driver:
    """Moves the venue's clock from stop to stop, and lets the platform come to rest at each."""

    def __init__(
        self,
        set_up: SetUp,
        plan: DemoPlan,
        ports: Ports,
        platform: Platform,
        pace: ReplayPace,
        control: SimControl,
        progress: DemoProgress,
    ) -> None:
        self._set_up = set_up
        self._ports = ports
        self._platform = platform
        self._pace = pace
        self._control = control
        self._progress = progress
        self._quiet = Quiet(control)
        self._transfers = list(planned_transfers(plan, set_up.start, set_up.end))
        pace.settled = self._accounts_quiet

    async def run(self) -> int:
        """Play everything; return how many bars the recording had."""
        health = await self._control.health()
        self._progress.phase = "replaying"
        self._progress.bars_played = health.bars_played
        self._progress.bars_total = int((self._set_up.end - self._set_up.start).total_seconds() // 60)
        await self._listening()
        await self._rest()
        end = _billing_end(self._set_up.start, self._set_up.end)
        while True:
            now = self._ports.clock.now()
            await self._transfers_due(now)
            self._note()
            if now >= end:
                if period_end(period_of(self._set_up.start)) > self._set_up.end:
                    await self._platform.billing.close_month(period_of(now), ends_at=now)
                return (await self._control.health()).bars_played
            next_hour = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
            await self._step(min([end, next_hour, *(t.at for t in self._transfers if t.at > now)]))

    async def _listening(self) -> None:
        """Wait for the stream of every account and the one of the market: what comes before is not heard."""
        async with asyncio.timeout(LISTEN_SECONDS):
            needed = len(self._set_up.linked) + 1
            while (await self._control.health()).streams < needed:  # noqa: ASYNC110  asked over HTTP
                await asyncio.sleep(0.05)

    async def _step(self, until: datetime) -> None:
        self._pace.hold_bars()
        stepped = await self._control.step(until)
        self._pace.venue_said(stepped.now)
        self._progress.bars_played += stepped.bars_played
        await self._rest()

    async def _rest(self) -> None:
        """Let accounts deal with what the exchange did, then strategies with the bar, then do what is due."""
        await self._accounts_quiet()
        self._pace.pass_bars()
        await self._all_quiet()
        await self._platform.tick()
        await self._all_quiet()

    async def _accounts_quiet(self) -> None:
        await self._quiet.wait(accounts=lambda: self._platform.execution.busy)

    async def _all_quiet(self) -> None:
        platform = self._platform
        while True:
            await self._quiet.wait(
                accounts=lambda: platform.execution.busy, strategies=lambda: platform.strategies.busy
            )
            if not await platform.catch_up():
                return

    async def _transfers_due(self, now: datetime) -> None:
        due = [transfer for transfer in self._transfers if transfer.at <= now]
        self._transfers = [transfer for transfer in self._transfers if transfer.at > now]
        for transfer in due:
            await self._transfer(transfer)
        if due:
            await self._rest()

    async def _transfer(self, transfer: PlannedTransfer) -> None:
        uid = self._set_up.linked[transfer.client].uid
        state = await self._control.state()
        if any(record["info"] == transfer.info for record in state["accounts"][str(uid)]["income"]):
            return  # done before we were interrupted
        await self._control.transfer(uid, transfer.amount, transfer.info)

    def _note(self) -> None:
        self._progress.now = self._ports.clock.now()
        self._progress.processes |= {
            f"runner {number}": pid
            for number, pid in enumerate(self._platform.strategies.host.runner_pids().values(), start=1)
        }


def _end_of(health: SimHealth, days: int | None) -> datetime:
    """Return when the demo ends: after so many days, or with the recording."""
    minutes = [days * 1440] if days else []
    if health.bars_left is not None:
        minutes.append(health.bars_left)
    return health.now + timedelta(minutes=min(minutes, default=MODEL_DAYS * 1440))


def _billing_end(start: datetime, end: datetime) -> datetime:
    """Return when the last month end on the way can be billed, or the end if there is none."""
    month, last = period_of(start), end
    while period_end(month) <= end:
        last = max(last, period_end(month) + CLOSING_DELAY)
        month = following(month)
    return last


async def wipe(folder: DataFolder) -> None:
    """Remove what a demo left, but its log and summary: a demo begins with nothing."""
    await EmbeddedPostgres(folder.postgres).stop()
    for left in folder.path.iterdir():
        if left in (folder.pid_file, folder.log, folder.results):
            continue
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()
