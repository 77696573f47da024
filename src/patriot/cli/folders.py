"""What commands that read a data folder share: the option that names it, and its database opened."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from patriot.host.folder_database import FolderDatabase, chosen_folder, open_folder_database
from patriot.host.settings import Settings

Home = Annotated[
    Path | None, typer.Option("--home", help="data folder; PATRIOT_HOME, or the kept demo in it", show_default=False)
]
BIGGEST = 2**63 - 1  # that a database counts to, and a file keeps
Limit = Annotated[int, typer.Option(help="how many", min=1, max=BIGGEST)]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


@asynccontextmanager
async def folder_opened(home: Path | None) -> AsyncIterator[FolderDatabase]:
    """Open the database of the folder that is meant. Errors: StartupError, also for a folder with nothing in it."""
    settings = Settings.read()
    folder = chosen_folder(settings, home)
    with Console(stderr=True).status(f"opening {folder.path}") as status:
        async with open_folder_database(folder, settings) as opened:
            status.stop()
            yield opened
