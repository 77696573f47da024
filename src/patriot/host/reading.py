"""Reading the log for a person: the newest events, or those behind a numbered one, and on as they come."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from patriot.adapters.postgres.places import Position, place_of, position_of
from patriot.host.folder_database import FolderDatabase
from patriot.kernel.codec import EVENTS
from patriot.kernel.errors import InvalidInput
from patriot.kernel.eventstore import START, Envelope, Place

PAGE_EVENTS = 1_000
WAIT_SECONDS = 10.0

_MATCHES = """
    FROM eventing.events WHERE ($1::text IS NULL OR event_type = $1) AND ($2::uuid IS NULL OR stream_id = $2)
        AND ($3::uuid IS NULL OR account_id = $3)
"""
_LAST = f"SELECT tx_id, position {_MATCHES} ORDER BY tx_id DESC, position DESC OFFSET $4 LIMIT 1"
_STREAM = "SELECT 1 FROM eventing.streams WHERE stream_id = $1 LIMIT 1"
_AT = "SELECT tx_id, position FROM eventing.events WHERE position = $1"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events; what is None does not matter."""

    event_type: str | None = None
    stream_id: UUID | None = None
    account_id: UUID | None = None

    def __post_init__(self) -> None:
        """Errors: InvalidInput for a type that no event has."""
        if self.event_type is not None and self.event_type not in EVENTS.names():
            raise InvalidInput("--type", f"no event is called {self.event_type!r}: `patriot events` shows names")

    def matches(self, envelope: Envelope) -> bool:
        """Tell whether an event is wanted."""
        return (
            self.event_type in (None, envelope.event_type)
            and self.stream_id in (None, envelope.stream.stream_id)
            and self.account_id in (None, envelope.context.account_id)
        )


async def first_place(opened: FolderDatabase, wanted: Wanted, after: int | None, limit: int) -> Place:
    """Return where reading begins: behind event number `after`, or so that the newest `limit` events come.

    Errors: InvalidInput for a number that no event has, and for a stream that there is not.
    """
    if wanted.stream_id is not None and not await opened.database.fetch(_STREAM, wanted.stream_id):
        raise InvalidInput("--stream", f"there is no stream {wanted.stream_id}")
    if after is None:
        rows = await opened.database.fetch(_LAST, wanted.event_type, wanted.stream_id, wanted.account_id, limit)
    elif after > 0:
        rows = await opened.database.fetch(_AT, after)
        if not rows:
            raise InvalidInput("--after", f"no event stands at position {after}")
    else:
        rows = []
    return place_of(Position(int(rows[0]["tx_id"]), rows[0]["position"])) if rows else START


def number_of(envelope: Envelope) -> int:
    """Return the number by which a person names an event."""
    return position_of(envelope.place).number


async def read_events(
    opened: FolderDatabase, wanted: Wanted, place: Place, limit: int, *, follow: bool
) -> AsyncIterator[Envelope]:
    """Yield at most `limit` events behind a place, in log order; with `follow`, those that come for ever."""
    types = frozenset({wanted.event_type}) if wanted.event_type else None
    left = limit
    while left > 0 or follow:
        page = await opened.store.feed.read(place, PAGE_EVENTS, types)
        for envelope in page.events:
            if wanted.matches(envelope):
                yield envelope
                left -= 1
                if left == 0 and not follow:
                    return
        place = page.next
        if not page.events:
            if not follow:
                return
            await opened.store.feed.wait(place, WAIT_SECONDS)
