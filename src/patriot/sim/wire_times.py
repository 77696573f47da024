"""When executions happened, stops came and went, and accounts were closed out, on a clock that never stands still.

For a judge of a stepped replay. Not part of the venue: neither journaled nor restored, so that after a restart nothing
from before it has such a time.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable

from patriot.sim.closed_times import ClosedTimes
from patriot.sim.engine.events import AlgoOrderUpdated, OrderUpdated, VenueEvent

KEPT = 20_000  # of one account; the oldest are forgotten first


class WireTimes:
    """Monotonic milliseconds of each account's newest executions and conditional orders, by what happened."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._noted: dict[int, dict[str, int]] = defaultdict(dict)
        self._closed = ClosedTimes()

    def note(self, emitted: Iterable[VenueEvent]) -> None:
        """Note the time of what just happened; the first time of each thing stands."""
        now_ms = int(self._monotonic() * 1000)
        for event in emitted:
            match event:
                case OrderUpdated(trade=trade) if trade is not None:
                    self._note(event.uid, f"trade:{trade.trade_id}", now_ms)
                case AlgoOrderUpdated():
                    what = "placed" if event.order.is_open else "ended"
                    self._note(event.uid, f"{what}:{event.order.algo_id}", now_ms)
                case _:
                    continue

    def _note(self, uid: int, what: str, now_ms: int) -> None:
        noted = self._noted[uid]
        noted.setdefault(what, now_ms)
        if len(noted) > KEPT:
            del noted[next(iter(noted))]

    def close(self, uids: Iterable[int], seconds: int) -> None:
        """Note that accounts were told now to ask for nothing in so many seconds."""
        now_ms = int(self._monotonic() * 1000)
        for uid in uids:
            self._closed.add(uid, now_ms, now_ms + seconds * 1000)

    def state(self) -> dict[str, object]:
        """Return the times by account, and by `trade:`, `placed:` or `ended:` with the id of the trade or order.

        `closed` has the spans in which the venue took nothing, by account.
        """
        accounts = {str(uid): dict(noted) for uid, noted in sorted(self._noted.items())}
        return {"now": int(self._monotonic() * 1000), "accounts": accounts, "closed": self._closed.state()}
