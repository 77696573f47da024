"""An account beside a benchmark: any series of daily closes, of the market's own bars or from a CSV file."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import fsum, sqrt
from pathlib import Path
from statistics import fmean, stdev

from patriot.kernel.errors import InvalidInput
from patriot.kernel.money import parse_decimal
from patriot.portfolio.figure import Figure, lacking_days, rounded
from patriot.portfolio.performance import LEAST_DAYS, NO_RISK_FREE_RATE
from patriot.portfolio.returns import DAYS_OF_A_YEAR, DailyReturn

LONGEST_GAP_DAYS = (
    4  # a weekend with holidays beside it; a longer hole in a benchmark is missing data, not a market at rest
)
COMMON = "days on which both the account and the benchmark have a return"


@dataclass(frozen=True, slots=True)
class Comparison:
    """An account against a benchmark on the days that both have. Units: fractions, a year of 365 days."""

    days: int
    alpha: Figure[float]
    beta: Figure[float]
    tracking_error: Figure[float]
    information_ratio: Figure[float]


def compare(
    daily: Sequence[DailyReturn], benchmark: Sequence[DailyReturn], risk_free: float = NO_RISK_FREE_RATE
) -> Comparison:
    """Compare two series of daily returns. Units: risk_free is a fraction per year.

    Source: alpha and beta, Jensen, The Performance of Mutual Funds, Journal of Finance 23 (1968): beta = covariance /
    variance of the benchmark, daily alpha = mean excess - beta x mean benchmark excess, compounded over 365 days.
    Tracking error and information ratio, Goodwin, The Information Ratio, Financial Analysts Journal 54 (1998): sample
    standard deviation of the difference x sqrt(365), and mean difference / that deviation x sqrt(365).
    """
    theirs_by_day = {day.day: float(day.fraction) for day in benchmark}
    common = [day for day in daily if day.day in theirs_by_day]
    ours, theirs = [float(day.fraction) for day in common], [theirs_by_day[day.day] for day in common]
    if len(common) < LEAST_DAYS:
        missing = lacking_days(len(common), LEAST_DAYS, COMMON)
        return Comparison(len(common), missing, missing, missing, missing)
    beta = _beta(ours, theirs)
    return Comparison(
        len(common), _alpha(ours, theirs, beta, risk_free), beta, _tracking_error(ours, theirs), _ratio(ours, theirs)
    )


def _beta(ours: Sequence[float], theirs: Sequence[float]) -> Figure[float]:
    if len(set(theirs)) == 1:
        return Figure(None, "a benchmark that moves")
    mean, their_mean = fmean(ours), fmean(theirs)
    variance = fsum((value - their_mean) ** 2 for value in theirs)
    covariance = fsum((a - mean) * (b - their_mean) for a, b in zip(ours, theirs, strict=True))
    return Figure(covariance / variance)


def _alpha(ours: Sequence[float], theirs: Sequence[float], beta: Figure[float], risk_free: float) -> Figure[float]:
    if beta.value is None:
        return beta
    daily_rate = risk_free / DAYS_OF_A_YEAR
    of_a_day = fmean(ours) - daily_rate - beta.value * (fmean(theirs) - daily_rate)
    return Figure((1 + of_a_day) ** DAYS_OF_A_YEAR - 1)


def _tracking_error(ours: Sequence[float], theirs: Sequence[float]) -> Figure[float]:
    return Figure(stdev(a - b for a, b in zip(ours, theirs, strict=True)) * sqrt(DAYS_OF_A_YEAR))


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> Figure[float]:
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    spread = stdev(differences)
    if not spread:
        return Figure(None, "a day on which the account and the benchmark part")
    return Figure(fmean(differences) / spread * sqrt(DAYS_OF_A_YEAR))


def returns_of_closes(closes: Mapping[date, Decimal]) -> tuple[DailyReturn, ...]:
    """Return the daily returns of a price series, ascending.

    A market at rest carries its last close, so its days return 0, up to 4 days between two closes. After a longer hole
    the series goes on with its second close: what happened inside has no day.
    """
    returns: list[DailyReturn] = []
    days = sorted(closes)
    for before, day in pairwise(days):
        gap = (day - before).days
        if gap > LONGEST_GAP_DAYS:
            continue
        returns += [DailyReturn(before + timedelta(days=rest), Decimal(0), carried=True) for rest in range(1, gap)]
        returns.append(DailyReturn(day, rounded(Fraction(closes[day]) / Fraction(closes[before]) - 1)))
    return tuple(returns)


def read_closes(path: Path) -> dict[date, Decimal]:
    """Return the daily closes of a CSV file with the columns `date` (2030-01-31) and `close`; others are passed over.

    Errors: InvalidInput naming file, line and field for a file that cannot be read, a missing column, a malformed or
    repeated or descending date, and a close that is not a plain decimal above zero.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return parse_closes(file, path.name)
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise InvalidInput(path.name, f"expected a CSV file in UTF-8, found {type(problem).__name__}") from None


def parse_closes(lines: Iterable[str], name: str) -> dict[date, Decimal]:
    """Return the daily closes in the lines of a CSV file called `name`; see `read_closes`."""
    rows = csv.reader(lines)
    header = [column.strip().lower() for column in next(rows, [])]
    for column in ("date", "close"):
        if header.count(column) != 1:
            raise InvalidInput(f"{name} line 1, {column}", f"expected one such column, found {header}")
    date_column, close_column = header.index("date"), header.index("close")
    closes: dict[date, Decimal] = {}
    last: date | None = None
    for row in rows:
        place = f"{name} line {rows.line_num}"
        if not row:
            continue
        if len(row) != len(header):
            raise InvalidInput(place, f"expected {len(header)} fields, found {len(row)}")
        day = _parse_day(f"{place}, date", row[date_column].strip(), last)
        close = parse_decimal(f"{place}, close", row[close_column].strip())
        if close <= 0:
            raise InvalidInput(f"{place}, close", f"expected a price above zero, found {close}")
        closes[day] = close
        last = day
    return closes


def _parse_day(field: str, text: str, last: date | None) -> date:
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise InvalidInput(field, f"expected a day such as 2030-01-31, found {text[:40]!r}") from None
    if last is not None and day <= last:
        raise InvalidInput(field, f"expected a day after {last}, found {day}")
    return day
