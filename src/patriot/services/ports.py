"""What every service is made of: ports. Which adapters stand behind them is said in `services/plugged_in.py` alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from patriot.accounts.ports import AccountVenue, ApiKey, KeyProbe, TradeVenue
from patriot.execution.ports import Alerts
from patriot.kernel.bus import CommandBus
from patriot.kernel.clock import Clock
from patriot.kernel.errors import NotFound
from patriot.kernel.eventstore import EventStore
from patriot.kernel.feed import Checkpoints, LogFeed
from patriot.kernel.ids import Ids
from patriot.kernel.lease import Leases
from patriot.kernel.memory import MemorySnapshots
from patriot.kernel.policy import Snapshots
from patriot.kernel.projection import Projection
from patriot.kernel.sql import Sql
from patriot.kernel.subscription import Tail
from patriot.market.ports import MarketVenue
from patriot.orders.ports import OrderVenue
from patriot.trading.steps import Reached, pass_by
from patriot.trading.terms import VenueId


class AccountOrders(OrderVenue, TradeVenue, Protocol):
    """The order side of an account, PATRIOT's orders and all others."""


class AccountSession(Protocol):
    """One account's private side of its exchange: orders and money, over one key."""

    @property
    def orders(self) -> AccountOrders:
        """Return the way of its orders."""
        ...

    @property
    def account(self) -> AccountVenue:
        """Return its balances, settings and private stream."""
        ...


class Venue(Protocol):
    """One exchange."""

    @property
    def market(self) -> MarketVenue:
        """Return its public side."""
        ...

    @property
    def probe(self) -> KeyProbe:
        """Return what asks it about a key."""
        ...

    @property
    def unknown_seen(self) -> Mapping[str, int]:
        """Return how often it said what this version does not know, by what that was."""
        ...

    def session(self, key: ApiKey) -> AccountSession:
        """Return the private side of the account that a key belongs to; nothing is sent yet."""
        ...


class ReadModels(Protocol):
    """The rows that screens read, and what keeps them up to date."""

    @property
    def sql(self) -> Sql:
        """Return the connection that queries use."""
        ...

    def keep(self, projection: Projection) -> Tail:
        """Return the tail that keeps a projection up to date while it runs."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything that the services of one process share."""

    clock: Clock
    ids: Ids
    store: EventStore
    feed: LogFeed
    checkpoints: Checkpoints
    leases: Leases
    bus: CommandBus
    venues: Mapping[VenueId, Venue]
    alerts: Alerts
    reached: Reached = pass_by
    snapshots: Snapshots = field(default_factory=MemorySnapshots)  # these end with the process

    def venue(self, venue_id: VenueId) -> Venue:
        """Return an exchange. Errors: NotFound for one that is not plugged in."""
        try:
            return self.venues[venue_id]
        except KeyError:
            raise NotFound(f"no adapter for {venue_id} is plugged in: there are {', '.join(self.venues)}") from None
