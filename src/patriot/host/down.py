"""Ends whatever runs on a data folder: the platform, which ends its children; then a server that a kill left behind."""

import asyncio
import os
import signal
from contextlib import suppress

from patriot.host.data_folder import DataFolder
from patriot.host.embedded import EmbeddedPostgres
from patriot.kernel.errors import StartupError

PATIENCE_SECONDS = 90.0  # a fast shutdown of PostgreSQL writes one checkpoint
POLL_SECONDS = 0.05


async def bring_down(folder: DataFolder) -> list[str]:
    """End everything and return what was ended. Errors: StartupError if a process does not end."""
    if not folder.path.exists():
        return []
    ended = []
    owner = folder.owner()
    if owner is not None:
        with suppress(ProcessLookupError):
            os.kill(owner, signal.SIGTERM)
        await _gone(folder, owner)
        ended.append(f"platform (pid {owner})")
    server = EmbeddedPostgres(folder.postgres)
    left = await server.running()
    if left is not None:
        await server.stop()
        ended.append(f"PostgreSQL that was left behind (pid {left.pid})")
    return ended


async def _gone(folder: DataFolder, pid: int) -> None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while folder.owner() == pid:  # noqa: ASYNC110 - no event tells of a stranger's end
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise StartupError(f"pid {pid} was asked to end {PATIENCE_SECONDS:.0f} s ago and still runs: kill it") from None
