"""The unitized account: deposits buy units, gains move the NAV per unit. Pure, exact, from the account's events alone.

Every division is rounded once, half to even, to 18 decimals; sums and products are exact. The offline verifier
(`verify_invoice.py`) follows the same rules with other code and another arithmetic.
Source: docs/adr/0007-high-water-mark.md.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Context, Decimal, localcontext
from fractions import Fraction

from patriot.accounts.events import EquitySampled, LedgerEvent, SampleReason, TransferRecorded
from patriot.billing.events import Lot
from patriot.kernel.money import ZERO

PLACES = 18  # decimals kept of units and NAV: an error below 1e-6 of the quote asset on 1e12 of it
OPENING_NAV = Decimal(1)
WORTHLESS_NAV = Decimal("0.000001")  # below it, old units are dropped at the next transfer: they own nothing of it
WIDE = Context(prec=200)  # digits; sums and products of money stay far below, so nothing is rounded by chance


@dataclass(frozen=True, slots=True)
class Sample:
    version: int
    equity: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class Flow:
    """Money in (positive) or out (negative), and the sample that was taken because of it (None: not yet)."""

    version: int
    amount: Decimal
    transferred_at: datetime
    sample: Sample | None

    def makes_doubtful(self, sample: Sample) -> bool:
        """Tell whether nobody can say if a sample contains this flow: it is dated between the flow and its sample."""
        if sample == self.sample or sample.at < self.transferred_at:
            return False
        return self.sample is None or sample.at <= self.sample.at

    def is_in(self, sample: Sample) -> bool:
        """Tell whether a sample that is not doubtful contains this flow."""
        return self.sample is not None and (self.sample.at, self.sample.version) <= (sample.at, sample.version)


@dataclass(frozen=True, slots=True)
class Facts:
    """What fees are made of. Shapes: flows ascending by version, samples ascending by (at, version), none doubtful."""

    asset: str
    flows: tuple[Flow, ...]
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Units:
    """The lots of an account after a sample. `series` counts how often it began again with NAV 1."""

    lots: tuple[Lot, ...] = ()
    lots_opened: int = 0
    series: int = 0
    equity: Decimal = ZERO
    nav: Decimal | None = None  # None while no unit is out

    @property
    def total(self) -> Decimal:
        """Return the units of all lots."""
        return sum((lot.units for lot in self.lots), ZERO)


@dataclass(frozen=True, slots=True)
class Redemption:
    """Units of one lot that a withdrawal took out."""

    lot: int
    at: datetime
    units: Decimal
    high_water_mark: Decimal
    nav: Decimal


@dataclass(frozen=True, slots=True)
class Step:
    """The account as one sample left it. `net_deposits` are those that came with it, an opening balance included."""

    sample: Sample
    units: Units
    redemptions: tuple[Redemption, ...]
    net_deposits: Decimal
    settled: tuple[Flow, ...]


def divide(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Return the quotient rounded once, half to even, to 18 decimals.

    >>> divide(Decimal(1100), Decimal("1.05"))
    Decimal('1047.619047619047619048')
    """
    scaled = round(Fraction(numerator) / Fraction(denominator) * 10**PLACES)
    return Decimal(f"{scaled}E-{PLACES}")


def facts_of(history: Iterable[tuple[int, LedgerEvent]]) -> Facts:
    """Return the flows and samples of a BALANCE stream.

    Shapes: (stream version, event) ascending from version 1. The sample of a flow is the first one behind it in the
    stream that was taken for a transfer or at linking, or any if there is no such: it contains the flow by
    construction, whatever the clocks say. Other samples dated between a flow and its sample are left out.
    A transfer in another asset than the sampled one moves no equity and is left out.
    """
    transfers: list[tuple[int, TransferRecorded]] = []
    samples: list[Sample] = []
    certain: list[Sample] = []
    asset = ""
    for version, event in history:
        match event:
            case TransferRecorded():
                transfers.append((version, event))
            case EquitySampled():
                asset = asset or event.asset
                samples.append(Sample(version, event.equity, event.sampled_at))
                if event.reason in (SampleReason.TRANSFER, SampleReason.LINKED):
                    certain.append(samples[-1])
            case _:
                pass  # funding and reconciliations are inside the equity
    flows = [
        Flow(version, t.amount, t.transferred_at, _first_behind(version, certain) or _first_behind(version, samples))
        for version, t in transfers
        if t.asset == asset
    ]
    sure = (sample for sample in samples if not any(flow.makes_doubtful(sample) for flow in flows))
    return Facts(asset, tuple(flows), tuple(sorted(sure, key=lambda sample: (sample.at, sample.version))))


def _first_behind(version: int, samples: Sequence[Sample]) -> Sample | None:
    index = bisect_right(samples, version, key=lambda sample: sample.version)
    return samples[index] if index < len(samples) else None


def walk(start: Units, flows: Sequence[Flow], samples: Iterable[Sample]) -> Iterator[Step]:
    """Yield the account after each sample; a flow is settled by the first sample that contains it."""
    units, waiting = start, list(flows)
    for sample in samples:
        settled = tuple(flow for flow in waiting if flow.is_in(sample))
        waiting = [flow for flow in waiting if not flow.is_in(sample)]
        with localcontext(WIDE):
            step = _step(units, settled, sample)
        units = step.units
        yield step


def _step(before: Units, flows: tuple[Flow, ...], sample: Sample) -> Step:
    net = sum((flow.amount for flow in flows), ZERO)
    equity_before = sample.equity - net
    if not before.lots:
        return Step(sample, _begin(before, sample), (), sample.equity - before.equity, flows)
    nav = divide(equity_before, before.total)
    if flows and nav < WORTHLESS_NAV:
        return Step(sample, _begin(before, sample), (), net, flows)
    after, redemptions = _settle(before, flows, sample.at, equity_before, nav)
    nav_after = divide(sample.equity, after.total) if after.lots else None
    return Step(sample, replace(after, equity=sample.equity, nav=nav_after), redemptions, net, flows)


def _begin(before: Units, sample: Sample) -> Units:
    """With no unit of any worth out, whatever the account holds is capital: one lot at NAV 1."""
    if sample.equity <= 0:
        return replace(before, lots=(), equity=sample.equity, nav=None)
    number = before.lots_opened + 1
    lot = Lot(number, sample.at, sample.equity, OPENING_NAV)
    return Units((lot,), number, before.series + 1, sample.equity, OPENING_NAV)


def _settle(
    before: Units, flows: tuple[Flow, ...], at: datetime, equity_before: Decimal, nav: Decimal
) -> tuple[Units, tuple[Redemption, ...]]:
    """Buy and redeem units at the NAV right before the flows, which none of them moves."""
    units_before = before.total
    lots, opened, equity = list(before.lots), before.lots_opened, equity_before
    redemptions: list[Redemption] = []
    for flow in flows:
        if flow.amount > 0:
            opened += 1
            lots.append(Lot(opened, at, divide(flow.amount * units_before, equity_before), nav))
        elif flow.amount < 0:
            all_of_it = -flow.amount >= equity
            for index, lot in enumerate(lots):
                redeemed = lot.units if all_of_it else divide(lot.units * -flow.amount, equity)
                redemptions.append(Redemption(lot.number, at, redeemed, lot.high_water_mark, nav))
                lots[index] = replace(lot, units=lot.units - redeemed)
        lots = [lot for lot in lots if lot.units > 0]
        equity += flow.amount
    return replace(before, lots=tuple(lots), lots_opened=opened), tuple(redemptions)
