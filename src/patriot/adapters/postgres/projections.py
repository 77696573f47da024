"""Read models on PostgreSQL: the rows and the place of a projection are committed together."""

from patriot.adapters.postgres.database import Database
from patriot.kernel.eventstore import START, Place
from patriot.kernel.feed import LogFeed, Page
from patriot.kernel.projection import Projection
from patriot.kernel.subscription import SAVE_AFTER_SKIPPED, Tail

CREATE = """
    INSERT INTO eventing.projections (name, place, status) VALUES ($1, '', 'RUNNING') ON CONFLICT DO NOTHING
"""
LOAD = "SELECT place FROM eventing.projections WHERE name = $1"
_MOVE = """
    UPDATE eventing.projections SET place = $2, updated_at = now() WHERE name = $1 AND place = $3 RETURNING name
"""


class ProjectionRunner(Tail):
    """Keep one projection up to date. Several may run for it: the stored place lets one through with each batch."""

    def __init__(self, database: Database, feed: LogFeed, projection: Projection) -> None:
        super().__init__(feed, projection.name, projection.event_types)
        self._database = database
        self._projection = projection
        self._saved = START  # behind `place` while only events of other types were passed

    async def _load(self) -> Place:
        await self._database.execute(CREATE, self.name)
        (row,) = await self._database.fetch(LOAD, self.name)
        self._saved = Place(row["place"])
        return self._saved

    async def _pass(self, page: Page) -> None:
        wanted = self._wanted(page.events)
        self._skipped += len(page.events)
        if wanted or self._skipped >= SAVE_AFTER_SKIPPED:
            async with self._database.transaction(durable=False) as sql:
                moved = await sql.fetch(_MOVE, self.name, page.next, self._saved)
                if moved and wanted:
                    await self._projection.apply(sql, wanted)
            self._skipped = 0
            if not moved:  # a rebuild or another runner was here: go on from where it left the rows
                self._loaded = await self._load()
                return
            self._saved = page.next
        self._loaded = page.next


class PostgresReadModels:
    """The read models of one database, for services."""

    def __init__(self, database: Database, feed: LogFeed) -> None:
        self.sql = database
        self._feed = feed

    def keep(self, projection: Projection) -> ProjectionRunner:
        """Return the tail that keeps a projection up to date while it runs."""
        return ProjectionRunner(self.sql, self._feed, projection)
