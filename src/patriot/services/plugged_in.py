"""What is plugged in behind the ports: the one module of the services that names a database or an exchange."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from patriot.adapters.exchanges.binance.budget import WEIGHT_PER_MINUTE, RateBudget
from patriot.adapters.exchanges.binance.venue import BinanceVenue
from patriot.adapters.postgres.checkpoints import PostgresCheckpoints
from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.eventstore import PostgresEventStore
from patriot.adapters.postgres.leases import PostgresLeases
from patriot.adapters.postgres.migrate import migrate
from patriot.adapters.postgres.projections import PostgresReadModels
from patriot.adapters.postgres.snapshots import PostgresSnapshots
from patriot.kernel.clock import Clock
from patriot.kernel.ids import Ids
from patriot.services.alerts import LogAlerts
from patriot.services.commands import full_bus
from patriot.services.ports import Ports
from patriot.trading.steps import Reached, pass_by
from patriot.trading.terms import Exchange


@dataclass(frozen=True, slots=True)
class ExchangeAddress:
    """Where an exchange answers. With `replayed` our Clock is the venue's, and it counts no requests."""

    base_url: str
    ws_url: str
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class PluggedIn:
    """The ports of one process, and what stands behind some of them for whoever looks after it."""

    ports: Ports
    database: Database
    store: PostgresEventStore
    leases: PostgresLeases
    read_models: PostgresReadModels
    alerts: LogAlerts


@asynccontextmanager
async def plug_in(
    dsn: str, binance: ExchangeAddress, clock: Clock, reached: Reached = pass_by
) -> AsyncIterator[PluggedIn]:
    """Migrate the database, connect to everything, and close it all in the end."""
    await migrate(dsn)
    ids = Ids(clock)
    database = await Database.connect(dsn, max_connections=16)
    leases, alerts = PostgresLeases(database), LogAlerts()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        budget = RateBudget(clock, None if binance.replayed else WEIGHT_PER_MINUTE)
        async with PostgresEventStore(database, clock) as store:
            ports = Ports(
                clock=clock,
                ids=ids,
                store=store,
                feed=store.feed,
                checkpoints=PostgresCheckpoints(database),
                leases=leases,
                bus=full_bus(store, clock, ids),
                venues={Exchange.BINANCE: BinanceVenue(binance.base_url, binance.ws_url, http, clock, budget)},
                alerts=alerts,
                reached=reached,
                snapshots=PostgresSnapshots(database),
            )
            yield PluggedIn(ports, database, store, leases, PostgresReadModels(database, store.feed), alerts)
        await database.close()
