"""What a process finds out about itself for `/ready` and `/metrics`: database, exchange, how far its tails are."""

from collections.abc import Callable, Mapping, Sequence

from patriot.host.health import Check
from patriot.kernel.subscription import Tail
from patriot.services.execution import ExecutionService
from patriot.services.plugged_in import PluggedIn

MAX_LAG_EVENTS = 1_000  # further behind than two batches: what is shown or decided is old


def accounts_in_step(execution: ExecutionService) -> dict[str, float]:
    """Return how many accounts are worked for, and how many of them are in step with their exchange."""
    workers = execution.workers.values()
    return {"at_work": float(len(workers)), "in_step": float(sum(worker.ready.is_set() for worker in workers))}


def waits_for(execution: ExecutionService) -> str:
    """Return what execution waits for: its start, or a first account in step. One broken account is no reason."""
    accounts = accounts_in_step(execution)
    waiting = not execution.started.is_set() or (accounts["at_work"] and not accounts["in_step"])
    return "accounts are not in step with their exchange yet" if waiting else ""


class SelfReport:
    """Answers about one process. `tails` and `waits_for` are asked each time, since services may be built anew."""

    def __init__(
        self,
        plugged: PluggedIn,
        tails: Callable[[], Sequence[Tail]],
        *,
        waits_for: Callable[[], str] = lambda: "",
        counts: Callable[[], Mapping[str, Mapping[str, float]]] = dict,
        trades: bool = True,
    ) -> None:
        self._plugged = plugged
        self._tails = tails
        self._waits_for = waits_for
        self._counts = counts
        self._trades = trades

    @property
    def checks(self) -> dict[str, Check]:
        """Return what must be in order before this process can do its work."""
        checks: dict[str, Check] = {"started": self._started, "database": self._database, "tails": self._caught_up}
        return checks | ({"exchange": self._exchange} if self._trades else {})

    async def figures(self) -> Mapping[str, Mapping[str, float]]:
        """Return the gauges of this moment."""
        lags = await self._lags()
        alerts = {"critical": float(self._plugged.alerts.raised)}
        return {"tail_lag_events": lags, "alerts_raised": alerts, **self._counts()}

    async def _started(self) -> str:
        return self._waits_for()

    async def _database(self) -> str:
        await self._plugged.ports.feed.newest()
        return ""

    async def _exchange(self) -> str:
        for venue in self._plugged.ports.venues.values():
            await venue.market.server_time()
        return ""

    async def _caught_up(self) -> str:
        behind = {name: lag for name, lag in (await self._lags()).items() if lag > MAX_LAG_EVENTS}
        return ", ".join(f"{name} is {lag:.0f} events behind" for name, lag in behind.items())

    async def _lags(self) -> dict[str, float]:
        feed = self._plugged.ports.feed
        newest = await feed.newest()
        return {tail.name: float(feed.distance(tail.place, newest)) for tail in self._tails()}
