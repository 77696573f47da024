"""Which trouble a run has: drawn from the seed by name, so that leaving one out does not move the others."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from random import Random

from patriot.simulation.loop import seeded


class Fault(StrEnum):
    """What can happen between a process and the exchange, and to a process itself."""

    SLOW_REQUEST = "slow request"
    SLOW_ANSWER = "slow answer"
    CUT_BEFORE = "cut before delivery"
    CUT_AFTER = "cut after delivery"
    SILENT_BEFORE = "half-open before delivery"
    SILENT_AFTER = "half-open after delivery"
    TRUNCATED = "truncated body"
    PAGE_BEFORE = "gateway page, not executed"
    PAGE_AFTER = "gateway page, executed"
    CODE_BEFORE = "error code, not executed"
    CODE_AFTER = "error code, executed"
    LIMITED = "429, 418 or 403"
    WEIGHT_SPENT = "weight spent by others at the address"
    STALE = "stale list"
    LAGGING = "query lags behind execution"
    STREAM_LATE = "stream late"
    STREAM_REPEATED = "stream message repeated"
    STREAM_REORDERED = "stream messages reordered"
    STREAM_DROPPED = "stream message lost"
    STREAM_SILENT = "stream silent, socket alive"
    STREAM_CUT = "stream cut"
    KEY_GONE = "listen key gone unannounced"
    FILL_IN_PARTS = "fills in parts"
    KILL_AT_SEND = "kill at a send"
    KILL_AT_APPEND = "kill at an append"
    LEASE_MOVED = "lease moved to another owner"
    LEASE_LOST = "lease lost, its owner does not hear of it"
    STORE_AWAY = "store unavailable"
    STORE_SLOW = "store slow"
    STORE_FULL = "store full"
    CLOCK_STEP = "clock stepped"
    CLOCK_SKEWED = "clock ahead or behind"
    HALT = "halt that closes"
    MANUAL_CLOSE = "person closes a position"
    MANUAL_REDUCE = "person closes a part"
    STOP_CANCELED = "person cancels a stop"
    SETTINGS_CHANGED = "person changes leverage and margin"
    FOREIGN_ORDER = "person places an order"
    OVERLOADED = "overloaded: only what reduces is taken"
    READ_REFUSED = "one read refused by code for long"
    CLOCK_SET_BACK = "clock set back behind an entry"


OF_REQUESTS = (
    Fault.SLOW_REQUEST,
    Fault.SLOW_ANSWER,
    Fault.CUT_BEFORE,
    Fault.CUT_AFTER,
    Fault.SILENT_BEFORE,
    Fault.SILENT_AFTER,
    Fault.TRUNCATED,
    Fault.PAGE_BEFORE,
    Fault.PAGE_AFTER,
    Fault.CODE_BEFORE,
    Fault.CODE_AFTER,
    Fault.LIMITED,
)
OF_STREAMS = (
    Fault.STREAM_LATE,
    Fault.STREAM_REPEATED,
    Fault.STREAM_REORDERED,
    Fault.STREAM_DROPPED,
    Fault.STREAM_SILENT,
    Fault.STREAM_CUT,
)
OF_LISTS = (Fault.STALE,)
OF_LIVES = (Fault.KILL_AT_SEND, Fault.KILL_AT_APPEND)
ENDS_WORK = (*OF_LIVES, Fault.LEASE_MOVED, Fault.LEASE_LOST, Fault.STORE_AWAY, Fault.STORE_SLOW, Fault.STORE_FULL)
HOLDS_UP_SIGNALS = (Fault.WEIGHT_SPENT, Fault.OVERLOADED)  # and what the log has behind them, halts included
RESTART = "restart"  # the step of a kill that belongs to another fault
DRAWN_APART = {Fault.OVERLOADED: 0.3, Fault.READ_REFUSED: 0.125, Fault.CLOCK_SET_BACK: 0.125}  # chance, by day
DRAWN_TOGETHER = tuple(fault for fault in Fault if fault not in DRAWN_APART)  # as planted faults' days need them
PLANNED = tuple(
    fault for fault in DRAWN_TOGETHER if fault not in (*OF_REQUESTS, *OF_STREAMS, *OF_LISTS, *OF_LIVES, Fault.LAGGING)
)
ALL = frozenset(Fault)


@dataclass(frozen=True, slots=True)
class Trouble:
    """How hard a world is: the kinds of faults that may come, and the chance of each, per request, message or step."""

    kinds: frozenset[Fault] = ALL
    of_requests: float = 0.04
    of_orders: float = 0.10  # of requests that place or cancel one
    of_streams: float = 0.06
    of_lists: float = 0.05
    lagging: float = 0.10  # of orders
    kills: float = 0.01  # of sends and appends
    planned: int = 4
    max_kills: int = 3
    kill_at: frozenset[str] = frozenset()  # steps; empty: at any

    def may_kill_at(self, step: str) -> bool:
        """Tell whether a kill may come at a step of the order path."""
        return not self.kill_at or step in self.kill_at


CALM = Trouble(frozenset(), 0, 0, 0, 0, 0, 0, 0, 0)


def trouble_of(seed: int) -> Trouble:
    """Return the trouble of a run: calm, one kind of fault, two to four again and again, some together, or all.

    Few kinds with high chances meet each other at the same order, as many kinds with low ones hardly ever do.
    """
    trouble = _trouble_of(seed)
    if trouble is CALM:
        return trouble
    apart = {fault for fault, chance in DRAWN_APART.items() if seeded(seed, fault.name.lower()).random() < chance}
    return replace(trouble, kinds=trouble.kinds | apart)


def _trouble_of(seed: int) -> Trouble:
    random = seeded(seed, "trouble")
    mood = random.random()
    if mood < 0.05:
        return CALM
    if mood < 0.15:
        return _often(random.sample(DRAWN_TOGETHER, 1), planned=3)
    if mood < 0.50:
        return _often(random.sample(DRAWN_TOGETHER, random.randint(2, 4)), planned=8)
    if mood < 0.80:
        return Trouble(frozenset(random.sample(DRAWN_TOGETHER, random.randint(6, 14))))
    return Trouble(frozenset(DRAWN_TOGETHER), planned=7)


def _often(kinds: list[Fault], planned: int) -> Trouble:
    return Trouble(frozenset(kinds), 0.05, 0.3, 0.2, 0.2, 0.4, 0.02, planned)


@dataclass(slots=True)
class Injection:
    """One fault that happened: what it hit, when, and until when it may hold up an account (None: it holds up all)."""

    name: str
    fault: Fault
    step: str
    at: float
    until: float
    uid: int | None
    symbol: str = ""  # that it holds up alone; empty: all


@dataclass(slots=True)
class Dice:
    """Chance by name, and the record of what it brought."""

    seed: int
    trouble: Trouble
    without: frozenset[str] = frozenset()  # names of injections that are left out, to see which of them matter
    injections: list[Injection] = field(default_factory=list)
    calm: bool = False
    _seen: dict[str, int] = field(default_factory=dict)

    def numbered(self, name: str) -> str:
        """Return a name for the next thing of a kind."""
        self._seen[name] = number = self._seen.get(name, 0) + 1
        return f"{name}#{number}"

    def falls(self, name: str, chance: float) -> Random | None:
        """Return the chance of what happens at a name, or None: nothing happens."""
        if self.calm or chance <= 0 or name in self.without:
            return None
        digest = hashlib.blake2b(f"{self.seed}:{name}".encode(), digest_size=8).digest()
        if int.from_bytes(digest, "big") >= chance * 2**64:
            return None
        return seeded(self.seed, name)

    def among(self, random: Random, faults: Mapping[Fault, float] | tuple[Fault, ...]) -> Fault | None:
        """Return one of the faults that this run may have."""
        possible = [fault for fault in faults if fault in self.trouble.kinds]
        return random.choice(possible) if possible else None

    def note(
        self, name: str, fault: Fault, step: str, at: float, until: float, uid: int | None, symbol: str = ""
    ) -> None:
        """Record that a fault happened."""
        self.injections.append(Injection(name, fault, step, at, until, uid, symbol))
