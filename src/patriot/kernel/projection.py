"""Read models: events in, rows of one domain's own tables out, rows and checkpoint in one transaction.

A projection can be dropped and rebuilt, and gives the same rows byte for byte; so it reads nothing but the event and its own tables.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from patriot.kernel.eventstore import Envelope, LogPosition
from patriot.kernel.sql import Sql


@dataclass(frozen=True, slots=True)
class Recorded:
    """A stored event, decoded, with its envelope."""

    envelope: Envelope
    event: Any


class Projection(Protocol):
    """One read model. `tables` are its own; all of them live in schema `read` and are emptied for a rebuild."""

    name: str
    tables: tuple[str, ...]
    event_types: frozenset[str]

    async def apply(self, sql: Sql, batch: list[Recorded]) -> None:
        """Write the rows of a batch of events, in order; the caller commits them with the checkpoint."""
        ...


class Checkpoints(Protocol):
    """How far a named consumer that is not a projection (a policy, an effect) has come in the log."""

    async def load(self, name: str) -> LogPosition:
        """Return the stored position; the start of the log for a new consumer."""
        ...

    async def save(self, name: str, position: LogPosition) -> None:
        """Store the position, durably."""
        ...
