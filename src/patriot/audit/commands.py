"""Wishes about the audit."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class PublishRoot:
    """Close a span of the log; the fields are those of `RootPublished`."""

    number: int
    events: int
    last_stream_type: str
    last_stream_id: UUID
    last_stream_version: int
    previous_root: str
    root: str
    at: datetime


AuditCommand = PublishRoot
