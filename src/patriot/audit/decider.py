"""Which root comes next: one for each span, however many processes publish. Pure."""

from patriot.audit.commands import AuditCommand
from patriot.audit.events import AuditEvent, RootPublished
from patriot.kernel.aggregate import Decider


def decide(published: int, c: AuditCommand) -> list[AuditEvent]:
    """Return the root if it follows the newest one; nothing if another process has published meanwhile."""
    if c.number != published + 1:
        return []
    return [
        RootPublished(
            number=c.number,
            events=c.events,
            last_stream_type=c.last_stream_type,
            last_stream_id=c.last_stream_id,
            last_stream_version=c.last_stream_version,
            previous_root=c.previous_root,
            root=c.root,
            published_at=c.at,
        )
    ]


LOG_ROOTS: Decider[int, AuditCommand, AuditEvent] = Decider(0, decide, lambda _, event: event.number)
