"""A simulator to be measured, as a process of its own on one core: `python -m bench._sim SPEED [JOURNAL]`.

Both venues with all their symbols, no request limits. SPEED is venue seconds per second.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from patriot.kernel.clock import SystemClock
from patriot.sim.binance.limits import UNLIMITED
from patriot.sim.server import SimServer, SimSettings, end_on_signals, end_with_parent

TOKEN = "bench"  # noqa: S105 - of a simulator that lives for seconds
PORTS = ("binance_port", "bybit_port", "control_port")


@dataclass(frozen=True, slots=True)
class Sim:
    """The ports of a running simulator, and its process."""

    binance_port: int
    bybit_port: int
    control_port: int
    pid: int

    async def account(self, venue: str) -> dict[str, Any]:
        """Open an account with plenty of money; return its uid, api_key and api_secret."""
        url = f"http://127.0.0.1:{self.control_port}/accounts"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(url, json={"venue": venue, "balance": "100000000"}) as answer,
        ):
            made: dict[str, Any] = await answer.json()
            return made


@asynccontextmanager
async def running(speed: int, journal: Path | None = None) -> AsyncIterator[Sim]:
    """Run a simulator on the first core and this process on the others, until the block ends."""
    cores = os.sched_getaffinity(0)
    more = [str(journal)] if journal else []
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench._sim",
        str(speed),
        *more,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        sim = Sim(**json.loads(await process.stdout.readline()))
        os.sched_setaffinity(sim.pid, {min(cores)})
        os.sched_setaffinity(0, cores - {min(cores)} or cores)
        yield sim
    finally:
        os.sched_setaffinity(0, cores)
        process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            await process.wait()


async def serve() -> None:
    journal = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    ports = dict.fromkeys(PORTS, 0)
    settings = SimSettings(
        TOKEN, **ports, speed=int(sys.argv[1]), limits=UNLIMITED, bybit_limits=False, journal=journal
    )
    server = SimServer(settings, SystemClock())
    await server.start()
    end_on_signals(server)
    await end_with_parent(server)
    found = {name: getattr(server, name) for name in PORTS}
    sys.stdout.write(json.dumps(found | {"pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    await server.run_until_ended()


if __name__ == "__main__":
    uvloop.run(serve())
