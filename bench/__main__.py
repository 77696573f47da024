"""Run the benchmarks and print one table."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import tempfile
from dataclasses import asdict
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

import bench
from bench import Figure, Server
from patriot.host.embedded import EmbeddedPostgres

MODULES = sorted(module.name for module in pkgutil.iter_modules(bench.__path__) if not module.name.startswith("_"))

FILE_COLUMNS = 220


async def measure(modules: list[str], console: Console) -> list[Figure]:
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="patriot-bench-") as folder:
        async with EmbeddedPostgres(Path(folder) / "postgres") as address:
            for name in modules:
                with console.status(f"measuring {name}"):
                    figures += await importlib.import_module(f"bench.{name}").measure(Server(address.dsn))
    return figures


def table(figures: list[Figure]) -> Table:
    grid = Table(title=f"PATRIOT, medians on {os.cpu_count()} cores, everything on one machine")
    for column in ("figure", "median", "lowest", "highest", "unit", "reach", "stretch", "note"):
        grid.add_column(
            column, justify="right" if column in {"median", "lowest", "highest", "reach", "stretch"} else "left"
        )
    for figure in figures:
        grid.add_row(
            figure.name,
            number(figure.median),
            number(min(figure.runs)),
            number(max(figure.runs)),
            figure.unit,
            target(figure, figure.reach),
            target(figure, figure.stretch),
            figure.note,
        )
    return grid


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"


def target(figure: Figure, value: float | None) -> str:
    if value is None:
        return ""
    said = f"{number(value)} {'met' if figure.meets(value) else 'missed'}, x {figure.times(value):.2g}"
    return f"[green]{said}[/]" if figure.meets(value) else f"[yellow]{said}[/]"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(MODULES)}; all when none is named")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    if unknown := set(options.modules) - set(MODULES):
        parser.error(f"unknown module {', '.join(sorted(unknown))}: choose from {', '.join(MODULES)}")
    console = Console()
    if not console.is_terminal:
        console.width = FILE_COLUMNS
    figures = uvloop.run(measure(options.modules or MODULES, console))
    console.print(table(figures))
    if options.json:
        options.json.write_text(
            json.dumps([asdict(figure) | {"median": figure.median} for figure in figures], indent=2)
        )


if __name__ == "__main__":
    main()
