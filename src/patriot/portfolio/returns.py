"""NAV per unit and what was earned on it: deposits buy units at the NAV right before them, gains move the NAV. Pure.

Units stay exact; a NAV is rounded once, half to even, to 18 decimals; a return is a ratio of two such NAVs, rounded the
same way. Nothing rounded flows back. A day is a UTC day, and all 365 of a year are trading days. A sample of midnight
closes the day before. Fees are not made of these figures.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import groupby
from operator import attrgetter

from patriot.accounts.events import EquitySampled, LedgerEvent, SampleReason, TransferRecorded
from patriot.kernel.money import EXACT, ZERO
from patriot.portfolio.figure import rounded

DAYS_OF_A_YEAR = 365  # the market never closes
OPENING_NAV = Decimal(1)
WORTHLESS_NAV = Decimal("0.000001")  # below it, old units own nothing of what is paid in: the series begins again
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Sample:
    """What an account was worth. `settles`: taken for a transfer or at linking, so it contains every flow before it."""

    version: int
    at: datetime
    equity: Decimal
    settles: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """Money in (positive) or out (negative) that no trade made."""

    version: int
    at: datetime
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Point:
    """A sample with the flows that it is the first to contain."""

    at: datetime
    equity: Decimal
    net_flow: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class NavPoint:
    """The NAV per unit at a sample, the same right before and right after its flows.

    `series` counts how often the account began again with NAV 1; `invested`: units are out after the flows.
    """

    at: datetime
    equity: Decimal
    net_flow: Decimal
    nav: Decimal
    series: int
    invested: bool


@dataclass(frozen=True, slots=True)
class DailyReturn:
    """The time-weighted return of one UTC day; `carried` if nothing was sampled on it, so that it shows as 0."""

    day: date
    fraction: Decimal
    carried: bool = False


@dataclass(frozen=True, slots=True)
class PeriodReturn:
    """What a period earned. `since` and `until` are where its data begins and ends; `net_flow` is not part of it."""

    since: datetime
    until: datetime
    fraction: Decimal | None  # None where the NAV it starts from is not above zero
    net_flow: Decimal


def facts_of(history: Iterable[tuple[int, LedgerEvent]]) -> tuple[list[Sample], list[Flow]]:
    """Return the samples and flows of a BALANCE stream.

    Shapes: (stream version, event) ascending. A transfer in another asset than the sampled one moves no equity.
    """
    transfers: list[tuple[int, TransferRecorded]] = []
    samples: list[Sample] = []
    asset = ""
    for version, event in history:
        match event:
            case TransferRecorded():
                transfers.append((version, event))
            case EquitySampled():
                asset = asset or event.asset
                settles = event.reason in (SampleReason.TRANSFER, SampleReason.LINKED)
                samples.append(Sample(version, event.sampled_at, event.equity, settles))
            case _:
                pass  # funding and reconciliations are inside the equity
    flows = [Flow(version, t.transferred_at, t.amount) for version, t in transfers if t.asset == asset]
    return samples, flows


def points_of(samples: Sequence[Sample], flows: Sequence[Flow]) -> tuple[Point, ...]:
    """Return the samples by time, each with the flows that it is the first to contain.

    A flow is contained in the first sample recorded behind it that settles flows (any, if there is none), whatever the
    clocks say. A sample dated between a flow and the one that contains it is left out: nobody can say whether it does.
    A flow that no sample contains yet waits, and so do the samples dated after it.
    """
    recorded = sorted(samples, key=attrgetter("version"))
    settling = [sample for sample in recorded if sample.settles]
    by_time = sorted(samples, key=_moment)
    doubtful: set[int] = set()
    settled: list[tuple[Sample, Decimal]] = []
    for flow in flows:
        sample = _first_behind(flow.version, settling) or _first_behind(flow.version, recorded)
        begin = bisect_left(by_time, flow.at, key=attrgetter("at"))
        end = bisect_right(by_time, sample.at, key=attrgetter("at")) if sample else len(by_time)
        doubtful.update(other.version for other in by_time[begin:end] if other != sample)
        if sample:
            settled.append((sample, flow.amount))
    sure = [sample for sample in by_time if sample.version not in doubtful]
    net: defaultdict[int, Decimal] = defaultdict(Decimal)
    for sample, amount in settled:
        net[bisect_left(sure, _moment(sample), key=_moment)] += amount
    return tuple(Point(sample.at, sample.equity, net[index]) for index, sample in enumerate(sure))


def _moment(sample: Sample) -> tuple[datetime, int]:
    return sample.at, sample.version


def _first_behind(version: int, samples: Sequence[Sample]) -> Sample | None:
    index = bisect_right(samples, version, key=attrgetter("version"))
    return samples[index] if index < len(samples) else None


def nav_series(points: Iterable[Point]) -> tuple[NavPoint, ...]:
    """Return the NAV per unit of an account after each of its samples.

    Shapes: points ascending by time. With no unit of any worth out, all that an account holds is new capital: a series
    begins with NAV 1, and the old one keeps the NAV it ended with.
    Source: unit price method of the CFA Institute's GIPS Standards 2020, "true" time-weighted return.
    """
    navs: list[NavPoint] = []
    units, series, last_equity = Fraction(0), 0, ZERO
    for point in points:
        before = _sum(point.equity, -point.net_flow)
        if units:
            nav = Fraction(before) / units
            if not point.net_flow or nav >= Fraction(WORTHLESS_NAV):
                if point.net_flow:
                    units *= max(Fraction(point.equity), Fraction(0)) / Fraction(before)
                navs.append(NavPoint(point.at, point.equity, point.net_flow, rounded(nav), series, bool(units)))
                last_equity = point.equity
                continue
            navs.append(NavPoint(point.at, before, ZERO, rounded(nav), series, invested=False))
            last_equity = before
        units = max(Fraction(point.equity), Fraction(0))
        if units:
            series += 1
            came = _sum(point.equity, -last_equity)
            navs.append(NavPoint(point.at, point.equity, came, OPENING_NAV, series, invested=True))
        last_equity = point.equity
    return tuple(navs)


def _sum(*amounts: Decimal) -> Decimal:
    with localcontext(EXACT):
        return sum(amounts, ZERO)


def period_return(navs: Sequence[NavPoint], since: datetime, until: datetime) -> PeriodReturn | None:
    """Return the time-weighted return between two moments, or None without a sample up to `until`.

    A period that starts before the first sample starts there, and says so. Series are linked: while nothing is
    invested, nothing is earned, and a total loss stays one.
    Source: GIPS Standards 2020, geometric linking of sub-periods: (1 + r) = product of (1 + r_i).
    """
    covered = within(navs, since, until)
    if not covered:
        return None
    grown = _growth(covered)
    fraction = None if grown is None else rounded(grown - 1)
    net_flow = _sum(*(nav.net_flow for nav in covered[1:]))
    return PeriodReturn(max(since, covered[0].at), max(since, covered[-1].at), fraction, net_flow)


def within(navs: Sequence[NavPoint], since: datetime, until: datetime) -> Sequence[NavPoint]:
    """Return what holds at `since` (the first point, if nothing does yet) and every point after it up to `until`."""
    return navs[_opening(navs, since) : bisect_right(navs, until, key=attrgetter("at"))]


def _opening(navs: Sequence[NavPoint], moment: datetime) -> int:
    """Return the index of what holds at a moment, or of the first point when nothing does yet."""
    return max(bisect_right(navs, moment, key=attrgetter("at")) - 1, 0)


def _growth(navs: Sequence[NavPoint]) -> Fraction | None:
    """Return the growth from the first to the last NAV, the series linked; None from a NAV that is not above zero."""
    grown = Fraction(1)
    for _, group in groupby(navs, key=attrgetter("series")):
        of_series = list(group)
        if of_series[0].nav <= 0:
            return None
        grown *= Fraction(of_series[-1].nav) / Fraction(of_series[0].nav)
    return grown


def daily_returns(navs: Sequence[NavPoint]) -> tuple[DailyReturn, ...]:
    """Return the time-weighted return of each UTC day on which something was invested, ascending.

    The first day begins with the first sample. A day without a sample carries the NAV of the day before and shows 0, so
    the next one shows what both earned. A day that begins at a NAV of zero or below has no return.
    """
    if not navs:
        return ()
    return tuple(_returns_by_day(navs))


def _returns_by_day(navs: Sequence[NavPoint]) -> Iterator[DailyReturn]:
    day, last_day = day_closed_at(navs[0].at), day_closed_at(navs[-1].at)
    while day <= last_day:
        covered = within(navs, midnight(day), midnight(day + DAY))
        if len(covered) > 1 or (covered[0].invested and covered[0].at <= midnight(day)):
            grown = _growth(covered) if _is_held(covered) else None
            if grown is not None:
                yield DailyReturn(day, rounded(grown - 1), carried=len(covered) == 1)
        day += DAY


def _is_held(navs: Sequence[NavPoint]) -> bool:
    """Tell whether units were out for some time, and not only bought at the end."""
    return navs[0].invested or len(navs) > 2


def day_closed_at(moment: datetime) -> date:
    """Return the UTC day that a moment is in or closes.

    >>> day_closed_at(datetime(2030, 1, 3, tzinfo=UTC))
    datetime.date(2030, 1, 2)
    """
    return (moment.astimezone(UTC) - timedelta(microseconds=1)).date()


def midnight(day: date) -> datetime:
    """Return the moment a UTC day begins."""
    return datetime.combine(day, time(), UTC)
