"""The event store as a port: streams with expected versions, several of them in one append.

Reading all streams in one order is the port of `kernel/feed.py`. Two adapters pass one contract suite:
`kernel/memory.py` and `adapters/postgres/eventstore.py`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NewType, Protocol
from uuid import UUID

from patriot.kernel.errors import IdempotencyMismatch, VersionConflict

GENESIS_HASH = bytes(32)

Place = NewType("Place", str)  # in the log: opaque, see kernel/feed.py
START = Place("")  # before the first event, in every feed


class ActorType(StrEnum):
    USER = "USER"
    ADMIN = "ADMIN"
    STRATEGY = "STRATEGY"
    RISK_ENGINE = "RISK_ENGINE"
    SYSTEM = "SYSTEM"
    EXCHANGE = "EXCHANGE"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who decided; `id` is a user id, a strategy id, or the name of a service."""

    type: ActorType
    id: str


SYSTEM = Actor(ActorType.SYSTEM, "patriot")


@dataclass(frozen=True, slots=True)
class StreamKey:
    """One stream: an aggregate type and the id of one aggregate."""

    stream_type: str
    stream_id: UUID


@dataclass(frozen=True, slots=True)
class Context:
    """What an event carries besides its data: cause, owner, actor. Never a secret, never a person's name."""

    correlation_id: UUID
    causation_id: UUID | None = None
    user_id: UUID | None = None
    account_id: UUID | None = None
    actor: Actor = SYSTEM


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event on its way into the store; `data` is the canonical text that will be hashed and kept."""

    event_id: UUID
    event_type: str
    schema_version: int
    occurred_at: datetime
    data: str
    context: Context


@dataclass(frozen=True, slots=True)
class Envelope:
    """A stored event. `event_hash` chains it to the one before it in its stream; `place` is its own in the log."""

    event_id: UUID
    event_type: str
    schema_version: int
    stream: StreamKey
    stream_version: int
    occurred_at: datetime
    recorded_at: datetime
    data: str
    context: Context
    previous_hash: bytes
    event_hash: bytes
    place: Place


@dataclass(frozen=True, slots=True)
class StreamAppend:
    """Events for one stream, valid only if the stream stands at `expected_version` (0: does not exist yet).

    Without events it only proves, inside the append, that the stream still stands there.
    """

    stream: StreamKey
    expected_version: int
    events: tuple[NewEvent, ...]

    def conflict(self, found: int) -> VersionConflict:
        """Return the error of an append to a stream that stands at another version."""
        name = f"{self.stream.stream_type} {self.stream.stream_id}"
        return VersionConflict(f"{name}: expected version {self.expected_version}, found {found}")


@dataclass(frozen=True, slots=True)
class IdempotentResult:
    """The answer to a command, stored under its key in the same transaction as its events."""

    scope: str
    key: str
    request_hash: str
    result: str

    def replayed(self, known: "IdempotentResult") -> "Appended | IdempotencyMismatch":
        """Return what to answer when `known` is stored under this key, or the error if it was for another request."""
        if known.request_hash != self.request_hash:
            return IdempotencyMismatch(f"idempotency key {self.key!r} was used for another {self.scope}")
        return Appended(replayed=known)


@dataclass(frozen=True, slots=True)
class Fence:
    """Proof of owning an account: a lease's name and its fencing token, checked inside the append."""

    name: str
    token: int


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append did: the new version of each stream, in the order given.

    `replayed` holds the stored result when the idempotency key had been used before; nothing was written then.
    """

    versions: tuple[int, ...] = ()
    replayed: IdempotentResult | None = None


class EventStore(Protocol):
    """Where history is kept."""

    async def append(
        self,
        appends: Sequence[StreamAppend],
        *,
        result: IdempotentResult | None = None,
        fence: Fence | None = None,
    ) -> Appended:
        """Write all streams in one durable transaction, or nothing. With no stream, the fence alone is proved.

        Errors: VersionConflict if any stream moved; LeaseLost if the fence is stale; IdempotencyMismatch if the key was
        used for another request; StoreUnavailable if the outcome cannot be known: repeat the same call (the expected
        versions or the key make it harmless).
        """
        ...

    async def read_stream(self, stream: StreamKey, after_version: int = 0) -> list[Envelope]:
        """Return the events of a stream above a version, ascending."""
        ...

    async def read_streams(self, streams: Sequence[StreamKey]) -> list[list[Envelope]]:
        """Return the events of several streams from one snapshot, in the order given."""
        ...

    async def find_result(self, scope: str, key: str) -> IdempotentResult | None:
        """Return the stored answer to a command, if the key was used."""
        ...


@dataclass(frozen=True, slots=True)
class ChainedEvent:
    """The hashed part of an event; the same bytes in every adapter and in the offline verifier."""

    previous_hash: bytes
    stream: StreamKey
    stream_version: int
    event: NewEvent

    def digest(self) -> bytes:
        """Return SHA-256 over previous hash and the event's identity, owner, cause, time and canonical data.

        Source: docs/adr/0001-event-store-on-postgresql.md.
        """
        event, context = self.event, self.event.context
        header = "\n".join(
            (
                self.stream.stream_type,
                str(self.stream.stream_id),
                str(self.stream_version),
                str(event.event_id),
                event.event_type,
                str(event.schema_version),
                event.occurred_at.astimezone(UTC).isoformat(timespec="microseconds"),
                str(context.correlation_id),
                str(context.causation_id or ""),
                str(context.user_id or ""),
                str(context.account_id or ""),
                context.actor.type,
                context.actor.id,
                event.data,
            )
        )
        return hashlib.sha256(self.previous_hash + header.encode()).digest()
