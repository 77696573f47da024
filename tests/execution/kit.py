"""One account at work on the exchange of `exchange.py` and the in-memory store, through one life or several."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from patriot.accounts.events import SampleReason
from patriot.execution import streams as execution
from patriot.execution.decider import PROTECTION
from patriot.execution.effects import BracketKeeper
from patriot.execution.events import protection_stream
from patriot.execution.worker import AccountWorker, OpenBracket
from patriot.kernel.bus import CommandBus, Decided, decode_all
from patriot.kernel.codec import EVENTS
from patriot.kernel.eventstore import START as LOG_START
from patriot.kernel.eventstore import Actor, Context
from patriot.kernel.ids import Ids
from patriot.kernel.memory import MemoryEventStore, MemoryLeases
from patriot.orders import streams as orders
from patriot.orders.client_ids import client_order_id
from patriot.orders.commands import PlaceOrder
from patriot.orders.desk import OrderDesk
from patriot.orders.history import load_bracket
from patriot.orders.journal import Journal
from patriot.orders.patience import DeskPatience
from patriot.risk import streams as risk
from patriot.risk.commands import AccountRisk, EffectiveLimits
from patriot.risk.decider import RISK, RiskState
from patriot.risk.events import risk_stream
from patriot.trading.reports import AccountSnapshot
from patriot.trading.terms import Leg
from tests.execution.exchange import D, Exchange
from tests.laws.virtual_time import START, VirtualClock
from tests.orders import kit
from tests.orders.kit import ACCOUNT, ORDER_ID, PREFIX, USER

AMPLE = EffectiveLimits(D(10**6), D(10**6), D(100), D("0.9"), D("0.9"))
STOP, TARGET, ENTRY = (client_order_id(PREFIX, leg, 1) for leg in (Leg.STOP, Leg.TARGET, Leg.ENTRY))


class Alarm:
    """`Alerts` that are kept."""

    def __init__(self) -> None:
        self.raised: list[tuple[str, dict[str, object]]] = []

    def critical(self, name: str, **fields: object) -> None:
        self.raised.append((name, fields))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.raised]


class IdleLedger:
    """`Ledger` whose calls are counted."""

    def __init__(self) -> None:
        self.synced = 0

    async def sync_income(self) -> None:
        self.synced += 1

    async def sample_equity(self, reason: SampleReason) -> AccountSnapshot | None:
        return None


class Account:
    """An account whose worker can end and begin again; its exchange and its log stay."""

    def __init__(self, exchange: Exchange | None = None) -> None:
        self.exchange = exchange or Exchange()
        self.clock = VirtualClock()
        self.leases = MemoryLeases(self.clock)
        self.store = MemoryEventStore(self.clock, self.leases)
        self.alarm = Alarm()
        self.ledger = IdleLedger()
        self._numbers = iter(range(1, 10_000))

    async def start(self) -> AccountWorker:
        """Begin a life, and return when the account is in step."""
        self.begin()
        assert await self.worker.is_ready(30)
        return self.worker

    def begin(self) -> None:
        """Begin a life as `services/account.py` does."""
        bus = CommandBus(self.store, self.clock, Ids(self.clock, lambda n: next(self._numbers).to_bytes(n, "big")))
        risk.register(bus)
        orders.register(bus, RISK)
        execution.register(bus, RISK)
        store = self.store

        async def write(command: Any, actor: Actor) -> Decided:
            return await bus.dispatch(command, Context(ACCOUNT, actor=actor))

        async def place(command: PlaceOrder, context: Context) -> Decided:
            return await bus.dispatch(command, context)

        async def load_open() -> list[OpenBracket]:
            brackets = []
            for group_id in (await self.risk()).reserved:
                events = await load_bracket(store, group_id)
                noted = PROTECTION.fold(decode_all(await store.read_stream(protection_stream(group_id))))
                brackets.append(OpenBracket(group_id, events, noted.close_requested, noted.closed_elsewhere))
            return brackets

        patience = DeskPatience()
        self.journal = Journal(write)
        self.keeper = BracketKeeper(self.journal, self.clock, self.alarm)
        self.desk = OrderDesk(self.exchange, self.journal, self.clock, self.keeper, patience)
        self.keeper.attach(self.desk)
        self.worker = AccountWorker(
            ACCOUNT,
            USER,
            session=self.exchange,
            ledger=self.ledger,
            desk=self.desk,
            keeper=self.keeper,
            writer=self.journal,
            load_open=load_open,
            dispatch=place,
            venue_said=lambda _at: None,
            clock=self.clock,
            alerts=self.alarm,
            takeover_seconds=patience.predecessor,
        )
        self.working = asyncio.create_task(self.worker.run())

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

    @property
    def position(self) -> Decimal:
        """Return what the keeper believes to hold in the one bracket."""
        return self.keeper.open_brackets[ORDER_ID].position


def seconds_after_start(moment: datetime) -> float:
    return (moment - START).total_seconds()
