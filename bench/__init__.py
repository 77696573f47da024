"""Benchmarks: figures measured on this machine, beside their targets. `python -m bench [MODULE ...] [--json FILE]`.

Every module without an underscore has `async def measure(server: Server) -> list[Figure]`. A figure is the median of
its runs.
Targets: `docs/benchmarks.md`; they are goals for 2 cores with everything on one machine, and nothing fails here.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import asyncpg

from patriot.adapters.postgres.migrate import migrate

RUNS = 5


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure; `reach` and `stretch` are its targets, None where there is none."""

    name: str
    unit: str
    runs: tuple[float, ...]
    reach: float | None = None
    stretch: float | None = None
    lower_is_better: bool = False
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    def times(self, target: float) -> float:
        """Return how many times as good as a target the median is; below 1 it is missed."""
        return target / self.median if self.lower_is_better else self.median / target

    def meets(self, target: float) -> bool:
        return self.median <= target if self.lower_is_better else self.median >= target


@dataclass(slots=True)
class Server:
    """A PostgreSQL server started for the benchmark, with fsync on."""

    dsn: str
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def fresh_database(self) -> str:
        """Return the DSN of a new, migrated database."""
        name = f"bench_{next(self._numbers)}"
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(f"DROP DATABASE IF EXISTS {name}")
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()
        parts = urlsplit(self.dsn)
        dsn = f"{parts.scheme}://{parts.netloc}/{name}?{parts.query}"
        await migrate(dsn)
        return dsn


async def rates(work: Callable[[], Awaitable[int]], runs: int = RUNS) -> tuple[float, ...]:
    """Run work that returns how many things it did; return things per second of each run."""
    measured = []
    for _ in range(runs):
        start = time.perf_counter()
        count = await work()
        measured.append(count / (time.perf_counter() - start))
    return tuple(measured)
