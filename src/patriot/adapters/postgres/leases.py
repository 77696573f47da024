"""Leases on PostgreSQL: one row per name, time by the database's clock, a token that only grows."""

from datetime import timedelta

from patriot.adapters.postgres.database import Database
from patriot.kernel.errors import LeaseLost
from patriot.kernel.eventstore import Fence
from patriot.kernel.lease import LEASE_TTL

# The owner of a running lease keeps its token; everybody else waits for the end and gets the next one.
_ACQUIRE = """
    INSERT INTO eventing.leases AS held (name, owner, token, expires_at) VALUES ($1, $2, 1, now() + $3)
    ON CONFLICT (name) DO UPDATE SET
        owner = $2,
        token = held.token + CASE WHEN held.owner = $2 AND held.expires_at > now() THEN 0 ELSE 1 END,
        expires_at = now() + $3
    WHERE held.owner = $2 OR held.expires_at <= now()
    RETURNING token
"""
_RENEW = """
    UPDATE eventing.leases SET expires_at = now() + $4 WHERE name = $1 AND owner = $2 AND token = $3
    RETURNING token
"""
_IS_HELD = "SELECT 1 FROM eventing.leases WHERE name = $1 AND expires_at > now()"
_RELEASE_ALL = "UPDATE eventing.leases SET expires_at = '-infinity'"
_RELEASE = "UPDATE eventing.leases SET expires_at = '-infinity' WHERE name = $1 AND owner = $2 AND token = $3"


class PostgresLeases:
    """`Leases` in the database whose appends check the fence."""

    def __init__(self, database: Database, ttl: timedelta = LEASE_TTL) -> None:
        self._database = database
        self._ttl = ttl

    async def acquire(self, name: str, owner: str) -> Fence | None:
        """See `Leases.acquire`."""
        rows = await self._database.fetch(_ACQUIRE, name, owner, self._ttl)
        return Fence(name, rows[0]["token"]) if rows else None

    async def renew(self, fence: Fence, owner: str) -> None:
        """See `Leases.renew`. A lease that ran out and that nobody took is simply extended."""
        if not await self._database.fetch(_RENEW, fence.name, owner, fence.token, self._ttl):
            raise LeaseLost(f"{fence.name}: {owner} no longer holds token {fence.token}")

    async def is_held(self, name: str) -> bool:
        """See `Leases.is_held`."""
        return bool(await self._database.fetch(_IS_HELD, name))

    async def release(self, fence: Fence, owner: str) -> None:
        """See `Leases.release`."""
        await self._database.execute(_RELEASE, fence.name, owner, fence.token)

    async def release_all(self) -> None:
        """Let go the leases of every owner: only for whoever knows that all of them are dead. Tokens go on growing."""
        await self._database.execute(_RELEASE_ALL)
