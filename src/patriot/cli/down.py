"""`patriot down`: the end of whatever runs on a data folder."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from patriot.cli.running import run
from patriot.host.data_folder import DataFolder
from patriot.host.down import bring_down
from patriot.host.folder_database import chosen_folder
from patriot.host.settings import Settings


def down(
    folder: Annotated[Path | None, typer.Argument(help="data folder; PATRIOT_HOME and the demo in it")] = None,
) -> None:
    """End whatever runs on a data folder: platform, simulator, PostgreSQL.

    Nothing is lost: the next start goes on where this stopped.
    """
    run(_down(folder))


async def _down(named: Path | None) -> None:
    settings = Settings.read()
    home = settings.home
    folders = [chosen_folder(settings, named).path] if named else [home, home / "demo"]
    screen = Console()
    nothing = True
    for path in folders:
        with screen.status(f"ending what runs on {path}"):
            ended = await bring_down(DataFolder(path))
        for what in ended:
            screen.print(f"ended {what} on {path}", highlight=False, soft_wrap=True)
        nothing = nothing and not ended
    if nothing:
        screen.print(f"nothing runs on {' or '.join(str(path) for path in folders)}", highlight=False, soft_wrap=True)
