"""What a process finds out about itself for `/ready` and `/metrics`: what works, what happened, how far it is."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from patriot.host.health import ByName, Check
from patriot.host.logs import lines_logged
from patriot.kernel.eventstore import Place
from patriot.kernel.subscription import Tail
from patriot.services.execution import ExecutionService
from patriot.services.plugged_in import PluggedIn

UNSETTLED = frozenset({"starting", "desk", "brackets", "journal"})  # of `AccountWorker.busy`
MAX_LAG_EVENTS = 1_000  # further behind than two batches: what is shown or decided is old
MAX_STILL_SECONDS = 30.0  # behind without having moved: no batch takes as long, so it hangs, however little happens


def accounts_of(execution: ExecutionService) -> dict[str, float]:
    """Return how many accounts are worked for, in step with their exchange, and have orders to find out about.

    A signal that is refused, or a reading of balances, makes no account unsettled.
    """
    workers = execution.workers.values()
    return {
        "at_work": float(len(workers)),
        "in_step": float(sum(worker.ready.is_set() for worker in workers)),
        "unsettled": float(sum(not UNSETTLED.isdisjoint(worker.busy) for worker in workers)),
    }


def _nobody() -> ExecutionService | None:
    return None


@dataclass(frozen=True, slots=True)
class Inside:
    """What a report asks of its process, each time anew, since services may be built anew."""

    tails: Callable[[], Sequence[Tail]]
    execution: Callable[[], ExecutionService | None] = _nobody
    restarting: Callable[[], str] = str  # why services are started again at this moment
    counts: Callable[[], ByName] = dict
    trades: bool = True


class SelfReport:
    """Answers about one process."""

    def __init__(self, plugged: PluggedIn, inside: Inside) -> None:
        self._plugged = plugged
        self._inside = inside
        self._stood: dict[str, tuple[Place, float]] = {}  # tails that were behind at the last look, where, since when

    @property
    def checks(self) -> dict[str, Check]:
        """Return what must be in order before this process can do its work."""
        checks: dict[str, Check] = {
            "services": self._services,
            "started": self._started,
            "database": self._database,
            "tails": self._caught_up,
        }
        return checks | ({"exchange": self._exchange} if self._inside.trades else {})

    def notes(self) -> dict[str, str]:
        """Return which accounts do not trade and which prices are not heard, and why: the others trade on."""
        execution = self._inside.execution()
        troubles = execution.troubles() if execution is not None else {}
        said = {f"account {account_id}": words for account_id, words in troubles.items()}
        for venue_id, venue in self._plugged.ports.venues.items():
            if venue.market.stream_problem:
                said[f"market stream of {venue_id}"] = venue.market.stream_problem
        return said

    def counts(self) -> ByName:
        """Return what has happened since the start: alerts, lines of the log, what exchanges said that is unknown."""
        alerts = {"critical": float(self._plugged.alerts.raised)}
        unknown: Counter[str] = Counter()
        for venue in self._plugged.ports.venues.values():
            unknown.update(venue.unknown_seen)
        said = {thing: float(count) for thing, count in unknown.items()}
        return {
            "alerts_raised": alerts,
            "log_lines": lines_logged(),
            "exchange_unknown": said,
            **self._inside.counts(),
        }

    async def figures(self) -> ByName:
        """Return the gauges of this moment."""
        execution = self._inside.execution()
        accounts = accounts_of(execution) if execution is not None else {}
        return {"tail_lag_events": await self._lags(), "accounts": accounts}

    async def _services(self) -> str:
        reason = self._inside.restarting()
        return f"they are started again: {reason}" if reason else ""

    async def _started(self) -> str:
        """Say what execution waits for: its start, or a first account in step."""
        execution = self._inside.execution()
        if execution is None:
            return ""
        nobody_in_step = execution.fleet.troubles() and not accounts_of(execution)["in_step"]
        waiting = not execution.started.is_set() or nobody_in_step
        return "accounts are not in step with their exchange yet" if waiting else ""

    async def _database(self) -> str:
        await self._plugged.ports.feed.newest()
        return ""

    async def _exchange(self) -> str:
        for venue in self._plugged.ports.venues.values():
            await venue.market.server_time()
        return ""

    async def _caught_up(self) -> str:
        lags, still = await self._lags(), await self._still()
        far = [f"{name} is {lag:.0f} events behind" for name, lag in lags.items() if lag > MAX_LAG_EVENTS]
        for name, seconds in still.items():
            if seconds > MAX_STILL_SECONDS:
                far.append(f"{name} is behind and has stood still for {seconds:.0f} s")
        return ", ".join(far)

    async def _lags(self) -> dict[str, float]:
        feed = self._plugged.ports.feed
        newest = await feed.newest()
        return {tail.name: float(feed.distance(tail.place, newest)) for tail in self._inside.tails()}

    async def _still(self) -> dict[str, float]:
        """Return for how long each tail that is behind has not moved, as far as was looked."""
        feed, now = self._plugged.ports.feed, self._plugged.ports.clock.monotonic()
        newest = await feed.newest()
        before, self._stood = self._stood, {}
        for tail in self._inside.tails():
            if not feed.reached(tail.place, newest):
                place, since = before.get(tail.name, (tail.place, now))
                self._stood[tail.name] = (tail.place, since if place == tail.place else now)
        return {name: now - since for name, (_, since) in self._stood.items()}
