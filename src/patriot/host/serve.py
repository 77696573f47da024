"""One service as a process of its own: its pieces of `services/table.py`, over a database that others share."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

import structlog

from patriot.accounts.ports import KeyVault
from patriot.adapters.runners import SubprocessRunners
from patriot.host.crash import crash_from_environment
from patriot.host.data_folder import DataFolder
from patriot.host.embedded import EmbeddedPostgres
from patriot.host.exchange import SIM_ADDRESS, named_exchange
from patriot.host.folder_vault import open_folder_vault
from patriot.host.health import health_app, open_port, serve_http
from patriot.host.root_file import RootFile
from patriot.host.self_report import Inside, SelfReport
from patriot.host.settings import Settings
from patriot.kernel.clock import SystemClock
from patriot.kernel.errors import ExchangeError, StartupError, StoreUnavailable
from patriot.kernel.subscription import Tail
from patriot.kernel.tasks import while_serving
from patriot.services.all_in_one import TICK_SECONDS
from patriot.services.engine import Engine
from patriot.services.execution import ExecutionService
from patriot.services.pace import LivePace
from patriot.services.plugged_in import PluggedIn, plug_in
from patriot.services.ports import Ports
from patriot.services.table import TABLE, Role, Service, Supplies

log = structlog.get_logger()
EXCHANGE_WAIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Which service, where its data folder is, and on which port it tells about itself (None: its own)."""

    service: Service
    role: Role
    folder: DataFolder
    settings: Settings
    port: int | None = None


async def serve_service(options: ServeOptions, started: Callable[[str], None], ended: asyncio.Event) -> None:
    """Serve until `ended` is set; `started` is told where the process answers.

    Errors: StartupError for a role that the service has not, and for a missing database. Whatever else goes
    wrong ends the process: what started it starts it again, and it goes on from the log.
    """
    service = options.service
    row = TABLE[service]
    if options.role is not row.role or row.role is not Role.WORKER:
        raise StartupError(f"{service} has nothing to run as {options.role}: its role is {row.role}")
    exchange = named_exchange(options.settings) or SIM_ADDRESS
    dsn = await _database(options)
    async with AsyncExitStack() as stack:
        listening = open_port(options.port or row.port, "--port")
        stack.callback(listening.close)
        plugged = await stack.enter_async_context(plug_in(dsn, exchange, SystemClock(), crash_from_environment()))
        ports = plugged.ports
        engines = await _engines(options, plugged)
        runners = [plugged.read_models.keep(one) for one in row.read_models]
        tails: list[Tail] = [*(engine.tail for engine in engines if engine.tail is not None), *runners]
        accounts = next((engine for engine in engines if isinstance(engine, ExecutionService)), None)
        report = SelfReport(plugged, Inside(lambda: tails, execution=lambda: accounts, trades=row.trades))
        work = [_run(ports, engine, waits=row.trades) for engine in engines] + [runner.run() for runner in runners]
        web = serve_http(health_app(service, report.checks, report.figures, report.counts, report.notes), listening)
        host, port = listening.getsockname()
        started(f"http://{host}:{port}")
        await while_serving(ended.wait(), *work, _keep_ticking(ports, engines), web)
        for engine in engines:
            with suppress(StoreUnavailable):  # the next start makes up for it
                await engine.finish()


async def _database(options: ServeOptions) -> str:
    if options.settings.database_url:
        return options.settings.database_url
    running = await EmbeddedPostgres(options.folder.postgres).running()
    if running is None:
        raise StartupError(f"no database: set DATABASE_URL, or run `patriot up` on {options.folder.path} first")
    return running.dsn


async def _engines(options: ServeOptions, plugged: PluggedIn) -> Sequence[Engine]:
    shelf = RootFile(options.folder.roots)
    spawn = SubprocessRunners(options.folder.path / "runners.log")
    row = TABLE[options.service]
    vault = await _vault(options, plugged) if row.signs else None

    def open_vault() -> KeyVault:
        if vault is None:
            raise AssertionError(f"{options.service} does not sign")
        return vault

    given = Supplies(plugged.ports, plugged.read_models, open_vault, shelf, spawn, LivePace())
    return [] if row.build is None else [row.build(given)]


async def _vault(options: ServeOptions, plugged: PluggedIn) -> KeyVault:
    opened = await open_folder_vault(options.folder, options.settings.given_master_key, plugged.database)
    for account_id in opened.unopened:
        log.error("account.key_does_not_open", account_id=str(account_id))
    return opened.vault


async def _run(ports: Ports, engine: Engine, *, waits: bool) -> None:
    """Run an engine, one that trades as soon as its exchange answers: processes start in any order."""
    answered = not waits
    while not answered:
        try:
            for venue in ports.venues.values():
                await venue.market.server_time()
            answered = True
        except ExchangeError as error:
            log.warning("exchange.away", error=str(error))
            await asyncio.sleep(EXCHANGE_WAIT_SECONDS)
    await engine.run()


async def _keep_ticking(ports: Ports, engines: Sequence[Engine]) -> None:
    while True:
        for engine in engines:
            with suppress(StoreUnavailable):  # the next tick does it
                await engine.tick(ports.clock.now())
        await asyncio.sleep(TICK_SECONDS)
