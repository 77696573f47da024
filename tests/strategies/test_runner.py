"""What every runner must do: one suite, run on a process and on the conversation in ours; then what a process adds."""

import asyncio
import json
import os
import signal
import sys
from decimal import Decimal
from pathlib import Path

import pytest
import uvloop

from patriot.adapters.runners import InProcessRunners, SubprocessRunners
from patriot.strategies.interface import StrategySpec
from patriot.strategies.ports import Runner, RunnerBroken, SpawnRunner
from patriot.strategies.protocol import ANSWERS, Answer, Configuration, NextBar, lines_of
from tests.strategies.recorded import LONG_AGO, RECORDING, bar, minutes_of, quarters_of
from tests.support import eventually

pytestmark = pytest.mark.integration

SPEC = StrategySpec("s-1", "donchian", "BTCUSDT", "15m", {}, Decimal("0.1"), LONG_AGO)


def gone(pid: int) -> bool:
    """Tell whether a process has ended; nobody may have asked for its exit status yet."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.fixture(params=[SubprocessRunners(), InProcessRunners()], ids=["process", "in-process"])
def spawn(request: pytest.FixtureRequest) -> SpawnRunner:
    runners: SpawnRunner = request.param
    return runners


async def answer_of(runner: Runner) -> Answer:
    async with asyncio.timeout(10):
        return ANSWERS.decode(await runner.receive())


async def test_runner_without_history_is_ready_before_any_bar(spawn: SpawnRunner) -> None:
    runner = await spawn()
    await runner.send(lines_of([Configuration(SPEC, 0)]))
    assert await answer_of(runner) == Answer()
    await runner.end()


async def test_runner_answers_its_history_once_and_each_bar_once(spawn: SpawnRunner) -> None:
    runner = await spawn()
    await runner.send(lines_of([Configuration(SPEC, 3), *(NextBar(bar(n, 100)) for n in range(3))]))
    assert await answer_of(runner) == Answer(bar(2, 100).closed_at)
    for number in range(3, 6):
        await runner.send(lines_of([NextBar(bar(number, 100))]))
        assert await answer_of(runner) == Answer(bar(number, 100).closed_at)
    await runner.end()


async def test_runner_wishes_what_the_strategy_wishes(spawn: SpawnRunner) -> None:
    runner = await spawn()
    await runner.send(lines_of([Configuration(SPEC, 21), *(NextBar(bar(n, 100, high=101, low=99)) for n in range(21))]))
    assert (await answer_of(runner)).wishes == []
    await runner.send(lines_of([NextBar(bar(21, 110))]))
    (wish,) = (await answer_of(runner)).wishes
    assert (wish.action, wish.reference_price) == ("BUY", Decimal(110))
    await runner.end()


@pytest.mark.parametrize("line", [b"nonsense\n", b"{}\n", b'{"bar": {"close": "NaN"}}\n', b"\xff\n", b"\n"])
async def test_runner_told_nonsense_says_so_and_lives(spawn: SpawnRunner, line: bytes) -> None:
    runner = await spawn()
    await runner.send(line)
    assert (await answer_of(runner)).error
    await runner.send(lines_of([Configuration(SPEC, 0)]))
    assert await answer_of(runner) == Answer()
    await runner.end()


async def test_runner_of_an_unknown_kind_names_the_field(spawn: SpawnRunner) -> None:
    runner = await spawn()
    unknown = StrategySpec("s-1", "martingale", "BTCUSDT", "15m", {}, Decimal("0.1"), LONG_AGO)
    await runner.send(lines_of([Configuration(unknown, 0)]))
    assert str((await answer_of(runner)).error).startswith("kind: expected one of")
    await runner.end()


async def test_runner_that_was_ended_is_broken_and_may_be_ended_again(spawn: SpawnRunner) -> None:
    runner = await spawn()
    await runner.end()
    await runner.end()
    with pytest.raises(RunnerBroken):
        await runner.receive()
    with pytest.raises(RunnerBroken):
        await runner.send(lines_of([NextBar(bar(0, 100))]))


async def test_runner_ended_while_it_is_listened_to_wakes_the_listener(spawn: SpawnRunner) -> None:
    runner = await spawn()
    listening = asyncio.create_task(runner.receive())
    await asyncio.sleep(0)
    await runner.end()
    with pytest.raises(RunnerBroken):
        await listening


async def test_process_killed_from_outside_is_broken() -> None:
    runner = await SubprocessRunners()()
    os.kill(runner.pid, signal.SIGKILL)
    with pytest.raises(RunnerBroken, match="without an answer"):
        await runner.receive()
    await runner.end()


async def test_process_ends_when_its_input_closes() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "patriot.strategies.runner", stdin=asyncio.subprocess.PIPE
    )
    await process.communicate(lines_of([]))
    assert process.returncode == 0


async def test_process_that_thinks_for_ever_ends_itself() -> None:
    code = """
from patriot.strategies import runner
class Stuck(runner.Conversation):
    def hear(self, line):
        while True:
            pass
runner.Conversation, runner.ALARM_SECONDS = Stuck, 1
runner.main()
"""
    runner = await SubprocessRunners(command=(sys.executable, "-c", code))()
    await runner.send(lines_of([Configuration(SPEC, 0)]))
    async with asyncio.timeout(30):
        with pytest.raises(RunnerBroken):
            await runner.receive()
    await runner.end()


async def test_process_ends_when_its_parent_is_killed() -> None:
    code = """
import asyncio
from patriot.adapters.runners import SubprocessRunners
async def main():
    runner = await SubprocessRunners()()
    print(runner.pid, flush=True)
    await runner.receive()
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout
    pid = int(await parent.stdout.readline())
    assert not gone(pid)
    parent.kill()
    await parent.communicate()
    await eventually(lambda: gone(pid), deadline_s=10)


def test_process_is_heard_on_the_loop_that_services_run_on() -> None:
    async def conversation() -> Answer:
        dying = await SubprocessRunners()()
        os.kill(dying.pid, signal.SIGKILL)
        with pytest.raises(RunnerBroken):
            await dying.receive()
        await dying.end()
        runner = await SubprocessRunners()()
        await runner.send(lines_of([Configuration(SPEC, 1), NextBar(bar(0, 100))]))
        answer = await answer_of(runner)
        await runner.end()
        return answer

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        assert loop.run(conversation()) == Answer(bar(0, 100).closed_at)


async def test_process_ignores_the_interrupt_of_the_terminal() -> None:
    runner = await SubprocessRunners()()
    await runner.send(lines_of([Configuration(SPEC, 0)]))
    await answer_of(runner)
    os.kill(runner.pid, signal.SIGINT)
    await runner.send(lines_of([NextBar(bar(0, 100))]))
    assert await answer_of(runner) == Answer(bar(0, 100).closed_at)
    await runner.end()


async def test_process_takes_a_long_history_in_one_go() -> None:
    history = quarters_of(minutes_of(RECORDING)) * 10  # order does not matter to a pipe
    runner = await SubprocessRunners()()
    async with asyncio.timeout(30):
        await runner.send(lines_of([Configuration(SPEC, len(history)), *map(NextBar, history)]))
    assert (await answer_of(runner)).bar_closed_at == history[-1].closed_at
    await runner.end()


async def test_process_sees_no_secret_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATRIOT_MASTER_KEY", "secret")
    code = "import json, os; print(json.dumps(sorted(os.environ)), flush=True); input()"
    runner = await SubprocessRunners(command=(sys.executable, "-c", code))()
    names = json.loads(await runner.receive())
    await runner.end()
    assert "PATH" in names
    assert not [name for name in names if name.startswith("PATRIOT")]


async def test_process_imports_no_platform() -> None:
    heavy = "{'asyncio', 'asyncpg', 'fastapi', 'pydantic', 'aiohttp', 'numpy', 'sqlalchemy', 'structlog', 'ssl'}"
    code = f"import sys, patriot.strategies.runner; print(sorted({heavy} & set(sys.modules)), flush=True); input()"
    runner = await SubprocessRunners(command=(sys.executable, "-c", code))()
    assert await runner.receive() == b"[]\n"
    await runner.end()


async def test_program_that_cannot_be_started_is_a_broken_runner() -> None:
    with pytest.raises(RunnerBroken, match="cannot be started"):
        await SubprocessRunners(command=("/nonexistent/program",))()


async def test_process_that_was_ended_is_gone() -> None:
    runner = await SubprocessRunners()()
    await runner.end()
    with pytest.raises(ProcessLookupError):
        os.kill(runner.pid, 0)


async def test_print_of_a_strategy_is_no_answer_and_reaches_the_log(tmp_path: Path) -> None:
    code = """
from patriot.strategies import runner
class Chatty(runner.Conversation):
    def hear(self, line):
        print("thinking", flush=True)
        return super().hear(line)
runner.Conversation = Chatty
runner.main()
"""
    log = tmp_path / "runner.log"
    runner = await SubprocessRunners(log, (sys.executable, "-c", code))()
    await runner.send(lines_of([Configuration(SPEC, 0)]))
    assert await answer_of(runner) == Answer()
    await runner.end()
    assert log.read_text() == "thinking\n"
