"""A simulator of both venues without request limits, as a process: prices run at sixty times real time."""

import asyncio
import json
import os
import sys

from patriot.kernel.clock import SystemClock
from patriot.sim.binance.limits import UNLIMITED
from patriot.sim.server import SimServer, SimSettings, end_on_signals, end_with_parent

TOKEN = "conformance"


async def serve() -> None:
    settings = SimSettings(
        TOKEN, binance_port=0, bybit_port=0, control_port=0, speed=60, limits=UNLIMITED, bybit_limits=False
    )
    server = SimServer(settings, SystemClock())
    await server.start()
    end_on_signals(server)
    await end_with_parent(server)
    ports = {name: getattr(server, name) for name in ("binance_port", "bybit_port", "control_port")}
    sys.stdout.write(json.dumps(ports | {"pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    await server.run_until_ended()


if __name__ == "__main__":
    asyncio.run(serve())
