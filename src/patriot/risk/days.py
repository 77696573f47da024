"""What an account was worth at the start of its day and at its peak, with flows taken out of both. Pure.

A day starts at the first sample at or after 00:00 UTC (samples are hourly). A transfer of the sampled asset moves every
reference by its amount, so neither a deposit nor a withdrawal is ever a gain or a loss. The account's ledger records
transfers before it samples; one that comes late all the same moves only the references that were taken before it.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal, localcontext

from patriot.accounts.events import EquitySampled, TransferRecorded
from patriot.kernel.money import EXACT
from patriot.risk.commands import AccountRisk
from patriot.trading.terms import AccountId


@dataclass(frozen=True, slots=True)
class AccountDay:
    """The references of one account in one asset, each with the time of the sample it was taken from."""

    asset: str
    equity: Decimal
    sampled_at: datetime
    day_start_equity: Decimal
    day_started_at: datetime
    peak_equity: Decimal
    peaked_at: datetime


@dataclass(slots=True)
class DayBook:
    """An in-memory fold of the samples and transfers of every account."""

    _days: dict[AccountId, AccountDay] = field(default_factory=dict)

    def apply(self, event: EquitySampled | TransferRecorded) -> None:
        """Take in a sample or a transfer."""
        day = self._days.get(event.account_id)
        if isinstance(event, TransferRecorded):
            if day is not None and event.asset == day.asset:
                self._days[event.account_id] = after_transfer(day, event.amount, event.transferred_at)
            return
        at, equity = event.sampled_at, event.equity
        if day is None:
            self._days[event.account_id] = AccountDay(event.asset, equity, at, equity, at, equity, at)
            return
        if at < day.sampled_at:
            return  # an older answer that arrived after a newer one
        day = replace(day, equity=equity, sampled_at=at)
        if at.date() > day.day_started_at.date():
            day = replace(day, day_start_equity=equity, day_started_at=at)
        if equity > day.peak_equity:
            day = replace(day, peak_equity=equity, peaked_at=at)
        self._days[event.account_id] = day

    def risk_of(self, account_id: AccountId, equity: Decimal | None = None) -> AccountRisk | None:
        """Return what the account is worth against its references, None before its first sample.

        `equity` is a newer figure than the last sample moved by the transfers since, which counts when there is none.
        """
        day = self._days.get(account_id)
        if day is None:
            return None
        return AccountRisk(day.equity if equity is None else equity, day.day_start_equity, day.peak_equity)


def after_transfer(day: AccountDay, amount: Decimal, at: datetime) -> AccountDay:
    """Return the references after money moved in (positive) or out; a sample taken later than `at` holds it already."""
    with localcontext(EXACT):
        return replace(
            day,
            equity=day.equity + amount if at >= day.sampled_at else day.equity,
            day_start_equity=day.day_start_equity + amount if at >= day.day_started_at else day.day_start_equity,
            peak_equity=day.peak_equity + amount if at >= day.peaked_at else day.peak_equity,
        )
