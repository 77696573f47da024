"""Invoices as rows on PostgreSQL: what views show, who sees what; a rebuild gives the same rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal

import pytest

from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.eventstore import PostgresEventStore
from patriot.adapters.postgres.projections import ProjectionRunner
from patriot.adapters.postgres.shadow import compare, rebuild
from patriot.billing.commands import (
    ApproveDraft,
    DisputeInvoice,
    RecordPayment,
    RejectDispute,
    ReviewPayment,
    VoidInvoice,
    WriteOffInvoice,
)
from patriot.billing.events import InvoiceStatus, LineKind
from patriot.billing.projections import InvoicesProjection
from patriot.billing.queries import InvoiceView, find_invoice, invoice_lines, list_invoices, unpaid_invoices
from patriot.kernel.clock import FakeClock
from patriot.kernel.ids import derived_id
from patriot.trading.terms import UserId
from tests.billing.support import ACCOUNT, CLIENT, Story, World, closed_world, gained, on, with_a_gap

pytestmark = pytest.mark.integration

STRANGER = UserId(derived_id("test", "stranger"))
AT = on(2, 10)


class Desk:
    """Facts in, rows out."""

    def __init__(self, database: Database, store: PostgresEventStore) -> None:
        self.database, self.store = database, store

    async def close(self, story: Story) -> World:
        return await closed_world(story, store=self.store)

    async def project(self) -> None:
        await ProjectionRunner(self.database, self.store.feed, InvoicesProjection()).drain()

    async def invoice(self) -> InvoiceView:
        await self.project()
        (view,) = await list_invoices(self.database, CLIENT)
        return view


@pytest.fixture
async def desk(database: str) -> AsyncIterator[Desk]:
    pool = await Database.connect(database)
    async with PostgresEventStore(pool, FakeClock()) as store:
        yield Desk(pool, store)
    await pool.close()


async def test_closed_month_is_an_invoice_with_lines(desk: Desk) -> None:
    await desk.close(gained())
    view = await desk.invoice()
    assert (view.status, view.total, view.outstanding) == (InvoiceStatus.ISSUED, Decimal("30.00"), Decimal("30.00"))
    assert view.result_at_cut == view.mean_result == view.counted_result == view.high_after == 100
    assert view.high_before == view.credit_after == 0
    assert (view.fee_rate, view.final, view.due_at) == (Decimal("0.30"), False, on(2, 15, 12, 5))
    (line,) = await invoice_lines(desk.database, view)
    assert (line.kind, line.period, line.fee) == (LineKind.PERFORMANCE, "2022-01", Decimal("30.00"))
    assert (line.counted_result, line.high_before, line.fee_rate) == (Decimal(100), Decimal(0), Decimal("0.30"))
    assert await find_invoice(desk.database, view.number, CLIENT) == view
    assert await list_invoices(desk.database, None, account_id=ACCOUNT, period="2022-01") == [view]
    assert await unpaid_invoices(desk.database) == [view]


async def test_stranger_sees_no_invoice(desk: Desk) -> None:
    await desk.close(gained())
    view = await desk.invoice()
    assert await list_invoices(desk.database, STRANGER) == []
    assert await find_invoice(desk.database, view.number, STRANGER) is None


async def test_rows_follow_the_money(desk: Desk) -> None:
    world = await desk.close(gained())
    seen = [(await desk.invoice()).status]
    for command in (
        ReviewPayment(ACCOUNT, "2022-01", on(2, 16)),
        DisputeInvoice(ACCOUNT, "2022-01", "not mine", AT),
        RejectDispute(ACCOUNT, "2022-01", "anna", AT),
        RecordPayment(ACCOUNT, "2022-01", "wire-1", Decimal("10.00"), AT),
        DisputeInvoice(ACCOUNT, "2022-01", "still not mine", AT),
        RejectDispute(ACCOUNT, "2022-01", "anna", AT),
        RecordPayment(ACCOUNT, "2022-01", "wire-2", Decimal("20.00"), AT),
    ):
        await world.dispatch(command)
        seen.append((await desk.invoice()).status)
    assert seen == [
        InvoiceStatus.ISSUED,
        InvoiceStatus.OVERDUE,
        InvoiceStatus.DISPUTED,
        InvoiceStatus.ISSUED,
        InvoiceStatus.PARTIALLY_PAID,
        InvoiceStatus.DISPUTED,
        InvoiceStatus.PARTIALLY_PAID,
        InvoiceStatus.PAID,
    ]
    assert (await desk.invoice()).outstanding == 0
    assert await unpaid_invoices(desk.database) == []


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (VoidInvoice(ACCOUNT, "2022-01", "gap", "anna", "ben", AT), InvoiceStatus.VOID),
        (WriteOffInvoice(ACCOUNT, "2022-01", "gone", "anna", "ben", AT), InvoiceStatus.WRITTEN_OFF),
        (ApproveDraft(ACCOUNT, "2022-01", "anna", AT), InvoiceStatus.ISSUED),
    ],
)
async def test_draft_ends_as_a_person_decides(desk: Desk, command: object, status: InvoiceStatus) -> None:
    world = await desk.close(with_a_gap())
    assert (await desk.invoice()).status is InvoiceStatus.DRAFT
    await world.dispatch(command)
    view = await desk.invoice()
    assert view.status is status
    assert view.due_at == (AT + timedelta(days=14) if status is InvoiceStatus.ISSUED else None)


async def test_rebuild_gives_the_same_rows(desk: Desk) -> None:
    world = await desk.close(gained())
    await world.dispatch(RecordPayment(ACCOUNT, "2022-01", "wire-1", Decimal("10.00"), AT))
    await desk.project()
    assert await compare(desk.database, desk.store.feed, InvoicesProjection()) == []
    before = await desk.invoice()
    await rebuild(desk.database, desk.store.feed, InvoicesProjection())
    assert await desk.invoice() == before
    await desk.database.execute("UPDATE read.invoice_lines SET fee = fee + 0.01")
    assert len(await compare(desk.database, desk.store.feed, InvoicesProjection())) == 1
