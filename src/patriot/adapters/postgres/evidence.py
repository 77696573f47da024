"""What a judge asks of a PostgreSQL database: chains, checkpoints, settings, read models rebuilt beside the live."""

from collections.abc import Mapping, Sequence

import asyncpg

from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.integrity import verify_log
from patriot.adapters.postgres.shadow import compare
from patriot.kernel.errors import PatriotError
from patriot.kernel.eventstore import Place
from patriot.kernel.feed import LogFeed
from patriot.kernel.integrity import ChainReport
from patriot.kernel.projection import Projection

_SETTINGS = "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes')"
_CHECKPOINTS = """
    SELECT name, place FROM eventing.checkpoints
    UNION ALL SELECT 'read model ' || name, place FROM eventing.projections
"""


class PostgresEvidence:
    """`DatabaseEvidence` of a database at rest, for these read models."""

    def __init__(self, database: Database, feed: LogFeed, projections: Sequence[Projection]) -> None:
        self._database = database
        self._feed = feed
        self._projections = projections

    async def chain(self) -> ChainReport:
        """See `DatabaseEvidence.chain`."""
        return await verify_log(self._database, self._feed)

    async def checkpoints(self) -> Mapping[str, Place]:
        """See `DatabaseEvidence.checkpoints`."""
        rows = await self._database.fetch(_CHECKPOINTS)
        return {row["name"]: Place(row["place"]) for row in rows}

    async def differences(self) -> list[str]:
        """See `DatabaseEvidence.differences`."""
        return [one for projection in self._projections for one in await self._differences(projection)]

    async def rows(self) -> int:
        """See `DatabaseEvidence.rows`."""
        tables = [table.removeprefix("read.") for projection in self._projections for table in projection.tables]
        counted = [await self._database.fetch(f"SELECT count(*) AS n FROM read.{table}") for table in tables]  # noqa: S608
        return sum(int(rows[0]["n"]) for rows in counted)

    async def settings(self) -> Mapping[str, str]:
        """See `DatabaseEvidence.settings`."""
        return {row["name"]: row["setting"] for row in await self._database.fetch(_SETTINGS)}

    async def _differences(self, projection: Projection) -> list[str]:
        try:
            found = await compare(self._database, self._feed, projection)
        except (PatriotError, asyncpg.PostgresError, LookupError, ArithmeticError, ValueError) as error:
            return [f"{projection.name} cannot be rebuilt from the log: {error}"]
        return [f"{d.table} {' '.join(d.key)} {d.column or 'row'}: {d.live}, rebuilt {d.rebuilt}" for d in found]
