"""The billing part of the portfolio service: closes months on the exchange's time, halts entries for overdue ones."""

from datetime import date, datetime, timedelta

import structlog

from patriot.billing.commands import ReviewPayment
from patriot.billing.effects import MonthEnd
from patriot.billing.events import TermsAgreed
from patriot.billing.period import period_of
from patriot.billing.policies import EVENT_TYPES as HALT_EVENT_TYPES
from patriot.billing.policies import Suspensions, halt_overdue
from patriot.billing.queries import unpaid_invoices
from patriot.kernel.codec import EVENTS
from patriot.kernel.errors import CommandRefused
from patriot.kernel.eventstore import Context
from patriot.kernel.ids import derived_id
from patriot.kernel.policy import PolicyRunner
from patriot.kernel.projection import Recorded
from patriot.kernel.sql import Sql
from patriot.risk.commands import HaltCommand
from patriot.services.engine import Engine
from patriot.services.ports import Ports
from patriot.trading.steps import Step
from patriot.trading.terms import AccountId, UserId

log = structlog.get_logger()
TAIL = "billing"
EVENT_TYPES = HALT_EVENT_TYPES | {EVENTS.name_of_class(TermsAgreed)}
CLOSING_DELAY = timedelta(hours=12, minutes=5)  # into the next month: the NAV window must be over


class BillingService(Engine):
    """Closes the months of every account with agreed terms, and follows what is paid."""

    tail: PolicyRunner[list[HaltCommand]]

    def __init__(self, ports: Ports, sql: Sql) -> None:
        self._ports = ports
        self._sql = sql
        self._months = MonthEnd(ports.store, ports.bus, ports.clock)
        self._suspensions = Suspensions()
        self._owners: dict[AccountId, UserId] = {}
        self._closed_until = ""
        self._reviewed_on: date | None = None
        self.tail = PolicyRunner(ports.feed, ports.checkpoints, TAIL, EVENT_TYPES, self._fold, self._react)

    async def run(self) -> None:
        """Serve until cancelled."""
        await self.tail.run()

    def _fold(self, recorded: Recorded) -> list[HaltCommand]:
        event = recorded.event
        if isinstance(event, TermsAgreed):
            self._owners[event.account_id] = event.user_id
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
        period = period_of((now - CLOSING_DELAY).replace(day=1) - timedelta(days=1))
        if period > self._closed_until:
            await self.close_month(period)
            self._closed_until = period
        if now.date() != self._reviewed_on:
            await self._review(now)
            self._reviewed_on = now.date()

    async def close_month(self, period: str, *, final: bool = False) -> None:
        """Close a month of every account, and every earlier one that is still open.

        `final` closes the month before it is over, at this moment: a recording has ended in the middle of it.
        """
        for account_id in sorted(self._owners):
            try:
                closed = await self._months.close_period(account_id, period, final=final)
            except CommandRefused as refusal:
                log.warning("billing.not_closed", account_id=str(account_id), period=period, reason=str(refusal))
                continue
            if closed:
                self._ports.reached(Step.INVOICE_ISSUED)

    async def _review(self, now: datetime) -> None:
        for invoice in await unpaid_invoices(self._sql):
            command = ReviewPayment(invoice.account_id, invoice.period, now)
            context = Context(derived_id("billing", invoice.number, now), account_id=invoice.account_id)
            await self._ports.bus.dispatch(command, context)
