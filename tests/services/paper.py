"""The services over the store in memory, trading by the real adapter on the simulator's real face, in virtual time.

They stop and start; the exchange and the log stay.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from itertools import count
from random import Random
from typing import Any
from uuid import UUID

import aiohttp

from patriot.accounts.events import AccountLinked, PositionMode
from patriot.adapters.exchanges.binance.budget import WEIGHT_PER_MINUTE, RateBudget
from patriot.adapters.exchanges.binance.venue import BinanceVenue
from patriot.adapters.vault import MasterKey, MemoryShelf, Vault
from patriot.kernel.bus import Decided
from patriot.kernel.codec import EVENTS, encode
from patriot.kernel.eventstore import START as LOG_START
from patriot.kernel.eventstore import Context, NewEvent, StreamAppend, StreamKey
from patriot.kernel.ids import Ids, derived_id
from patriot.kernel.lease import LEASE_TTL
from patriot.kernel.memory import MemoryCheckpoints, MemoryEventStore, MemoryLeases, MemorySnapshots
from patriot.kernel.projection import Recorded
from patriot.services.commands import full_bus
from patriot.services.execution import ExecutionService
from patriot.services.pace import LivePace
from patriot.services.ports import Ports
from patriot.services.reconciliation import ReconciliationService
from patriot.services.risk import RiskService
from patriot.sim.engine.events import Result
from patriot.sim.engine.operations import MovePrice, Operation
from patriot.simulation.loop import START, VirtualClock
from patriot.simulation.network import open_session
from patriot.simulation.process import MachineClock
from patriot.simulation.venue import PRICES, SimulatedVenue
from patriot.strategies.events import SignalAction, SignalGenerated, StrategyAssigned, StrategyCreated
from patriot.trading.steps import Step
from patriot.trading.terms import AccountId, Environment, Exchange, SignalId, StrategyId, UserId

D = Decimal
ALICE, BOB = UserId(UUID(int=1)), UserId(UUID(int=2))
TREND, RANGE = StrategyId(UUID(int=21)), StrategyId(UUID(int=22))
ANOTHER = "another process"
SYMBOLS = {TREND: "BTCUSDT", RANGE: "ETHUSDT"}


class Alarm:
    """`Alerts` that are kept."""

    def __init__(self) -> None:
        self.raised: list[tuple[str, dict[str, object]]] = []

    def critical(self, name: str, **fields: object) -> None:
        self.raised.append((name, fields))

    def names(self) -> list[str]:
        return [name for name, _ in self.raised]


@dataclass
class Paper:
    """One platform with its exchange. Made inside the virtual loop."""

    clock: MachineClock = field(default_factory=MachineClock)
    alarm: Alarm = field(default_factory=Alarm)
    applied: list[Operation] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.leases = MemoryLeases(self.clock)
        self.store = MemoryEventStore(self.clock, self.leases)
        self.ids = Ids(self.clock, Random(7).randbytes)
        self.bus = full_bus(self.store, self.clock, self.ids)
        self.vault = Vault(MemoryShelf(), MasterKey(Random(9).randbytes(32)))
        self.venue = SimulatedVenue(7, VirtualClock())
        self.venue.exchange.watch = self._note
        self.checkpoints, self.snapshots = MemoryCheckpoints(), MemorySnapshots()
        self._open = asyncio.create_task(self.venue.start())

    def _note(self, operation: Operation, _result: Result) -> None:
        if not isinstance(operation, MovePrice):
            self.applied.append(operation)

    def ports(self, http: aiohttp.ClientSession) -> Ports:
        """Return what one process is made of."""
        budget = RateBudget(self.clock, WEIGHT_PER_MINUTE)
        exchange = BinanceVenue(self.venue.url, self.venue.ws_url, http, self.clock, budget, chance=Random(8))
        return Ports(
            clock=self.clock,
            ids=self.ids,
            store=self.store,
            feed=self.store.feed,
            checkpoints=self.checkpoints,
            leases=self.leases,
            bus=self.bus,
            venues={Exchange.BINANCE: exchange},
            alerts=self.alarm,
            reached=self.steps.append,
            snapshots=self.snapshots,
        )

    @asynccontextmanager
    async def plugged_in(self) -> AsyncIterator[Ports]:
        """Give the ports of a process that runs nothing yet."""
        await self._open
        async with open_session() as http:
            yield self.ports(http)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ExecutionService]:
        """Run execution, risk and reconciliation, and go on when every account is in step with its exchange."""
        async with self.running_soon() as execution:
            async with asyncio.timeout(60):
                await execution.started.wait()
            await self.settle()
            yield execution

    @asynccontextmanager
    async def running_soon(self) -> AsyncIterator[ExecutionService]:
        """Run them without waiting for any account."""
        async with self.plugged_in() as ports:
            execution = ExecutionService(ports, self.vault, LivePace())
            services = (execution, RiskService(ports), ReconciliationService(ports))
            running = [asyncio.create_task(service.run()) for service in services]
            housekeeping = asyncio.create_task(self.venue.keep_house())
            try:
                yield execution
            finally:
                for task in (*running, housekeeping):
                    task.cancel()
                ended = await asyncio.gather(*running, housekeeping, return_exceptions=True)
                assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended

    @asynccontextmanager
    async def owned_elsewhere(self, account_id: AccountId) -> AsyncIterator[None]:
        """Let another process hold an account's lease, which nobody holds now."""
        fence = await self.leases.acquire(f"account:{account_id}", ANOTHER)
        assert fence is not None

        async def keep() -> None:
            while True:
                await asyncio.sleep(LEASE_TTL.total_seconds() / 3)
                await self.leases.renew(fence, ANOTHER)

        keeping = asyncio.create_task(keep())
        try:
            yield
        finally:
            keeping.cancel()
            await self.leases.release(fence, ANOTHER)

    async def settle(self, seconds: float = 5.0) -> None:
        """Let what was asked for happen."""
        await asyncio.sleep(seconds)

    # What the rest of the platform writes -----------------------------------------------------------------------------

    async def write(self, stream_type: str, stream_id: UUID, *events: object) -> None:
        """Append events to a stream."""
        stream, packed = StreamKey(stream_type, stream_id), []
        for event in events:
            name, version = EVENTS.name_of(event)
            context = Context(correlation_id=stream_id)
            packed.append(NewEvent(self.ids.new(), name, version, self.clock.now(), encode(event), context))
        before = len(await self.store.read_stream(stream))
        await self.store.append([StreamAppend(stream, before, tuple(packed))])

    async def link(self, user_id: UserId, balance: str = "10000") -> AccountId:
        """Open an account on the exchange and link it."""
        uid, key = self.venue.open_account(D(balance))
        account_id = AccountId(UUID(int=100 + uid))
        await self.vault.store(account_id, 1, key)
        linked = AccountLinked(
            account_id, user_id, Exchange.BINANCE, Environment.SIM, PositionMode.ONE_WAY, "USDT", 1, self.clock.now()
        )
        await self.write("ACCOUNT", account_id, linked)
        return account_id

    async def found(self, followers: Iterable[tuple[UserId, AccountId]]) -> None:
        """Create both strategies; everybody follows both."""
        people = list(followers)
        for strategy_id, symbol in SYMBOLS.items():
            created = StrategyCreated(
                strategy_id, "s", "ema", Exchange.BINANCE, symbol, "15m", {}, D("0.01"), D(5), D("0.3"), START
            )
            assigned = [
                StrategyAssigned(strategy_id, UUID(int=3), user, account, D("0.5"), D(1), START, START)
                for user, account in people
            ]
            await self.write("STRATEGY", strategy_id, created, *assigned)

    async def signal(
        self, strategy_id: StrategyId, action: SignalAction = SignalAction.BUY, *, age: float = 0.0, **changes: Any
    ) -> SignalId:
        """Let a strategy have spoken so many seconds ago, with a stop 2 % away; `changes` are fields of the signal."""
        symbol, now = SYMBOLS[strategy_id], self.clock.now() - timedelta(seconds=age)
        price = PRICES[symbol]
        signal_id = SignalId(derived_id("signal", next(self.numbers)))
        fields: dict[str, Any] = {
            "signal_id": signal_id,
            "strategy_id": strategy_id,
            "exchange": Exchange.BINANCE,
            "symbol": symbol,
            "action": action,
            "reference_price": price,
            "stop_price": None if action is SignalAction.CLOSE else price * D("0.98"),
            "take_profit_price": None,
            "confidence": D(1),
            "indicators": {},
            "bar_closed_at": now,
            "generated_at": now,
            "valid_until": now + timedelta(minutes=15),
        }
        await self.write("SIGNAL", signal_id, SignalGenerated(**fields | changes))
        await self.settle()
        return signal_id

    async def tell(self, command: object) -> Decided:
        """Dispatch a command, and let it have its effect."""
        decided = await self.bus.dispatch(command, Context(correlation_id=UUID(int=5)))
        await self.settle()
        return decided

    # What there is to see ---------------------------------------------------------------------------------------------

    async def log(self, *types: type) -> list[Any]:
        """Return the events of these types, in log order."""
        recorded = [Recorded.of(envelope).event for envelope in (await self.store.feed.read(LOG_START, 10**6)).events]
        return [event for event in recorded if isinstance(event, types)]

    def positions(self, account_id: AccountId) -> dict[str, Decimal]:
        """Return what the exchange holds for an account."""
        held = self.venue.engine.positions(account_id.int - 100)
        return {view.position.symbol: view.position.quantity for view in held if view.position.quantity}

    def stops(self, account_id: AccountId) -> set[str]:
        """Return the symbols for which a conditional order rests."""
        return {algo.symbol for algo in self.venue.engine.open_algo_orders(account_id.int - 100, None)}
