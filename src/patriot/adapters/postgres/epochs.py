"""The epoch of a log: what lets a log that was restored into another server be read to its end, and go on.

Events are ordered by their transaction, and a server hands out transaction ids of its own. A log restored from a dump
bears ids that its new server has not reached: nobody could read them, and new events would stand below old ones. So the
order counts the id plus `ahead`, a number that belongs to the epoch and grows when somebody adopts the log. All events
of older epochs are then readable at once, and every checkpoint stays right.
"""

import asyncio
from dataclasses import dataclass

import asyncpg

from patriot.adapters.postgres.database import kernel_errors, open_session
from patriot.adapters.postgres.places import BEGINNING, Position, place_of, position_of
from patriot.kernel.errors import CommandRefused, StartupError
from patriot.kernel.eventstore import Place
from patriot.kernel.projection import Projection
from patriot.kernel.sql import Sql

AHEAD = "(SELECT ahead FROM eventing.epochs ORDER BY epoch DESC LIMIT 1)"
GONE_SECONDS = 2.0  # a session that was closed is seen for a moment longer
ADOPT = "run `patriot db adopt` (docs/runbooks/restore.md)"

_STATE = """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest_running,
        pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next_transaction, epochs.ahead,
        epochs.first_transaction, newest.tx_id, newest.position,
        (SELECT last_value + is_called::int FROM eventing.events_position_seq) AS next_number
    FROM (SELECT ahead, first_transaction FROM eventing.epochs ORDER BY epoch DESC LIMIT 1) AS epochs
    LEFT JOIN (SELECT tx_id, position FROM eventing.events ORDER BY tx_id DESC, position DESC LIMIT 1) AS newest ON true
"""
_READERS = """
    SELECT name, place FROM (
        SELECT name, place FROM eventing.checkpoints
        UNION ALL SELECT 'read model ' || name, place FROM eventing.projections
    ) AS readers WHERE place ~ '^[0-9]+[.][0-9]+$' ORDER BY name
"""
_OTHERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
_OPEN_EPOCH = """
    INSERT INTO eventing.epochs (epoch, ahead, first_transaction, system_identifier)
    SELECT max(epoch) + 1, $1, $2, (SELECT system_identifier FROM pg_control_system()) FROM eventing.epochs
"""
_NUMBER_ON = """
    SELECT setval('eventing.events_position_seq', greatest($1::bigint, (SELECT max(position) FROM eventing.events)))
"""


@dataclass(frozen=True, slots=True)
class LogState:
    """Where the log, its readers and the server stand.

    Units: `oldest_running` and `next_transaction` count as the server does; `first_transaction` (of the epoch),
    `newest` and `readers` count as the log does, which is `ahead` more.
    """

    oldest_running: int
    next_transaction: int
    next_number: int
    ahead: int
    first_transaction: int
    newest: Position
    readers: dict[str, Position]

    @property
    def readers_ahead(self) -> list[str]:
        """Return the readers that claim to have read, in this epoch, what the log does not hold."""
        start = max(self.newest, Position(self.first_transaction, 0))
        return [name for name, position in self.readers.items() if position > start]

    @property
    def problem(self) -> str | None:
        """Return why this log cannot be read to its end and go on, as part of a sentence, or None if it can."""
        if self.newest.transaction >= self.next_transaction + self.ahead:
            come = self.next_transaction + self.ahead
            return f"its newest event is of transaction {self.newest.transaction}, this server has come to {come}"
        if self.readers_ahead:
            return f"{', '.join(self.readers_ahead)} read further than {place_of(self.newest) or 'its start'}, its end"
        if self.newest.number >= self.next_number:
            return f"its newest event is number {self.newest.number}, the next one would be {self.next_number}"
        return None


@dataclass(frozen=True, slots=True)
class Adopted:
    """What an adoption found. Readers that were ahead had handled events that this log does not hold."""

    problem: str
    newest: Place
    readers_ahead: tuple[str, ...]

    def was_ahead(self, projection: Projection) -> bool:
        """Tell whether a read model shows events that are not in the log, so that it must be rebuilt."""
        return f"read model {projection.name}" in self.readers_ahead


async def log_state(sql: Sql) -> LogState:
    """Return where log, readers and server stand."""
    # Readers first: what they have read by then is in the log that is looked at after.
    readers = {one["name"]: position_of(Place(one["place"])) for one in await sql.fetch(_READERS)}
    (row,) = await sql.fetch(_STATE)
    newest = BEGINNING if row["tx_id"] is None else Position(row["tx_id"], row["position"])
    return LogState(
        row["oldest_running"],
        row["next_transaction"],
        row["next_number"],
        row["ahead"],
        row["first_transaction"],
        newest,
        readers,
    )


async def refuse_unreadable(sql: Sql) -> None:
    """Errors: StartupError with one sentence for a log that was restored and not adopted."""
    state = await log_state(sql)
    if state.problem is not None:
        raise StartupError(f"This event log was restored from a copy ({state.problem}): {ADOPT}.")


async def adopt(dsn: str) -> Adopted | None:
    """Open an epoch in which new events stand above all that is there; None if this log needs none.

    Errors: CommandRefused while anybody else is connected to the database.
    """
    with kernel_errors():
        session = await open_session(dsn)
        try:
            if (await log_state(session)).problem is None:
                return None
            await _alone(session)
            async with session.transaction():
                await session.execute("LOCK TABLE eventing.epochs IN ACCESS EXCLUSIVE MODE")  # appends wait
                state = await log_state(session)
                if state.problem is None:
                    return None  # somebody else was faster
                await _open_epoch(session, state)
                return Adopted(state.problem, place_of(state.newest), tuple(state.readers_ahead))
        finally:
            await session.close()


async def _alone(session: "asyncpg.Connection[asyncpg.Record]") -> None:
    deadline = asyncio.get_running_loop().time() + GONE_SECONDS
    while others := await session.fetchval(_OTHERS):
        if asyncio.get_running_loop().time() > deadline:
            raise CommandRefused(f"end PATRIOT first: {others} other sessions use this database")
        await asyncio.sleep(0.05)


async def _open_epoch(session: "asyncpg.Connection[asyncpg.Record]", state: LogState) -> None:
    highest = max([state.newest, *state.readers.values()])
    # From the oldest transaction that still runs: readers stop there, and old events must lie below it at once.
    ahead = max(state.ahead, highest.transaction + 1 - state.oldest_running)
    await session.execute(_OPEN_EPOCH, ahead, state.oldest_running + ahead)
    await session.execute("DELETE FROM eventing.snapshots")  # they may hold what the log does not
    await session.execute(_NUMBER_ON, max(state.next_number - 1, 1))
