"""Read models on PostgreSQL: the rows and the position of a projection are committed together."""

from patriot.adapters.postgres.database import Database
from patriot.kernel.eventstore import Envelope, EventStore, LogPosition
from patriot.kernel.projection import Projection
from patriot.kernel.subscription import SAVE_AFTER_SKIPPED, Tail

CREATE = """
    INSERT INTO eventing.projections (name, tx_id, position, status) VALUES ($1, '0', 0, 'RUNNING')
    ON CONFLICT DO NOTHING
"""
LOAD = "SELECT tx_id, position FROM eventing.projections WHERE name = $1"
_MOVE = """
    UPDATE eventing.projections SET tx_id = $2, position = $3, updated_at = now()
    WHERE name = $1 AND tx_id = $4 AND position = $5 RETURNING name
"""


class ProjectionRunner(Tail):
    """Keep one projection up to date. Several may run for it: the stored position lets one through with each batch."""

    def __init__(self, database: Database, store: EventStore, projection: Projection) -> None:
        super().__init__(store, projection.name, projection.event_types)
        self._database = database
        self._projection = projection
        self._saved = LogPosition()  # behind `position` while only events of other types were passed

    async def _load(self) -> LogPosition:
        await self._database.execute(CREATE, self.name)
        (row,) = await self._database.fetch(LOAD, self.name)
        self._saved = LogPosition(row["tx_id"], row["position"])
        return self._saved

    async def _pass(self, batch: list[Envelope]) -> None:
        wanted = self._wanted(batch)
        end = batch[-1].log_position
        self._skipped += len(batch)
        if wanted or self._skipped >= SAVE_AFTER_SKIPPED:
            async with self._database.transaction(durable=False) as sql:
                moved = await sql.fetch(_MOVE, self.name, end.xid, end.position, self._saved.xid, self._saved.position)
                if moved and wanted:
                    await self._projection.apply(sql, wanted)
            self._skipped = 0
            if not moved:  # a rebuild or another runner was here: go on from where it left the rows
                self._loaded = await self._load()
                return
            self._saved = end
        self._loaded = end


class PostgresReadModels:
    """The read models of one database, for services."""

    def __init__(self, database: Database, store: EventStore) -> None:
        self.sql = database
        self._store = store

    def keep(self, projection: Projection) -> ProjectionRunner:
        """Return the tail that keeps a projection up to date while it runs."""
        return ProjectionRunner(self.sql, self._store, projection)
