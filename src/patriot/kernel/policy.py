"""A policy at work: its state is a fold of the log, and what follows from an event is done once its turn has come.

What the tail handled before this process is folded at the start and not done again; what comes after is folded and
done. A handler that must be repeated, since the store went away, folds nothing twice. A state that takes long to fold
is kept now and then, and the next start folds only what came after.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import msgspec

from patriot.kernel.eventstore import START, Place
from patriot.kernel.feed import Checkpoints, LogFeed, Page
from patriot.kernel.projection import Recorded
from patriot.kernel.subscription import Subscription

S = TypeVar("S")
T = TypeVar("T")

FOLD_PAGE_EVENTS = 2_000
KEEP_AFTER_FOLDED = 20_000  # events: about a second of a start, measured in docs/benchmarks.md


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A policy's state as it was after everything up to a place; worth nothing but time."""

    place: Place
    state: bytes


class Snapshots(Protocol):
    """Where states of policies are kept. What other code folded is never given back."""

    async def load(self, name: str) -> Snapshot | None:
        """Return the newest state of a policy, None if there is none that this code folded."""
        ...

    async def save(self, name: str, snapshot: Snapshot) -> None:
        """Keep a state in the place of the one before."""
        ...


@dataclass(frozen=True, slots=True)
class Keep(Generic[S]):
    """How a policy's state is kept: `get` returns it, `put` takes up one that an earlier process had.

    `type` and all in it are dataclasses and named tuples, whose equal values are equal states.
    """

    snapshots: Snapshots
    type: type[S]
    get: Callable[[], S]
    put: Callable[[S], None]


class PolicyRunner(Subscription, Generic[T]):
    """One policy: `fold` takes an event into its state and returns what follows from it, `react` does that.

    `fold` sees each event once, in log order, from the first on or from where the kept state ends; `react` only what
    the tail had not handled, and the same event again after StoreUnavailable, so it must bear repeats.
    """

    def __init__(
        self,
        feed: LogFeed,
        checkpoints: Checkpoints,
        name: str,
        event_types: frozenset[str],
        fold: Callable[[Recorded], T],
        react: Callable[[Recorded, T], Awaitable[None]],
        keep: Keep[S] | None = None,
    ) -> None:
        super().__init__(feed, checkpoints, name, self._take, event_types)
        self._fold = fold
        self._react = react
        self._keep = keep
        self._folded = START  # up to here the state holds the log
        self._folded_since_kept = 0
        self._follows: list[T] = []  # from the event that is being handled

    async def begin(self) -> None:
        """Fold what was handled before; the first step does it otherwise. Errors: StoreUnavailable: call again."""
        async with self._step_lock:
            if self._loaded is None:
                self._loaded = await self._load()

    async def _load(self) -> Place:
        end = await super()._load()
        if self._folded == START:
            await self._take_up(end)
        while not self._feed.reached(self._folded, end):
            page = await self._feed.read(self._folded, FOLD_PAGE_EVENTS, self._event_types)
            handled = [envelope for envelope in page.events if self._feed.reached(end, envelope.place)]
            for envelope in handled:
                self._hold(Recorded.of(envelope))
            if not handled or len(handled) < len(page.events):
                break
        await self._keep_state(end)
        return end

    async def _pass(self, page: Page) -> None:
        await super()._pass(page)
        if not self._unsaved and not self._skipped:  # the checkpoint stands where the state does, never behind it
            await self._keep_state(page.next)

    async def _take(self, recorded: Recorded) -> None:
        if not self._feed.reached(self._folded, recorded.envelope.place):
            self._follows = [self._hold(recorded)]
        for follows in self._follows:
            await self._react(recorded, follows)

    def _hold(self, recorded: Recorded) -> T:
        follows = self._fold(recorded)
        self._folded = recorded.envelope.place
        self._folded_since_kept += 1
        return follows

    async def _take_up(self, end: Place) -> None:
        """Go on from the kept state, unless it holds what the tail will hand over again."""
        kept = await self._keep.snapshots.load(self.name) if self._keep is not None else None
        if self._keep is None or kept is None or not self._feed.reached(end, kept.place):
            return
        try:
            state = msgspec.msgpack.decode(kept.state, type=self._keep.type)
        except msgspec.MsgspecError:
            return  # damaged: the log has it all
        self._keep.put(state)
        self._folded = kept.place

    async def _keep_state(self, place: Place) -> None:
        if self._keep is not None and self._folded_since_kept >= KEEP_AFTER_FOLDED:
            await self._keep.snapshots.save(self.name, Snapshot(place, msgspec.msgpack.encode(self._keep.get())))
            self._folded_since_kept = 0
