"""Snapshots on PostgreSQL, each with the code that folded it: other code may fold otherwise, so it starts anew."""

import hashlib
from functools import cache
from pathlib import Path

import patriot
from patriot.adapters.postgres.database import Database
from patriot.kernel.eventstore import Place
from patriot.kernel.policy import Snapshot

_LOAD = "SELECT place, state FROM eventing.snapshots WHERE name = $1 AND code = $2"
_SAVE = """
    INSERT INTO eventing.snapshots (name, code, place, state) VALUES ($1, $2, $3, $4)
    ON CONFLICT (name) DO UPDATE
    SET code = excluded.code, place = excluded.place, state = excluded.state, saved_at = now()
"""


class PostgresSnapshots:
    """`Snapshots` that answer before the disk does: after a crash of the server an older one, or none, is found."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, name: str) -> Snapshot | None:
        """See `Snapshots.load`."""
        rows = await self._database.fetch(_LOAD, name, code_version())
        return Snapshot(Place(rows[0]["place"]), rows[0]["state"]) if rows else None

    async def save(self, name: str, snapshot: Snapshot) -> None:
        """See `Snapshots.save`."""
        async with self._database.transaction(durable=False) as sql:
            await sql.execute(_SAVE, name, code_version(), snapshot.place, snapshot.state)


@cache
def code_version() -> str:
    """Return the hash of this package's own code: any change of it may change what a fold gives."""
    folder = Path(patriot.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
