"""Close one month of one account: its trading result at the cut and in the day before, and what of it is owed. Pure.

    counted = min(result at the cut, time-weighted mean of the result over the 24 h before it)
    fee     = rate x max(0, counted - high), where `high` is the highest counted so far, at first 0

Everything is computed anew from the account's whole books each time, so what became known late corrects the months it
belongs to: the difference is a line of the next invoice. No deposit and no withdrawal moves any of these figures.
Source: docs/adr/0018-trading-result.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from itertools import pairwise

from patriot.accounts.events import AccountReconciled, EquitySampled, LedgerEvent
from patriot.billing.events import FeeAssessed, FeeLine, FeeRule, LineKind, MarkSeries, PeriodClosed, ReviewReason
from patriot.billing.result import ResultBook, happened_at
from patriot.kernel.errors import CommandRefused
from patriot.kernel.money import EXACT, ZERO, divide, round_to_cent

WINDOW = timedelta(hours=24)  # before a cut
STEP = timedelta(minutes=5)  # between two looks at the result within the window
MINUTE = timedelta(minutes=1)
LARGEST_GAP = timedelta(minutes=10)  # without a mark price of a position that is held
LARGEST_SAMPLE_AGE = timedelta(minutes=65)  # samples are hourly
NOTHING = Decimal("0.00")
MICROSECOND = timedelta(microseconds=1)

History = Sequence[tuple[int, LedgerEvent]]  # a BALANCE stream: (version, event), ascending


@dataclass(frozen=True, slots=True)
class ClosedMonth:
    """What an earlier close left."""

    closed: PeriodClosed
    assessed: FeeAssessed


@dataclass(frozen=True, slots=True)
class Cut:
    """A moment at which a month is closed, and the window before it. `window_start` is never before `begins_at`."""

    period: str
    fee_rate: Decimal
    begins_at: datetime
    at: datetime

    @property
    def window_start(self) -> datetime:
        """Return from when the result is averaged."""
        return max(self.begins_at, self.at - WINDOW)

    @property
    def grid(self) -> tuple[datetime, int]:
        """Return the first of the looks that lie five minutes apart, the last one at the cut, and how many they are."""
        steps = (self.at - self.window_start) // STEP
        return self.at - steps * STEP, steps + 1

    def looks(self) -> list[datetime]:
        """Return the moments at which the result is looked at, ascending."""
        first, count = self.grid
        looks = [first + n * STEP for n in range(count)]
        return looks if first == self.window_start else [self.window_start, *looks]


@dataclass(frozen=True, slots=True)
class MarkSpan:
    """Mark prices that a close needs: of the minutes `first_at`, and each five minutes on, so many of them."""

    symbol: str
    first_at: datetime
    count: int


@dataclass(slots=True)
class Marks:
    """Mark prices by symbol and minute; None where the exchange has none."""

    _prices: dict[tuple[str, datetime], Decimal | None] = field(default_factory=dict)

    def add(self, series: MarkSeries) -> None:
        """Take in a series."""
        for n, price in enumerate(series.prices):
            self._prices[series.symbol, series.first_at + n * STEP] = price

    def has(self, symbol: str, at: datetime) -> bool:
        """Return whether the exchange was asked for a price."""
        return (symbol, minute_of(at)) in self._prices

    def of(self, symbol: str, at: datetime, not_before: datetime) -> tuple[Decimal, timedelta]:
        """Return the price that holds at a moment, and how old it is.

        Errors: CommandRefused if there is none since `not_before`.
        """
        minute, age = minute_of(at), timedelta(0)
        while minute - age >= minute_of(not_before):
            price = self._prices.get((symbol, minute - age))
            if price is not None:
                return price, age
            age += STEP
        raise CommandRefused(f"no mark price of {symbol} is known at {minute.isoformat()}")


@dataclass(frozen=True, slots=True)
class Result:
    """The trading result at one cut; `largest_gap`: how long a position was without a mark price before it."""

    at_cut: Decimal
    mean: Decimal
    largest_gap: timedelta

    @property
    def counted(self) -> Decimal:
        """Return what is charged for: five minutes of a spike move the mean by a 288th of it."""
        return min(self.at_cut, self.mean)


@dataclass(frozen=True, slots=True)
class Standing:
    """What all months up to one owe together: the highest result counted, and the fees, not rounded."""

    high: Decimal = ZERO
    fees: Decimal = ZERO

    def after(self, result: Result, rate: Decimal) -> "Standing":
        """Return the standing after a month."""
        with localcontext(EXACT):
            fees = self.fees + rate * max(ZERO, result.counted - self.high)
        return Standing(max(self.high, result.counted), fees)


@dataclass(frozen=True, slots=True)
class Assessment:
    """One month, computed. Units: quote asset; `fee_rate` a fraction."""

    cut: Cut
    asset: str
    final: bool
    result: Result
    high_before: Decimal
    standing: Standing
    lines: tuple[FeeLine, ...]
    credit_before: Decimal
    credit_after: Decimal
    marks: tuple[MarkSeries, ...]
    review_reasons: tuple[ReviewReason, ...]

    @property
    def fee_amount(self) -> Decimal:
        """Return the sum of the lines."""
        return sum((line.fee for line in self.lines), NOTHING)


def minute_of(moment: datetime) -> datetime:
    """Return the minute that a moment lies in."""
    return moment.replace(second=0, microsecond=0)


def missing_marks(history: History, asset: str, earlier: Sequence[ClosedMonth], cut: Cut) -> list[MarkSpan]:
    """Return the mark prices that `assess` needs and no earlier close has: of what PATRIOT held at each look."""
    cuts, known = [*_cuts_of(earlier), cut], _marks_of(earlier)
    missing: set[tuple[str, datetime, int]] = set()
    for at, one, book in _looks(history, asset, cuts):
        for symbol in book.held():
            if known.has(symbol, at):
                continue
            first, count = (at, 1) if at == one.begins_at else one.grid
            missing.add((symbol, minute_of(first), count))
    return [MarkSpan(*span) for span in sorted(missing)]


def held_at(history: History, asset: str, moment: datetime) -> dict[str, Decimal]:
    """Return what PATRIOT held at a moment by the books: by symbol, in base asset, signed."""
    book = ResultBook(asset)
    for at, _, event in _moves(history):
        if at <= moment:
            book.apply(event)
    return book.held()


def assess(
    history: History,
    asset: str,
    earlier: Sequence[ClosedMonth],
    cut: Cut,
    marks: tuple[MarkSeries, ...],
    *,
    final: bool = False,
) -> Assessment:
    """Compute a month, and every earlier one again.

    `marks`: what `missing_marks` asks for. `final`: the account's record ends at the cut.
    Errors: CommandRefused if a mark price is missing.
    """
    months = [month for month in earlier if month.closed.rule is FeeRule.RESULT]
    cuts, known = [*_cuts_of(earlier), cut], _marks_of(earlier)
    for series in marks:
        known.add(series)
    results = _results(history, asset, cuts, known)
    standing = _opening(earlier)
    performance, corrections, gaps = [], [], [results[-1].largest_gap]
    for one, result in zip(cuts, results, strict=True):
        before, standing = standing, standing.after(result, one.fee_rate)
        fee = round_to_cent(standing.fees) - round_to_cent(before.fees)
        billed = _billed(months, one.period)
        if one is cut:
            performance = [_line(LineKind.PERFORMANCE, one, result, before, fee)]
        elif fee != billed:
            corrections.append(_line(LineKind.CORRECTION, one, result, before, fee - billed))
            gaps.append(result.largest_gap)
    lines = [*performance, *corrections]
    credit_before = months[-1].closed.credit_after if months else NOTHING
    credit_after = max(NOTHING, credit_before - sum((line.fee for line in lines), ZERO))
    if credit_after != credit_before:
        lines.append(_line(LineKind.CREDIT, cut, result, before, credit_after - credit_before))
    return Assessment(
        cut=cut,
        asset=asset,
        final=final,
        result=result,
        high_before=before.high,
        standing=standing,
        lines=tuple(lines),
        credit_before=credit_before,
        credit_after=credit_after,
        marks=marks,
        review_reasons=_review_reasons(history, cut, max(gaps), final=final),
    )


def _opening(earlier: Sequence[ClosedMonth]) -> Standing:
    """Return where the rule begins: at nothing, or at the loss that the rule before it left."""
    by_lots = [month.closed for month in earlier if month.closed.rule is FeeRule.LOTS]
    return Standing(by_lots[-1].high_after) if by_lots else Standing()


def _cuts_of(earlier: Sequence[ClosedMonth]) -> list[Cut]:
    return [
        Cut(month.closed.period, month.assessed.fee_rate, month.closed.begins_at, month.closed.period_end)
        for month in earlier
        if month.closed.rule is FeeRule.RESULT
    ]


def _marks_of(earlier: Sequence[ClosedMonth]) -> Marks:
    known = Marks()
    for month in earlier:
        for series in month.closed.marks:
            known.add(series)
    return known


def _billed(months: Sequence[ClosedMonth], period: str) -> Decimal:
    lines = (line for month in months for line in month.assessed.lines)
    return sum((line.fee for line in lines if line.period == period and line.kind is not LineKind.CREDIT), ZERO)


def _line(kind: LineKind, cut: Cut, result: Result, before: Standing, fee: Decimal) -> FeeLine:
    return FeeLine(kind, cut.period, result.counted, before.high, cut.fee_rate, fee)


def _moves(history: History) -> list[tuple[datetime, int, LedgerEvent]]:
    """Return what moved the result, in the order in which it happened."""
    moved = [(at, version, event) for version, event in history if (at := happened_at(event)) is not None]
    return sorted(moved, key=lambda one: one[:2])


def _looks(history: History, asset: str, cuts: Sequence[Cut]) -> Iterator[tuple[datetime, Cut, ResultBook]]:
    """Yield the books at the beginning and at each look of each cut, ascending in time."""
    moved = _moves(history)
    looks = [(at, cut) for cut in cuts for at in {cut.begins_at, *cut.looks()}]
    book, next_move = ResultBook(asset), 0
    for at, cut in sorted(looks, key=lambda look: look[0]):
        while next_move < len(moved) and moved[next_move][0] <= at:
            book.apply(moved[next_move][2])
            next_move += 1
        yield at, cut, book


def _results(history: History, asset: str, cuts: Sequence[Cut], marks: Marks) -> list[Result]:
    found: dict[Cut, dict[datetime, Decimal]] = {cut: {} for cut in cuts}
    gaps = dict.fromkeys(cuts, timedelta(0))
    for at, cut, book in _looks(history, asset, cuts):
        not_before = at if at == cut.begins_at else cut.window_start
        prices: dict[str, Decimal] = {}
        for symbol in book.held():
            prices[symbol], age = marks.of(symbol, at, not_before)
            gaps[cut] = max(gaps[cut], age)
        found[cut][at] = book.result(prices)
    return [_result(cut, found[cut], gaps[cut]) for cut in cuts]


def _result(cut: Cut, found: Mapping[datetime, Decimal], gap: timedelta) -> Result:
    looks = cut.looks()
    with localcontext(EXACT):
        since = {at: found[at] - found[cut.begins_at] for at in looks}
        weighed = [(since[at], (until - at) // MICROSECOND) for at, until in pairwise(looks)]
        whole = sum(weight for _, weight in weighed)
        mean = divide(sum((result * weight for result, weight in weighed), ZERO), Decimal(whole)) if whole else ZERO
    return Result(since[cut.at], mean if whole else since[cut.at], gap)


def _review_reasons(history: History, cut: Cut, gap: timedelta, *, final: bool) -> tuple[ReviewReason, ...]:
    shown_since = cut.at - LARGEST_SAMPLE_AGE if final else cut.at
    reasons = []
    compared = [event for _, event in history if isinstance(event, AccountReconciled)]
    if compared and compared[-1].unexplained:
        reasons.append(ReviewReason.UNEXPLAINED_MONEY)
    if not any(isinstance(event, EquitySampled) and event.sampled_at >= shown_since for _, event in history):
        reasons.append(ReviewReason.BOOKS_BEHIND)
    if gap > LARGEST_GAP:
        reasons.append(ReviewReason.MARK_GAP)
    return tuple(reasons)
