"""The order path, whole, through faults and kills: whatever the seed, no law is broken.

`PATRIOT_LAW_SEEDS=5000` runs more seeds. A seed that fails is named, and replays exactly.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from patriot.adapters.exchanges.inprocess.faults import FaultRates
from patriot.execution.effects import BracketKeeper
from patriot.kernel.eventstore import START
from patriot.orders.desk import OrderDesk
from patriot.simulation.loop import run_virtually
from patriot.trading.steps import Step
from tests.laws import broken
from tests.laws.judge import Judge
from tests.laws.world import Trouble, World

pytestmark = pytest.mark.integration

SEEDS = int(os.environ.get("PATRIOT_LAW_SEEDS", "240"))
SEEDS_PER_TEST = 20
CALM = Trouble(rates=FaultRates(), store_away=0.0, kill=0.0)
LOSSY = Trouble(rates=FaultRates(lost_answer=0.4, lost_request=0.1), store_away=0.0, kill=0.0)
DEAF = Trouble(rates=FaultRates(lost_answer=0.4, gap=0.4), store_away=0.0, kill=0.0)
ORDER_PATH = (
    Step.ORDER_CREATED,
    Step.ORDER_SUBMITTED,
    Step.ORDER_SENT,
    Step.ORDER_ACCEPTED,
    Step.FILL_RECEIVED,
    Step.STOP_SENT,
    Step.STOP_ACCEPTED,
    Step.TARGET_SENT,
    Step.CLOSE_SENT,
    Step.CANCEL_SENT,
    Step.POSITION_CLOSED,
    Step.SIGNAL_ROUTED,
)


def judged(world: World) -> Judge:
    return run_virtually(world.run())


def findings(world: World) -> str:
    """Return what a run broke, with all that is needed to see it again."""
    violations = judged(world).violations
    return "\n".join((f"seed {world.seed}:", *violations, *world.trace)) if violations else ""


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_PER_TEST))
def test_laws_hold_through_faults_and_kills(first: int) -> None:
    for seed in range(first, min(first + SEEDS_PER_TEST, SEEDS)):
        assert not findings(World(seed))


@pytest.mark.parametrize("step", ORDER_PATH)
def test_laws_hold_when_killed_at_each_step(step: Step) -> None:
    killed = 0
    for seed in range(16):
        world = World(seed, Trouble(rates=FaultRates(), store_away=0.0, kill=0.5, kill_at=frozenset({step})))
        assert not findings(world)
        killed += world.kills
    assert killed, f"no run ever came to {step}"


def test_calm_day_protects_every_position_at_once() -> None:
    judges = [judged(World(seed, CALM)) for seed in range(12)]

    assert not [violation for judge in judges for violation in judge.violations]
    assert max(judge.longest_naked for judge in judges) < 0.5
    assert sum(judge.placed.total() for judge in judges) > 50


def test_same_seed_gives_the_same_bytes() -> None:
    def history() -> tuple[list[str], list[tuple[str, str, bytes]]]:
        world = World(5)

        async def run() -> list[tuple[str, str, bytes]]:
            await world.run()
            log = (await world.store.feed.read(START, 100_000)).events
            return [(str(e.event_id), e.data, e.event_hash) for e in log]

        events = run_virtually(run())
        return world.trace, events

    assert history() == history()


def test_troubled_days_do_what_they_say() -> None:
    """A simulation without faults in it proves nothing: see that each kind of trouble came."""
    worlds = [World(seed) for seed in range(40)]
    judges = [judged(world) for world in worlds]
    outcomes = {
        attempt.outcome for judge in judges for attempts in judge.witness.attempts.values() for attempt in attempts
    }
    steps = {world.died_at for world in worlds if world.died_at}

    assert {"accepted", "ExchangeRefused", "ExchangeUnavailable", "pending"} <= outcomes
    assert len(steps) >= 4
    assert any(len(judge.placed) > 8 for judge in judges)
    assert any(world.halts for world in worlds)


# The judge can fail ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("desk_type", "trouble", "verdict"),
    [
        (broken.LateDesk, CALM, "law 2: "),
        (broken.BlindDesk, LOSSY, "law 3: "),
        (broken.BlindDesk, LOSSY, "law 1: "),
        (broken.DoublingDesk, CALM, "law 1: 2 orders for the intent"),
        (broken.HastyDesk, DEAF, "is rejected in the log and known to the exchange"),
        (broken.ForgetfulDesk, CALM, "law 4: fills that the log misses"),
        (broken.GreedyDesk, CALM, "law 4: an order that is not ours was touched"),
    ],
)
def test_desk_that_breaks_a_law_is_found(desk_type: type[OrderDesk], trouble: Trouble, verdict: str) -> None:
    assert found(lambda seed: World(seed, trouble, desk_type=desk_type), verdict)


def test_keeper_that_forgets_to_protect_is_found() -> None:
    keeper_type: type[BracketKeeper] = broken.CarelessKeeper
    assert found(lambda seed: World(seed, CALM, keeper_type=keeper_type), "law 2: ")


def test_entry_let_through_a_halt_is_found() -> None:
    assert found(lambda seed: World(seed, CALM, halt_is_heeded=False), "law 5: entry")


def test_way_out_that_a_halt_blocks_is_found() -> None:
    assert found(lambda seed: World(seed, replace(CALM, jump=0.0), way_out_is_open=False), "law 5: ")


def found(build: Callable[[int], World], verdict: str) -> bool:
    """Tell whether the judge names the breach on one of many days."""
    return any(verdict in violation for seed in range(40) for violation in judged(build(seed)).violations)
