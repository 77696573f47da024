"""`patriot db`: the schema, and read models built anew from the log."""

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from patriot.adapters.postgres.migrate import migrate as run_migrations
from patriot.adapters.postgres.migrate import newest_version
from patriot.adapters.postgres.shadow import rebuild as rebuild_read_model
from patriot.cli.folders import Home, folder_opened
from patriot.cli.running import run
from patriot.host.opened import chosen_folder, server_of
from patriot.host.settings import Settings
from patriot.kernel.errors import InvalidInput
from patriot.services.table import PROJECTIONS

db = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Bring the database's schema up to date, or build read models again.",
)
ALL = "all"


@db.command("migrate")
def migrate(home: Home = None) -> None:
    """Bring the schema to this release's version; every start does the same."""
    run(_migrate(home))


async def _migrate(home: Home) -> None:
    settings = Settings.read()
    with Console(stderr=True).status("migrating"):
        async with server_of(chosen_folder(settings, home), settings) as dsn:
            await run_migrations(dsn)
    typer.echo(f"the schema is at version {newest_version()}")


@db.command("rebuild")
def rebuild(
    projection: Annotated[str, typer.Argument(help="its name, or 'all'; a wrong name lists them")], home: Home = None
) -> None:
    """Build read models again from the log. Readers see the old rows until the new ones are complete."""
    run(_rebuild(projection, home))


async def _rebuild(name: str, home: Home) -> None:
    chosen = [one for one in PROJECTIONS if name in (ALL, one.name)]
    if not chosen:
        known = ", ".join([ALL, *(one.name for one in PROJECTIONS)])
        raise InvalidInput("PROJECTION", f"expected one of {known}, found {name!r}")
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    async with folder_opened(home) as opened:
        with bar:
            task = bar.add_task("read models", total=len(chosen))
            for one in chosen:
                bar.update(task, description=one.name)
                events = await rebuild_read_model(opened.database, opened.store.feed, one)
                bar.advance(task)
                bar.console.print(f"{one.name}: rebuilt from {events} events", highlight=False)
