"""The demo is killed at every named step of the order path, resumed, and must end as if nobody had killed it."""

from pathlib import Path

import pytest

from patriot.trading.steps import Step
from tests.acceptance.demo_runs import KILLED, DemoFolder, Story

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
WHILE_LINKING = (Step.ACCOUNT_LINKED, Step.EQUITY_SAMPLED)  # at their first time there is nothing to resume yet
AT_FIRST = [step for step in Step if step not in WHILE_LINKING]
LATER = [  # hot steps, also at a later time: in the middle of a fan-out, with positions open
    f"{Step.ORDER_CREATED}:4",
    f"{Step.ORDER_SUBMITTED}:5",
    f"{Step.ORDER_SENT}:7",
    f"{Step.FILL_RECEIVED}:20",
    f"{Step.FILL_RECORDED}:13",
    f"{Step.STOP_SENT}:5",
    f"{Step.EQUITY_SAMPLED}:8",
    f"{Step.EQUITY_SAMPLED}:20",
]


@pytest.mark.parametrize("kill_at", [*AT_FIRST, *LATER])
async def test_demo_killed_at_a_step_and_resumed_ends_as_if_undisturbed(
    kill_at: str, recording: str, undisturbed: Story, database: str, tmp_path: Path
) -> None:
    folder = DemoFolder(tmp_path, recording, database)

    killed = await folder.run(kill_at=kill_at)
    assert killed.status == KILLED, f"{kill_at} was not reached\n{killed.output}"
    resumed = await folder.run(resume=True)

    resumed.require_green()
    story = await folder.story()
    story.require_same(undisturbed, resumed)
    assert story.lost or not kill_at.startswith(Step.ORDER_SUBMITTED), "an entry on its way to the wire was sent again"


async def test_demo_killed_again_and_again_while_it_recovers_ends_as_if_undisturbed(
    recording: str, undisturbed: Story, database: str, tmp_path: Path
) -> None:
    folder = DemoFolder(tmp_path, recording, database)

    kills = (Step.ORDER_SENT, Step.STOP_SENT, Step.FILL_RECORDED, Step.TARGET_SENT, Step.ORDER_CREATED, Step.CLOSE_SENT)
    for number, step in enumerate(kills):
        killed = await folder.run(resume=number > 0, kill_at=step)
        assert killed.status == KILLED, f"{step} was not reached\n{killed.output}"

    resumed = await folder.run(resume=True)
    resumed.require_green()
    (await folder.story()).require_same(undisturbed, resumed)
