"""A policy at work: its state is a fold of the log, and what follows from an event is done once its turn has come.

What the tail handled before this process is folded at the start and not done again; what comes after is folded and
done. A handler that must be repeated, since the store went away, folds nothing twice.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from patriot.kernel.eventstore import START, Place
from patriot.kernel.feed import Checkpoints, LogFeed
from patriot.kernel.projection import Recorded
from patriot.kernel.subscription import Subscription

T = TypeVar("T")

FOLD_PAGE_EVENTS = 2_000


class PolicyRunner(Subscription, Generic[T]):
    """One policy: `fold` takes an event into its state and returns what follows from it, `react` does that.

    `fold` sees each event once, in log order, from the first on; `react` only what the tail had not handled, and the
    same event again after StoreUnavailable, so it must bear repeats.
    """

    def __init__(
        self,
        feed: LogFeed,
        checkpoints: Checkpoints,
        name: str,
        event_types: frozenset[str],
        fold: Callable[[Recorded], T],
        react: Callable[[Recorded, T], Awaitable[None]],
    ) -> None:
        super().__init__(feed, checkpoints, name, self._take, event_types)
        self._fold = fold
        self._react = react
        self._folded = START  # up to here the state holds the log
        self._follows: list[T] = []  # from the event that is being handled

    async def begin(self) -> None:
        """Fold what was handled before; the first step does it otherwise. Errors: StoreUnavailable: call again."""
        async with self._step_lock:
            if self._loaded is None:
                self._loaded = await self._load()

    async def _load(self) -> Place:
        end = await super()._load()
        while not self._feed.reached(self._folded, end):
            page = await self._feed.read(self._folded, FOLD_PAGE_EVENTS, self._event_types)
            for envelope in page.events:
                if not self._feed.reached(end, envelope.place):
                    return end
                self._fold(Recorded.of(envelope))
                self._folded = envelope.place
            if not page.events:
                break
        return end

    async def _take(self, recorded: Recorded) -> None:
        if not self._feed.reached(self._folded, recorded.envelope.place):
            self._follows = [self._fold(recorded)]
            self._folded = recorded.envelope.place
        for follows in self._follows:
            await self._react(recorded, follows)
