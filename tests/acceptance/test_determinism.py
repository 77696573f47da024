"""Same seed, same data: the same fills and the same equity. Another seed: others."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.acceptance.demo_runs import DemoFolder, Story

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


async def test_second_run_with_the_same_seed_tells_the_same_story(
    recording: str, undisturbed: Story, database: str, tmp_path: Path
) -> None:
    again = DemoFolder(tmp_path, recording, database)

    (await again.run()).require_green()

    assert await again.story() == undisturbed


async def test_run_with_another_seed_tells_another_story(
    recording: str, undisturbed: Story, database: str, tmp_path: Path
) -> None:
    other = replace(DemoFolder(tmp_path, recording, database), seed=8)

    (await other.run()).require_green()

    story = await other.story()
    assert {fill[1:] for fill in story.fills} != {fill[1:] for fill in undisturbed.fills}
    assert {sample[1:] for sample in story.equity} != {sample[1:] for sample in undisturbed.equity}


async def test_demo_on_the_price_model_ends_green(database: str, tmp_path: Path) -> None:
    folder = DemoFolder(tmp_path, "model", database, accounts=2, days=1)

    ended = await folder.run()

    ended.require_green()
    assert ended.summary is not None
    assert ended.summary["bars"] == 1440
