"""Halts of one scope: raised, escalated, lifted; and the copy in memory that every entry is checked against. Pure."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never
from uuid import UUID

from patriot.kernel.aggregate import Decider
from patriot.kernel.ids import derived_id
from patriot.kernel.trading import AccountId, StrategyId, UserId
from patriot.risk.commands import HaltCommand, HaltTrading, ResumeTrading
from patriot.risk.events import HaltEvent, HaltLevel, ReasonCode, Scope, TradingHalted, TradingResumed

DAILY_LOSS: str = ReasonCode.DAILY_LOSS  # the one halt that ends by itself
DAY_ENDED = "DAY_ENDED"  # the reason that lifts it, and no other

_STRENGTH = {HaltLevel.H1: 1, HaltLevel.H2: 2, HaltLevel.H3: 3}


@dataclass(frozen=True, slots=True)
class Halt:
    """The halt of one scope; `level` is None while it trades."""

    level: HaltLevel | None = None
    reason_code: str = ""
    halted_at: datetime | None = None
    resumed_at: datetime | None = None


def halt_stream_id(scope: Scope, reference: str) -> UUID:
    """Return the id of the stream that holds the halts of one scope."""
    return derived_id("halt", scope, reference)


def decide(halt: Halt, command: HaltCommand) -> list[HaltEvent]:
    """Return what a command changes.

    A level only rises until the halt is lifted; a command that a newer one overtook changes nothing.
    """
    match command:
        case HaltTrading() as c:
            overtaken = halt.resumed_at is not None and c.at < halt.resumed_at
            if overtaken or not _takes_over(halt, c):
                return []
            return [TradingHalted(c.scope, c.reference, c.level, c.reason_code, c.at)]
        case ResumeTrading() as c:
            overtaken = halt.halted_at is not None and c.at < halt.halted_at
            of_another_reason = c.reason_code == DAY_ENDED and halt.reason_code != DAILY_LOSS
            if halt.level is None or overtaken or of_another_reason:
                return []
            return [TradingResumed(c.scope, c.reference, c.reason_code, c.at)]
        case _:
            assert_never(command)


def evolve(halt: Halt, event: HaltEvent) -> Halt:
    """Return the halt after an event."""
    match event:
        case TradingHalted():
            return Halt(event.level, event.reason_code, event.halted_at, halt.resumed_at)
        case TradingResumed():
            return Halt(None, "", None, event.resumed_at)
        case _:
            assert_never(event)


HALT: Decider[Halt, HaltCommand, HaltEvent] = Decider(initial=Halt(), decide=decide, evolve=evolve)


def _takes_over(halt: Halt, command: HaltTrading) -> bool:
    if halt.level is None:
        return True
    stronger = _STRENGTH[command.level] - _STRENGTH[halt.level]
    # A person's halt must not end with the day that a daily loss ended.
    lasting = stronger == 0 and halt.reason_code == DAILY_LOSS and command.reason_code != DAILY_LOSS
    return stronger > 0 or lasting


@dataclass(slots=True)
class HaltBook:
    """An in-memory fold of every halt. Until it is `ready` (has read the log to its head) no entry may go out."""

    ready: bool = False
    _halts: dict[tuple[Scope, str], Halt] = field(default_factory=dict)

    def apply(self, event: HaltEvent) -> None:
        """Take in a halt that was raised or lifted."""
        key = (event.scope, event.reference)
        self._halts[key] = evolve(self._halts.get(key, Halt()), event)

    def halt_of(self, scope: Scope, reference: str) -> Halt:
        """Return the halt of exactly one scope."""
        return self._halts.get((scope, reference), Halt())

    def level_for(
        self, user_id: UserId | None, account_id: AccountId, strategy_id: StrategyId | None
    ) -> HaltLevel | None:
        """Return the strongest halt that covers an entry; H1 while this copy is not ready."""
        scopes = (
            (Scope.GLOBAL, ""),
            (Scope.USER, str(user_id)),
            (Scope.ACCOUNT, str(account_id)),
            (Scope.STRATEGY, str(strategy_id)),
        )
        levels = [self.halt_of(*scope).level for scope in scopes] + [None if self.ready else HaltLevel.H1]
        return max((level for level in levels if level is not None), key=_STRENGTH.__getitem__, default=None)
