"""Who did what, and when, read from the log itself: there is no second record that could disagree with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from patriot.kernel.eventstore import Actor, ActorType, Place
from patriot.kernel.sql import Row, Sql

PAGE_ROWS = 100

_ACTIONS = """
    SELECT tx_id || '.' || position AS place, event_id, event_type, stream_type, stream_id, stream_version, occurred_at,
        recorded_at, correlation_id, causation_id, user_id, account_id, actor_type, actor_id
    FROM eventing.events
    WHERE ($1::text IS NULL OR actor_type = $1) AND ($2::text IS NULL OR actor_id = $2)
        AND ($3::uuid IS NULL OR user_id = $3) AND ($4::uuid IS NULL OR account_id = $4)
        AND ($5::uuid IS NULL OR correlation_id = $5) AND ($6::text[] IS NULL OR event_type = ANY($6))
        AND ($7::timestamptz IS NULL OR recorded_at >= $7) AND ($8::timestamptz IS NULL OR recorded_at < $8)
        AND ($9::text IS NULL
            OR (tx_id, position) < (split_part($9, '.', 1)::xid8, split_part($9, '.', 2)::bigint))
    ORDER BY tx_id DESC, position DESC LIMIT $10
"""


@dataclass(frozen=True, slots=True)
class ActionView:
    """One event as an act: by whom, on what, caused by what. The data stays in the event store."""

    place: Place
    event_id: UUID
    event_type: str
    stream_type: str
    stream_id: UUID
    stream_version: int
    occurred_at: datetime
    recorded_at: datetime
    correlation_id: UUID
    causation_id: UUID | None
    user_id: UUID | None
    account_id: UUID | None
    actor: Actor


@dataclass(frozen=True, slots=True)
class ActionFilter:
    """Which acts to return; what is None does not matter. `before` pages back from an act that was returned."""

    actor_type: ActorType | None = None
    actor_id: str | None = None
    user_id: UUID | None = None  # whose accounts were concerned
    account_id: UUID | None = None
    correlation_id: UUID | None = None
    event_types: Sequence[str] | None = None
    since: datetime | None = None  # recorded at or after
    until: datetime | None = None  # recorded before
    before: Place | None = None


async def actions(sql: Sql, wanted: ActionFilter, limit: int = PAGE_ROWS) -> list[ActionView]:
    """Return acts, newest first."""
    rows = await sql.fetch(
        _ACTIONS,
        wanted.actor_type,
        wanted.actor_id,
        wanted.user_id,
        wanted.account_id,
        wanted.correlation_id,
        None if wanted.event_types is None else list(wanted.event_types),
        wanted.since,
        wanted.until,
        wanted.before,
        limit,
    )
    return [_action(row) for row in rows]


def _action(row: Row) -> ActionView:
    return ActionView(
        place=Place(row["place"]),
        event_id=row["event_id"],
        event_type=row["event_type"],
        stream_type=row["stream_type"],
        stream_id=row["stream_id"],
        stream_version=row["stream_version"],
        occurred_at=row["occurred_at"],
        recorded_at=row["recorded_at"],
        correlation_id=row["correlation_id"],
        causation_id=row["causation_id"],
        user_id=row["user_id"],
        account_id=row["account_id"],
        actor=Actor(ActorType(row["actor_type"]), row["actor_id"]),
    )
