"""What every service is made of: store, bus with every command, exchange, clock. Opened once a process."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import structlog

from patriot.accounts import streams as accounts
from patriot.accounts.ports import ApiKey
from patriot.adapters.exchanges.binance.budget import WEIGHT_PER_MINUTE, RateBudget
from patriot.adapters.exchanges.binance.market import BinanceMarket
from patriot.adapters.exchanges.binance.session import BinanceSession
from patriot.adapters.exchanges.binance.signing import Signer
from patriot.adapters.exchanges.binance.venue import BinanceVenue
from patriot.adapters.exchanges.binance.venue_time import VenueTime
from patriot.adapters.postgres.checkpoints import PostgresCheckpoints
from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.eventstore import PostgresEventStore
from patriot.adapters.postgres.leases import PostgresLeases
from patriot.adapters.postgres.migrate import migrate
from patriot.billing import streams as billing
from patriot.execution import streams as execution
from patriot.kernel.bus import CommandBus
from patriot.kernel.clock import Clock
from patriot.kernel.ids import Ids
from patriot.orders import streams as orders
from patriot.risk import streams as risk
from patriot.risk.decider import RISK
from patriot.strategies import streams as strategies
from patriot.trading.steps import Reached, pass_by
from patriot.users import streams as users

log = structlog.get_logger()


class LogAlerts:
    """Alerts as log lines of level CRITICAL, and a count for the metrics."""

    def __init__(self) -> None:
        self.raised = 0

    def critical(self, name: str, **fields: object) -> None:
        """Raise an alert that someone must act on."""
        self.raised += 1
        log.critical(name, **{key: str(value) for key, value in fields.items()})


@dataclass(frozen=True, slots=True)
class ExchangeAddress:
    """Where the exchange answers. With `replayed` our Clock is the venue's, and it counts no requests."""

    base_url: str
    ws_url: str
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that services share in one process."""

    clock: Clock
    ids: Ids
    database: Database
    store: PostgresEventStore
    checkpoints: PostgresCheckpoints
    leases: PostgresLeases
    bus: CommandBus
    http: aiohttp.ClientSession
    exchange: ExchangeAddress
    budget: RateBudget
    venue_time: VenueTime
    alerts: LogAlerts
    reached: Reached

    def session(self, key: ApiKey | None) -> BinanceSession:
        """Return a session with a key, or a public one."""
        signer = Signer(key) if key is not None else None
        return BinanceSession(
            self.exchange.base_url,
            self.exchange.ws_url,
            self.http,
            signer,
            clock=self.clock,
            budget=self.budget,
            time=self.venue_time,
        )

    def venue(self, key: ApiKey) -> BinanceVenue:
        """Return one account's side of the exchange."""
        return BinanceVenue.open(self.session(key))

    def market(self) -> BinanceMarket:
        """Return the public side of the exchange."""
        return BinanceMarket(self.session(None))


def full_bus(store: PostgresEventStore, clock: Clock, ids: Ids) -> CommandBus:
    """Return a bus that knows every command of the platform."""
    bus = CommandBus(store, clock, ids)
    register: tuple[Callable[[CommandBus], None], ...] = (
        users.register,
        accounts.register,
        strategies.register,
        risk.register,
        billing.register,
    )
    for domain in register:
        domain(bus)
    orders.register(bus, RISK)
    execution.register(bus, RISK)
    return bus


@asynccontextmanager
async def open_parts(
    dsn: str, exchange: ExchangeAddress, clock: Clock, reached: Reached = pass_by
) -> AsyncIterator[Parts]:
    """Migrate the database, connect to everything, and close it all in the end."""
    await migrate(dsn)
    ids = Ids(clock)
    database = await Database.connect(dsn, max_connections=16)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        async with PostgresEventStore(database, clock) as store:
            yield Parts(
                clock=clock,
                ids=ids,
                database=database,
                store=store,
                checkpoints=PostgresCheckpoints(database),
                leases=PostgresLeases(database),
                bus=full_bus(store, clock, ids),
                http=http,
                exchange=exchange,
                budget=RateBudget(clock, None if exchange.replayed else WEIGHT_PER_MINUTE),
                venue_time=VenueTime(clock),
                alerts=LogAlerts(),
                reached=reached,
            )
        await database.close()
