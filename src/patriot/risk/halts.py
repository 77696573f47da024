"""Halts of one scope: raised, escalated, lifted; and the copy in memory that every entry is checked against. Pure.

A scope can be halted for several reasons at once, and trades again when none is left. What a rule raised (its reason is
a `ReasonCode`) is lifted under the same reason; a person, under any other reason, lifts everything that stands.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from patriot.kernel.aggregate import Decider
from patriot.risk.commands import HaltCommand, HaltTrading, ResumeTrading
from patriot.risk.events import HaltEvent, HaltLevel, ReasonCode, Scope, TradingHalted, TradingResumed
from patriot.trading.terms import AccountId, StrategyId, UserId

_STRENGTH = {HaltLevel.H1: 1, HaltLevel.H2: 2, HaltLevel.H3: 3}
_WIDEST_FIRST = {scope: place for place, scope in enumerate((Scope.GLOBAL, Scope.STRATEGY, Scope.USER, Scope.ACCOUNT))}
_RULES = frozenset(ReasonCode)


@dataclass(frozen=True, slots=True)
class Standing:
    """A halt for one reason."""

    level: HaltLevel
    halted_at: datetime


@dataclass(frozen=True, slots=True)
class Halt:
    """The halts of one scope by reason, and when a reason was last lifted."""

    standing: Mapping[str, Standing] = field(default_factory=dict)
    lifted_at: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def level(self) -> HaltLevel | None:
        """Return the strongest level that stands, None while the scope trades."""
        return strongest(one.level for one in self.standing.values())


def strongest(levels: Iterable[HaltLevel | None]) -> HaltLevel | None:
    """Return the strongest level, None if there is none."""
    return max((level for level in levels if level is not None), key=_STRENGTH.__getitem__, default=None)


def scopes_over(
    user_id: UserId | None, account_id: AccountId, strategy_id: StrategyId | None
) -> tuple[tuple[Scope, str], ...]:
    """Return the scopes, with their references, whose halts cover an entry."""
    return (
        (Scope.GLOBAL, ""),
        (Scope.USER, str(user_id)),
        (Scope.ACCOUNT, str(account_id)),
        (Scope.STRATEGY, str(strategy_id)),
    )


def decide(halt: Halt, command: HaltCommand) -> list[HaltEvent]:
    """Return what a command changes.

    For one reason a level only rises until it is lifted; a command that a newer one overtook changes nothing.
    """
    match command:
        case HaltTrading() as c:
            known, lifted_at = halt.standing.get(c.reason_code), halt.lifted_at.get(c.reason_code)
            overtaken = lifted_at is not None and c.at < lifted_at
            if overtaken or (known is not None and _STRENGTH[c.level] <= _STRENGTH[known.level]):
                return []
            return [TradingHalted(c.scope, c.reference, c.level, c.reason_code, c.at)]
        case ResumeTrading() as c:
            if not any(halt.standing[reason].halted_at <= c.at for reason in _lifted_by(halt, c.reason_code)):
                return []
            return [TradingResumed(c.scope, c.reference, c.reason_code, c.at)]
        case _:
            assert_never(command)


def evolve(halt: Halt, event: HaltEvent) -> Halt:
    """Return the halts after an event."""
    match event:
        case TradingHalted():
            raised = Standing(event.level, event.halted_at)
            return replace(halt, standing={**halt.standing, event.reason_code: raised})
        case TradingResumed():
            lifted = {
                reason
                for reason in _lifted_by(halt, event.reason_code)
                if halt.standing[reason].halted_at <= event.resumed_at
            }
            return Halt(
                {reason: one for reason, one in halt.standing.items() if reason not in lifted},
                {**halt.lifted_at, **dict.fromkeys(sorted(lifted), event.resumed_at)},
            )
        case _:
            assert_never(event)


HALT: Decider[Halt, HaltCommand, HaltEvent] = Decider(initial=Halt(), decide=decide, evolve=evolve)


def _lifted_by(halt: Halt, reason_code: str) -> set[str]:
    return {reason for reason in halt.standing if reason == reason_code or reason_code not in _RULES}


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
        """Return the halts of exactly one scope."""
        return self._halts.get((scope, reference), Halt())

    def in_force(self) -> list[tuple[Scope, str, str, Standing]]:
        """Return every halt that stands, by scope, reference and reason."""
        return [
            (*key, reason, halt.standing[reason])
            for key, halt in sorted(self._halts.items(), key=lambda item: (_WIDEST_FIRST[item[0][0]], item[0][1]))
            for reason in sorted(halt.standing)
        ]

    def level_for(
        self, user_id: UserId | None, account_id: AccountId, strategy_id: StrategyId | None
    ) -> HaltLevel | None:
        """Return the strongest halt that covers an entry; at least H1 while this copy is not ready."""
        unread = None if self.ready else HaltLevel.H1
        covering = scopes_over(user_id, account_id, strategy_id)
        return strongest([unread, *(self.halt_of(*scope).level for scope in covering)])
