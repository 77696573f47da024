"""The spans in which a fault had the venue take nothing of an account: from a 429 or 418 until its Retry-After is over.

For a judge: who is told to come back later must not ask before, and so can protect nothing. On whichever clock the
caller tells the time by, in milliseconds.
"""

from collections import defaultdict

KEPT_SPANS = 2_000  # disjoint ones of one account; the oldest are forgotten first, and excuse nothing any more


class ClosedTimes:
    """Disjoint spans by account, the oldest first."""

    def __init__(self) -> None:
        self._spans: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)

    def add(self, uid: int, from_ms: int, until_ms: int) -> None:
        """Note a span that begins no earlier than any before it; one that touches the newest goes on with it."""
        spans = self._spans[uid]
        if spans and from_ms <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], until_ms))
        else:
            spans.append((from_ms, until_ms))
            del spans[:-KEPT_SPANS]

    def ends(self, uid: int) -> int:
        """Return when the newest span of an account ends; 0 without one."""
        spans = self._spans.get(uid)
        return spans[-1][1] if spans else 0

    def state(self) -> dict[str, list[list[int]]]:
        """Return begin and end of every span, by account."""
        return {str(uid): [list(span) for span in spans] for uid, spans in sorted(self._spans.items())}
