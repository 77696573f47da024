"""Limits of GLOBAL, USER, ACCOUNT and STRATEGY: setting them, and the strictest that holds for one entry. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal

from patriot.kernel.aggregate import Decider
from patriot.kernel.errors import InvalidInput
from patriot.kernel.money import ZERO
from patriot.risk.commands import EffectiveLimits, SetLimit
from patriot.risk.events import LimitEvent, LimitSet, Scope, limits_stream_id
from patriot.risk.quotas import Sharers, SharingEvent, share
from patriot.trading.terms import AccountId, StrategyId, UserId

GLOBAL_DEFAULTS = EffectiveLimits(
    max_position_notional=Decimal(50_000),
    max_total_exposure=Decimal(250_000),  # of one account: five strategies at most, each with one position of the above
    max_leverage=Decimal(10),
    max_daily_loss_fraction=Decimal("0.05"),
    max_drawdown_fraction=Decimal("0.20"),
)
MAX_LEVERAGE = Decimal(125)  # the most any venue grants

_CEILINGS: Mapping[str, Decimal | None] = {
    "max_position_notional": None,
    "max_total_exposure": None,
    "max_leverage": MAX_LEVERAGE,
    "max_daily_loss_fraction": Decimal(1),
    "max_drawdown_fraction": Decimal(1),
}
SHARED = frozenset({"max_total_exposure"})  # by all accounts of its scope; the others are each account's own
LIMIT_NAMES = tuple(limit.name for limit in fields(EffectiveLimits))

LimitState = Mapping[str, Decimal]  # by name, of one scope and reference


def set_limit(scope: Scope, reference: str, name: str, value: Decimal, at: datetime) -> SetLimit:
    """Return the command that sets one limit, addressed to its stream."""
    return SetLimit(limits_stream_id(scope, reference), scope, reference, name, value, at)


def decide(state: LimitState, command: SetLimit) -> list[LimitEvent]:
    """Return the limit as set, or nothing if it stands so already.

    Errors: InvalidInput for an unknown name, a value out of range, or a reference that does not fit the scope.
    """
    if command.name not in _CEILINGS:
        raise InvalidInput("name", f"expected one of {', '.join(LIMIT_NAMES)}, found {command.name[:40]!r}")
    if (command.scope is Scope.GLOBAL) != (command.reference == ""):
        raise InvalidInput("reference", "expected an id, or nothing for GLOBAL")
    ceiling = _CEILINGS[command.name]
    if not command.value.is_finite() or command.value <= ZERO or (ceiling is not None and command.value > ceiling):
        expected = "above 0" if ceiling is None else f"above 0 and at most {ceiling}"
        raise InvalidInput("value", f"expected a number {expected} for {command.name}, found {command.value}")
    if state.get(command.name) == command.value:
        return []
    return [LimitSet(command.scope, command.reference, command.name, command.value, command.at)]


def evolve(state: LimitState, event: LimitEvent) -> LimitState:
    """Return the limits of the scope after an event."""
    return {**state, event.name: event.value}


LIMITS: Decider[LimitState, SetLimit, LimitEvent] = Decider(initial={}, decide=decide, evolve=evolve)


@dataclass(slots=True)
class LimitBook:
    """An in-memory fold of every limit. What is set for GLOBAL replaces the default; no other scope can widen it.

    A total exposure set for USER, STRATEGY or GLOBAL is that of all its accounts together: each has an equal share.
    """

    _limits: dict[tuple[Scope, str], dict[str, Decimal]] = field(default_factory=dict)
    _sharers: Sharers = field(default_factory=Sharers)

    def apply(self, event: LimitEvent | SharingEvent) -> None:
        """Take in a limit that was set, or who shares one."""
        if isinstance(event, LimitSet):
            self._limits.setdefault((event.scope, event.reference), {})[event.name] = event.value
        else:
            self._sharers.apply(event)

    def effective(
        self, user_id: UserId | None, account_id: AccountId, strategy_id: StrategyId | None
    ) -> EffectiveLimits:
        """Return the strictest of every scope that covers an entry."""
        operator = self._of(Scope.GLOBAL, "", self._sharers.of_all())
        scopes = [self._of(Scope.ACCOUNT, str(account_id), 1)]
        if user_id is not None:
            scopes.append(self._of(Scope.USER, str(user_id), self._sharers.of_user(user_id)))
        if strategy_id is not None:
            scopes.append(self._of(Scope.STRATEGY, str(strategy_id), self._sharers.of_strategy(strategy_id)))

        def strictest(name: str) -> Decimal:
            ceiling: Decimal = operator.get(name, getattr(GLOBAL_DEFAULTS, name))
            return min([ceiling, *(scope[name] for scope in scopes if name in scope)])

        return EffectiveLimits(**{name: strictest(name) for name in LIMIT_NAMES})

    def _of(self, scope: Scope, reference: str, sharers: int) -> Mapping[str, Decimal]:
        """Return what is set for one scope, as it holds for one of its accounts."""
        limits = self._limits.get((scope, reference), {})
        return {name: share(value, sharers) if name in SHARED else value for name, value in limits.items()}
