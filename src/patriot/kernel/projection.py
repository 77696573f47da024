"""Read models: events in, rows of one domain's own tables out, rows and checkpoint in one transaction.

A projection can be dropped and rebuilt, and gives the same rows byte for byte; so it reads nothing but events and its
own tables.
"""

from dataclasses import dataclass
from typing import Any, Protocol, Self

from patriot.kernel.codec import EVENTS
from patriot.kernel.eventstore import Envelope
from patriot.kernel.sql import Sql


@dataclass(frozen=True, slots=True)
class Recorded:
    """A stored event, decoded, with its envelope."""

    envelope: Envelope
    event: Any

    @classmethod
    def of(cls, envelope: Envelope) -> Self:
        """Decode a stored event. Errors: HistoryDamaged."""
        return cls(envelope, EVENTS.decode(envelope.event_type, envelope.schema_version, envelope.data))


class Projection(Protocol):
    """One read model. Its SQL names its tables with their schema, `read`: a rebuild leads that name to a shadow."""

    @property
    def name(self) -> str:
        """Return the stable name that its place in the log is stored under."""
        ...

    @property
    def tables(self) -> tuple[str, ...]:
        """Return its own tables, without the schema; each has a primary key, and no sequence or generated column."""
        ...

    @property
    def event_types(self) -> frozenset[str]:
        """Return the stored names of the events that it reads."""
        ...

    async def apply(self, sql: Sql, batch: list[Recorded]) -> None:
        """Write the rows of a batch of events, in order; the caller commits them with the checkpoint."""
        ...
