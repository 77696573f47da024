"""Any worker is killed at a moment that nobody chose; what comes back ends as if nobody had killed it."""

import random
from pathlib import Path

import pytest

from patriot.host.data_folder import DataFolder
from patriot.host.embedded import EmbeddedPostgres
from patriot.trading.steps import Step
from tests.acceptance.demo_runs import KILLED, SHORT_BARS, DemoFolder, RunningDemo, Story, descendants, kill

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def some_bar(seed: int) -> int:
    """Return a place in the middle of the recording."""
    return random.Random(seed).randrange(400, SHORT_BARS - 60)


def embedded_server(running: RunningDemo) -> list[int]:
    """Return every process of the demo's own PostgreSQL."""
    pid = int((running.folder.path / "postgres/cluster/postmaster.pid").read_text().split()[0])
    return [pid, *descendants(pid)]


async def test_strategy_runner_that_is_killed_comes_back_by_itself(
    recording: str, undisturbed: Story, database: str, tmp_path: Path
) -> None:
    folder = DemoFolder(tmp_path, recording, database)
    running = await folder.start()

    for bar in (some_bar(1) // 2, some_bar(2)):
        await running.playing(bar)
        runners = running.children_named("patriot.strategies.runner")
        assert len(runners) == 3
        kill(runners[:2])

    (await running.ended()).require_green()
    assert await folder.story() == undisturbed


async def test_simulator_that_is_killed_ends_the_demo_with_one_sentence_and_resumes(
    recording: str, undisturbed: Story, database: str, tmp_path: Path
) -> None:
    folder = DemoFolder(tmp_path, recording, database)
    running = await folder.start()
    await running.playing(some_bar(3))

    kill(running.children_named("patriot.cli.main sim"))
    ended = await running.ended()

    assert ended.status == 2
    assert "Traceback" not in ended.output
    assert "--resume" in ended.output.splitlines()[-1]
    resumed = await folder.run(resume=True)
    resumed.require_green()
    (await folder.story()).require_same(undisturbed, resumed)


async def test_postgresql_that_is_killed_comes_back_while_the_demo_goes_on(
    recording: str, undisturbed: Story, tmp_path: Path
) -> None:
    folder = DemoFolder(tmp_path, recording)
    running = await folder.start()
    await running.playing(some_bar(4))

    kill(embedded_server(running))

    (await running.ended()).require_green()
    assert await folder.story() == undisturbed


@pytest.mark.parametrize("seed", [5, 6])
async def test_demo_that_is_killed_at_any_moment_resumes(
    seed: int, recording: str, undisturbed: Story, database: str, tmp_path: Path
) -> None:
    folder = DemoFolder(tmp_path, recording, database)
    running = await folder.start()
    await running.playing(some_bar(seed))

    kill([running.pid])
    assert (await running.ended()).status == KILLED

    resumed = await folder.run(resume=True)
    resumed.require_green()
    (await folder.story()).require_same(undisturbed, resumed)


@pytest.mark.parametrize("seed", [7, 8])
async def test_whole_tree_that_is_killed_at_once_resumes(
    seed: int, recording: str, undisturbed: Story, tmp_path: Path
) -> None:
    folder = DemoFolder(tmp_path, recording)
    running = await folder.start()
    await running.playing(some_bar(seed))

    kill([*running.family(), *embedded_server(running)])
    assert (await running.ended()).status == KILLED

    resumed = await folder.run(resume=True)
    resumed.require_green()
    (await folder.story()).require_same(undisturbed, resumed)


async def test_demo_that_is_killed_while_accounts_are_linked_begins_anew(
    recording: str, undisturbed: Story, tmp_path: Path
) -> None:
    folder = DemoFolder(tmp_path, recording)

    assert (await folder.run(kill_at=f"{Step.ACCOUNT_LINKED}:2")).status == KILLED

    assert not (folder.path / "demo.json").exists(), "every account was linked already"
    resumed = await folder.run(resume=True)
    resumed.require_green()
    (await folder.story()).require_same(undisturbed, resumed)


async def test_demo_on_a_used_database_is_refused_and_changes_nothing(
    recording: str, database: str, tmp_path: Path
) -> None:
    folder = DemoFolder(tmp_path, recording, database)
    assert (await folder.run(kill_at=f"{Step.ACCOUNT_LINKED}:2")).status == KILLED
    before = await folder.events()

    for resume in (False, True):
        ended = await folder.run(resume=resume)
        assert ended.status == 2
        assert "name an empty one" in ended.output.splitlines()[-1]

    assert await folder.events() == before


async def test_second_demo_on_a_running_data_folder_is_told_so(recording: str, database: str, tmp_path: Path) -> None:
    folder = DemoFolder(tmp_path, recording, database)
    running = await folder.start()
    await running.playing(10)

    second = await folder.run()

    assert second.status == 2
    assert f"another platform (pid {running.pid}) runs on" in second.output
    kill([running.pid])
    await running.ended()
    assert await EmbeddedPostgres(DataFolder(folder.path).postgres).running() is None
