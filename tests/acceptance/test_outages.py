"""PostgreSQL goes away for ten seconds while the demo trades: nothing crashes, nothing is lost, nothing differs."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from patriot.host.embedded import EmbeddedPostgres, ServerAddress
from tests.acceptance.demo_runs import DemoFolder, Story, descendants, kill

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
OUTAGE_SECONDS = 10.0
FIRST_ENTRIES = 400  # bars: two strategies enter soon after


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[tuple[EmbeddedPostgres, ServerAddress]]:
    """Give a server that the test may stop."""
    server = EmbeddedPostgres(tmp_path / "server")
    yield server, await server.start()
    await server.stop()


async def test_database_that_stands_still_for_ten_seconds_changes_nothing(
    recording: str, undisturbed: Story, server: tuple[EmbeddedPostgres, ServerAddress], tmp_path: Path
) -> None:
    _, address = server
    folder = DemoFolder(tmp_path, recording, address.dsn)
    running = await folder.start()
    await running.playing(FIRST_ENTRIES)

    processes = [address.pid, *descendants(address.pid)]
    kill(processes, signal.SIGSTOP)
    await asyncio.sleep(OUTAGE_SECONDS)
    kill(processes, signal.SIGCONT)

    (await running.ended()).require_green()
    assert await folder.story() == undisturbed


async def test_database_that_is_shut_down_and_started_again_changes_nothing(
    recording: str, undisturbed: Story, server: tuple[EmbeddedPostgres, ServerAddress], tmp_path: Path
) -> None:
    database, address = server
    folder = DemoFolder(tmp_path, recording, address.dsn)
    running = await folder.start()
    await running.playing(FIRST_ENTRIES)

    os.kill(address.pid, signal.SIGINT)  # a fast shutdown
    await asyncio.sleep(OUTAGE_SECONDS)
    assert not running.over, (await running.ended()).output
    await database.start()

    (await running.ended()).require_green()
    assert await folder.story() == undisturbed
