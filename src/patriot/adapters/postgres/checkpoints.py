"""How far policies and effects have come, kept beside the log."""

from patriot.adapters.postgres.database import Database
from patriot.kernel.eventstore import LogPosition

_LOAD = "SELECT tx_id, position FROM eventing.checkpoints WHERE name = $1"
_SAVE = """
    INSERT INTO eventing.checkpoints (name, tx_id, position) VALUES ($1, $2, $3)
    ON CONFLICT (name) DO UPDATE SET tx_id = excluded.tx_id, position = excluded.position, updated_at = now()
"""


class PostgresCheckpoints:
    """`Checkpoints` that answer before the disk does.

    After a crash of the server a consumer may see its last events again.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, name: str) -> LogPosition:
        """See `Checkpoints.load`."""
        rows = await self._database.fetch(_LOAD, name)
        return LogPosition(rows[0]["tx_id"], rows[0]["position"]) if rows else LogPosition()

    async def save(self, name: str, position: LogPosition) -> None:
        """See `Checkpoints.save`."""
        async with self._database.transaction(durable=False) as sql:
            await sql.execute(_SAVE, name, position.xid, position.position)
