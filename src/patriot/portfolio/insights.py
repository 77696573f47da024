"""What a report points at: rules over figures, not models. Each gives the figure and the threshold it passed. Pure.

A figure that is missing raises no insight. A threshold is passed when the figure is beyond it, not when it is on it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from fractions import Fraction

from patriot.kernel.money import CENT
from patriot.portfolio.figure import rounded

# Source of all thresholds: the product's use cases, 6 and 13 (performance analytics and reports).
LARGEST_POSITION_PERCENT = Decimal(30)  # of the balance
LARGEST_VAR_PERCENT = Decimal(5)  # of the balance
LOW_WIN_RATE_PERCENT = Decimal(40)
LEAST_TRADES = 20  # closed positions below which a win rate says nothing
HIGH_SHARPE = Decimal(2)
LARGEST_COST_PERCENT = Decimal(30)  # fees and funding, of the gross profit
SLIPPAGE_MULTIPLE = Decimal(2)  # of the platform's median
LONGEST_IDLE_DAYS = 30

REVIEW_DAYS = 90
REVIEW_TRADES = 30
REVIEW_SIGNS = 2  # of the four below that must show together
BEHIND_BENCHMARK_POINTS = Decimal(10)  # percentage points
DRAWDOWN_LIMIT_PERCENT = Decimal(80)  # of the drawdown limit
BACKTEST_SLIPPAGE_MULTIPLE = Decimal(2)  # of what the backtest assumed


class Severity(StrEnum):
    WARNING = "WARNING"
    NOTE = "NOTE"


class InsightKind(StrEnum):
    CONCENTRATION = "CONCENTRATION"
    VALUE_AT_RISK = "VALUE_AT_RISK"
    LOW_WIN_RATE = "LOW_WIN_RATE"
    HIGH_SHARPE = "HIGH_SHARPE"
    HIGH_COST = "HIGH_COST"
    HIGH_SLIPPAGE = "HIGH_SLIPPAGE"
    IDLE_ALLOCATION = "IDLE_ALLOCATION"


class Unit(StrEnum):
    PERCENT = "PERCENT"
    RATIO = "RATIO"
    BPS = "BPS"
    DAYS = "DAYS"


@dataclass(frozen=True, slots=True)
class Insight:
    """A figure beyond its threshold. Both are rounded half to even to 2 decimals; they were compared exactly."""

    kind: InsightKind
    severity: Severity
    subject: str  # symbol, strategy; empty for the whole
    figure: Decimal
    threshold: Decimal
    unit: Unit


def _insight(
    kind: InsightKind, severity: Severity, figure: Fraction, threshold: Fraction, unit: Unit, subject: str = ""
) -> Insight:
    return Insight(kind, severity, subject, _shown(figure), _shown(threshold), unit)


def _shown(value: Fraction) -> Decimal:
    """Return a figure as a report shows it: no more than two decimals, and no zeros behind."""
    shown = rounded(value).quantize(CENT, ROUND_HALF_EVEN)
    return shown.quantize(Decimal(1)) if shown == shown.to_integral_value() else shown.normalize()


def concentration(notionals: Mapping[str, Decimal], balance: Decimal) -> list[Insight]:
    """Warn of each position above 30 % of the balance, by symbol. Units: quote asset, notionals signed or not."""
    if balance <= 0:
        return []
    found = []
    for symbol, notional in sorted(notionals.items()):
        percent = abs(Fraction(notional)) / Fraction(balance) * 100
        if percent > LARGEST_POSITION_PERCENT:
            threshold = Fraction(LARGEST_POSITION_PERCENT)
            kind, severity = InsightKind.CONCENTRATION, Severity.WARNING
            found.append(_insight(kind, severity, percent, threshold, Unit.PERCENT, symbol))
    return found


def value_at_risk(var: Decimal | None, balance: Decimal) -> list[Insight]:
    """Warn of a value at risk above 5 % of the balance. Units: quote asset; a loss is positive."""
    if var is None or balance <= 0:
        return []
    percent, threshold = Fraction(var) / Fraction(balance) * 100, Fraction(LARGEST_VAR_PERCENT)
    if percent <= threshold:
        return []
    return [_insight(InsightKind.VALUE_AT_RISK, Severity.WARNING, percent, threshold, Unit.PERCENT)]


def low_win_rate(winners: int, closed: int, subject: str = "") -> list[Insight]:
    """Note a win rate under 40 % over at least 20 closed positions."""
    if closed < LEAST_TRADES:
        return []
    percent, threshold = Fraction(winners, closed) * 100, Fraction(LOW_WIN_RATE_PERCENT)
    if percent >= threshold:
        return []
    return [_insight(InsightKind.LOW_WIN_RATE, Severity.NOTE, percent, threshold, Unit.PERCENT, subject)]


def high_sharpe(sharpe: float | None, subject: str = "") -> list[Insight]:
    """Note a Sharpe ratio above 2."""
    if sharpe is None or sharpe <= HIGH_SHARPE:
        return []
    figure, threshold = Fraction(sharpe), Fraction(HIGH_SHARPE)
    return [_insight(InsightKind.HIGH_SHARPE, Severity.NOTE, figure, threshold, Unit.RATIO, subject)]


def high_cost(commission: Decimal, funding: Decimal, gross_profit: Decimal, subject: str = "") -> list[Insight]:
    """Warn of fees and funding above 30 % of the gross profit.

    Units: quote asset; what was paid is a positive commission, a negative funding.
    """
    if gross_profit <= 0:
        return []
    percent = (Fraction(commission) - Fraction(funding)) / Fraction(gross_profit) * 100
    threshold = Fraction(LARGEST_COST_PERCENT)
    if percent <= threshold:
        return []
    return [_insight(InsightKind.HIGH_COST, Severity.WARNING, percent, threshold, Unit.PERCENT, subject)]


def high_slippage(own_bps: Decimal | None, platform_median_bps: Decimal | None, subject: str = "") -> list[Insight]:
    """Warn of an average slippage above twice the platform's median, where that is above zero."""
    if own_bps is None or platform_median_bps is None or platform_median_bps <= 0:
        return []
    figure, threshold = Fraction(own_bps), Fraction(SLIPPAGE_MULTIPLE) * Fraction(platform_median_bps)
    if figure <= threshold:
        return []
    return [_insight(InsightKind.HIGH_SLIPPAGE, Severity.WARNING, figure, threshold, Unit.BPS, subject)]


def idle_allocations(last_traded: Mapping[str, date], today: date) -> list[Insight]:
    """Note each allocation whose strategy has not traded for more than 30 days: since it was made, if never."""
    found = []
    for subject, last in sorted(last_traded.items()):
        idle = Fraction((today - last).days)
        if idle > LONGEST_IDLE_DAYS:
            threshold = Fraction(LONGEST_IDLE_DAYS)
            kind, severity = InsightKind.IDLE_ALLOCATION, Severity.NOTE
            found.append(_insight(kind, severity, idle, threshold, Unit.DAYS, subject))
    return found


class Sign(StrEnum):
    """What speaks against a strategy; two together ask for a review."""

    NEGATIVE_SHARPE = "NEGATIVE_SHARPE"
    BEHIND_BENCHMARK = "BEHIND_BENCHMARK"
    NEAR_DRAWDOWN_LIMIT = "NEAR_DRAWDOWN_LIMIT"
    SLIPPAGE_ABOVE_BACKTEST = "SLIPPAGE_ABOVE_BACKTEST"


@dataclass(frozen=True, slots=True)
class StrategyRecord:
    """The last 90 days of a strategy; None where a figure is missing. Units: fractions, basis points.

    A drawdown and its limit are positive.
    """

    days: int
    closed: int
    sharpe: float | None
    total_return: Decimal | None
    benchmark_return: Decimal | None
    drawdown: Decimal | None
    drawdown_limit: Decimal | None
    slippage_bps: Decimal | None
    backtest_slippage_bps: Decimal | None


def underperformance(record: StrategyRecord) -> frozenset[Sign]:
    """Return the signs for which a strategy is to be reviewed: two or more, after 90 days and 30 closed positions."""
    if record.days < REVIEW_DAYS or record.closed < REVIEW_TRADES:
        return frozenset()
    signs = frozenset(sign for sign, shows in _signs(record) if shows)
    return signs if len(signs) >= REVIEW_SIGNS else frozenset()


def _signs(record: StrategyRecord) -> Iterable[tuple[Sign, bool]]:
    own, benchmark = record.total_return, record.benchmark_return
    fallen, limit = record.drawdown, record.drawdown_limit
    slipped, assumed = record.slippage_bps, record.backtest_slippage_bps
    yield Sign.NEGATIVE_SHARPE, record.sharpe is not None and record.sharpe < 0
    if own is not None and benchmark is not None:
        yield Sign.BEHIND_BENCHMARK, own < benchmark - BEHIND_BENCHMARK_POINTS / 100
    if fallen is not None and limit is not None:
        yield Sign.NEAR_DRAWDOWN_LIMIT, fallen > limit * DRAWDOWN_LIMIT_PERCENT / 100
    if slipped is not None and assumed is not None:
        yield Sign.SLIPPAGE_ABOVE_BACKTEST, slipped > BACKTEST_SLIPPAGE_MULTIPLE * assumed
