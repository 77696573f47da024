"""The list of faults: what was asked for, what is in force, what it has hit, and what begins or ends when.

Venue time begins and ends actions: whoever drives the clock looks at `next_ms` and calls `on_time` when it is reached.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from patriot.kernel.errors import NotFound, PatriotError
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.faults.actions import Means, Undo, begin
from patriot.sim.faults.rules import Faults, RestFault, RestRule, StreamRule
from patriot.sim.faults.wishes import FaultWish, check, end_ms, rule_of
from patriot.sim.world import JournalLost

MAX_KEPT = 200  # entries that are over, for those who look afterwards


class FaultState(StrEnum):
    WAITING = "waiting"
    IN_FORCE = "in_force"
    OVER = "over"
    FAILED = "failed"


@dataclass(slots=True)
class Entry:
    """One wish and what became of it."""

    fault_id: int
    wish: FaultWish
    state: FaultState = FaultState.WAITING
    rule: RestRule | StreamRule | None = None
    undo: Undo | None = None
    until_ms: int | None = None
    problem: str = ""
    timer: asyncio.TimerHandle | None = None


class FaultDesk:
    """Takes wishes, begins and ends them, and tells about them."""

    def __init__(self, means: Means, faults: Faults, monotonic: Callable[[], float]) -> None:
        self._means = means
        self._faults = faults
        self._monotonic = monotonic
        self._entries: dict[int, Entry] = {}

    # ------------------------------------------------------------------------------------------------ asking

    def apply(self, wish: FaultWish) -> int:
        """Put a fault in force, now or from its time on; return its number.

        Errors: InvalidInput, NotFound, VenueRefusal; nothing is in force then.
        """
        check(wish)
        now_ms = self._means.world.now_ms
        self._means.exchanges(wish)  # refuses an unknown venue or symbol
        entry = Entry(self._faults.next_id(), wish, until_ms=end_ms(wish, now_ms))
        waits = wish.action is not None or wish.fault is RestFault.MAINTENANCE
        if not waits or wish.from_ms is None or wish.from_ms <= now_ms:
            self._begin(entry, now_ms)
        self._entries[entry.fault_id] = entry
        self._forget_old()
        return entry.fault_id

    def take(self, wish: FaultWish) -> None:
        """Put a fault in force for someone who is not there to hear a refusal: it is kept as failed."""
        try:
            self.apply(wish)
        except JournalLost:
            raise
        except (PatriotError, VenueRefusal) as error:
            failed = Entry(self._faults.next_id(), wish, FaultState.FAILED, problem=str(error))
            self._entries[failed.fault_id] = failed

    def remove(self, fault_id: int) -> None:
        """End a fault, and take back what can be taken back. Errors: NotFound."""
        entry = self._entries.pop(fault_id, None)
        if entry is None:
            raise NotFound(f"id: no fault {fault_id}")
        self._end(entry)

    def clear(self) -> None:
        """End every fault, the newest first."""
        for fault_id in sorted(self._entries, reverse=True):
            self.remove(fault_id)
        self._faults.clear()

    def listed(self) -> list[dict[str, Any]]:
        """Return every fault, oldest first, with what it has met (seen) and hit."""
        now_ms, monotonic = self._means.world.now_ms, self._monotonic()
        rows: list[dict[str, Any]] = []
        for entry in self._entries.values():
            row: dict[str, Any] = {"id": entry.fault_id, "state": self._state(entry, now_ms, monotonic).value}
            if entry.rule is not None:
                row |= {"seen": entry.rule.seen, "hits": entry.rule.hits}
            if entry.problem:
                row["problem"] = entry.problem
            rows.append(row | msgspec.to_builtins(entry.wish))
        return rows

    def _state(self, entry: Entry, now_ms: int, monotonic: float) -> FaultState:
        rule = entry.rule
        if rule is None or entry.state is not FaultState.IN_FORCE:
            return entry.state
        if rule.over(now_ms, monotonic):
            return FaultState.OVER
        waiting = rule.term.from_ms is not None and now_ms < rule.term.from_ms
        return FaultState.WAITING if waiting else FaultState.IN_FORCE

    # ------------------------------------------------------------------------------------------------ time

    @property
    def next_ms(self) -> int | None:
        """When, in venue time, the next fault has to begin or end; None when no time does that."""
        return min((at_ms for entry in self._entries.values() if (at_ms := _due_ms(entry)) is not None), default=None)

    def on_time(self, now_ms: int) -> None:
        """Begin and end what is due by now. Errors: JournalLost; any other failure is kept with its fault."""
        for entry in tuple(self._entries.values()):
            due_ms = _due_ms(entry)
            if due_ms is not None and due_ms <= now_ms:
                self._turn(entry, now_ms)

    def _turn(self, entry: Entry, now_ms: int) -> None:
        """Begin what waits, end what is in force; a failure is kept with its fault."""
        try:
            if entry.state is FaultState.WAITING:
                self._begin(entry, now_ms)
            else:
                self._end(entry)
        except JournalLost:
            raise
        except (PatriotError, VenueRefusal) as error:
            entry.state, entry.problem = FaultState.FAILED, str(error)

    def _begin(self, entry: Entry, now_ms: int) -> None:
        wish = entry.wish
        if wish.action is None:
            rule = rule_of(wish, now_ms, self._monotonic())
            rule.rule_id = entry.fault_id
            self._faults.add(rule)
            entry.rule, entry.state = rule, FaultState.IN_FORCE
            if wish.fault is RestFault.MAINTENANCE:
                for exchange in self._means.exchanges(wish):
                    self._means.hubs[exchange.name].disconnect(None)
            return
        entry.undo = begin(self._means, wish)
        entry.state = FaultState.OVER if entry.undo is None else FaultState.IN_FORCE
        if entry.undo is not None and wish.seconds is not None:
            entry.timer = asyncio.get_running_loop().call_later(wish.seconds, self._turn, entry, now_ms)

    def _end(self, entry: Entry) -> None:
        if entry.timer is not None:
            entry.timer.cancel()
        if entry.rule is not None:
            self._faults.remove(entry.fault_id)
        undo, entry.undo = entry.undo, None
        entry.state = FaultState.OVER
        if undo is not None:
            undo()

    def _forget_old(self) -> None:
        now_ms, monotonic = self._means.world.now_ms, self._monotonic()
        over = [e for e in self._entries.values() if self._state(e, now_ms, monotonic) is FaultState.OVER]
        for entry in over[:-MAX_KEPT]:
            del self._entries[entry.fault_id]


def _due_ms(entry: Entry) -> int | None:
    """Return when venue time has to begin or end it; a rule about requests or messages ends by itself."""
    if entry.state is FaultState.WAITING:
        return entry.wish.from_ms
    return entry.until_ms if entry.undo is not None else None
