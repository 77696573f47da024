"""Facts of the audit: roots over closed spans of the log (stream type ROOTS, one stream for the whole log)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from patriot.kernel.codec import event
from patriot.kernel.eventstore import StreamKey
from patriot.kernel.ids import derived_id

STREAM_TYPE = "ROOTS"
ROOTS = StreamKey(STREAM_TYPE, derived_id("roots", "log"))


@event("audit.root_published")
@dataclass(frozen=True, slots=True)
class RootPublished:
    """One span of the log is closed: whoever keeps `root` can tell later that nothing of it was changed or removed.

    A span begins behind the last event of the span before it and ends with the event that `last_...` name. The root, in
    hex, covers the root before it, every event of the span in log order, and where each of its streams stood then.
    """

    number: int  # from 1
    events: int
    last_stream_type: str
    last_stream_id: UUID
    last_stream_version: int
    previous_root: str
    root: str
    published_at: datetime

    @property
    def last_event(self) -> tuple[StreamKey, int]:
        """Return the place of the span's last event: its stream, and its version there."""
        return StreamKey(self.last_stream_type, self.last_stream_id), self.last_stream_version


AuditEvent = RootPublished
