"""A runner that dies, hangs, talks nonsense or never starts: found out, ended, replaced, and nothing is forgotten."""

import asyncio
import os
import signal
import sys
from dataclasses import replace

import pytest

from patriot.adapters.runners import InProcessRunners, SubprocessRunners
from patriot.kernel.clock import FakeClock
from patriot.strategies.catalogue import build
from patriot.strategies.interface import Wish
from patriot.strategies.ports import Runner, SpawnRunner
from patriot.strategies.supervisor import Incident, RunnerFailed, RunnerPatience, RunnerSupervisor
from tests.strategies.recorded import RECORDING, minutes_of, quarters_of
from tests.strategies.test_runner import SPEC
from tests.support import eventually

pytestmark = pytest.mark.integration

BARS = quarters_of(minutes_of(RECORDING))
QUICK = RunnerPatience(first_backoff=0.001, longest_backoff=0.01)


def program(code: str) -> SpawnRunner:
    return SubprocessRunners(command=(sys.executable, "-I", "-S", "-c", code))


HANGS = program("import signal; signal.pause()")
SPINS = program("while True: pass")
EXITS = program("")
TALKS_NONSENSE = program("print('Traceback (most recent call last):', flush=True); input()")
NEVER_ENDS_ITS_LINE = program("import sys\nwhile True: sys.stdout.write('x' * 65536)")
ANSWERS_ANOTHER_BAR = program("""print('{"bar_closed_at":"2001-01-01T00:00:00Z","wishes":[]}', flush=True); input()""")
REPORTS_AN_ERROR = program("""print('{"error":"ZeroDivisionError: division by zero"}', flush=True); input()""")
MISSING = SubprocessRunners(command=("/nonexistent/program",))

TROUBLES = {
    "hangs": (HANGS, "no answer within 0.2 s"),
    "spins": (SPINS, "no answer within 0.2 s"),
    "exits": (EXITS, "ended"),
    "nonsense": (TALKS_NONSENSE, "expected an answer, found b'Traceback"),
    "endless": (NEVER_ENDS_ITS_LINE, "cannot be heard"),
    "another bar": (ANSWERS_ANOTHER_BAR, "expected one answer for the bar"),
    "error": (REPORTS_AN_ERROR, "division by zero"),
    "missing": (MISSING, "cannot be started"),
}


class InTurn:
    """Spawn from each of these once, then from the last one for ever; remember what was spawned."""

    def __init__(self, *spawns: SpawnRunner) -> None:
        self._spawns = list(spawns)
        self.runners: list[Runner] = []

    async def __call__(self) -> Runner:
        spawn = self._spawns.pop(0) if len(self._spawns) > 1 else self._spawns[0]
        self.runners.append(await spawn())
        return self.runners[-1]


class Told:
    """What was reported."""

    def __init__(self) -> None:
        self.incidents: list[Incident] = []

    def __call__(self, incident: Incident) -> None:
        self.incidents.append(incident)

    @property
    def problems(self) -> list[str]:
        return [incident.problem for incident in self.incidents]


def undisturbed() -> list[list[Wish]]:
    strategy = build(SPEC)
    wishes = [strategy.on_bar(bar) for bar in BARS]
    assert sum(map(len, wishes)) > 10  # otherwise nothing below proves anything
    return wishes


async def test_supervised_strategy_wishes_what_it_wishes_alone() -> None:
    supervisor = RunnerSupervisor(SubprocessRunners(), FakeClock(), Told())
    await supervisor.start(SPEC, [])
    assert [await supervisor.on_bar(bar) for bar in BARS] == undisturbed()
    await supervisor.close()


async def test_runner_killed_again_and_again_changes_no_wish() -> None:
    told = Told()
    supervisor = RunnerSupervisor(SubprocessRunners(), FakeClock(), told, RunnerPatience(first_backoff=0.001))
    await supervisor.start(SPEC, [])
    wishes = []
    for number, bar in enumerate(BARS):
        if number % 60 == 30:
            assert supervisor.pid
            os.kill(supervisor.pid, signal.SIGKILL)
        wishes.append(await supervisor.on_bar(bar))
    await supervisor.close()
    assert wishes == undisturbed()
    assert len(told.incidents) == 5
    assert {incident.strategy_id for incident in told.incidents} == {"s-1"}


async def test_runner_killed_while_it_is_asked_is_replaced_and_asked_again() -> None:
    supervisor = RunnerSupervisor(InTurn(HANGS, SubprocessRunners()), FakeClock(), Told(), RunnerPatience(answer=30))
    starting = asyncio.create_task(supervisor.start(SPEC, BARS[:50]))
    pid = await eventually(lambda: supervisor.pid)
    os.kill(pid or 0, signal.SIGKILL)
    await starting
    assert [await supervisor.on_bar(bar) for bar in BARS[50:]] == undisturbed()[50:]
    await supervisor.close()


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_trouble_of_a_runner_is_reported_and_the_next_one_answers(trouble: str) -> None:
    bad, problem = TROUBLES[trouble]
    told, spawn = Told(), InTurn(bad, bad, InProcessRunners())
    patience = replace(QUICK, answer=0.2) if bad in (HANGS, SPINS) else QUICK
    supervisor = RunnerSupervisor(spawn, FakeClock(), told, patience)
    await supervisor.start(SPEC, BARS[:40])
    assert [await supervisor.on_bar(bar) for bar in BARS[40:]] == undisturbed()[40:]
    assert len(told.problems) == 2
    assert all(problem in found for found in told.problems)
    for runner in spawn.runners[:-1]:
        with pytest.raises(ProcessLookupError):
            os.kill(runner.pid, 0)
    await supervisor.close()


async def test_runner_that_never_answers_fails_the_bar_and_the_next_bar_knows_of_it() -> None:
    told, expected = Told(), undisturbed()
    spawn = InTurn(InProcessRunners(), EXITS, EXITS, EXITS, EXITS, InProcessRunners())
    supervisor = RunnerSupervisor(spawn, FakeClock(), told, QUICK)
    await supervisor.start(SPEC, BARS[:100])
    await spawn.runners[0].end()
    with pytest.raises(RunnerFailed, match="no answer in 4 attempts"):
        await supervisor.on_bar(BARS[100])
    assert len(told.incidents) == 4
    assert supervisor.wishes == []
    assert [await supervisor.on_bar(bar) for bar in BARS[101:]] == expected[101:]
    await supervisor.close()


async def test_bar_asked_twice_gives_the_same_wishes_and_an_older_one_gives_none() -> None:
    supervisor = RunnerSupervisor(InProcessRunners(), FakeClock(), Told())
    expected = undisturbed()
    wished = next(number for number, wishes in enumerate(expected) if wishes)
    await supervisor.start(SPEC, BARS[:wished])
    assert await supervisor.on_bar(BARS[wished]) == expected[wished]
    assert await supervisor.on_bar(BARS[wished]) == expected[wished]
    assert await supervisor.on_bar(BARS[wished - 1]) == []
    assert [await supervisor.on_bar(bar) for bar in BARS[wished + 1 :]] == expected[wished + 1 :]
    await supervisor.close()


async def test_history_gives_the_wishes_of_its_last_bar() -> None:
    expected = undisturbed()
    wished = next(number for number, wishes in enumerate(expected) if wishes)
    supervisor = RunnerSupervisor(InProcessRunners(), FakeClock(), Told())
    assert await supervisor.start(SPEC, BARS[: wished + 1]) == expected[wished]
    await supervisor.close()


async def test_question_that_is_canceled_leaves_no_answer_behind() -> None:
    supervisor = RunnerSupervisor(InTurn(HANGS, InProcessRunners()), FakeClock(), Told(), RunnerPatience(answer=30))
    starting = asyncio.create_task(supervisor.start(SPEC, BARS[:10]))
    await eventually(lambda: supervisor.pid)
    starting.cancel()
    await asyncio.wait([starting])
    assert supervisor.pid is None
    await supervisor.close()


async def test_close_interrupts_a_runner_that_hangs_and_starts_no_other() -> None:
    spawn, told = InTurn(HANGS), Told()
    supervisor = RunnerSupervisor(spawn, FakeClock(), told, RunnerPatience(answer=30))
    starting = asyncio.create_task(supervisor.start(SPEC, BARS[:10]))
    await eventually(lambda: supervisor.pid)
    await supervisor.close()
    with pytest.raises(RunnerFailed, match="closed"):
        await starting
    assert (len(spawn.runners), told.incidents) == (1, [])


@pytest.mark.parametrize(("failures", "seconds"), [(1, 0.1), (2, 0.2), (4, 0.8), (7, 5.0), (10_000, 5.0)])
def test_backoff_doubles_up_to_a_limit(failures: int, seconds: float) -> None:
    assert RunnerPatience().backoff(failures) == pytest.approx(seconds)
