"""Invoices and their lines as rows: what a client and the operator see of fees."""

from typing import ClassVar

from patriot.billing.decider import status_after
from patriot.billing.events import (
    BillingEvent,
    DisputeRejected,
    FeeAssessed,
    InvoiceDisputed,
    InvoiceDrafted,
    InvoiceIssued,
    InvoiceOverdue,
    InvoiceStatus,
    InvoiceVoided,
    InvoiceWrittenOff,
    PaymentRecorded,
    PeriodClosed,
)
from patriot.kernel.projection import Recorded
from patriot.kernel.sql import Sql

_OPEN_MONTH = """
    INSERT INTO read.invoices (account_id, period, user_id, asset, period_end, result_at_cut, mean_result,
        counted_result, high_before, high_after, credit_after, is_final, status, paid, closed_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'DRAFT', 0, $13)
"""
_ASSESS = "UPDATE read.invoices SET fee_rate = $3, total = $4 WHERE account_id = $1 AND period = $2"
_LINE = """
    INSERT INTO read.invoice_lines (account_id, period, line, user_id, kind, of_period, counted_result, high_before,
        fee_rate, fee)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
_NUMBER = "UPDATE read.invoices SET number = $3, status = $4 WHERE account_id = $1 AND period = $2"
_ISSUE = """
    UPDATE read.invoices SET number = $3, status = $4, issued_at = $5, due_at = $6 WHERE account_id = $1 AND period = $2
"""
_STATUS = "UPDATE read.invoices SET status = $3 WHERE account_id = $1 AND period = $2"
_PAID = "UPDATE read.invoices SET status = $3, paid = paid + $4 WHERE account_id = $1 AND period = $2"
_NOW = "SELECT status, paid FROM read.invoices WHERE account_id = $1 AND period = $2"


class InvoicesProjection:
    """`read.invoices` and `read.invoice_lines`."""

    name: ClassVar[str] = "billing.invoices"
    tables: ClassVar[tuple[str, ...]] = ("read.invoices", "read.invoice_lines")
    event_types: ClassVar[frozenset[str]] = frozenset(
        {
            "billing.period_closed",
            "billing.fee_assessed",
            "billing.invoice_drafted",
            "billing.invoice_issued",
            "billing.payment_recorded",
            "billing.invoice_overdue",
            "billing.invoice_disputed",
            "billing.dispute_rejected",
            "billing.invoice_voided",
            "billing.invoice_written_off",
        }
    )

    async def apply(self, sql: Sql, batch: list[Recorded]) -> None:
        """See `Projection.apply`."""
        for recorded in batch:
            await _apply(sql, recorded.event)


async def _apply(sql: Sql, event: BillingEvent) -> None:
    key = (event.account_id, event.period)
    match event:
        case PeriodClosed():
            await _open_month(sql, event)
        case FeeAssessed():
            await _assess(sql, event)
        case InvoiceDrafted():
            await sql.execute(_NUMBER, *key, event.number, InvoiceStatus.DRAFT.value)
        case InvoiceIssued():
            status = InvoiceStatus.ISSUED if event.total else InvoiceStatus.PAID
            await sql.execute(_ISSUE, *key, event.number, status.value, event.issued_at, event.due_at)
        case PaymentRecorded():
            now = await sql.fetch(_NOW, *key)
            status = status_after(InvoiceStatus(now[0]["status"]), event)
            await sql.execute(_PAID, *key, status.value, event.amount)
        case DisputeRejected():
            now = await sql.fetch(_NOW, *key)
            status = InvoiceStatus.PARTIALLY_PAID if now[0]["paid"] else InvoiceStatus.ISSUED
            await sql.execute(_STATUS, *key, status.value)
        case InvoiceOverdue():
            await sql.execute(_STATUS, *key, InvoiceStatus.OVERDUE.value)
        case InvoiceDisputed():
            await sql.execute(_STATUS, *key, InvoiceStatus.DISPUTED.value)
        case InvoiceVoided():
            await sql.execute(_STATUS, *key, InvoiceStatus.VOID.value)
        case InvoiceWrittenOff():
            await sql.execute(_STATUS, *key, InvoiceStatus.WRITTEN_OFF.value)


async def _open_month(sql: Sql, closed: PeriodClosed) -> None:
    await sql.execute(
        _OPEN_MONTH,
        closed.account_id,
        closed.period,
        closed.user_id,
        closed.asset,
        closed.period_end,
        closed.result_at_cut,
        closed.mean_result,
        closed.counted_result,
        closed.high_before,
        closed.high_after,
        closed.credit_after,
        closed.final,
        closed.closed_at,
    )


async def _assess(sql: Sql, assessed: FeeAssessed) -> None:
    await sql.execute(_ASSESS, assessed.account_id, assessed.period, assessed.fee_rate, assessed.fee_amount)
    rows = [
        (
            assessed.account_id,
            assessed.period,
            number,
            assessed.user_id,
            line.kind.value,
            line.period,
            line.counted_result,
            line.high_before,
            line.fee_rate,
            line.fee,
        )
        for number, line in enumerate(assessed.lines, start=1)
    ]
    await sql.executemany(_LINE, rows)
