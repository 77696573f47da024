"""Ratios of daily returns. Pure.

All 365 days of a year are trading days. Ratios are floats: they are for reading, and no money is made of them. With too
few days, or nothing to divide by, a figure is None and says what is missing; it is never 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from math import fsum, log1p, prod, sqrt
from statistics import fmean, stdev

from patriot.portfolio.drawdowns import Drawdown, Value, deepest, drawdowns
from patriot.portfolio.figure import Figure, growth_of, lacking_days, rounded
from patriot.portfolio.returns import DAYS_OF_A_YEAR, DailyReturn, midnight

LEAST_DAYS = 30  # daily returns below which a ratio says more about chance than about the account
NO_RISK_FREE_RATE = 0.0  # per year: what idle money on the exchange earns


@dataclass(frozen=True, slots=True)
class MonthReturn:
    """One line of the monthly table; `days` of the month that have a return."""

    month: str  # "2030-01"
    fraction: Decimal
    days: int


@dataclass(frozen=True, slots=True)
class Performance:
    """The figures of one series of daily returns. Units: fractions (0.01 = 1 %), a year of 365 days."""

    days: int
    carried_days: int  # nothing was sampled on them, and they count as 0
    total_return: Decimal
    annual_return: Figure[float]
    volatility: Figure[float]
    sharpe: Figure[float]
    sortino: Figure[float]
    calmar: Figure[float]
    omega: Figure[float]
    max_drawdown: Drawdown | None
    drawdowns: tuple[Drawdown, ...]
    months: tuple[MonthReturn, ...]
    best_day: DailyReturn | None
    worst_day: DailyReturn | None


def performance(daily: Sequence[DailyReturn], risk_free: float = NO_RISK_FREE_RATE) -> Performance:
    """Return every figure of an account's, a strategy's or a benchmark's daily returns.

    Units: risk_free is a fraction per year, spread evenly over its 365 days.
    """
    returns = [float(day.fraction) for day in daily]
    falls = drawdowns(index_of(daily))
    worst = deepest(falls)
    return Performance(
        days=len(daily),
        carried_days=sum(day.carried for day in daily),
        total_return=linked(daily),
        annual_return=annual_return(returns),
        volatility=volatility(returns),
        sharpe=sharpe(returns, risk_free),
        sortino=sortino(returns, risk_free),
        calmar=calmar(returns, worst),
        omega=omega(returns, risk_free),
        max_drawdown=worst,
        drawdowns=falls,
        months=monthly(daily),
        best_day=max(daily, key=lambda day: day.fraction, default=None),
        worst_day=min(daily, key=lambda day: day.fraction, default=None),
    )


def linked(daily: Sequence[DailyReturn]) -> Decimal:
    """Return what all days earned together.

    Source: GIPS Standards 2020, geometric linking: product of (1 + r) - 1; rounded once, to 18 decimals.
    """
    return rounded(prod((1 + Fraction(day.fraction) for day in daily), start=Fraction(1)) - 1)


def index_of(daily: Sequence[DailyReturn]) -> tuple[Value, ...]:
    """Return the value of 1 put in before the first day, at the beginning of it and the end of each day.

    Each value is rounded, half to even, to 18 decimals, and the next one grows from there.
    """
    if not daily:
        return ()
    value = Fraction(1)
    index = [Value(midnight(daily[0].day), rounded(value))]
    for day in daily:
        value = Fraction(rounded(value * (1 + Fraction(day.fraction))))
        index.append(Value(midnight(day.day + timedelta(days=1)), rounded(value)))
    return tuple(index)


def annual_return(returns: Sequence[float]) -> Figure[float]:
    """Return the growth per year.

    Source: Bacon, Practical Portfolio Performance Measurement and Attribution, 2nd ed. (2008):
    (product of (1 + r))^(365 / n) - 1.
    """
    if len(returns) < LEAST_DAYS:
        return lacking_days(len(returns), LEAST_DAYS)
    if min(returns) <= -1:
        return Figure(None, "something left: the account was lost")
    return growth_of(fsum(map(log1p, returns)) * DAYS_OF_A_YEAR / len(returns))


def volatility(returns: Sequence[float]) -> Figure[float]:
    """Return the standard deviation of a year.

    Source: Bacon (2008): sample standard deviation (n - 1) x sqrt(365).
    """
    if len(returns) < LEAST_DAYS:
        return lacking_days(len(returns), LEAST_DAYS)
    return Figure(stdev(returns) * sqrt(DAYS_OF_A_YEAR))


def sharpe(returns: Sequence[float], risk_free: float = NO_RISK_FREE_RATE) -> Figure[float]:
    """Return the reward for each unit of volatility.

    Source: Sharpe, The Sharpe Ratio, Journal of Portfolio Management 21 (1994): mean excess return / sample standard
    deviation, x sqrt(365) once.
    """
    if len(returns) < LEAST_DAYS:
        return lacking_days(len(returns), LEAST_DAYS)
    spread = stdev(returns)
    if not spread:
        return Figure(None, "a day that differs from the others")
    return Figure((fmean(returns) - risk_free / DAYS_OF_A_YEAR) / spread * sqrt(DAYS_OF_A_YEAR))


def sortino(returns: Sequence[float], target: float = NO_RISK_FREE_RATE) -> Figure[float]:
    """Return the reward for each unit of volatility below a target per year.

    Source: Sortino and Price, Performance Measurement in a Downside Risk Framework, Journal of Investing 3 (1994): mean
    excess return / sqrt(mean of min(excess, 0)^2 over all days), x sqrt(365).
    """
    if len(returns) < LEAST_DAYS:
        return lacking_days(len(returns), LEAST_DAYS)
    excess = [value - target / DAYS_OF_A_YEAR for value in returns]
    downside = sqrt(fmean(min(value, 0.0) ** 2 for value in excess))
    if not downside:
        return Figure(None, "a day below the target")
    return Figure(fmean(excess) / downside * sqrt(DAYS_OF_A_YEAR))


def calmar(returns: Sequence[float], worst: Drawdown | None) -> Figure[float]:
    """Return the growth per year for each unit of maximum drawdown.

    Source: Young, Calmar Ratio: A Smoother Tool, Futures 20 (1991); here over the whole period, not over 36 months.
    """
    growth = annual_return(returns)
    if growth.value is None:
        return growth
    if worst is None:
        return Figure(None, "a drawdown")
    return Figure(growth.value / -float(worst.fraction))


def omega(returns: Sequence[float], target: float = NO_RISK_FREE_RATE) -> Figure[float]:
    """Return what was earned above a target per year for each unit below it.

    Source: Keating and Shadwick, A Universal Performance Measure, Journal of Performance Measurement 6 (2002):
    sum of max(excess, 0) / sum of max(-excess, 0).
    """
    if len(returns) < LEAST_DAYS:
        return lacking_days(len(returns), LEAST_DAYS)
    excess = [value - target / DAYS_OF_A_YEAR for value in returns]
    below = fsum(-value for value in excess if value < 0)
    if not below:
        return Figure(None, "a day below the target")
    return Figure(fsum(value for value in excess if value > 0) / below)


def monthly(daily: Sequence[DailyReturn]) -> tuple[MonthReturn, ...]:
    """Return the linked return of each calendar month that has one, ascending."""
    table = []
    for month, group in groupby(daily, key=lambda day: month_of(day.day)):
        days = list(group)
        table.append(MonthReturn(month, linked(days), len(days)))
    return tuple(table)


def month_of(day: date) -> str:
    """Return the calendar month of a day.

    >>> month_of(date(2030, 1, 31))
    '2030-01'
    """
    return f"{day:%Y-%m}"
