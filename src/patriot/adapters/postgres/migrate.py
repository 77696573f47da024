"""Bring a database's schema to the newest version, one process at a time.

How to add a migration: see the docstring of `migrations/__init__.py`.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from patriot.adapters.postgres.database import open_session
from patriot.kernel.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection

FOLDER = Path(__file__).parent / "migrations"
LOCK_KEY = 0x7061_7472_696F_74  # "patriot"; pg_advisory_lock takes 64 bits
OLDEST_MAJOR = 15


async def migrate(dsn: str) -> None:
    """Run every migration that the database has not seen, under a lock that all processes share.

    Fast when there is nothing to do: one connection, two queries, and Alembic is not imported.
    Errors: StartupError if the server is older than PostgreSQL 15, does not let us in, or has a schema newer than this
    release; StoreUnavailable if it is away.
    """
    async with _connection(dsn) as session:
        if session.get_server_version().major < OLDEST_MAJOR:
            found = session.get_server_version().major
            raise StartupError(f"PostgreSQL {OLDEST_MAJOR} or newer is needed and DATABASE_URL leads to {found}.")
        if await _is_current(session):
            return
        await session.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)  # the end of the session releases it
        if not await _is_current(session):  # another process may have done it while we waited
            await _upgrade(dsn)


def newest_version() -> str:
    """Return the number of the last migration in the folder ("0000" when there is none)."""
    return max((path.name[:4] for path in (FOLDER / "versions").glob("[0-9]*.py")), default="0000")


async def _is_current(session: asyncpg.Connection[asyncpg.Record]) -> bool:
    if not await session.fetchval("SELECT to_regclass('public.alembic_version') IS NOT NULL"):
        return newest_version() == "0000"
    found = await session.fetchval("SELECT version_num FROM public.alembic_version") or "0000"
    if found > newest_version():
        raise StartupError(
            f"The database has schema {found} and this PATRIOT knows {newest_version()}: run the newer release."
        )
    return bool(found == newest_version())


async def _upgrade(dsn: str) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    async def connect() -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(dsn)  # as given: SQLAlchemy's URL has no place for a socket folder

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(_run_alembic)
    await engine.dispose()


def _run_alembic(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.commit()


@asynccontextmanager
async def _connection(dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await open_session(dsn)
    try:
        yield connection
    finally:
        await connection.close()
