"""A data folder opened for one command: the database that runs on it, or one started for the time of the command.

Which folder is meant, what its simulator plays, and the store, bus and queries over its database.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from patriot.accounts.events import AccountLinked
from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.eventstore import PostgresEventStore
from patriot.adapters.postgres.migrate import migrate
from patriot.adapters.vault import MasterKey, load_master_key
from patriot.host.data_folder import DataFolder
from patriot.host.embedded import EmbeddedPostgres
from patriot.host.set_up_file import read_set_up
from patriot.host.settings import Settings
from patriot.host.sim_process import SimSpec
from patriot.kernel.bus import CommandBus
from patriot.kernel.clock import Clock, SystemClock
from patriot.kernel.codec import EVENTS
from patriot.kernel.errors import StartupError
from patriot.kernel.eventstore import START
from patriot.kernel.feed import LogFeed
from patriot.kernel.ids import Ids
from patriot.kernel.projection import Recorded
from patriot.services.commands import full_bus

NOTHING_YET = "nothing here yet: run `patriot demo --keep` or `patriot up`"
LINKED = frozenset({EVENTS.name_of_class(AccountLinked)})
SET_UP_FILES = ("demo.json", "up.json")


@dataclass(frozen=True, slots=True)
class FolderDatabase:
    """What a command reads and writes. Its clock is the machine's."""

    folder: DataFolder
    clock: Clock
    database: Database
    store: PostgresEventStore
    bus: CommandBus


class _Played(msgspec.Struct):
    """The part of a set-up file that the simulator must be told again."""

    seed: int
    recording: str | None = None


def holds_data(folder: DataFolder) -> bool:
    """Tell whether a platform has ever run on a folder."""
    cluster = EmbeddedPostgres(folder.postgres).data_folder / "cluster"
    return cluster.exists() or any((folder.path / name).exists() for name in SET_UP_FILES)


def chosen_folder(settings: Settings, named: Path | None = None) -> DataFolder:
    """Return the folder that was named; else PATRIOT_HOME, or the kept demo in it when there is nothing else.

    Errors: StartupError for a file in the place of the folder that was named.
    """
    if named is not None:
        path = named.expanduser().absolute()
        if path.exists() and not path.is_dir():
            raise StartupError(f"{path}: expected a folder, and this is a file")
        return DataFolder(path)
    home, demo = DataFolder(settings.home), DataFolder(settings.home / "demo")
    return demo if not holds_data(home) and holds_data(demo) else home


def simulator_of(folder: DataFolder, speed: str) -> SimSpec | None:
    """Return how to bring the folder's simulator back from its journal, None if it never had one.

    Errors: StartupError for a damaged set-up file, naming it.
    """
    for name in SET_UP_FILES:
        path = folder.path / name
        if path.exists() and folder.sim.exists():
            played = read_set_up(path, _Played)
            data = Path(played.recording) if played.recording else None
            return SimSpec(folder.sim, folder.sim_token(), played.seed, speed, data)
    return None


def master_key_of(folder: DataFolder, settings: Settings) -> MasterKey:
    """Return the key of the vault: from the settings, else from the folder."""
    return load_master_key(folder.master_key, settings.given_master_key)


@asynccontextmanager
async def started_server(folder: DataFolder, settings: Settings) -> AsyncIterator[str]:
    """Give the address of the folder's database, started if need be and ended after; the caller holds the lock."""
    if settings.database_url:
        yield settings.database_url
        return
    async with EmbeddedPostgres(folder.postgres) as address:
        yield address.dsn


@asynccontextmanager
async def server_of(folder: DataFolder, settings: Settings) -> AsyncIterator[str]:
    """Give the address of the database that runs on a folder; where none runs, of one for the time of the block.

    Errors: StartupError for a folder that no platform has run on, and while the database of a running one is down.
    """
    if settings.database_url:
        yield settings.database_url
        return
    if not holds_data(folder):
        raise StartupError(f"{folder.path}: {NOTHING_YET}")
    running = await EmbeddedPostgres(folder.postgres).running()
    if running is not None:
        yield running.dsn
        return
    if (platform := folder.owner()) is not None:
        raise StartupError(
            f"the database of {folder.path} cannot be reached, and nothing was changed: positions keep their stops, "
            f"and the platform that runs on it (pid {platform}) starts its database again; try again in a moment, with "
            "DATABASE_URL if the platform was given one"
        )
    lock = folder.lock()
    try:
        async with started_server(folder, settings) as dsn:
            yield dsn
    finally:
        lock.release()


@asynccontextmanager
async def open_folder_database(folder: DataFolder, settings: Settings) -> AsyncIterator[FolderDatabase]:
    """Open store, bus and queries over the folder's database, at the newest schema."""
    clock = SystemClock()
    async with server_of(folder, settings) as dsn:
        await migrate(dsn)
        database = await Database.connect(dsn, name="patriot-cli")
        try:
            async with PostgresEventStore(database, clock) as store:
                yield FolderDatabase(folder, clock, database, store, full_bus(store, clock, Ids(clock)))
        finally:
            await database.close()


async def linked_accounts(feed: LogFeed) -> AsyncIterator[AccountLinked]:
    """Yield every account that was ever linked, from the log."""
    place = START
    while (page := await feed.read(place, event_types=LINKED)).events:
        for envelope in page.events:
            event: AccountLinked = Recorded.of(envelope).event
            yield event
        place = page.next
