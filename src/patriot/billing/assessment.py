"""Close one month of one account: its books, its NAV around the month's end, and the fee on every lot. Pure.

Source: docs/adr/0007-high-water-mark.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal, localcontext

from patriot.billing.events import FeeLine, LineKind, Lot, PeriodClosed, ReviewReason
from patriot.billing.nav import WIDE, Facts, Flow, Redemption, Step, Units, divide, walk
from patriot.billing.period import period_end
from patriot.kernel.errors import CommandRefused
from patriot.kernel.money import ZERO, round_to_cent

HALF_WINDOW = timedelta(hours=12)  # before and after the period's end: five minutes of a spike move NAV by 0.35 % of it
LARGEST_SAMPLE_GAP = timedelta(minutes=65)  # samples are hourly; a longer hole in the window needs a person
MICROSECOND = timedelta(microseconds=1)
NO_UNITS = Units()


@dataclass(frozen=True, slots=True)
class Books:
    """What one month hands to the next. `unsettled_flows` are versions of transfers known and not yet in any sample."""

    units: Units = NO_UNITS
    closed_at: datetime | None = None  # end of the last period closed
    last_version: int = 0  # of the BALANCE stream, known when it was closed
    unsettled_flows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Assessment:
    """One month, computed. Units: quote asset; NAV and marks per unit; `fee_rate` a fraction."""

    period: str
    asset: str
    final: bool
    period_end: datetime
    window_start: datetime
    window_end: datetime
    opening_equity: Decimal
    closing_equity: Decimal
    net_deposits: Decimal
    crystallization_nav: Decimal | None
    largest_gap_seconds: int
    review_reasons: tuple[ReviewReason, ...]
    lots_before: tuple[Lot, ...]
    lots_after: tuple[Lot, ...]
    lots_opened: int
    series: int
    unsettled_flows: tuple[int, ...]
    fee_rate: Decimal
    lines: tuple[FeeLine, ...]

    @property
    def fee_amount(self) -> Decimal:
        """Return the sum of the lines."""
        return sum((line.fee for line in self.lines), Decimal("0.00"))


def books_after(closed: PeriodClosed) -> Books:
    """Return the books that a closed month hands to the next."""
    equity, lots = closed.closing_equity, closed.lots_after
    units = Units(lots, closed.lots_opened, closed.series, equity)
    with localcontext(WIDE):
        units = replace(units, nav=divide(equity, units.total) if lots else None)
    return Books(units, closed.period_end, closed.facts.last_version, closed.unsettled_flows)


def performance_fee(units: Decimal, nav: Decimal, high_water_mark: Decimal, rate: Decimal) -> Decimal:
    """Return the fee on units whose NAV stands above their high-water mark.

    Shapes: scalars, one lot.
    Units: NAV and mark in quote asset per unit; rate is a fraction (0.30 = 30 %); result in quote asset, rounded
    half to even to the cent.
    Source: docs/adr/0007-high-water-mark.md.

    >>> performance_fee(Decimal("1000"), Decimal("1.10"), Decimal("1"), Decimal("0.30"))
    Decimal('30.00')
    """
    with localcontext(WIDE):
        return round_to_cent(rate * units * max(ZERO, nav - high_water_mark))


def assess(books: Books, facts: Facts, period: str, rate: Decimal, at: datetime, *, final: bool = False) -> Assessment:
    """Compute one month from the books before it and the account's facts.

    `final` ends the account's record at `at` (an unlink, the end of a replay): the period ends there if the month does
    not end first, and so does the window.
    Errors: CommandRefused if the window is not over yet.
    """
    month_end = period_end(period)
    end = min(month_end, at) if final else month_end
    window = (end - HALF_WINDOW, min(month_end + HALF_WINDOW, at) if final else month_end + HALF_WINDOW)
    if at < window[1]:
        raise CommandRefused(f"period {period} can be closed from {window[1].isoformat()} on, it is {at.isoformat()}")
    flows = [f for f in facts.flows if f.version > books.last_version or f.version in books.unsettled_flows]
    new = [s for s in facts.samples if (books.closed_at is None or s.at > books.closed_at) and s.at <= window[1]]
    steps = list(walk(books.units, flows, new))
    inside = [step for step in steps if step.sample.at <= end]
    units = inside[-1].units if inside else books.units
    curve = _curve(books, steps)
    nav = _time_weighted_nav(curve, units, window) if units.lots else None
    gap = _largest_gap(curve, window) if units.lots else timedelta(0)
    redeemed = [_line(r, rate) for step in inside for r in step.redemptions]
    lots_after = units.lots if nav is None else tuple(_raise_mark(lot, nav) for lot in units.lots)
    settled = {flow.version for step in inside for flow in step.settled}
    return Assessment(
        period=period,
        asset=facts.asset,
        final=final,
        period_end=end,
        window_start=window[0],
        window_end=window[1],
        opening_equity=books.units.equity,
        closing_equity=units.equity,
        net_deposits=sum((step.net_deposits for step in inside), ZERO),
        crystallization_nav=nav,
        largest_gap_seconds=gap // timedelta(seconds=1),
        review_reasons=_review_reasons(books, flows, gap),
        lots_before=units.lots,
        lots_after=lots_after,
        lots_opened=units.lots_opened,
        series=units.series,
        unsettled_flows=tuple(sorted(flow.version for flow in flows if flow.version not in settled)),
        fee_rate=rate,
        lines=(*redeemed, *(() if nav is None else (_closing_line(lot, nav, end, rate) for lot in units.lots))),
    )


@dataclass(frozen=True, slots=True)
class _Point:
    """The NAV from this moment until the next point."""

    at: datetime
    nav: Decimal | None
    series: int


def _curve(books: Books, steps: Sequence[Step]) -> list[_Point]:
    carried = [] if books.closed_at is None else [_Point(books.closed_at, books.units.nav, books.units.series)]
    return carried + [_Point(step.sample.at, step.units.nav, step.units.series) for step in steps]


def _time_weighted_nav(curve: Sequence[_Point], units: Units, window: tuple[datetime, datetime]) -> Decimal | None:
    """Average the NAV over the window, each value from its sample to the next; other series had other units."""
    weighted, weight = ZERO, 0
    with localcontext(WIDE):
        for point, (start, end) in zip(curve, _spans(curve, window), strict=True):
            if point.nav is not None and point.series == units.series and end > start:
                duration = (end - start) // MICROSECOND
                weighted += point.nav * duration
                weight += duration
        return divide(weighted, Decimal(weight)) if weight else units.nav


def _spans(curve: Sequence[_Point], window: tuple[datetime, datetime]) -> list[tuple[datetime, datetime]]:
    ends = [point.at for point in curve[1:]] + [window[1]]
    return [(max(point.at, window[0]), min(end, window[1])) for point, end in zip(curve, ends, strict=True)]


def _largest_gap(curve: Sequence[_Point], window: tuple[datetime, datetime]) -> timedelta:
    """Return the longest time without a sample that reaches into the window."""
    ends = [point.at for point in curve[1:]] + [window[1]]
    return max(end - point.at for point, end in zip(curve, ends, strict=True) if end > window[0])


def _review_reasons(books: Books, flows: Sequence[Flow], gap: timedelta) -> tuple[ReviewReason, ...]:
    reasons = []
    if gap > LARGEST_SAMPLE_GAP:
        reasons.append(ReviewReason.SAMPLE_GAP)
    if books.closed_at and any(f.transferred_at <= books.closed_at and f.version > books.last_version for f in flows):
        reasons.append(ReviewReason.LATE_TRANSFER)
    return tuple(reasons)


def _line(redemption: Redemption, rate: Decimal) -> FeeLine:
    fee = performance_fee(redemption.units, redemption.nav, redemption.high_water_mark, rate)
    return FeeLine(
        LineKind.REDEMPTION,
        redemption.lot,
        redemption.at,
        redemption.units,
        redemption.high_water_mark,
        redemption.nav,
        fee,
    )


def _closing_line(lot: Lot, nav: Decimal, end: datetime, rate: Decimal) -> FeeLine:
    fee = performance_fee(lot.units, nav, lot.high_water_mark, rate)
    return FeeLine(LineKind.PERIOD_END, lot.number, end, lot.units, lot.high_water_mark, nav, fee)


def _raise_mark(lot: Lot, nav: Decimal) -> Lot:
    return replace(lot, high_water_mark=max(lot.high_water_mark, nav))
