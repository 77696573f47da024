"""The exposure of one account: who holds which symbol, how much is reserved, may one more entry go out. Pure.

This is the gate of every entry order: its answer goes into the same append as the order, so two racing entries cannot
both pass. A refusal is written too: an answer from a stale state is then caught by the expected version, yes or no.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import ROUND_UP, Decimal, localcontext
from typing import NamedTuple, assert_never

from patriot.kernel.aggregate import Decider
from patriot.kernel.errors import CommandRefused
from patriot.kernel.money import EXACT, ZERO, plain
from patriot.kernel.two_persons import require_two_persons
from patriot.risk.commands import (
    AccountRisk,
    EffectiveLimits,
    RebasePeak,
    RecordViolation,
    ReleaseExposure,
    ReserveExposure,
    RestoreExposure,
    RiskCommand,
)
from patriot.risk.events import (
    ExposureRefused,
    ExposureReleased,
    ExposureReserved,
    PeakRebased,
    ReasonCode,
    RiskEvent,
    RiskViolation,
)
from patriot.trading.terms import OrderId, StrategyId

REMEMBERED_ORDERS = 256  # refused or released; only the newest can still be repeated by a retry
RATIO_STEP = Decimal("0.000001")  # of the ratios in a refusal; the rules themselves compare products, exactly
_NOISE = Decimal("1e-12")


@dataclass(frozen=True, slots=True)
class Reservation:
    """One entry that went out and whose bracket is not over. Units: quote asset."""

    symbol: str
    strategy_id: StrategyId | None
    notional: Decimal


@dataclass(frozen=True, slots=True)
class RiskState:
    """What an account has at stake, and which orders were answered already."""

    reserved: Mapping[OrderId, Reservation] = field(default_factory=dict)
    settled: tuple[OrderId, ...] = ()
    violated_on: Mapping[ReasonCode, date] = field(default_factory=dict)  # UTC day of the newest one
    rebased_from: datetime | None = None  # the sample that the newest re-based peak was measured by

    @property
    def exposure(self) -> Decimal:
        """Return the sum of reserved notionals."""
        with localcontext(EXACT):
            return sum((held.notional for held in self.reserved.values()), ZERO)


class Refusal(NamedTuple):
    """Why an entry may not go out; what was found and what was allowed, where the reason has them."""

    reason_code: ReasonCode
    value: Decimal | None = None
    limit: Decimal | None = None


def decide(state: RiskState, command: RiskCommand) -> list[RiskEvent]:
    """Return what a command changes.

    Errors: CommandRefused if the notional of an entry is not a positive number; for a peak that is not lower than
    before or above zero, that nobody gave a reason for, or that fewer than two persons answer for.
    """
    match command:
        case ReserveExposure() as c if c.order_id in state.reserved or c.order_id in state.settled:
            return []
        case ReserveExposure() as c:
            if not c.notional.is_finite() or c.notional <= ZERO:
                raise CommandRefused(f"notional of an entry: expected a number above 0, found {c.notional}")
            with localcontext(EXACT):
                refusal = _refusal(state, c)
            if refusal is None:
                return [ExposureReserved(c.account_id, c.order_id, c.strategy_id, c.symbol, c.notional)]
            return [ExposureRefused(c.account_id, c.order_id, c.strategy_id, c.symbol, *refusal)]
        case RestoreExposure() as c:
            if c.order_id in state.reserved:
                return []
            return [ExposureReserved(c.account_id, c.order_id, c.strategy_id, c.symbol, c.notional)]
        case ReleaseExposure() as c:
            held = state.reserved.get(c.order_id)
            return [ExposureReleased(c.account_id, c.order_id, held.symbol)] if held else []
        case RecordViolation() as c:
            known = state.violated_on.get(c.violation_type)
            if known is not None and c.at.date() <= known:
                return []
            return [
                RiskViolation(
                    c.account_id, c.user_id, c.violation_type, c.severity, c.current_value, c.limit_value, c.at
                )
            ]
        case RebasePeak() as c:
            return _rebase(state, c)
        case _:
            assert_never(command)


def _rebase(state: RiskState, c: RebasePeak) -> list[RiskEvent]:
    require_two_persons(c.requested_by, c.approved_by)
    if not c.reason.strip():
        raise CommandRefused("a peak is re-based for a reason, found none")
    if state.rebased_from is not None and c.measured_at <= state.rebased_from:
        return []  # done already, from this sample or a newer one
    if not ZERO < c.new_peak < c.old_peak:
        raise CommandRefused(f"expected a new peak above 0 and below {plain(c.old_peak)}, found {plain(c.new_peak)}")
    return [
        PeakRebased(
            account_id=c.account_id,
            user_id=c.user_id,
            old_peak=c.old_peak,
            new_peak=c.new_peak,
            reason=c.reason.strip(),
            requested_by=c.requested_by.strip(),
            approved_by=c.approved_by.strip(),
            measured_at=c.measured_at,
            rebased_at=c.at,
        )
    ]


def evolve(state: RiskState, event: RiskEvent) -> RiskState:
    """Return the state after an event."""
    match event:
        case ExposureReserved():
            reservation = Reservation(event.symbol, event.strategy_id, event.notional)
            return replace(state, reserved={**state.reserved, event.order_id: reservation})
        case ExposureRefused():
            return replace(state, settled=_remember(state.settled, event.order_id))
        case ExposureReleased():
            left = {order_id: held for order_id, held in state.reserved.items() if order_id != event.order_id}
            return replace(state, reserved=left, settled=_remember(state.settled, event.order_id))
        case RiskViolation():
            days = {**state.violated_on, event.violation_type: event.detected_at.date()}
            return replace(state, violated_on=days)
        case PeakRebased():
            return replace(state, rebased_from=event.measured_at)
        case _:
            assert_never(event)


RISK: Decider[RiskState, RiskCommand, RiskEvent] = Decider(initial=RiskState(), decide=decide, evolve=evolve)


def loss_fraction(equity: Decimal, reference: Decimal) -> Decimal:
    """Return how far equity fell below a positive reference, as a fraction rounded up to 1e-6; negative is a gain.

    What risk/days.py rounds in a reference is rounded away first.

    >>> loss_fraction(Decimal("9500"), Decimal("10000"))
    Decimal('0.050000')
    """
    with localcontext(EXACT):
        return (1 - equity / reference).quantize(_NOISE).quantize(RATIO_STEP, ROUND_UP)


def has_lost(equity: Decimal, reference: Decimal, fraction: Decimal) -> bool:
    """Return whether equity fell by at least a fraction of its reference; compared without dividing, so exactly."""
    with localcontext(EXACT):
        return reference > ZERO and reference - equity >= fraction * reference


def _refusal(state: RiskState, command: ReserveExposure) -> Refusal | None:
    """Return the first rule that an entry breaks."""
    risk, limits = command.risk, command.limits
    if command.halt is not None:
        return Refusal(ReasonCode.HALTED)
    if risk is None:
        return Refusal(ReasonCode.EQUITY_UNKNOWN)
    if risk.equity <= ZERO:
        return Refusal(ReasonCode.INSUFFICIENT_EQUITY, risk.equity, ZERO)
    for held in state.reserved.values():
        if held.symbol == command.symbol:
            same = held.strategy_id == command.strategy_id
            return Refusal(ReasonCode.POSITION_OPEN if same else ReasonCode.SYMBOL_OWNED)
    if command.notional > limits.max_position_notional:
        return Refusal(ReasonCode.POSITION_SIZE, command.notional, limits.max_position_notional)
    exposure = state.exposure + command.notional
    if exposure > limits.max_total_exposure:
        return Refusal(ReasonCode.TOTAL_EXPOSURE, exposure, limits.max_total_exposure)
    if exposure > limits.max_leverage * risk.equity:
        leverage = (exposure / risk.equity).quantize(RATIO_STEP, ROUND_UP)
        return Refusal(ReasonCode.LEVERAGE, leverage, limits.max_leverage)
    return _loss(risk, limits)


def _loss(risk: AccountRisk, limits: EffectiveLimits) -> Refusal | None:
    for reason, reference, limit in (
        (ReasonCode.DAILY_LOSS, risk.day_start_equity, limits.max_daily_loss_fraction),
        (ReasonCode.MAX_DRAWDOWN, risk.peak_equity, limits.max_drawdown_fraction),
    ):
        if has_lost(risk.equity, reference, limit):
            return Refusal(reason, loss_fraction(risk.equity, reference), limit)
    return None


def _remember(settled: tuple[OrderId, ...], order_id: OrderId) -> tuple[OrderId, ...]:
    return (*settled, order_id)[-REMEMBERED_ORDERS:]
