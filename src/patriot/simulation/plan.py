"""Brings the trouble that is no request's, message's or step's: at moments, and of a kind, that the seed names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from math import inf
from random import Random
from typing import TYPE_CHECKING

from patriot.risk.commands import HaltTrading, ResumeTrading
from patriot.risk.events import HaltLevel, Scope
from patriot.simulation.faults import PLANNED, RESTART, Fault
from patriot.simulation.judge import Client
from patriot.simulation.loop import seeded
from patriot.simulation.market import SYMBOLS
from patriot.simulation.pages import CODES_OF_ACCOUNTS, CODES_OF_SYMBOLS, READS_OF_ACCOUNTS, READS_OF_SYMBOLS
from patriot.simulation.tap import UNHEARD_SECONDS, RefusedRead

if TYPE_CHECKING:
    from patriot.simulation.world import World

REPLICAS_THAT_CONTEND = 2
REPLICA_SECONDS = 5.0  # until one that comes late waits for leases
REFUSED_SECONDS = (60.0, 120.0, inf, inf)  # inf: until the way out was seen at the end of the day
HELD_AGAIN_SECONDS = 0.5
TRADED_ON_SECONDS = (2.0, 15.0)  # after a read is refused
ALL_HELD_SECONDS = 8.0
RESTARTED = 0.75  # of the days on which a read is refused: some reads come at a start alone
STOPS_CANCELED = 2  # by a person while reads are refused, so that there is something to see to


class Plan:
    """What is to come over a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._halting = False

    async def bring(self) -> None:
        """Bring everything in its turn."""
        world = self._world
        trouble, shape = world.dice.trouble, world.shape
        possible = [fault for fault in PLANNED if fault in trouble.kinds and fault is not Fault.CLOCK_SKEWED]
        if shape is None:
            return
        often = round(trouble.planned * shape.seconds / 40)
        kinds: list[tuple[str, Iterable[Fault], int, float]] = [
            ("plan", possible, often, shape.seconds),
            ("overload", [Fault.OVERLOADED], often, shape.seconds),
            ("refused read", [Fault.READ_REFUSED], 1, shape.seconds / 2),
            ("clock set back", [Fault.CLOCK_SET_BACK], 1, shape.seconds / 2),
        ]
        plan: list[tuple[float, str, Fault, Random]] = []
        for kind, choice, times, latest in kinds:
            for number in range(times if trouble.kinds.intersection(choice) else 0):
                name = f"{kind} {number}"
                random = seeded(world.seed, name)
                plan.append((random.uniform(1, latest), name, random.choice(list(choice)), random))
        start = world.loop.time()
        for at, name, fault, random in sorted(plan, key=lambda entry: entry[:2]):
            await asyncio.sleep(max(0.0, start + at - world.loop.time()))
            if name not in world.without:
                await self._bring(name, fault, random)

    async def _bring(self, name: str, fault: Fault, random: Random) -> None:
        world = self._world
        now, client = world.loop.time(), random.choice(world.judge.clients)
        seconds, uid, what = 0.0, client.uid, ""
        match fault:
            case Fault.KEY_GONE:
                world.venue.end_listen_key(uid)
                seconds = UNHEARD_SECONDS
            case Fault.FILL_IN_PARTS:
                world.venue.fill_in_parts(random.choice(list(SYMBOLS.values())), random.randint(2, 4))
            case Fault.LEASE_MOVED:
                world.loop.create_task(self.move_lease(client, random.choice((0.5, 2.0, 4.0, 25.0))))
            case Fault.LEASE_LOST:
                world.loop.create_task(self._lose_lease(client, random))
            case Fault.STORE_AWAY:
                world.weather.away_until = now + random.uniform(0.5, 8)
            case Fault.STORE_FULL:
                world.weather.full_until = now + random.uniform(0.5, 8)
            case Fault.STORE_SLOW:
                world.weather.slow_until = now + random.uniform(2, 10)
                world.weather.slow_seconds = random.choice((0.05, 0.3, 1.0))
            case Fault.WEIGHT_SPENT:
                world.wires.others_weight = random.randint(1_700, 2_200)
                world.wires.others_until = now - now % 60 + 60
            case Fault.OVERLOADED:
                world.wires.overloaded_until = now + random.uniform(3, 20)
            case Fault.CLOCK_STEP:
                for process in world.processes[-1:]:
                    process.clock.wrong_by += timedelta(seconds=random.choice((-8, -1.5, 1.5, 8)))
            case Fault.CLOCK_SET_BACK:
                world.loop.create_task(self._set_clock_back(name, random))
                return
            case Fault.READ_REFUSED:
                world.loop.create_task(self._refuse_a_read(name, random))
                return
            case Fault.HALT:
                world.loop.create_task(self._halt_for(random.uniform(8, 15)))
            case _:
                what = world.person.act(fault, client, random)
                if not what:
                    return
        world.note(f"{fault.value} {what}")
        world.dice.note(name, fault, "plan", now, now + seconds, uid)

    async def move_lease(self, client: Client, seconds: float) -> None:
        """Let somebody else have an account's lease for a while, without a word to its owner."""
        world, name = self._world, f"account:{client.account_id}"
        world.leases.take_away(name)
        fence = await world.leases.give(name, "somebody else", "somebody else")
        await asyncio.sleep(seconds)
        if fence is not None:
            await world.leases.release(fence, "somebody else")

    async def _lose_lease(self, client: Client, random: Random) -> None:
        """Let another replica have an account's lease while its owner hears nothing of it, and a strategy speak then.

        The owner's renewals are lost, or hang, or it does not reach the store at all.
        """
        world = self._world
        if world.replicas < REPLICAS_THAT_CONTEND:
            world.replicas = REPLICAS_THAT_CONTEND
            await asyncio.sleep(REPLICA_SECONDS)
        name = f"account:{client.account_id}"
        owner = world.lines.get(world.leases.given.get(name, ("", 0.0))[0])
        if owner is None or world.dice.calm:
            return
        deaf_until = world.loop.time() + random.uniform(3, 8)
        if random.random() < 0.3:
            owner.cut_until = deaf_until
        owner.renewals_lost_until, owner.renewals_hang = deaf_until, random.random() < 0.5
        world.leases.take_away(name)
        await asyncio.sleep(random.uniform(0, 3))
        if not world.dice.calm:
            await world.signal(random)

    async def _halt_for(self, seconds: float) -> None:
        """Halt and close everything for a while; the first seconds are the tail's to hear of it."""
        world = self._world
        if self._halting:
            return
        self._halting, start = True, world.clock.now()
        await world.command(HaltTrading(Scope.GLOBAL, "", HaltLevel.H3, "MANUAL", start))
        world.judge.told_to_close(SYMBOLS.values(), "a halt that closes")
        await asyncio.sleep(seconds)
        world.halts.append((start + timedelta(seconds=4), world.clock.now()))
        await world.command(ResumeTrading(Scope.GLOBAL, "", "MANUAL", world.clock.now()))
        self._halting = False
        world.note("halt ends")

    async def _set_clock_back(self, name: str, random: Random) -> None:
        """Set the machine's clock back while a strategy's position stands, and let the strategy close it then."""
        world, seconds = self._world, random.choice((3.0, 8.0, 30.0, 120.0))
        while not (held := [one for one, symbol in SYMBOLS.items() if world.judge.holders(symbol)]):
            await asyncio.sleep(HELD_AGAIN_SECONDS)
            if world.dice.calm:
                return
        world.set_clock(timedelta(seconds=-seconds))
        now = world.loop.time()
        world.note(f"{Fault.CLOCK_SET_BACK.value} by {seconds} s")
        world.dice.note(name, Fault.CLOCK_SET_BACK, "position open", now, now, None)
        await asyncio.sleep(random.uniform(0.5, 4))
        if not world.dice.calm:
            await world.close(random.choice(held))

    async def _refuse_a_read(self, name: str, random: Random) -> None:
        """Have the exchange refuse an account that holds positions one kind of read for long, whatever restarts."""
        world = self._world
        if (found := await self._holder_of_most(random)) is None:
            return
        client, held = found
        of_symbol = random.random() < 0.5
        path = random.choice(READS_OF_SYMBOLS if of_symbol else READS_OF_ACCOUNTS)
        symbol = random.choice(held) if of_symbol else ""
        code = random.choice(CODES_OF_SYMBOLS if of_symbol else CODES_OF_ACCOUNTS)
        until = world.loop.time() + random.choice(REFUSED_SECONDS)
        refused = RefusedRead(name, client.uid, path, symbol, code, until)
        world.wires.refused.append(refused)
        world.note(f"{Fault.READ_REFUSED.value}: {refused}")
        # Else the market would have closed what is held before the way out of it is judged.
        world.trading_ends = min(world.trading_ends, world.loop.time() + random.uniform(*TRADED_ON_SECONDS))
        await self._stir(name, client, random)

    async def _holder_of_most(self, random: Random) -> tuple[Client, list[str]] | None:
        """Return an account with positions on all symbols, after a while with one on any; None if there is none."""
        world, began = self._world, self._world.loop.time()
        while not world.dice.calm:
            symbols = list(SYMBOLS.values())
            held = [(one, [s for s in symbols if one.uid in world.judge.holders(s)]) for one in world.judge.clients]
            patient = world.loop.time() - began < ALL_HELD_SECONDS
            enough = [entry for entry in held if len(entry[1]) >= (len(symbols) if patient else 1)]
            if enough:
                return random.choice(enough)
            await asyncio.sleep(HELD_AGAIN_SECONDS)
        return None

    async def _stir(self, name: str, client: Client, random: Random) -> None:
        """Kill a process, and cancel stops of an account by hand: whoever restarts has something to see to."""
        world, start = self._world, self._world.loop.time()
        acts = [
            (random.uniform(1, 10), Fault.STOP_CANCELED, f"{name} stop {number}") for number in range(STOPS_CANCELED)
        ]
        if random.random() < RESTARTED:
            acts.append((random.uniform(0.5, 5), Fault.READ_REFUSED, f"{name} {RESTART}"))
        for after, fault, act in sorted(acts, key=lambda entry: entry[0]):
            await asyncio.sleep(max(0.0, start + after - world.loop.time()))
            if world.dice.calm:
                return
            if act in world.without:
                continue
            if fault is Fault.READ_REFUSED:
                world.kill_one(random)
            elif not world.person.act(fault, client, random):
                continue
            now = world.loop.time()
            world.dice.note(act, fault, RESTART if fault is Fault.READ_REFUSED else "plan", now, now, client.uid)
