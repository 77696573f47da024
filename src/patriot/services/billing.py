"""The billing part of the portfolio service: closes months on the exchange's time, halts entries for overdue ones."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import structlog

from patriot.accounts.events import AccountLinked, AccountUnlinked
from patriot.billing.commands import ReviewPayment
from patriot.billing.effects import MonthEnd
from patriot.billing.events import TermsAgreed
from patriot.billing.period import period_of
from patriot.billing.policies import EVENT_TYPES as HALT_EVENT_TYPES
from patriot.billing.policies import Suspensions, halt_overdue
from patriot.billing.queries import unpaid_invoices
from patriot.kernel.codec import EVENTS
from patriot.kernel.errors import CommandRefused, ExchangeError
from patriot.kernel.eventstore import Context
from patriot.kernel.ids import derived_id
from patriot.kernel.policy import PolicyRunner
from patriot.kernel.projection import Recorded
from patriot.kernel.sql import Sql
from patriot.risk.commands import HaltCommand
from patriot.services.engine import Engine
from patriot.services.ports import Ports
from patriot.services.reconciliation import fills_booked
from patriot.trading.steps import Step
from patriot.trading.terms import AccountId, UserId

log = structlog.get_logger()
TAIL = "billing"
EVENT_TYPES = HALT_EVENT_TYPES | {EVENTS.name_of_class(cls) for cls in (TermsAgreed, AccountLinked, AccountUnlinked)}
CLOSING_DELAY = timedelta(hours=12, minutes=5)  # into the next month: fills and records that come late are in by then


CLOSED_AGAIN_AFTER = timedelta(minutes=10)


class BillingService(Engine):
    """Closes the months of every account with agreed terms, and follows what is paid."""

    tail: PolicyRunner[list[HaltCommand]]

    def __init__(self, ports: Ports, sql: Sql) -> None:
        self._ports = ports
        self._sql = sql
        self._months = MonthEnd(ports.store, ports.bus, ports.clock, lambda exchange: ports.venue(exchange).market)
        self._suspensions = Suspensions()
        self._owners: dict[AccountId, UserId] = {}
        self._ended: dict[AccountId, datetime] = {}  # unlinked, and since when
        self._to_end: set[AccountId] = set()  # of those, whose last month is not known to be closed
        self._closed_until = ""
        self._again_at: datetime | None = None  # a month could not be closed: the exchange did not answer
        self._reviewed_on: date | None = None
        self.tail = PolicyRunner(ports.feed, ports.checkpoints, TAIL, EVENT_TYPES, self._fold, self._react)

    async def run(self) -> None:
        """Serve until cancelled."""
        await self.tail.run()

    def _fold(self, recorded: Recorded) -> list[HaltCommand]:
        event = recorded.event
        match event:
            case TermsAgreed():
                self._owners[event.account_id] = event.user_id
                self._closed_until = ""  # months of an account that was linked again may have waited for it
            case AccountUnlinked():
                self._ended[event.account_id] = event.unlinked_at
                self._to_end.add(event.account_id)
            case AccountLinked():
                self._ended.pop(event.account_id, None)
            case _:
                pass
        commands = halt_overdue(self._suspensions, event)
        self._suspensions = self._suspensions.after(event)
        return commands

    async def _react(self, recorded: Recorded, commands: list[HaltCommand]) -> None:
        cause = recorded.envelope
        for command in commands:
            context = Context(
                derived_id("billing", cause.event_id), cause.event_id, account_id=cause.context.account_id
            )
            await self._ports.bus.dispatch(command, context)

    async def tick(self, now: datetime) -> None:
        """Close the month that is due, once; look at open invoices once a day."""
        if self._again_at is None or now >= self._again_at:
            await self._close_due(now)
        if now.date() != self._reviewed_on:
            await self._review(now)
            self._reviewed_on = now.date()

    async def _close_due(self, now: datetime) -> None:
        """Close what has ended, from books that hold every fill; what cannot be closed now is tried some time later."""
        period = period_of((now - CLOSING_DELAY).replace(day=1) - timedelta(days=1))
        ended = sorted(self._to_end & self._owners.keys())
        if not ended and period <= self._closed_until:
            return
        all_closed = await fills_booked(self._ports)
        if not all_closed:
            log.warning("billing.not_closed", period=period, reason="not every fill is in the books yet")
        else:
            all_closed = await self._close_ended(ended)
            if period > self._closed_until:
                if await self.close_month(period):
                    self._closed_until = period
                else:
                    all_closed = False
        self._again_at = None if all_closed else now + CLOSED_AGAIN_AFTER

    async def _close_ended(self, ended: Sequence[AccountId]) -> bool:
        """Close the last month of accounts that were unlinked, each at that moment; tell whether that was all."""
        for account_id in ended:
            ended_at = self._ended.get(account_id)
            if ended_at is None or await self._close(account_id, period_of(ended_at), ended_at):
                self._to_end.discard(account_id)
        return self._to_end.isdisjoint(ended)

    async def close_month(self, period: str, *, ends_at: datetime | None = None) -> bool:
        """Close a month of every account, and every earlier one that is still open; tell whether that was all of them.

        `ends_at` closes the month there, before it is over: a recording has ended in the middle of it.
        """
        all_closed = True
        for account_id in sorted(self._owners):
            ended_at = self._ended.get(account_id)
            if ended_at is None or period_of(ended_at) > period:
                all_closed &= await self._close(account_id, period, ends_at)
        return all_closed

    async def _close(self, account_id: AccountId, period: str, ends_at: datetime | None) -> bool:
        try:
            closed = await self._months.close_period(account_id, period, ends_at=ends_at)
        except (CommandRefused, ExchangeError) as problem:
            log.warning("billing.not_closed", account_id=str(account_id), period=period, reason=str(problem))
            return False
        if closed:
            self._ports.reached(Step.INVOICE_ISSUED)
        return True

    async def _review(self, now: datetime) -> None:
        for invoice in await unpaid_invoices(self._sql):
            command = ReviewPayment(invoice.account_id, invoice.period, now)
            context = Context(derived_id("billing", invoice.number, now), account_id=invoice.account_id)
            await self._ports.bus.dispatch(command, context)
