"""`patriot db`: the schema, read models built anew from the log, a restored log that goes on."""

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from patriot.adapters.postgres.epochs import adopt as adopt_log
from patriot.adapters.postgres.migrate import migrate as run_migrations
from patriot.adapters.postgres.migrate import newest_version
from patriot.adapters.postgres.shadow import rebuild as rebuild_read_model
from patriot.cli.folders import Home, folder_opened
from patriot.cli.running import run
from patriot.host.folder_database import chosen_folder, server_of
from patriot.host.settings import Settings
from patriot.kernel.errors import InvalidInput
from patriot.kernel.projection import Projection
from patriot.services.table import PROJECTIONS

db = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Bring the schema up to date, build read models again, or take over a restored log.",
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
    await _rebuild_all(chosen, home)


async def _rebuild_all(chosen: list[Projection], home: Home) -> None:
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


@db.command("adopt")
def adopt(home: Home = None) -> None:
    """Let a log that was restored from a backup go on in this server. End everything of PATRIOT first."""
    run(_adopt(home))


async def _adopt(home: Home) -> None:
    settings = Settings.read()
    async with server_of(chosen_folder(settings, home), settings) as dsn:
        await run_migrations(dsn)
        adopted = await adopt_log(dsn)
    if adopted is None:
        typer.echo("nothing to adopt: this log can be read to its end")
        return
    typer.echo(f"adopted: {adopted.problem}. New events follow {adopted.newest or 'the start'}")
    for reader in adopted.readers_ahead:
        typer.echo(f"{reader} had handled events that this log does not hold")
    await _rebuild_all([one for one in PROJECTIONS if adopted.was_ahead(one)], home)
