"""Stepped replay: how long the simulator takes for a month of one-minute bars of five symbols, with no clients."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import aiohttp

from bench import Figure, Server
from patriot.kernel.clock import SystemClock
from patriot.sim.exchange import VenueName
from patriot.sim.prices.feed import MINUTE_MS
from patriot.sim.prices.model import MODEL_START_MS, ModelFeed
from patriot.sim.server import SimServer, SimSettings

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BCHUSDT", "XRPUSDT")
MINUTES = 30 * 1_440
STEP_MINUTES = 1_440
RUNS = 3
REACH_SECONDS = 60.0
STRETCH_SECONDS = 40.0
TOKEN = "bench"  # noqa: S105 - of a simulator that lives for this measurement


def write_month(folder: Path) -> None:
    """Write a month of the seeded model as dumps in the venue's public format."""
    feed = ModelFeed(7, MODEL_START_MS, SYMBOLS)
    for symbol in SYMBOLS:
        with (folder / f"{symbol}-1m.csv").open("w") as file:
            for index in range(MINUTES):
                bar = feed.bar(symbol, index)
                prices = f"{bar.open},{bar.high},{bar.low},{bar.close}"
                close_ms = bar.open_ms + MINUTE_MS - 1
                file.write(f"{bar.open_ms},{prices},{bar.volume},{close_ms},{bar.quote_volume},0,0,0,0\n")


async def step_through(folder: Path, venues: tuple[VenueName, ...]) -> float:
    """Step the recording day by day over the control API; return the seconds it took, without reading the files."""
    settings = SimSettings(TOKEN, 0, 0, data=folder, speed=None, bybit_port=0, venues=venues)
    server = SimServer(settings, SystemClock())
    await server.start()
    try:
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=timeout) as http:
            began = time.perf_counter()
            for minute in range(STEP_MINUTES, MINUTES + 1, STEP_MINUTES):
                body = {"until_ms": MODEL_START_MS + minute * MINUTE_MS, "stop_on_activity": False}
                url = f"http://127.0.0.1:{server.control_port}/clock"
                async with http.post(url, json=body) as answer:
                    answer.raise_for_status()
            return time.perf_counter() - began
    finally:
        await server.stop()


async def measure(server: Server) -> list[Figure]:
    """Measure one venue and both; no database is used."""
    figures = []
    with tempfile.TemporaryDirectory(prefix="patriot-bench-") as folder:
        write_month(Path(folder))
        for name, venues in (("one venue", (VenueName.BINANCE,)), ("both venues", tuple(VenueName))):
            runs = tuple([await step_through(Path(folder), venues) for _ in range(RUNS)])
            figures.append(
                Figure(
                    f"simulator, a month of one-minute bars of 5 symbols, {name}",
                    "s",
                    runs,
                    reach=REACH_SECONDS,
                    stretch=STRETCH_SECONDS,
                    lower_is_better=True,
                )
            )
    return figures
