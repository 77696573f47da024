"""A whole trading day of one account in a few seconds: market, exchange, store, worker, kills. All from one seed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

from patriot.accounts.events import AccountLinked, PositionMode, SampleReason
from patriot.adapters.exchanges.inprocess.account import InProcessAccount, InProcessOrders
from patriot.adapters.exchanges.inprocess.exchange import InProcessExchange
from patriot.adapters.exchanges.inprocess.faults import FaultPlan, FaultRates
from patriot.execution import streams as execution
from patriot.execution.decider import PROTECTION
from patriot.execution.effects import BracketKeeper
from patriot.execution.events import protection_stream
from patriot.execution.followers import FollowerBook
from patriot.execution.routing import RoutingNeeds, SignalRouter
from patriot.execution.worker import AccountWorker, OpenBracket
from patriot.kernel.bus import CommandBus, Decided, decode_all
from patriot.kernel.errors import StoreUnavailable
from patriot.kernel.eventstore import Actor, Context, EventStore, Fence
from patriot.kernel.ids import Ids, derived_id
from patriot.kernel.memory import MemoryEventStore, MemoryLeases
from patriot.orders import streams as orders
from patriot.orders.commands import PlaceOrder
from patriot.orders.desk import OrderDesk
from patriot.orders.events import order_stream
from patriot.orders.history import load_bracket
from patriot.orders.journal import Journal
from patriot.orders.patience import DeskPatience
from patriot.risk import streams as risk
from patriot.risk.commands import AccountRisk, EffectiveLimits
from patriot.risk.decider import RISK
from patriot.risk.events import HaltLevel, risk_stream
from patriot.sim.engine import events as sim_events
from patriot.sim.engine import operations as sim_operations
from patriot.sim.engine import records as sim_records
from patriot.sim.engine import words as sim_words
from patriot.sim.engine.instruments import BTCUSDT, ETHUSDT, LISTED
from patriot.sim.engine.venue import Venue
from patriot.simulation.loop import START, VirtualClock
from patriot.strategies.events import SignalAction, SignalGenerated, StrategyAssigned, StrategyCreated
from patriot.trading.steps import Step
from patriot.trading.terms import (
    AccountId,
    Environment,
    Exchange,
    Instrument,
    Leg,
    OrderId,
    SignalId,
    StrategyId,
    UserId,
)
from tests.laws.judge import Judge
from tests.laws.mortal import Life, MortalAccount, MortalOrders, MortalStore, Witness

D = Decimal
USER, ACCOUNT = UserId(UUID(int=1)), AccountId(UUID(int=2))
STRATEGIES = {StrategyId(UUID(int=11)): BTCUSDT, StrategyId(UUID(int=12)): ETHUSDT}
PRICES = {"BTCUSDT": D("40000"), "ETHUSDT": D("2500"), "SOLUSDT": D("100")}
TRADING_SECONDS = 30.0
HALT_SECONDS = 12.0  # longer than the slowest way out
QUIET_SECONDS = 240.0  # at most, until nothing is under way any more
ROUGH = FaultRates(0.03, 0.03, 0.02, 0.05, 0.03, repeated=0.05, swapped=0.05, gap=0.01)


@dataclass(frozen=True, slots=True)
class Trouble:
    """How hard a world is. Rates are probabilities of one request, report, append or step."""

    rates: FaultRates = ROUGH
    store_away: float = 0.02
    kill: float = 0.02
    kill_at: frozenset[Step] = frozenset(Step)
    max_kills: int = 3
    jump: float = 0.05  # of one price, by up to 2 %


class Facts:
    """`RiskFacts` with one limit for all, and a halt that the market of a test raises."""

    def __init__(self) -> None:
        self.halt: HaltLevel | None = None

    def limits_for(self, user_id: UserId, account_id: AccountId, strategy_id: StrategyId) -> EffectiveLimits:
        return EffectiveLimits(D(50_000), D(100_000), D(10), D("0.5"), D("0.5"))

    def halt_for(self, user_id: UserId, account_id: AccountId, strategy_id: StrategyId) -> HaltLevel | None:
        return self.halt

    def risk_of(self, account_id: AccountId, equity: Decimal) -> AccountRisk | None:
        return AccountRisk(equity, equity, equity)


class Alarm:
    """`Alerts` that are kept."""

    def __init__(self) -> None:
        self.raised: list[str] = []

    def critical(self, name: str, **fields: object) -> None:
        self.raised.append(name)


class ReadingLedger:
    """`Ledger` that asks the exchange as the real one does; what it records is not judged here."""

    def __init__(self, session: MortalAccount) -> None:
        self._session = session

    async def sync_income(self) -> None:
        await self._session.income(START)

    async def sample_equity(self, reason: SampleReason) -> None:
        await self._session.snapshot()


Job = Callable[["Process"], Awaitable[object]]


@dataclass(slots=True)
class Process:
    """One life of the worker, with what belongs to it."""

    life: Life
    worker: AccountWorker
    keeper: BracketKeeper
    router: SignalRouter
    fence: Fence
    in_step_since: float | None = None


@dataclass
class World:
    """Everything of one run."""

    seed: int
    trouble: Trouble = field(default_factory=Trouble)
    desk_type: type[OrderDesk] = OrderDesk
    keeper_type: type[BracketKeeper] = BracketKeeper
    random: Random = field(init=False)
    judge: Judge = field(init=False)
    trace: list[str] = field(default_factory=list)
    process: Process | None = None
    kills: int = 0
    died_at: Step | None = None
    halt_is_heeded: bool = True
    way_out_is_open: bool = True
    calm: bool = False
    founded: bool = False
    halts: list[tuple[datetime, datetime]] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)  # the tail: done in order, at least once
    jobs_done: int = 0

    async def run(self) -> Judge:
        """Live the day; return the judge with what it found."""
        self._found()
        foreign = self.judge.foreign()
        sampler = asyncio.create_task(self._sample())
        living = asyncio.create_task(self._live())
        await self._trade()
        self.calm = True
        self.exchange.faults.quiet()
        if self.random.random() < 0.6:
            self.jobs.append(lambda process: process.worker.flatten("END_OF_DAY"))
        quiet = await self._until_quiet()
        self._look()
        log = [envelope async for page in self.store.feed.scan() for envelope in page]
        self.judge.conclude(log, foreign, self.halts)
        if not quiet:
            self.judge.blame(4, f"still busy {QUIET_SECONDS} s after the last trouble: {self._busy()}")
        for task in (sampler, living):
            task.cancel()
        await asyncio.gather(sampler, living, self.exchange.requests.close(), return_exceptions=True)
        return self.judge

    # What is there before the first signal ----------------------------------------------------------------------------

    def _found(self) -> None:
        self.random = Random(self.seed)
        self.clock = VirtualClock()
        self.leases = MemoryLeases(self.clock)
        self.store = MemoryEventStore(self.clock, self.leases)
        self.facts, self.alarm = Facts(), Alarm()
        self.witness = Witness(self.clock.now)
        self.engine = Venue(seed=self.seed, instruments=LISTED)
        faults = FaultPlan(Random(self.seed + 1), self.trouble.rates)
        self.exchange = InProcessExchange(self.engine, self.clock, faults, self._applied)
        self.judge = Judge(self.engine, 1, ACCOUNT, self.witness)
        self.exchange.apply(sim_operations.CreateAccount(D(10_000)))
        for symbol, price in PRICES.items():
            self.exchange.apply(sim_operations.MovePrice(symbol, price))
            self.exchange.execute(sim_operations.SetMarginType(1, symbol, sim_words.MarginType.ISOLATED))
        self.exchange.execute(
            sim_operations.PlaceOrder(
                1, "SOLUSDT", sim_words.Side.BUY, sim_words.OrderType.LIMIT, D(1), D(96), sim_words.TimeInForce.GTC,
                client_order_id="web_theirs",
            )
        )  # fmt: skip
        self.exchange.execute(
            sim_operations.PlaceAlgoOrder(
                1,
                "BTCUSDT",
                sim_words.Side.BUY,
                sim_words.OrderType.STOP_MARKET,
                D(80_000),
                D("0.01"),
                client_algo_id="phone",
            )
        )
        self.prices = dict(PRICES)
        self.founded = True
        self.book = FollowerBook()
        self.book.apply(
            AccountLinked(ACCOUNT, USER, Exchange.BINANCE, Environment.SIM, PositionMode.ONE_WAY, "USDT", 1, START)
        )
        for strategy_id, instrument in STRATEGIES.items():
            self.book.apply(
                StrategyCreated(
                    strategy_id, "s", "ema", Exchange.BINANCE, instrument.symbol, "15m", {}, D("0.01"), D(5), D("0.3"),
                    START,
                )
            )  # fmt: skip
            self.book.apply(StrategyAssigned(strategy_id, UUID(int=3), USER, ACCOUNT, D("0.5"), D(1), START, START))

    def _applied(self, operation: sim_operations.Operation, outcome: sim_events.Outcome) -> None:
        if not isinstance(operation, sim_operations.MovePrice):
            verdict = f"refused {outcome.refusal}" if outcome.refusal else "done"
            self.note(f"exchange {operation} {verdict}")
        self.judge.on_applied(operation, outcome)
        self._look()

    def note(self, text: str) -> None:
        self.trace.append(f"{self.clock.monotonic():8.3f} {text}")

    # The market -------------------------------------------------------------------------------------------------------

    async def _trade(self) -> None:
        random = self.random
        times = sorted(random.uniform(1, TRADING_SECONDS) for _ in range(random.randint(3, 6)))
        halt_at = random.uniform(5, TRADING_SECONDS) if random.random() < 0.4 else None
        end = self.clock.monotonic() + TRADING_SECONDS
        while self.clock.monotonic() < end:
            await asyncio.sleep(random.uniform(0.1, 0.6))
            self._move_prices()
            while times and times[0] <= self.clock.monotonic():
                times.pop(0)
                self._signal()
            if halt_at is not None and self.clock.monotonic() >= halt_at:
                halt_at = None
                self._halt()

    def _move_prices(self) -> None:
        for instrument in STRATEGIES.values():
            swing = 0.02 if self.random.random() < self.trouble.jump else 0.001
            moved = self.prices[instrument.symbol] * D(str(round(1 + self.random.uniform(-swing, swing), 6)))
            self.prices[instrument.symbol] = moved - moved % instrument.tick_size
            self.exchange.apply(
                sim_operations.MovePrice(
                    instrument.symbol, self.prices[instrument.symbol], jump=self.random.random() < 0.3
                )
            )

    def _signal(self) -> None:
        random = self.random
        strategy_id, instrument = random.choice(list(STRATEGIES.items()))
        action = random.choices(list(SignalAction), (4, 4, 2))[0]
        price, sign = self.prices[instrument.symbol], -1 if action is SignalAction.SELL else 1
        near = D(str(round(random.uniform(0.002, 0.02), 5)))
        far = D(str(round(random.uniform(0.002, 0.02), 5)))
        stop, target = (
            moved - moved % instrument.tick_size for moved in (price * (1 - sign * near), price * (1 + sign * far))
        )
        now = self.clock.now()
        signal = SignalGenerated(
            signal_id=SignalId(derived_id("signal", self.seed, now)),
            strategy_id=strategy_id,
            exchange=Exchange.BINANCE,
            symbol=instrument.symbol,
            action=action,
            reference_price=price,
            stop_price=stop,
            take_profit_price=target if random.random() < 0.6 else None,
            confidence=D(1),
            indicators={},
            bar_closed_at=now,
            generated_at=now,
            valid_until=now + timedelta(minutes=15),
        )
        self.note(f"signal {action} {instrument.symbol} at {price} stop {stop} target {signal.take_profit_price}")
        self.judge.signals.append(signal.signal_id)
        self.jobs.append(lambda process: process.router.route(signal))

    def _halt(self) -> None:
        """Halt all entries and close what is open, then let trading go on."""
        self.facts.halt = HaltLevel.H3 if self.halt_is_heeded else None
        start = self.clock.now()
        self.note("halt")

        async def carry_out(process: Process) -> None:
            process.worker.cancel_entries()
            if self.way_out_is_open:
                await process.worker.flatten("HALT")

        async def resume() -> None:
            await asyncio.sleep(HALT_SECONDS)
            if self.kills == 0:
                self.judge.expect_flat("the halt closed")
            self.facts.halt = None
            self.halts.append((start, self.clock.now()))
            self.note("halt ends")

        self.jobs.append(carry_out)
        self.exchange.requests.start(resume())

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[Process]:
        """Give one worker in step with its exchange, and no market that moves by itself."""
        self._found()
        process = self.process = await self._start(Life(1, self._doom, 0.0))
        working = asyncio.create_task(process.worker.run())
        assert await process.worker.is_ready(10)
        yield process
        working.cancel()
        await asyncio.gather(working, self.exchange.requests.close(), return_exceptions=True)

    # Lives ------------------------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        number = 0
        while True:
            number += 1
            life = Life(number, self._doom, self.clock.monotonic())
            self.process = await self._start(life)
            self.note(f"life {number} begins")
            working = asyncio.create_task(self.process.worker.run())
            following = asyncio.create_task(self._follow(self.process))
            ended = asyncio.create_task(life.ended.wait())
            tasks = (working, following, ended)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            failed = None if life.died_at_step else next(t.exception() for t in tasks if t.done())
            life.end()
            self.note(f"life {number} ends at {life.died_at_step} {failed!r}")
            if failed is not None:
                self.judge.blame(11, f"the worker failed by itself: {failed!r} {getattr(failed, 'exceptions', '')}")
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.leases.release(self.process.fence, f"life {number}")
            self.process = None
            await asyncio.sleep(self.random.uniform(0.05, 3))

    def _doom(self, step: Step) -> bool:
        trouble = self.trouble
        if (
            self.calm
            or self.kills >= trouble.max_kills
            or step not in trouble.kill_at
            or self.random.random() >= trouble.kill
        ):
            return False
        self.kills += 1
        self.died_at = step
        return True

    async def _follow(self, process: Process) -> None:
        """Do the jobs of the tail one after the other; what a death interrupts is done again."""
        while True:
            while self.jobs_done < len(self.jobs):
                with suppress(StoreUnavailable):  # as `kernel/subscription.py` does
                    await self.jobs[self.jobs_done](process)
                    self.jobs_done += 1
            await asyncio.sleep(0.02)

    async def _start(self, life: Life) -> Process:
        """Put the parts together as `services/account.py` does."""
        name, owner = f"account:{ACCOUNT}", f"life {life.number}"
        fence = await self.leases.acquire(name, owner)
        assert fence is not None, "the life before has let its lease go"
        store = MortalStore(life, self.store, Random(self.seed + life.number), self._store_away)
        bus = self._bus(store)
        venue = MortalOrders(life, InProcessOrders(self.exchange, 1), self.witness)
        session = MortalAccount(life, InProcessAccount(self.exchange, 1))

        async def write(command: Any, actor: Actor) -> Decided:
            return await bus.dispatch(command, Context(correlation_id=ACCOUNT, actor=actor), fence=fence)

        async def place(command: PlaceOrder, context: Context) -> Decided:
            return await bus.dispatch(command, context, fence=fence)

        async def load_open() -> list[OpenBracket]:
            reserved = RISK.fold(decode_all(await store.read_stream(risk_stream(ACCOUNT)))).reserved
            brackets = []
            for group_id in reserved:
                events = await load_bracket(store, group_id)
                milestones = PROTECTION.fold(decode_all(await store.read_stream(protection_stream(group_id))))
                wanted_out = milestones.close_requested and not milestones.closed
                brackets.append(
                    OpenBracket(group_id, events, wanted_out, milestones.closed_elsewhere, milestones.closed)
                )
            return brackets

        async def was_placed(order_id: OrderId) -> bool:
            return bool(await store.read_stream(order_stream(order_id)))

        journal = Journal(write)
        patience = DeskPatience()
        keeper = self.keeper_type(journal, self.clock, self.alarm, life.reached)
        desk = self.desk_type(venue, session, journal, self.clock, keeper, patience, life.reached)
        keeper.attach(desk)
        worker = AccountWorker(
            ACCOUNT,
            USER,
            session=session,
            ledger=ReadingLedger(session),
            desk=desk,
            keeper=keeper,
            writer=journal,
            load_open=load_open,
            load_bracket=partial(load_bracket, store),
            dispatch=place,
            venue_said=lambda _at: None,
            clock=self.clock,
            alerts=self.alarm,
            takeover_seconds=patience.predecessor,
        )
        listed = {(Exchange.BINANCE, i.symbol): instrument(i) for i in STRATEGIES.values()}
        needs = RoutingNeeds(
            {ACCOUNT: worker},
            listed,
            self.facts,
            nobody_there,
            was_placed,
        )
        router = SignalRouter(self.book, needs, bus, self.clock, life.reached)
        return Process(life, worker, keeper, router, fence)

    def _store_away(self) -> float:
        return 0.0 if self.calm else self.trouble.store_away

    def _bus(self, store: EventStore) -> CommandBus:
        bus = CommandBus(store, self.clock, Ids(self.clock, self.random.randbytes))
        risk.register(bus)
        orders.register(bus, RISK)
        execution.register(bus, RISK)
        return bus

    # Watching ---------------------------------------------------------------------------------------------------------

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            self._look()

    def _look(self) -> None:
        if not self.founded:
            return
        process, now = self.process, self.clock.monotonic()
        in_step = None
        if process and process.life.alive and process.worker.ready.is_set():
            in_step = process.in_step_since = process.in_step_since or now
        leaving: dict[str, float] = {}
        for bracket in process.keeper.open_brackets.values() if process else ():
            for order in bracket.of(Leg.EMERGENCY)[:1]:
                leaving[order.created.symbol] = (order.created.created_at - START).total_seconds()
        self.judge.look(now, in_step, leaving)

    async def _until_quiet(self) -> bool:
        end = self.clock.monotonic() + QUIET_SECONDS
        quiet_since = None
        while self.clock.monotonic() < end:
            await asyncio.sleep(0.25)
            if self._busy():
                quiet_since = None
            elif quiet_since is None:
                quiet_since = self.clock.monotonic()
            elif self.clock.monotonic() - quiet_since > 3:
                return True
        return False

    def _busy(self) -> str:
        process = self.process
        if process is None:
            return "no process"
        jobs = len(self.jobs) - self.jobs_done
        under_way = process.worker.busy
        open_brackets = {
            f"{key}: position {b.position}, legs {[(k, v.state) for k, v in b.legs.items()]}"
            for key, b in process.keeper.open_brackets.items()
            if b.position <= 0
        }
        return (
            f"{jobs} jobs, {under_way} tasks, flat and open: {open_brackets}"
            if jobs or under_way or open_brackets
            else ""
        )


def instrument(listed: sim_records.Instrument) -> Instrument:
    """Return the filters of a symbol as PATRIOT reads them."""
    return Instrument(
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


async def nobody_there(_account_id: AccountId, _signal: SignalGenerated) -> OrderId | None:
    """The one account always has its worker here."""
    return None
