"""One service as a process of its own: what each of them runs, on which port, over which database.

Nothing here is a second way to do anything: the pieces are those of `all_in_one.py`, fewer at a time.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import structlog

from patriot.adapters.runners import SubprocessRunners
from patriot.adapters.vault import PostgresShelf, Vault
from patriot.host.crash import crash_from_environment
from patriot.host.data_folder import DataFolder
from patriot.host.embedded import EmbeddedPostgres
from patriot.host.exchange import SIM_ADDRESS, named_exchange
from patriot.host.health import health_app, open_port, serve_http
from patriot.host.opened import master_key_of
from patriot.host.self_report import SelfReport, waits_for
from patriot.host.settings import Settings
from patriot.kernel.clock import SystemClock
from patriot.kernel.errors import ExchangeError, StartupError, StoreUnavailable
from patriot.kernel.subscription import Subscription, Tail
from patriot.kernel.tasks import while_serving
from patriot.services.all_in_one import TICK_SECONDS
from patriot.services.billing import BillingService
from patriot.services.execution import ExecutionService
from patriot.services.pace import LivePace
from patriot.services.plugged_in import PluggedIn, plug_in
from patriot.services.ports import Ports
from patriot.services.projections import BY_SERVICE
from patriot.services.reconciliation import ReconciliationService
from patriot.services.risk import RiskService
from patriot.services.strategies import StrategiesService

log = structlog.get_logger()
EXCHANGE_WAIT_SECONDS = 1.0


class Role(StrEnum):
    """The side of a service: answering requests, or following the log."""

    API = "api"
    WORKER = "worker"


class Service(StrEnum):
    """The services of the platform; `sim` stands beside them."""

    IDENTITY = "identity"
    ACCOUNTS = "accounts"
    ORDERS = "orders"
    EXECUTION = "execution"
    STRATEGIES = "strategies"
    RISK = "risk"
    MARKET = "market"
    PORTFOLIO = "portfolio"
    LEDGER = "ledger"
    EDGE = "edge"
    TELEGRAM = "telegram"
    SIM = "sim"


PORTS = {
    Service.IDENTITY: 8010,
    Service.ACCOUNTS: 8003,
    Service.ORDERS: 8004,
    Service.EXECUTION: 8012,
    Service.STRATEGIES: 8005,
    Service.RISK: 8006,
    Service.PORTFOLIO: 8014,
}
TRADING = frozenset({Service.EXECUTION, Service.STRATEGIES})  # those that speak with the exchange


class Engine(Protocol):
    """A service's own worker beside its read models."""

    tail: Subscription

    async def run(self) -> None:
        """Serve until cancelled."""
        ...


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

    Errors: StartupError for a service without work in this release, and for a missing database. Whatever else goes
    wrong ends the process: what started it starts it again, and it goes on from the log.
    """
    service = options.service
    if service not in PORTS or options.role is not Role.WORKER:
        able = ", ".join(PORTS)
        raise StartupError(f"{service} has nothing to run as {options.role} in this release: workers are {able}")
    exchange = named_exchange(options.settings) or SIM_ADDRESS
    dsn = await _database(options)
    async with AsyncExitStack() as stack:
        listening = open_port(options.port or PORTS[service])
        stack.callback(listening.close)
        plugged = await stack.enter_async_context(plug_in(dsn, exchange, SystemClock(), crash_from_environment()))
        ports = plugged.ports
        engines = _engines(options, plugged)
        runners = [plugged.read_models.keep(one) for one in BY_SERVICE.get(service, ())]
        tails: list[Tail] = [*(engine.tail for engine in engines), *runners]
        report = SelfReport(
            plugged,
            lambda: tails,
            waits_for=lambda: next((waits_for(e) for e in engines if isinstance(e, ExecutionService)), ""),
            trades=service in TRADING,
        )
        work = [_run(ports, engine, service) for engine in engines] + [runner.run() for runner in runners]
        web = serve_http(health_app(service, report.checks, report.figures), listening)
        host, port = listening.getsockname()
        started(f"http://{host}:{port}")
        await while_serving(ended.wait(), *work, _keep_ticking(ports, engines), web)


async def _database(options: ServeOptions) -> str:
    if options.settings.database_url:
        return options.settings.database_url
    running = await EmbeddedPostgres(options.folder.postgres).running()
    if running is None:
        raise StartupError(f"no database: set DATABASE_URL, or run `patriot up` on {options.folder.path} first")
    return running.dsn


def _engines(options: ServeOptions, plugged: PluggedIn) -> Sequence[Engine]:
    ports = plugged.ports
    match options.service:
        case Service.EXECUTION:
            vault = Vault(PostgresShelf(plugged.database), master_key_of(options.folder, options.settings))
            return [ExecutionService(ports, vault, LivePace())]
        case Service.STRATEGIES:
            return [StrategiesService(ports, LivePace(), SubprocessRunners(options.folder.path / "runners.log"))]
        case Service.ACCOUNTS:
            return [ReconciliationService(ports)]
        case Service.RISK:
            return [RiskService(ports)]
        case Service.PORTFOLIO:
            return [BillingService(ports, plugged.read_models.sql)]
        case _:
            return []


async def _run(ports: Ports, engine: Engine, service: Service) -> None:
    """Run an engine, one that trades as soon as its exchange answers: processes start in any order."""
    answered = service not in TRADING
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
            if isinstance(engine, ExecutionService | BillingService):
                with suppress(StoreUnavailable):  # the next tick does it
                    await engine.tick(ports.clock.now())
        await asyncio.sleep(TICK_SECONDS)
