"""The real services over the store in memory and the in-process exchange, in virtual time. They stop and start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from itertools import count
from random import Random
from typing import Any, cast
from uuid import UUID

from patriot.accounts.events import AccountLinked, PositionMode
from patriot.accounts.ports import ApiKey
from patriot.adapters.exchanges.inprocess.account import InProcessAccount, InProcessOrders
from patriot.adapters.exchanges.inprocess.exchange import InProcessExchange
from patriot.adapters.exchanges.inprocess.faults import FaultPlan, FaultRates
from patriot.kernel.bus import Decided
from patriot.kernel.codec import EVENTS, encode
from patriot.kernel.eventstore import Context, NewEvent, StreamAppend, StreamKey
from patriot.kernel.ids import Ids, derived_id
from patriot.kernel.memory import MemoryCheckpoints, MemoryEventStore, MemoryLeases
from patriot.kernel.projection import Recorded
from patriot.services.commands import full_bus
from patriot.services.execution import ExecutionService
from patriot.services.pace import LivePace
from patriot.services.ports import Ports
from patriot.services.ports import Venue as ServiceVenue
from patriot.services.reconciliation import ReconciliationService
from patriot.services.risk import RiskService
from patriot.sim.engine import events as sim_events
from patriot.sim.engine import operations as sim_operations
from patriot.sim.engine import records as sim_records
from patriot.sim.engine.instruments import LISTED
from patriot.sim.engine.venue import Venue
from patriot.strategies.events import SignalAction, SignalGenerated, StrategyAssigned, StrategyCreated
from patriot.trading.terms import AccountId, Environment, Exchange, Instrument, SignalId, StrategyId, UserId
from tests.laws.virtual_time import START, VirtualClock

D = Decimal
ALICE, BOB = UserId(UUID(int=1)), UserId(UUID(int=2))
PRICES = {"BTCUSDT": D("40000"), "ETHUSDT": D("2500"), "SOLUSDT": D("100")}
TREND, RANGE = StrategyId(UUID(int=21)), StrategyId(UUID(int=22))
SYMBOLS = {TREND: "BTCUSDT", RANGE: "ETHUSDT"}


@dataclass(frozen=True, slots=True)
class _PaperSession:
    orders: InProcessOrders
    account: InProcessAccount


class _PaperVenue:
    """The exchange in this process; the key of an account is its number there."""

    probe: Any = None  # no key is linked here

    def __init__(self, paper: InProcessExchange) -> None:
        self._paper = paper
        self.market = _PaperMarket()

    def session(self, key: ApiKey) -> _PaperSession:
        uid = int(key.api_key)
        return _PaperSession(InProcessOrders(self._paper, uid), InProcessAccount(self._paper, uid))


class _PaperMarket:
    async def instruments(self) -> list[Instrument]:
        return [
            Instrument(
                Exchange.BINANCE,
                listed.symbol,
                listed.base_asset,
                listed.quote_asset,
                listed.tick_size,
                listed.step_size,
                listed.min_quantity,
                listed.max_quantity,
                listed.market_max_quantity,
                listed.min_notional,
            )
            for listed in LISTED
        ]


class _PaperVault:
    """Opens the key of the n-th account, which is n."""

    async def open(self, account_id: AccountId) -> ApiKey:
        return ApiKey(str(account_id.int - 100), "secret")


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

    clock: VirtualClock = field(default_factory=VirtualClock)
    alarm: Alarm = field(default_factory=Alarm)
    applied: list[sim_operations.Operation] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        leases = MemoryLeases(self.clock)
        self.store = MemoryEventStore(self.clock, leases)
        ids = Ids(self.clock, Random(7).randbytes)
        self.bus = full_bus(self.store, self.clock, ids)
        self.ids = ids
        self.exchange = InProcessExchange(
            Venue(seed=7, instruments=LISTED), self.clock, FaultPlan(Random(8), FaultRates()), self._note
        )
        for symbol, price in PRICES.items():
            self.exchange.apply(sim_operations.MovePrice(symbol, price))
        self.ports = Ports(
            clock=self.clock,
            ids=ids,
            store=self.store,
            feed=self.store.feed,
            checkpoints=MemoryCheckpoints(),
            leases=leases,
            bus=self.bus,
            venues={Exchange.BINANCE: cast("ServiceVenue", _PaperVenue(self.exchange))},
            alerts=self.alarm,
        )

    def _note(self, operation: sim_operations.Operation, outcome: sim_events.Outcome) -> None:
        if outcome.refusal is None:
            self.applied.append(operation)

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
        execution = ExecutionService(self.ports, cast("Any", _PaperVault()), LivePace())
        services = (execution, RiskService(self.ports), ReconciliationService(self.ports))
        running = [asyncio.create_task(service.run()) for service in services]
        try:
            yield execution
        finally:
            for task in running:
                task.cancel()
            ended = await asyncio.gather(*running, return_exceptions=True)
            assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended

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
        account = cast("sim_records.AccountView", self.exchange.execute(sim_operations.CreateAccount(D(balance))))
        account_id = AccountId(UUID(int=100 + account.uid))
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

    async def signal(self, strategy_id: StrategyId, action: SignalAction = SignalAction.BUY) -> SignalId:
        """Let a strategy speak, with a stop 2 % away."""
        symbol, now = SYMBOLS[strategy_id], self.clock.now()
        price = PRICES[symbol]
        signal_id = SignalId(derived_id("signal", next(self.numbers)))
        signal = SignalGenerated(
            signal_id=signal_id,
            strategy_id=strategy_id,
            exchange=Exchange.BINANCE,
            symbol=symbol,
            action=action,
            reference_price=price,
            stop_price=None if action is SignalAction.CLOSE else price * D("0.98"),
            take_profit_price=None,
            confidence=D(1),
            indicators={},
            bar_closed_at=now,
            generated_at=now,
            valid_until=now + timedelta(minutes=15),
        )
        await self.write("SIGNAL", signal_id, signal)
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
        recorded = [Recorded.of(envelope).event async for page in self.store.feed.scan() for envelope in page]
        return [event for event in recorded if isinstance(event, types)]

    def positions(self, account_id: AccountId) -> dict[str, Decimal]:
        """Return what the exchange holds for an account."""
        held = self.exchange.engine.positions(account_id.int - 100)
        return {view.position.symbol: view.position.quantity for view in held if view.position.quantity}

    def stops(self, account_id: AccountId) -> set[str]:
        """Return the symbols for which a conditional order rests."""
        return {algo.symbol for algo in self.exchange.engine.open_algo_orders(account_id.int - 100, None)}
