"""Invoices show trading results instead of equity and lots; they are folded anew from the log."""

from patriot.adapters.postgres.migrations import run_sql

revision = "0017"
down_revision = "0016"

UPGRADE = """
TRUNCATE read.invoices, read.invoice_lines;
ALTER TABLE read.invoices
    DROP COLUMN opening_equity, DROP COLUMN closing_equity, DROP COLUMN net_deposits, DROP COLUMN crystallization_nav,
    ADD COLUMN result_at_cut numeric NOT NULL, ADD COLUMN mean_result numeric NOT NULL,
    ADD COLUMN counted_result numeric NOT NULL, ADD COLUMN high_before numeric NOT NULL,
    ADD COLUMN high_after numeric NOT NULL, ADD COLUMN credit_after numeric NOT NULL;
ALTER TABLE read.invoice_lines
    DROP COLUMN lot, DROP COLUMN at, DROP COLUMN units, DROP COLUMN high_water_mark, DROP COLUMN nav,
    ADD COLUMN of_period text NOT NULL, ADD COLUMN counted_result numeric NOT NULL,
    ADD COLUMN high_before numeric NOT NULL, ADD COLUMN fee_rate numeric NOT NULL;
UPDATE eventing.projections SET place = '' WHERE name = 'billing.invoices';
"""


def upgrade() -> None:
    run_sql(UPGRADE)
