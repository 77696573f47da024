"""The money-weighted return: the one rate that every unit of money in the account earned while it was there. Pure.

A rate is found with floats: it is a figure to read, and no money is made of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import exp, expm1

from patriot.portfolio.figure import Figure, growth_of
from patriot.portfolio.returns import DAY, DAYS_OF_A_YEAR, NavPoint, within

WIDEST_LOG_RATE = 64.0  # growth over the whole period between e^-64 and e^64; nothing outside is a return
HALVINGS = 128  # of a bracket 128 wide: far below the last digit of a float
NO_SINGLE_RATE = "no single rate explains the flows: none, or more than one, does"
TOLERANCE = 1e-9  # of the money put in: a balance this far below zero is rounding

Cash = tuple[float, float]  # when, as a fraction of the period; money put in, positive


@dataclass(frozen=True, slots=True)
class MoneyWeighted:
    """One rate in two units: over the period, and as a rate per year of 365 days (XIRR)."""

    over_period: Figure[float]
    per_year: Figure[float]


def money_weighted_return(navs: Sequence[NavPoint], since: datetime, until: datetime) -> MoneyWeighted:
    """Return the internal rate of return of an account between two moments.

    What the account held at first counts as put in, what it holds at last as taken out. Missing where no rate, or more
    than one, makes the present values of all of it zero.
    Source: XIRR as OpenDocument 1.2, OpenFormula, defines it, with 365 days a year. That one rate is the only one:
    Teichroew, Robichek and Montalbano, Mathematical Analysis of Rates of Return, Management Science 11 (1965).
    """
    covered = within(navs, since, until)
    if len(covered) < 2 or covered[0].at == covered[-1].at:
        return _missing("a second sample")
    begin, span = covered[0].at, covered[-1].at - covered[0].at
    opening = float(covered[0].equity)
    cash = [(0.0, opening), *(((nav.at - begin) / span, float(nav.net_flow)) for nav in covered[1:] if nav.net_flow)]
    log_rate = single_log_rate(cash, float(covered[-1].equity))
    if log_rate is None:
        return _missing(NO_SINGLE_RATE)
    yearly = log_rate * DAYS_OF_A_YEAR * DAY / span
    return MoneyWeighted(Figure(expm1(log_rate)), growth_of(yearly))


def _missing(what: str) -> MoneyWeighted:
    return MoneyWeighted(Figure(None, what), Figure(None, what))


def single_log_rate(cash: Sequence[Cash], final: float) -> float | None:
    """Return the logarithm of the growth over the period, by bisection, or None if no rate is the only one.

    If, at the rate found, no balance on the way is negative, a higher rate leaves more at every moment and a lower one
    less: so there is no other. Otherwise nothing is promised, and None is returned.

    >>> round(exp(single_log_rate([(0.0, 100.0), (0.5, 100.0)], 231.0) or 0), 6)
    1.21
    """
    low, high = -WIDEST_LOG_RATE, WIDEST_LOG_RATE
    if not _balance(cash, low, 1.0) < final < _balance(cash, high, 1.0):
        return None
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if _balance(cash, middle, 1.0) < final:
            low = middle
        else:
            high = middle
    put_in = sum(amount for _, amount in cash if amount > 0)
    is_only_one = all(_balance(cash, high, when) >= -TOLERANCE * put_in for when, _ in cash)
    return high if is_only_one else None


def _balance(cash: Sequence[Cash], log_rate: float, until: float) -> float:
    """Return what the money put in so far has grown to."""
    return sum(amount * exp(log_rate * (until - when)) for when, amount in cash if when <= until)
