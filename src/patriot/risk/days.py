"""What an account is worth against the start of its day and against its peak, in terms that no flow moves. Pure.

Growth is counted by an index: what one unit of money would be worth that was in the account from the beginning (NAV per
unit). Equity moves the index; deposits and withdrawals do not. Of a step from one sample to the next they count as at
its end, since the ledger samples an account once it has recorded a transfer: growth = (equity - flows) / equity before.
Where that leaves nothing, what came in was traded as well, and flows count as at the step's start.

A day starts at its first sample, if that comes soon after 00:00 UTC (samples are hourly). After an outage it starts at
the last known value before.

A transfer that is recorded after a sample that holds it corrects the newest step exactly. Of an older step nothing is
kept: the index since then is corrected by what the transfer was of the equity at the start of the newest step.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_CEILING, Context, Decimal, localcontext

from patriot.accounts.events import EquitySampled, TransferRecorded
from patriot.kernel.money import EXACT, QUOTIENT_PLACES, ZERO
from patriot.risk.commands import AccountRisk
from patriot.risk.events import PeakRebased
from patriot.trading.terms import AccountId

DayEvent = EquitySampled | TransferRecorded | PeakRebased

SOON = timedelta(minutes=10)  # after midnight: samples of many accounts are paced
LEAST_LEFT = Decimal("0.000001")  # of an index: who lost everything lost 99.9999 %, and can grow again
_INDEX = Context(prec=38)  # digits that an index keeps, rounded half to even once per sample after a flow
_REFERENCE_STEP = Decimal(1).scaleb(-QUOTIENT_PLACES)


@dataclass(frozen=True, slots=True)
class AccountDay:
    """One account in one asset at its newest sample; each reference with the time of the sample it was taken from."""

    asset: str
    equity: Decimal
    sampled_at: datetime
    index: Decimal
    day: date  # UTC
    day_start_index: Decimal
    day_started_at: datetime
    peak_index: Decimal
    peaked_at: datetime
    flows: Decimal = ZERO  # since the newest sample
    before: "AccountDay | None" = None  # at the sample before, with the flows of the step since; nothing older

    def index_at(self, equity: Decimal) -> Decimal:
        """Return the index at a newer equity that holds the flows since the sample."""
        with localcontext(EXACT):
            traded, invested = equity - self.flows, self.equity + self.flows
            if self.equity > ZERO and traded > ZERO:
                grown = self.index if traded == self.equity else self.index * traded / self.equity
            elif invested > ZERO and equity > ZERO:
                grown = self.index * equity / invested
            else:
                grown = self.index * LEAST_LEFT if self.equity > ZERO else self.index
            return _INDEX.plus(grown)

    def sampled(self, equity: Decimal, at: datetime) -> "AccountDay":
        """Return the account at its next sample."""
        index = self.index_at(equity)
        after = replace(self, equity=equity, sampled_at=at, index=index, flows=ZERO, before=replace(self, before=None))
        if at.date() > self.day:
            soon = at - datetime.combine(at.date(), datetime.min.time(), UTC) <= SOON
            start = (index, at) if soon else (self.index, self.sampled_at)
            after = replace(after, day=at.date(), day_start_index=start[0], day_started_at=start[1])
        return after.with_peak()

    def with_peak(self) -> "AccountDay":
        """Return the account with its peak where it is, or here if this is higher."""
        return (
            self if self.index <= self.peak_index else replace(self, peak_index=self.index, peaked_at=self.sampled_at)
        )

    def transferred(self, amount: Decimal, at: datetime) -> "AccountDay":
        """Return the account after money moved in (positive) or out; a sample later than `at` holds it already."""
        if at >= self.sampled_at:
            return replace(self, flows=_sum(self.flows, amount))
        before = self.before
        if before is not None and at >= before.sampled_at:
            step = replace(before, flows=_sum(before.flows, amount))
            return replace(step.sampled(self.equity, self.sampled_at), flows=self.flows)
        held = (before or self).equity
        with localcontext(EXACT):
            if held <= ZERO or held - amount <= ZERO:
                return self  # larger than what there is to measure it by
            factor = (held - amount) / held
        corrected = self._scaled(factor, at)
        return replace(corrected, before=before and before._scaled(factor, at)).with_peak()

    def rebased(self, event: PeakRebased) -> "AccountDay":
        """Return the account whose peak is what it was worth when two persons let it trade on."""
        if self.peaked_at > event.measured_at:
            return self  # a new one since
        index = self.index
        if self.sampled_at > event.measured_at:
            with localcontext(EXACT):
                index = max(index, _INDEX.plus(self.peak_index * event.new_peak / event.old_peak))
        return replace(self, peak_index=index, peaked_at=event.measured_at, before=None)

    def _scaled(self, factor: Decimal, since: datetime) -> "AccountDay":
        """Return the account with every index from after a time on multiplied."""

        def scaled(index: Decimal, taken_at: datetime) -> Decimal:
            with localcontext(EXACT):
                return _INDEX.plus(index * factor) if taken_at > since else index

        return replace(
            self,
            index=scaled(self.index, self.sampled_at),
            day_start_index=scaled(self.day_start_index, self.day_started_at),
            peak_index=scaled(self.peak_index, self.peaked_at),
        )

    def risk_at(self, equity: Decimal | None) -> AccountRisk:
        """Return both references in money of now: what now would be worth if the index stood where it stood then.

        Each is rounded once, up, to 18 decimals: a limit that is reached counts as reached. Who has nothing left is
        measured by what was there before.
        """
        worth = _sum(self.equity, self.flows) if equity is None else equity
        if worth > ZERO:
            base, index = worth, self.index if equity is None else self.index_at(worth)
        else:
            stake = self.before if self.equity <= ZERO and self.before is not None else self
            base, index = max(ZERO, _sum(stake.equity, stake.flows)), stake.index

        def reference(then: Decimal) -> Decimal:
            if then == index:
                return base
            with localcontext(EXACT):
                return (base * then / index).quantize(_REFERENCE_STEP, ROUND_CEILING)

        return AccountRisk(worth, reference(self.day_start_index), reference(self.peak_index))


@dataclass(slots=True)
class DayBook:
    """An in-memory fold of the samples and transfers of every account, and of their re-based peaks."""

    _days: dict[AccountId, AccountDay] = field(default_factory=dict)

    def apply(self, event: DayEvent) -> None:
        """Take in a sample, a transfer or a re-based peak."""
        day = self._days.get(event.account_id)
        if isinstance(event, PeakRebased):
            if day is not None:
                self._days[event.account_id] = day.rebased(event)
            return
        if isinstance(event, TransferRecorded):
            if day is not None and event.asset == day.asset:
                self._days[event.account_id] = day.transferred(event.amount, event.transferred_at)
            return
        at, equity = event.sampled_at, event.equity
        if day is None:
            index = equity if equity > ZERO else Decimal(1)
            first = AccountDay(event.asset, equity, at, index, at.date(), index, at, index, at)
            self._days[event.account_id] = first
        elif at >= day.sampled_at:  # else an older answer that arrived after a newer one
            self._days[event.account_id] = day.sampled(equity, at)

    def measured_at(self, account_id: AccountId) -> datetime | None:
        """Return the time of the newest sample, None before the first."""
        day = self._days.get(account_id)
        return None if day is None else day.sampled_at

    def risk_of(self, account_id: AccountId, equity: Decimal | None = None) -> AccountRisk | None:
        """Return what the account is worth against its references, None before its first sample.

        `equity` is a newer figure than the last sample moved by the transfers since, which counts when there is none.
        """
        day = self._days.get(account_id)
        return None if day is None else day.risk_at(equity)


def _sum(one: Decimal, other: Decimal) -> Decimal:
    with localcontext(EXACT):
        return one + other
