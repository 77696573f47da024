"""A trading day of some accounts in a fraction of a second: exchange, market, person, processes, faults. One seed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from math import inf
from random import Random
from typing import Any
from uuid import UUID

import structlog

from patriot.adapters.vault import MasterKey, MemoryShelf, Vault
from patriot.kernel.bus import CommandBus
from patriot.kernel.errors import in_words
from patriot.kernel.eventstore import Context
from patriot.kernel.ids import Ids, derived_id
from patriot.kernel.memory import MemoryCheckpoints, MemoryEventStore
from patriot.risk import streams as risk
from patriot.risk.commands import HaltTrading
from patriot.risk.events import HaltLevel, Scope
from patriot.services.execution import ExecutionService
from patriot.services.plugged_in import ExchangeAddress
from patriot.simulation.books import Books
from patriot.simulation.faults import Dice, Fault, Trouble, trouble_of
from patriot.simulation.judge import LOOK_SECONDS, AtWork, Client, Halts, Judge
from patriot.simulation.loop import Life, VirtualClock, VirtualLoop, run_virtually, seeded
from patriot.simulation.market import SYMBOLS, Person, Scribe, closing_signal, move_prices, next_signal
from patriot.simulation.plan import Plan
from patriot.simulation.process import Process, Shared
from patriot.simulation.store import MovableLeases, StoreLine, Weather
from patriot.simulation.tap import Wires
from patriot.simulation.venue import SimulatedVenue
from patriot.strategies.events import SignalAction, SignalGenerated, signal_stream
from patriot.trading.terms import AccountId, StrategyId

START_SECONDS = 60.0
QUIET_SECONDS = 200.0  # at most, until nothing is under way any more
STANDING_SECONDS = 3.0  # that quiet has to last
FINAL_HALT = "SIMULATION_ENDS"


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a world is."""

    accounts: int
    replicas: int
    seconds: float
    signal_every: float
    jump: float


def shape_of(seed: int) -> Shape:
    """Return the size of a run: most are short, some see more than twenty brackets, some many accounts."""
    random = seeded(seed, "shape")
    size = random.random()
    long, wide = size < 0.1, size > 0.95
    return Shape(
        accounts=1 if long else random.randint(6, 8) if wide else random.choice((1, 2, 2, 3)),
        replicas=random.choice((1, 1, 2)),
        seconds=240.0 if long else random.uniform(15, 25) if wide else random.uniform(25, 50),
        signal_every=random.uniform(3, 7),
        jump=random.choice((0.0, 0.05, 0.15)),
    )


@dataclass
class World:
    """Everything of one run."""

    seed: int
    trouble: Trouble | None = None
    shape: Shape | None = None
    without: frozenset[str] = frozenset()
    service_type: type[ExecutionService] = ExecutionService
    trace: list[str] = field(default_factory=list)
    halts: Halts = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    kills: int = 0
    trading_ends: float = inf
    wrong_by: timedelta = timedelta()  # the machine's clock, of processes and strategies
    lines: dict[str, StoreLine] = field(default_factory=dict)  # of each process, by its name, to the store

    def run(self) -> Judge:
        """Run to the end in virtual time, and return the judge with what it found."""
        spoken = structlog.get_config()
        # What services log is not looked at; put into words, it would take a third of the time.
        structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
        try:
            return run_virtually(self._run())
        finally:
            structlog.configure(**spoken)

    def note(self, text: str) -> None:
        """Add a line to what happened."""
        self.trace.append(f"{self.loop.time():9.3f} {text}")

    async def _run(self) -> Judge:
        await self._found()
        chores = [asyncio.create_task(work) for work in (self.venue.keep_house(), self._watch(), self._supervise())]
        await self._wait_for(lambda: not self._left_alone(), START_SECONDS)
        planned = asyncio.create_task(self.plan.bring())
        if await self._trade():
            await planned
        planned.cancel()
        self._calm_down()
        quiet = await self._wind_up()
        if not quiet:
            self.judge.blame(4, f"still busy {QUIET_SECONDS} s after the last trouble: {self._busy()}")
        self._look()
        services = [one.execution for one in self.processes if one.alive and one.execution is not None]
        await self._books.conclude(self.halts, dict(self._checkpoints._places), services)
        for task in chores:
            if task.done():
                task.result()
            task.cancel()
        await asyncio.gather(*chores, return_exceptions=True)
        await self._end_processes()
        self.processes.clear()
        return self.judge

    # What is there before the first signal ----------------------------------------------------------------------------

    async def _found(self) -> None:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualLoop):
            raise TypeError("a world runs on a virtual loop")
        self.loop, self.clock = loop, VirtualClock()
        self.shape = self.shape or shape_of(self.seed)
        self.dice = Dice(self.seed, self.trouble or trouble_of(self.seed), self.without)
        self.random = seeded(self.seed, "market")
        ids = Ids(self.clock, seeded(self.seed, "ids").randbytes)
        self.replicas = self.shape.replicas
        self.leases = MovableLeases(self.clock)
        self.store = MemoryEventStore(self.clock, self.leases)
        self._checkpoints = MemoryCheckpoints()
        self.weather = Weather()
        self._world_context = copy_context()
        self.venue = SimulatedVenue(self.seed, self.clock)
        await self.venue.start()
        vault = Vault(MemoryShelf(), MasterKey(seeded(self.seed, "master key").randbytes(32)))
        clients = []
        for number in range(self.shape.accounts):
            uid, key = self.venue.open_account(Decimal(10_000 + 1_000 * number))
            clients.append(Client(AccountId(UUID(int=100 + uid)), uid))
            await vault.store(clients[-1].account_id, 1, key)
        venue, leases = self.venue, self.leases.given
        self.judge = Judge(venue.engine, clients, self.dice, self.loop.time, self.note, leases, venue.hears)
        self.venue.exchange.watch = self.judge.applied
        self.venue.exchange.subscribe(lambda _events: self.judge.stir())
        self._books = Books(self.judge, self.venue, self.store)
        self.person = Person(self.venue)
        self._scribe = Scribe(self.store, ids)
        self._bus = CommandBus(self.store, self.clock, ids)
        risk.register(self._bus)
        await self._scribe.found(clients)
        self._shared = Shared(
            self.store,
            self._checkpoints,
            self.leases,
            vault,
            ExchangeAddress(self.venue.url, self.venue.ws_url),
            self._line_to_store,
            self.note,
            self.judge.crashed,
            self.judge.wrote_unfenced,
            lambda life: seeded(self.seed, life.name),
        )
        self.plan = Plan(self)
        self.wires = Wires(
            loop=self.loop,
            dice=self.dice,
            witness=self.judge,
            uid_of_key=self.venue.uid_of_key,
            uid_of_listen_key=self.venue.uid_of_listen_key,
            may_kill=lambda _life: self._may_kill(),
            kill=self._kill,
        )
        self.judge.overloaded, self.judge.listens = self.wires.is_overloaded, venue.listens
        self.loop.network.between = self.wires.between

    # Processes --------------------------------------------------------------------------------------------------------

    def _line_to_store(self, life: Life) -> StoreLine:
        def doom(appended: str, committed: bool) -> bool:
            trouble, step = self.dice.trouble, f"append {appended}"
            if Fault.KILL_AT_APPEND not in trouble.kinds or not self._may_kill() or not life.alive:
                return False
            if not trouble.may_kill_at(step):
                return False
            name = self.dice.numbered(f"kill {'after' if committed else 'before'} append of {appended}")
            if self.dice.falls(name, trouble.kills) is None:
                return False
            now = self.loop.time()
            self.dice.note(name, Fault.KILL_AT_APPEND, step, now, now, 0)
            return True

        random = seeded(self.seed, "store", life.name)
        line = StoreLine(life, self._world_context, self.weather, random, doom, lambda: self._kill(life))
        self.lines[life.name] = line
        return line

    def _may_kill(self) -> bool:
        return not self.dice.calm and self.kills < self.dice.trouble.max_kills

    def _kill(self, life: Life) -> None:
        if life.alive:
            self.kills += 1
            self.note(f"{life.name} is killed")
            self.loop.end(life)

    def kill_one(self, random: Random) -> None:
        """Kill any of the processes."""
        living = [process.life for process in self.processes if process.alive]
        if living:
            self._kill(random.choice(living))

    def set_clock(self, change: timedelta) -> None:
        """Step the machine's clock."""
        self.wrong_by += change
        for process in self.processes:
            process.clock.wrong_by += change

    async def _supervise(self) -> None:
        """Start processes, and start them again when they are gone."""
        born, random = 0, seeded(self.seed, "supervisor")
        while True:
            for process in self.processes:
                if process.life.alive and process.task.done():
                    self._take_failure(process)
            living = [process for process in self.processes if process.alive]
            for _ in range(self.replicas - len(living)):
                born += 1
                process = Process(Life(f"process {born}"), self._shared, self.service_type)
                process.clock.wrong_by = self.wrong_by
                self._skew(process, born)
                self.processes.append(process)
                self.note(f"{process.life.name} starts")
            await asyncio.sleep(random.uniform(0.5, 3))

    def _skew(self, process: Process, number: int) -> None:
        name = f"clock of process {number}"
        random = self.dice.falls(name, 0.3)
        if random is not None and Fault.CLOCK_SKEWED in self.dice.trouble.kinds:
            seconds = random.choice((-8.0, -2.0, 2.0, 8.0))
            process.clock.wrong_by += timedelta(seconds=seconds)
            now = self.loop.time()
            self.dice.note(name, Fault.CLOCK_SKEWED, "start", now, now, 0)
            self.note(f"{process.life.name} has a clock wrong by {seconds} s")

    def _take_failure(self, process: Process) -> None:
        process.life.alive = False
        error = None if process.task.cancelled() else process.task.exception()
        self.note(f"{process.life.name} ended by itself: {error!r}")
        if process.execution is None or not process.execution.started.is_set():
            if error is not None:
                self.judge.crashed("a process that starts", error)  # else it could not serve, and is started again
            return
        self.judge.blame(2, f"a process ended by itself: {in_words(error) if error else 'canceled, or done'}")

    async def _end_processes(self) -> None:
        """Ask what still lives to end: a task that was canceled ends."""
        living = [process for process in self.processes if process.alive]
        for process in living:
            process.task.cancel()
        if living:
            _, left = await asyncio.wait([process.task for process in living], timeout=30)
            for _ in left:
                self.judge.blame(2, "a process did not end within 30 s of being told to")

    async def command(self, command: Any) -> None:
        """Have a person's command carried out."""
        await self._bus.dispatch(command, Context(derived_id("operator", self.clock.now())))

    # The market -------------------------------------------------------------------------------------------------------

    async def _trade(self) -> bool:
        """Let prices move and strategies speak; return whether the day was as long as it was meant to be."""
        shape, random = self.shape, self.random
        assert shape is not None  # noqa: S101  set before
        meant = self.trading_ends = self.loop.time() + shape.seconds
        next_at = self.loop.time() + 0.5
        while self.loop.time() < self.trading_ends:
            await asyncio.sleep(random.uniform(0.2, 0.6))
            move_prices(self.venue, random, shape.jump)
            if self.loop.time() >= next_at:
                next_at = self.loop.time() + random.expovariate(1 / shape.signal_every)
                await self.signal(random)
        return self.trading_ends == meant

    async def signal(self, random: Random) -> None:
        """Let a strategy say what it likes."""
        await self._say(next_signal(self.venue, random, self.clock.now() + self.wrong_by, len(self.judge.signals) + 1))

    async def close(self, strategy_id: StrategyId) -> None:
        """Let a strategy close what it holds."""
        await self._say(
            closing_signal(self.venue, strategy_id, self.clock.now() + self.wrong_by, len(self.judge.signals) + 1)
        )

    async def _say(self, signal: SignalGenerated) -> None:
        self.judge.signals.append(signal.signal_id)
        meant_at = self.judge.meant[signal.signal_id] = signal.generated_at - self.wrong_by
        self.note(f"signal {signal.action} {signal.symbol} stop {signal.stop_price} target {signal.take_profit_price}")
        await self._scribe.write(signal_stream(signal.signal_id), signal.generated_at, signal)
        if signal.action is SignalAction.CLOSE and meant_at == self.clock.now():
            self.judge.told_to_close([signal.symbol], "its strategy closed")

    # The end ----------------------------------------------------------------------------------------------------------

    def _calm_down(self) -> None:
        self.dice.calm = True
        self.weather.away_until = self.weather.full_until = self.weather.slow_until = 0.0
        for way in self.lines.values():
            way.cut_until = way.renewals_lost_until = 0.0
        for line in list(self.loop.network.lines):
            if line.up.silent or line.down.silent:
                line.cut()
        self.note("calm")

    async def _wind_up(self) -> bool:
        """Wait for everybody to work, have everything closed, and wait until nothing is under way."""
        refused = self.wires.refusals()
        if not refused:
            await self._wait_for(lambda: not self._left_alone(), QUIET_SECONDS)
        await self.command(HaltTrading(Scope.GLOBAL, "", HaltLevel.H3, FINAL_HALT, self.clock.now()))
        self.judge.told_to_close(SYMBOLS.values(), "a halt that closes")
        if refused:
            await self._wait_for(lambda: not self.judge.way_out.open, QUIET_SECONDS)
            self.wires.refused.clear()
            await self._wait_for(lambda: not self._left_alone(), QUIET_SECONDS)
        return await self._wait_for(lambda: not self._busy(), QUIET_SECONDS, STANDING_SECONDS)

    async def _wait_for(self, state: Callable[[], bool], seconds: float, standing: float = 0.0) -> bool:
        end, since = self.loop.time() + seconds, None
        while self.loop.time() < end:
            await asyncio.sleep(0.25)
            since = (since or self.loop.time()) if state() else None
            if since is not None and self.loop.time() - since >= standing:
                return True
        return False

    def _left_alone(self) -> list[int]:
        at_work = self._at_work()
        return [one.uid for one in self.judge.clients if self.judge.acting_since(one.account_id, at_work) is None]

    def _at_work(self) -> AtWork:
        now, at_work = self.loop.time(), {}
        for process in self.processes:
            for client in self.judge.clients:
                worker = process.worker(client.account_id)
                if worker is None or not worker.acting.is_set():
                    process.acting_since.pop(client.account_id, None)
                    continue
                since = process.acting_since.setdefault(client.account_id, now)
                at_work[process.life.name, client.account_id] = since
        return at_work

    def _busy(self) -> str:
        """Return what is under way, empty if nothing."""
        held = [
            f"account {client.uid} holds {symbol}"
            for client in self.judge.clients
            for symbol in SYMBOLS.values()
            if self.venue.held(client.uid, symbol)
        ]
        workers = [process.worker(client.account_id) for process in self.processes for client in self.judge.clients]
        brackets = [f"open bracket {key}" for one in workers if one is not None for key in one.keeper.open_brackets]
        at_work = [f"work {one.busy}" for one in workers if one is not None and one.busy]
        at_work += [f"late legs of {one.account_id}" for one in workers if one is not None and not one.late_legs.done]
        alone = [f"nobody for account {uid}" for uid in self._left_alone()]
        return ", ".join((*at_work, *held, *brackets, *alone))

    # Watching ---------------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._look()

    def _look(self) -> None:
        living = [process.started_at for process in self.processes if process.alive]
        self.judge.look(self._at_work(), min(living) if living else None)
