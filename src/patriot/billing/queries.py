"""Invoices as views. `user_id` is a predicate of every list; None is for the operator and for services."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from patriot.billing.events import InvoiceStatus, LineKind
from patriot.kernel.sql import Row, Sql
from patriot.trading.terms import AccountId, UserId

PAGE_ROWS = 100

_INVOICES = """
    SELECT account_id, period, user_id, number, status, asset, fee_rate, total, paid, period_end, result_at_cut,
        mean_result, counted_result, high_before, high_after, credit_after, is_final, closed_at, issued_at, due_at
    FROM read.invoices
"""
_LIST = (
    _INVOICES
    + """
    WHERE ($1::uuid IS NULL OR user_id = $1) AND ($2::uuid IS NULL OR account_id = $2)
        AND ($3::text IS NULL OR period = $3) AND number IS NOT NULL
    ORDER BY period DESC, account_id LIMIT $4
"""
)
_UNPAID = (
    _INVOICES
    + """
    WHERE status IN ('ISSUED', 'PARTIALLY_PAID', 'OVERDUE') ORDER BY due_at, account_id, period
"""
)
_BY_NUMBER = _INVOICES + " WHERE number = $1 AND ($2::uuid IS NULL OR user_id = $2)"
_LINES = """
    SELECT line, kind, of_period, counted_result, high_before, fee_rate, fee FROM read.invoice_lines
    WHERE account_id = $1 AND period = $2 ORDER BY line
"""


@dataclass(frozen=True, slots=True)
class InvoiceView:
    """One invoice or statement. Units: quote asset; `fee_rate` a fraction. The results are those of `PeriodClosed`."""

    account_id: AccountId
    period: str
    user_id: UserId
    number: str
    status: InvoiceStatus
    asset: str
    fee_rate: Decimal
    total: Decimal
    paid: Decimal
    period_end: datetime
    result_at_cut: Decimal
    mean_result: Decimal
    counted_result: Decimal
    high_before: Decimal
    high_after: Decimal
    credit_after: Decimal
    final: bool
    closed_at: datetime
    issued_at: datetime | None
    due_at: datetime | None

    @property
    def outstanding(self) -> Decimal:
        """Return what is not paid yet."""
        return self.total - self.paid


@dataclass(frozen=True, slots=True)
class InvoiceLineView:
    line: int
    kind: LineKind
    period: str  # that it is for
    counted_result: Decimal
    high_before: Decimal
    fee_rate: Decimal
    fee: Decimal


async def list_invoices(
    sql: Sql,
    user_id: UserId | None,
    *,
    account_id: AccountId | None = None,
    period: str | None = None,
    limit: int = PAGE_ROWS,
) -> list[InvoiceView]:
    """Return invoices, newest month first."""
    return _views(await sql.fetch(_LIST, user_id, account_id, period, limit))


async def unpaid_invoices(sql: Sql) -> list[InvoiceView]:
    """Return every invoice that a reminder or a suspension may be due for, oldest due date first; for the scheduler."""
    return _views(await sql.fetch(_UNPAID))


async def find_invoice(sql: Sql, number: str, user_id: UserId | None) -> InvoiceView | None:
    """Return one invoice by its number, or None if there is none that the user may see."""
    found = _views(await sql.fetch(_BY_NUMBER, number, user_id))
    return found[0] if found else None


async def invoice_lines(sql: Sql, invoice: InvoiceView) -> list[InvoiceLineView]:
    """Return the lines of an invoice that the caller was shown."""
    rows = await sql.fetch(_LINES, invoice.account_id, invoice.period)
    return [
        InvoiceLineView(
            row["line"],
            LineKind(row["kind"]),
            row["of_period"],
            row["counted_result"],
            row["high_before"],
            row["fee_rate"],
            row["fee"],
        )
        for row in rows
    ]


def _views(rows: Sequence[Row]) -> list[InvoiceView]:
    return [
        InvoiceView(
            AccountId(row["account_id"]),
            row["period"],
            UserId(row["user_id"]),
            row["number"],
            InvoiceStatus(row["status"]),
            row["asset"],
            row["fee_rate"],
            row["total"],
            row["paid"],
            row["period_end"],
            row["result_at_cut"],
            row["mean_result"],
            row["counted_result"],
            row["high_before"],
            row["high_after"],
            row["credit_after"],
            row["is_final"],
            row["closed_at"],
            row["issued_at"],
            row["due_at"],
        )
        for row in rows
    ]
