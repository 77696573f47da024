"""The platform live on one machine: database, exchange and every service, until it is told to end.

The exchange is a simulator of its own unless the settings name another. Its clock is then the platform's clock, so that
recorded prices of another year, or a clock that runs faster, are traded as if they were now.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec
from msgspec.structs import replace

from patriot.adapters.runners import SubprocessRunners
from patriot.adapters.simulator.control import SimControl
from patriot.adapters.vault import Vault
from patriot.host.crash import crash_from_environment
from patriot.host.data_folder import DataFolder
from patriot.host.embedded import EmbeddedPostgres
from patriot.host.exchange import named_exchange
from patriot.host.folder_database import linked_accounts, simulator_of
from patriot.host.folder_vault import open_folder_vault
from patriot.host.health import health_app, open_port, serve_http
from patriot.host.keepers import PlatformKeeper, PostgresKeeper, SimKeeper
from patriot.host.onboarding import onboard
from patriot.host.paper_clients import make_plan
from patriot.host.root_file import RootFile
from patriot.host.self_report import Inside, SelfReport
from patriot.host.set_up_file import read_set_up, write_set_up
from patriot.host.settings import Settings
from patriot.host.sim_process import SimProcess, SimSpec
from patriot.host.venue_clock import VenueClock
from patriot.kernel.clock import Clock, SystemClock
from patriot.kernel.errors import StartupError, StoreUnavailable
from patriot.kernel.subscription import Tail
from patriot.kernel.tasks import while_serving
from patriot.services.all_in_one import Platform
from patriot.services.pace import LivePace
from patriot.services.plugged_in import ExchangeAddress, PluggedIn, plug_in
from patriot.services.ports import Ports
from patriot.services.table import Supplies
from patriot.trading.terms import AccountId

SET_UP_FILE = "up.json"
DEFAULT_SEED = 7


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What the person asked for. `data` None keeps what the folder played before, or begins with the price model."""

    folder: DataFolder
    settings: Settings
    speed: int = 1
    data: Path | None = None
    seed: int = DEFAULT_SEED
    accounts: int = 0  # paper clients that a new folder begins with
    lively: bool = False  # whether their strategies trade every few minutes


class SetUp(msgspec.Struct, frozen=True):
    """What a folder began with: what its simulator is told at each start, and how many paper clients it is to have."""

    seed: int
    recording: str | None
    accounts: int = 0  # paper clients that are set up
    wanted: int = 0  # those that were begun with: more than `accounts` where setting them up was broken off
    lively: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """Where everything is, once it runs."""

    folder: DataFolder
    exchange: ExchangeAddress
    control_url: str | None
    port: int
    accounts: int
    unopened: tuple[AccountId, ...] = ()  # accounts whose sealed keys do not open


@dataclass(frozen=True, slots=True)
class _Venue:
    address: ExchangeAddress
    clock: Clock
    keeper: SimKeeper | None = None
    control: SimControl | None = None


class Up:
    """One platform on one data folder."""

    def __init__(self, options: UpOptions, phase: Callable[[str], None]) -> None:
        self._options = options
        self._folder = options.folder
        self._settings = options.settings
        self._phase = phase

    async def run(self, started: Callable[[Running], None], ended: asyncio.Event) -> None:
        """Serve until `ended` is set; `started` is told where everything is.

        Errors: StartupError for whatever stands in the way, in one sentence.
        """
        named = named_exchange(self._settings)
        async with AsyncExitStack() as stack:
            lock = self._folder.lock()
            stack.callback(lock.release)
            listening = open_port(self._settings.port, "PATRIOT_PORT")
            stack.callback(listening.close)
            self._phase("starting PostgreSQL")
            server = EmbeddedPostgres(self._folder.postgres)
            dsn = self._settings.database_url or (await stack.enter_async_context(server)).dsn
            self._phase("starting the simulated exchange")
            venue = _Venue(named, SystemClock()) if named is not None else await self._simulated(stack)
            reached = crash_from_environment()
            plugged = await stack.enter_async_context(plug_in(dsn, venue.address, venue.clock, reached))
            ports = plugged.ports
            opened = await open_folder_vault(self._folder, self._settings.given_master_key, plugged.database)
            vault = opened.vault
            self._phase("linking accounts")
            accounts = await self._onboard(ports, vault, venue)
            spawn = SubprocessRunners(self._folder.path / "runners.log")
            shelf = RootFile(self._folder.roots)
            given = Supplies(ports, plugged.read_models, lambda: vault, shelf, spawn, LivePace())
            keeper = PlatformKeeper(lambda: Platform(given), plugged.alerts)
            postgres = None if self._settings.database_url else PostgresKeeper(server)
            report = _report(plugged, keeper, venue.keeper, postgres)
            control_url = venue.keeper.sim.control_url if venue.keeper else None
            port = self._settings.port
            started(Running(self._folder, venue.address, control_url, port, accounts, opened.unopened))
            app = health_app("platform", report.checks, report.figures, report.counts, report.notes)
            services = [keeper.run(), serve_http(app, listening)]
            if postgres is not None:
                services.append(postgres.run())
            if venue.keeper is not None:
                services.append(venue.keeper.run(lambda: _set_clock(venue)))
            await while_serving(ended.wait(), *services)
            with suppress(StoreUnavailable):  # the next start makes up for it
                await keeper.platform.finish()

    async def _simulated(self, stack: AsyncExitStack) -> _Venue:
        spec = self._spec()
        sim = await SimProcess.start(spec)
        keeper = SimKeeper(spec, sim)
        stack.push_async_callback(lambda: keeper.sim.stop())
        http = await stack.enter_async_context(aiohttp.ClientSession())
        control = SimControl(http, sim.control_url, spec.token)
        clock = VenueClock(SystemClock(), (await control.health()).now, self._options.speed)
        return _Venue(ExchangeAddress(sim.base_url, sim.ws_url), clock, keeper, control)

    def _spec(self) -> SimSpec:
        """Return how to run the simulator: as the folder knows it, or as a new folder is to remember it."""
        options, path = self._options, self._folder.path / SET_UP_FILE
        speed, asked = str(options.speed), options.data
        known = simulator_of(self._folder, speed)
        if known is not None:
            if asked is not None and asked != known.data:
                raise StartupError(f"--data: {self._folder.path} trades on {known.data or 'the price model'} already")
            return known
        write_set_up(path, SetUp(options.seed, str(asked) if asked else None))
        return SimSpec(self._folder.sim, self._folder.sim_token(), options.seed, speed, asked)

    async def _onboard(self, ports: Ports, vault: Vault, venue: _Venue) -> int:
        """Set up the paper clients of a new folder, also where that was broken off; return how many accounts there are.

        What was begun with is set up to the end, whatever is asked for now: no client is left without his strategies.
        """
        options, path = self._options, self._folder.path / SET_UP_FILE
        if venue.control is not None and path.exists():
            set_up = read_set_up(path, SetUp)
            if set_up.accounts == set_up.wanted == 0 and options.accounts > 0:
                set_up = replace(set_up, wanted=options.accounts, lively=options.lively)
                write_set_up(path, set_up)
            if set_up.accounts < set_up.wanted:
                plan = make_plan(set_up.wanted, set_up.seed, None, lively=set_up.lively)
                await onboard(plan, ports, vault, venue.control)
                write_set_up(path, replace(set_up, accounts=set_up.wanted))
        return len([account async for account in linked_accounts(ports.feed)])


def _report(
    plugged: PluggedIn, keeper: PlatformKeeper[Platform], sim: SimKeeper | None, postgres: PostgresKeeper | None
) -> SelfReport:
    kept = {"services": keeper, "sim": sim, "postgres": postgres}

    def tails() -> list[Tail]:
        return [*keeper.platform.tails, *keeper.platform.projections]

    def counts() -> dict[str, dict[str, float]]:
        restarts = {name: float(one.restarts) for name, one in kept.items() if one is not None}
        return {"restarts": restarts, "bars_seen": {"all": float(keeper.platform.strategies.bars_seen)}}

    inside = Inside(
        tails=tails,
        execution=lambda: keeper.platform.execution,
        restarting=lambda: keeper.restarting,
        counts=counts,
    )
    return SelfReport(plugged, inside)


async def _set_clock(venue: _Venue) -> None:
    if venue.control is not None and isinstance(venue.clock, VenueClock):
        venue.clock.set((await venue.control.health()).now)
