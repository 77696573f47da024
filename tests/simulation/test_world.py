"""Seeds of the whole platform: what must hold in them, that they replay, and that trouble really comes."""

import asyncio
import gc
import weakref
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from patriot.execution.worker import AccountWorker
from patriot.kernel.errors import StoreUnavailable
from patriot.kernel.eventstore import START
from patriot.services.risk import RiskService
from patriot.simulation.books import Books
from patriot.simulation.faults import CALM, OF_LIVES, Fault, Trouble
from patriot.simulation.loop import run_virtually
from patriot.simulation.world import Shape, World

pytestmark = pytest.mark.integration

ROUGH = Trouble(planned=8)
SMALL = Shape(accounts=1, replicas=1, seconds=10, signal_every=5, jump=0)
ORDER_PATH = (
    "append order.created",
    "append order.submitted",
    "POST /fapi/v1/order ENTRY",
    "append order.accepted",
    "append order.filled",
    "POST /fapi/v1/algoOrder STOP",
    "POST /fapi/v1/algoOrder TARGET",
    "POST /fapi/v1/order CLOSE",
    "append order.cancel_requested",
    "DELETE /fapi/v1/algoOrder STOP",
    "append order.canceled",
    "append position.closed",
    "append execution.signal_routed",
)


def test_calm_days_break_no_law_and_protect_at_once() -> None:
    worlds = [World(seed, CALM) for seed in range(8)]
    judges = [world.run() for world in worlds]

    assert not [violation for judge in judges for violation in judge.violations]
    assert max(judge.longest_naked for judge in judges) < 0.5
    assert sum(judge.placed.total() for judge in judges) > 80


@pytest.mark.parametrize("step", ORDER_PATH)
def test_laws_hold_when_killed_at_each_step(step: str) -> None:
    """Before or after the step, as chance has it, and again in the next life."""
    kills = 0
    for seed in range(6):
        world = World(seed, replace(CALM, kinds=frozenset(OF_LIVES), kills=0.5, max_kills=4, kill_at=frozenset({step})))
        assert not world.run().violations, f"seed {seed}"
        kills += world.kills
    assert kills, f"no run ever came to {step}"


@pytest.mark.parametrize("seed", [5, 23])
def test_same_seed_gives_the_same_bytes(seed: int) -> None:
    def history() -> tuple[list[str], list[object], list[tuple[str, bytes]]]:
        world = World(seed, ROUGH)
        judge = world.run()
        log = run_virtually(world.store.feed.read(START, 100_000)).events
        return world.trace, list(judge.dice.injections), [(e.data, e.event_hash) for e in log]

    assert history() == history()


def test_nothing_of_a_world_outlives_it() -> None:
    world = World(0, CALM, SMALL)
    world.run()
    left = weakref.ref(world)

    del world
    gc.collect()

    assert left() is None


def test_leaving_a_fault_out_leaves_the_others_in_their_place() -> None:
    whole = World(23, ROUGH).run().dice.injections
    last = whole[-1].name

    rest = World(23, ROUGH, without=frozenset({last})).run().dice.injections

    assert last not in [one.name for one in rest]
    assert [one.name for one in rest][: len(whole) - 1] == [one.name for one in whole[:-1]]


def test_every_kind_of_fault_is_seen_to_happen() -> None:
    """A simulation without faults in it proves nothing."""
    met = Counter[Fault]()
    for seed in range(200, 240):
        met.update(one.fault for one in World(seed, ROUGH).run().dice.injections)
        if len(met) == len(Fault):
            break

    assert set(Fault) - set(met) == set()


def test_books_are_looked_at_only_while_somebody_works_for_every_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody works, nothing is under way, and nobody writes down what the exchange did."""
    calm_down, conclude = World._calm_down, Books.conclude
    at_work: list[list[bool]] = []

    def lose_lease(world: World) -> None:
        calm_down(world)
        world.loop.create_task(world.plan.move_lease(world.judge.clients[0], 25.0))

    async def look(books: Books, *given: Any) -> None:
        workers = [process.worker(one.account_id) for process in world.processes for one in world.judge.clients]
        at_work.append([worker is not None and worker.acting.is_set() for worker in workers])
        await conclude(books, *given)

    monkeypatch.setattr(World, "_calm_down", lose_lease)
    monkeypatch.setattr(Books, "conclude", look)
    for seed in range(3):
        world = World(seed, CALM, SMALL)
        world.run()

    assert at_work == [[True], [True], [True]]


def test_work_that_never_comes_to_its_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AccountWorker, "busy", property(lambda _worker: "for ever"))

    assert World(0, CALM, SMALL).run().violations == ["law 4: still busy 200.0 s after the last trouble: work for ever"]


def test_process_that_ends_by_itself_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    run, lives = RiskService.run, []

    async def break_once(service: RiskService) -> None:
        lives.append(service)
        if len(lives) == 1:
            await asyncio.sleep(5)
            raise RuntimeError("it broke")
        await run(service)

    monkeypatch.setattr(RiskService, "run", break_once)

    assert World(0, CALM, SMALL).run().violations == ["law 2: a process ended by itself: RuntimeError: it broke"]
    assert len(lives) == 2


def test_process_that_cannot_begin_is_told_unless_a_fault_explains_it(monkeypatch: pytest.MonkeyPatch) -> None:
    run, lives = RiskService.run, []
    breaks: list[Exception] = [StoreUnavailable("away"), KeyError("at its start")]

    async def break_twice(service: RiskService) -> None:
        lives.append(service)
        if breaks:
            raise breaks.pop(0)
        await run(service)

    monkeypatch.setattr(RiskService, "run", break_twice)

    told = World(0, CALM, SMALL).run().violations
    assert told == ["law 2: a process that starts ended by itself: KeyError: 'at its start'"]
    assert len(lives) == 3


def test_process_that_does_not_end_when_told_to_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    run = RiskService.run

    async def linger(service: RiskService) -> None:
        try:
            await run(service)
        finally:
            await asyncio.sleep(40)

    monkeypatch.setattr(RiskService, "run", linger)

    assert World(0, CALM, SMALL).run().violations == ["law 2: a process did not end within 30 s of being told to"]
