"""Compares every root that was ever published with the log as it is now: what a chain of hashes alone cannot show.

Whoever removes whole streams, or the end of one, leaves every remaining chain intact; the roots of the spans change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from patriot.audit.events import ROOTS, RootPublished
from patriot.kernel.bus import decode_all
from patriot.kernel.codec import EVENTS, encode
from patriot.kernel.errors import HistoryDamaged
from patriot.kernel.eventstore import Envelope, EventStore, StreamKey
from patriot.kernel.feed import LogFeed
from patriot.kernel.integrity import NO_ROOT, Span

SHELF = "roots.jsonl"
NEVER = "no root was ever published, or all were removed: nothing shows whether streams are missing"


@dataclass(slots=True)
class RootReport:
    """What the comparison found. `since` events are newer than the newest root, which says nothing of them."""

    compared: int = 0
    newest: RootPublished | None = None
    since: int = 0
    problems: list[str] = field(default_factory=list)


async def compare_roots(store: EventStore, feed: LogFeed, kept: Sequence[str]) -> RootReport:
    """Compare the roots in the log, and the lines that were kept of them beside it, with the events of the log."""
    logged: dict[int, RootPublished] = {root.number: root for root in decode_all(await store.read_stream(ROOTS))}
    report = RootReport()
    on_shelf = _read(kept, report.problems)
    roots = logged | on_shelf  # where they differ the shelf is believed: it is harder to reach
    report.problems += _differences(logged, on_shelf)
    report.newest = roots[max(roots)] if roots else None
    missing = sorted(set(range(1, max(roots, default=1))) - roots.keys())
    report.problems += [f"root {number} is missing in the log and in {SHELF}" for number in missing]
    walk = _Walk(roots, report)
    async for page in feed.scan():
        for envelope in page:
            walk.take(envelope)
    walk.end()
    if not roots and report.since:
        report.problems.append(NEVER)
    return report


class _Walk:
    """One pass over the log, which closes a span wherever a root says that one ended."""

    def __init__(self, roots: Mapping[int, RootPublished], report: RootReport) -> None:
        self._report = report
        self._open: dict[tuple[StreamKey, int], RootPublished] = {root.last_event: root for root in roots.values()}
        self._closed = 0  # number of the newest root whose end was found
        self._span = Span(NO_ROOT)

    def take(self, envelope: Envelope) -> None:
        self._span.add(envelope)
        root = self._open.pop((envelope.stream, envelope.stream_version), None)
        if root is None:
            return
        if root.number == self._closed + 1:
            self._compare(root)
        else:
            self._report.problems.append(f"root {root.number}: its span ends where that of {self._closed + 1} should")
        self._closed = root.number
        self._span = Span(bytes.fromhex(root.root))

    def end(self) -> None:
        self._report.since = self._span.events
        for root in self._open.values():
            stream, version = root.last_event
            self._report.problems.append(
                f"root {root.number}: the log no longer holds the event that its span ends with,"
                f" {stream.stream_type} {stream.stream_id} v{version}"
            )

    def _compare(self, root: RootPublished) -> None:
        self._report.compared += 1
        if root.previous_root != self._span.previous.hex():
            self._report.problems.append(f"root {root.number}: it does not follow root {root.number - 1}")
        if root.events != self._span.events:
            self._report.problems.append(
                f"root {root.number}: its span held {root.events} events, the log holds {self._span.events} of it"
            )
        elif root.root != self._span.root().hex():
            self._report.problems.append(f"root {root.number}: events of its span were changed, moved or replaced")


def _read(kept: Sequence[str], problems: list[str]) -> dict[int, RootPublished]:
    name, version = EVENTS.name_of_class(RootPublished), 1
    roots: dict[int, RootPublished] = {}
    for line_number, line in enumerate(kept, start=1):
        try:
            root: RootPublished = EVENTS.decode(name, version, line)
            bytes.fromhex(root.root)
        except (HistoryDamaged, ValueError):
            problems.append(f"{SHELF} line {line_number} cannot be read")
            continue
        if roots.setdefault(root.number, root) != root:
            problems.append(f"root {root.number} stands twice in {SHELF}, and not the same")
    return roots


def _differences(logged: Mapping[int, RootPublished], on_shelf: Mapping[int, RootPublished]) -> list[str]:
    problems = []
    for number in sorted(logged.keys() | on_shelf.keys()):
        one, other = logged.get(number), on_shelf.get(number)
        if one is None:
            problems.append(f"root {number}: in {SHELF}, not in the log")
        elif other is None:
            problems.append(f"root {number}: in the log, not in {SHELF}")
        elif encode(one) != encode(other):
            problems.append(f"root {number}: the log and {SHELF} do not say the same")
    return problems
