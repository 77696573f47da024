"""One account at work on the exchange of `exchange.py` and the in-memory store, through one life or several."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from patriot.accounts.ports import ApiKey, KeyProbe
from patriot.execution.worker import AccountWorker
from patriot.kernel.bus import decode_all
from patriot.kernel.clock import Clock
from patriot.kernel.codec import EVENTS
from patriot.kernel.eventstore import START as LOG_START
from patriot.kernel.eventstore import Context
from patriot.kernel.ids import Ids
from patriot.kernel.memory import MemoryCheckpoints, MemoryEventStore, MemoryLeases
from patriot.market.ports import MarketVenue
from patriot.orders.client_ids import client_order_id
from patriot.orders.events import OrderCreated
from patriot.orders.patience import DeskPatience
from patriot.risk.commands import AccountRisk, EffectiveLimits
from patriot.risk.decider import RISK, RiskState
from patriot.risk.events import risk_stream
from patriot.services.account import EntryChecks, LinkedAccount, put_to_work
from patriot.services.commands import full_bus
from patriot.services.pace import LivePace, Pace
from patriot.services.ports import Ports
from patriot.simulation.loop import START, VirtualClock
from patriot.trading.reports import OrderReport, VenueOrder, VenueStatus
from patriot.trading.terms import Leg, VenueId
from tests.execution.exchange import D, Exchange
from tests.orders import kit
from tests.orders.kit import ACCOUNT, ORDER_ID, PREFIX, USER

AMPLE = EffectiveLimits(D(10**6), D(10**6), D(100), D("0.9"), D("0.9"))
STOP, TARGET, ENTRY = (client_order_id(PREFIX, leg, 1) for leg in (Leg.STOP, Leg.TARGET, Leg.ENTRY))


async def anything(_entry: OrderCreated) -> bool:
    """Let an entry go out."""
    return True


FREE = EntryChecks(lambda _entry: 5, anything)


class Alarm:
    """`Alerts` that are kept."""

    def __init__(self) -> None:
        self.raised: list[tuple[str, dict[str, object]]] = []

    def critical(self, name: str, **fields: object) -> None:
        self.raised.append((name, fields))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.raised]


class Plugged:
    """`Venue` of the one exchange; nothing public is asked of it here."""

    def __init__(self, exchange: Exchange) -> None:
        self.orders = self.account = exchange
        self.unknown_seen: dict[str, int] = {}

    def session(self, key: ApiKey) -> Plugged:
        return self

    @property
    def market(self) -> MarketVenue:
        return cast("MarketVenue", self.orders)

    @property
    def probe(self) -> KeyProbe:
        raise NotImplementedError


class Account:
    """An account whose worker can end and begin again; its exchange and its log stay."""

    def __init__(self, exchange: Exchange | None = None, clock: Clock | None = None) -> None:
        self.exchange = exchange or Exchange()
        self.clock = clock or VirtualClock()
        self.leases = MemoryLeases(self.clock)
        self.store = MemoryEventStore(self.clock, self.leases)
        self.alarm = Alarm()
        self.pace: Pace = LivePace()
        self.begun = asyncio.Event()
        self._numbers = iter(range(1, 10_000))

    async def start(self) -> AccountWorker:
        """Begin a life, and return when the account is in step."""
        self.begun.clear()
        self.begin()
        await self.begun.wait()
        assert await self.worker.is_ready(30)
        return self.worker

    def begin(self) -> None:
        """Begin a life, with the one assembly of an account."""
        self.working = asyncio.create_task(self._live())

    async def _live(self) -> None:
        fence = await self.leases.acquire(f"account:{ACCOUNT}", "us")
        assert fence is not None
        ids = Ids(self.clock, lambda size: next(self._numbers).to_bytes(size, "big"))
        bus = full_bus(self.store, self.clock, ids)
        venues = {VenueId.BINANCE: Plugged(self.exchange)}
        ports = Ports(
            self.clock, ids, self.store, self.store.feed, MemoryCheckpoints(), self.leases, bus, venues, self.alarm
        )
        linked = LinkedAccount(ACCOUNT, USER, VenueId.BINANCE)
        account = put_to_work(ports, linked, ApiKey("key", "secret"), fence, self.pace, DeskPatience(), FREE)
        self.worker, self.keeper = account.worker, account.worker.keeper
        self.worker.key.take(None)
        self.begun.set()
        await self.worker.run()

    async def moment(self) -> None:
        """Let a moment pass."""
        await asyncio.sleep(0.05)

    async def end(self) -> None:
        """End this life at once: what it had in memory is lost."""
        self.working.cancel()
        with suppress(asyncio.CancelledError):
            await self.working

    async def risk(self) -> RiskState:
        return RISK.fold(decode_all(await self.store.read_stream(risk_stream(ACCOUNT))))

    async def enter(self, **changes: Any) -> None:
        """Have an entry placed and sent, as the router does."""
        now = self.clock.now()
        fields: dict[str, Any] = {"verdict": None, "at": now, "valid_until": now + timedelta(seconds=10)}
        fields |= {"risk": AccountRisk(D(10**6), D(10**6), D(10**6)), "limits": AMPLE}
        decided = await self.worker.dispatch(kit.place(**fields | changes), Context(ACCOUNT))
        self.worker.enter(decided.events)

    async def log(self, *names: str) -> list[tuple[str, Any]]:
        """Return the events of these names, in order."""
        envelopes = (await self.store.feed.read(LOG_START, 100_000)).events
        return [
            (e.event_type, EVENTS.decode(e.event_type, e.schema_version, e.data))
            for e in envelopes
            if e.event_type in names
        ]

    async def reasons_of_entry(self) -> list[str]:
        """Return why the entry was rejected, as the log has it."""
        return [event.reason_code for _, event in await self.log("order.rejected") if event.order_id == ORDER_ID]

    @property
    def position(self) -> Decimal:
        """Return what the keeper believes to hold in the one bracket."""
        return self.keeper.open_brackets[ORDER_ID].position


@dataclass
class Acknowledging(Exchange):
    """Answers an entry as accepted, and says nothing of its execution."""

    acknowledges: bool = True

    async def place(self, order: VenueOrder, sent_at: datetime) -> OrderReport:
        report = await super().place(order, sent_at)
        if self.acknowledges and order.client_order_id.endswith("e1"):
            return replace(report, status=VenueStatus.NEW, executed_quantity=D(0))
        return report


def first_stop(exchange: Exchange) -> float:
    """Return when the first stop was accepted, by the exchange's monotonic clock; infinite if none was."""
    stops = [at for client_id, at in exchange.placed_at.items() if client_id[27:].startswith("s")]
    return min(stops, default=float("inf"))


def seconds_after_start(moment: datetime) -> float:
    return (moment - START).total_seconds()


async def entered(exchange: Exchange | None = None) -> Account:
    """Give an account with one protected position."""
    account = Account(exchange)
    await account.start()
    await account.enter()
    await asyncio.sleep(1)
    assert account.exchange.resting() == {"s1": D(1), "t1": D(1)}
    return account
