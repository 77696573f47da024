"""Is the private stream still telling? Its socket may live while it says nothing. Pure: times arrive from outside."""

from collections import deque

EVENT_SECONDS = 5.0  # after which the stream should have told of an order that the exchange answered for
SILENCE_SECONDS = 30.0  # of a stream while positions are open
DOUBT_SECONDS = 5.0  # between looks while the stream owes an event or is lost
REMEMBERED_IDS = 1_000


class StreamWatch:
    """What the stream owes, and when it was heard last. Units: monotonic seconds."""

    def __init__(self) -> None:
        self._heard_at = 0.0
        self._looked_at = 0.0
        self._lost = False
        self._heard: deque[str] = deque(maxlen=REMEMBERED_IDS)
        self._owed: dict[str, float] = {}  # client order id -> when the exchange answered for it

    def answered(self, client_id: str, now: float) -> None:
        """Expect the stream to tell of an order that the exchange has answered for."""
        if client_id not in self._heard:
            self._owed[client_id] = now

    def heard(self, now: float, client_id: str = "") -> None:
        """Take note that the stream spoke, and of which order."""
        self._heard_at = now
        if client_id:
            self._heard.append(client_id)
            self._owed.pop(client_id, None)

    def resumed(self, now: float) -> None:
        """Begin anew: what was owed is asked for by whoever resumes."""
        self._lost = False
        self._owed.clear()
        self._heard_at = self._looked_at = now

    def lost(self) -> None:
        """Take note that the stream cannot be opened: until it resumes, looking is all there is."""
        self._lost = True

    def looked(self, now: float) -> None:
        """Take note that what the stream should tell was asked for."""
        self._looked_at = now

    @property
    def newest_word(self) -> float:
        """Return when the account was last heard of, by the stream or by asking."""
        return max(self._heard_at, self._looked_at)

    def owes(self, now: float) -> bool:
        """Return whether the stream has not told of an order for too long: it is dead, or as good as dead."""
        return any(now - since > EVENT_SECONDS for since in self._owed.values())

    def is_due(self, now: float, *, holding: bool) -> bool:
        """Return whether it is time to look instead of listening."""
        if self.owes(now) or (holding and self._lost):
            return now - self._looked_at >= DOUBT_SECONDS
        return holding and now - self.newest_word >= SILENCE_SECONDS
