"""What an account's money sets off: halts for a day's loss, for a drawdown, for what nothing explains.

A day's loss halts the user until the next day, the others halt the account. Pure: `watch` is the policy's own fold. A
repeated event gives the same commands, whose deciders drop the repeats.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, localcontext
from typing import assert_never

from patriot.accounts.events import (
    AccountLinked,
    AccountReconciled,
    AccountUnlinked,
    EquitySampled,
    TransferRecorded,
)
from patriot.kernel.money import EXACT, ZERO
from patriot.risk.commands import HaltTrading, RecordViolation, ResumeTrading
from patriot.risk.days import DayBook, DayEvent
from patriot.risk.decider import has_lost, loss_fraction
from patriot.risk.events import (
    HaltLevel,
    LimitSet,
    PeakRebased,
    ReasonCode,
    Scope,
    Severity,
    TradingHalted,
    TradingResumed,
)
from patriot.risk.halts import Halt, HaltBook
from patriot.risk.limits import LimitBook
from patriot.risk.quotas import SharingEvent
from patriot.strategies.events import StrategyAssigned, StrategyUnassigned
from patriot.trading.terms import AccountId

WatchedEvent = DayEvent | AccountReconciled | LimitSet | SharingEvent | TradingHalted | TradingResumed
WatchCommand = HaltTrading | ResumeTrading | RecordViolation

_CRITICAL_MULTIPLE = Decimal("1.5")  # of a limit: half as bad again as what was agreed
_WARNING_FRACTION = Decimal("0.8")  # of a limit
MAX_UNEXPLAINED = Decimal(50)  # quote asset
MAX_UNEXPLAINED_FRACTION = Decimal("0.01")  # of equity; the smaller of the two counts


@dataclass(slots=True)
class RiskWatch:
    """The fold behind the policy: days, limits and halts. Its books also answer for the gate of an entry."""

    days: DayBook = field(default_factory=DayBook)
    limits: LimitBook = field(default_factory=LimitBook)
    halts: HaltBook = field(default_factory=HaltBook)

    def apply(self, event: WatchedEvent) -> None:
        """Take in an event."""
        match event:
            case EquitySampled() | TransferRecorded() | PeakRebased():
                self.days.apply(event)
            case LimitSet() | AccountLinked() | AccountUnlinked() | StrategyAssigned() | StrategyUnassigned():
                self.limits.apply(event)
            case TradingHalted() | TradingResumed():
                self.halts.apply(event)
            case AccountReconciled():
                pass  # answered at once; nothing is kept of it
            case _:
                assert_never(event)


def watch_money(watch: RiskWatch, event: WatchedEvent) -> list[WatchCommand]:
    """Fold an event into the watch and return what it sets off. What a person halted stays halted."""
    if isinstance(event, TransferRecorded):
        return _watch_transfer(watch, event)
    watch.apply(event)
    match event:
        case EquitySampled():
            return _watch_equity(watch, event)
        case AccountReconciled():
            return _watch_unexplained(watch, event)
        case PeakRebased():
            return _lift_drawdown(watch, event.account_id, event.rebased_at)
        case _:
            return []


def _watch_unexplained(watch: RiskWatch, event: AccountReconciled) -> list[WatchCommand]:
    """Halt entries above the threshold, until all is explained: a smaller rest is still money without a record."""
    account, at = str(event.account_id), event.reconciled_at
    reason = ReasonCode.UNEXPLAINED_MONEY
    if not event.unexplained:
        standing = reason in watch.halts.halt_of(Scope.ACCOUNT, account).standing
        return [ResumeTrading(Scope.ACCOUNT, account, reason, at)] if standing else []
    risk = watch.days.risk_of(event.account_id)
    limit = MAX_UNEXPLAINED
    if risk is not None:
        with localcontext(EXACT):
            limit = min(limit, max(ZERO, risk.equity) * MAX_UNEXPLAINED_FRACTION)
    if abs(event.unexplained) <= limit:
        return []
    return [HaltTrading(Scope.ACCOUNT, account, HaltLevel.H1, reason, at)]


def _watch_equity(watch: RiskWatch, event: EquitySampled) -> list[WatchCommand]:
    """Measure a sample against day and peak. A new UTC day lifts the user's daily-loss halt first."""
    user = str(event.user_id)
    commands = _lift_daily_loss(watch.halts.halt_of(Scope.USER, user), user, event.sampled_at)
    risk = watch.days.risk_of(event.account_id)
    if risk is None:
        return commands
    limits = watch.limits.effective(event.user_id, event.account_id, None)
    for reason, reference, limit, scope, halted in (
        (ReasonCode.DAILY_LOSS, risk.day_start_equity, limits.max_daily_loss_fraction, Scope.USER, user),
        (
            ReasonCode.MAX_DRAWDOWN,
            risk.peak_equity,
            limits.max_drawdown_fraction,
            Scope.ACCOUNT,
            str(event.account_id),
        ),
    ):
        if has_lost(risk.equity, reference, limit):
            lost = loss_fraction(risk.equity, reference)
            commands += [
                HaltTrading(scope, halted, HaltLevel.H1, reason, event.sampled_at),
                RecordViolation(
                    event.account_id, event.user_id, reason, severity(lost, limit), lost, limit, event.sampled_at
                ),
            ]
    return commands


def _watch_transfer(watch: RiskWatch, event: TransferRecorded) -> list[WatchCommand]:
    """Lift a drawdown's halt if the drawdown was a withdrawal that is told of late; nothing else ends it by itself."""
    seemed = _is_drawn_down(watch, event)
    watch.apply(event)
    if not seemed or _is_drawn_down(watch, event):
        return []
    return _lift_drawdown(watch, event.account_id, event.transferred_at)


def _is_drawn_down(watch: RiskWatch, event: TransferRecorded) -> bool:
    risk = watch.days.risk_of(event.account_id)
    limit = watch.limits.effective(event.user_id, event.account_id, None).max_drawdown_fraction
    return risk is not None and has_lost(risk.equity, risk.peak_equity, limit)


def _lift_drawdown(watch: RiskWatch, account_id: AccountId, at: datetime) -> list[WatchCommand]:
    reason = ReasonCode.MAX_DRAWDOWN
    standing = watch.halts.halt_of(Scope.ACCOUNT, str(account_id)).standing.get(reason)
    if standing is None:
        return []
    return [ResumeTrading(Scope.ACCOUNT, str(account_id), reason, max(at, standing.halted_at))]


def _lift_daily_loss(halt: Halt, user: str, at: datetime) -> list[WatchCommand]:
    standing = halt.standing.get(ReasonCode.DAILY_LOSS)
    if standing is None or standing.halted_at.date() >= at.date():
        return []
    return [ResumeTrading(Scope.USER, user, ReasonCode.DAILY_LOSS, at)]


def severity(value: Decimal, limit: Decimal) -> Severity:
    """Return how bad a value is against its limit: from 0.8 of it MEDIUM, from the limit HIGH, from 1.5 of it CRITICAL.

    >>> severity(Decimal("0.05"), Decimal("0.05")).value
    'HIGH'
    """
    if limit <= ZERO or value >= limit * _CRITICAL_MULTIPLE:
        return Severity.CRITICAL
    if value >= limit:
        return Severity.HIGH
    return Severity.MEDIUM if value >= limit * _WARNING_FRACTION else Severity.LOW
