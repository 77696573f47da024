"""How far policies and effects have come, kept beside the log."""

from patriot.adapters.postgres.database import Database
from patriot.kernel.eventstore import START, Place

_LOAD = "SELECT place FROM eventing.checkpoints WHERE name = $1"
_SAVE = """
    INSERT INTO eventing.checkpoints (name, place) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET place = excluded.place, updated_at = now()
"""


class PostgresCheckpoints:
    """`Checkpoints` that answer before the disk does.

    After a crash of the server a consumer may see its last events again.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, name: str) -> Place:
        """See `Checkpoints.load`."""
        rows = await self._database.fetch(_LOAD, name)
        return Place(rows[0]["place"]) if rows else START

    async def save(self, name: str, place: Place) -> None:
        """See `Checkpoints.save`."""
        async with self._database.transaction(durable=False) as sql:
            await sql.execute(_SAVE, name, place)
