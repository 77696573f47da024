"""Tables of invoices that can be rebuilt from the log."""

from patriot.adapters.postgres.migrations import run_sql

revision = "0005"
down_revision = "0004"

UPGRADE = """
CREATE TABLE read.invoices (
    account_id uuid NOT NULL,
    period text NOT NULL,
    user_id uuid NOT NULL,
    number text UNIQUE,
    status text NOT NULL,
    asset text NOT NULL,
    fee_rate numeric,
    total numeric,
    paid numeric NOT NULL,
    period_end timestamptz NOT NULL,
    opening_equity numeric NOT NULL,
    closing_equity numeric NOT NULL,
    net_deposits numeric NOT NULL,
    crystallization_nav numeric,
    is_final boolean NOT NULL,
    closed_at timestamptz NOT NULL,
    issued_at timestamptz,
    due_at timestamptz,
    PRIMARY KEY (account_id, period)
);
CREATE INDEX invoices_by_user ON read.invoices (user_id, period);
CREATE INDEX invoices_unpaid ON read.invoices (due_at) WHERE status IN ('ISSUED', 'PARTIALLY_PAID', 'OVERDUE');

CREATE TABLE read.invoice_lines (
    account_id uuid NOT NULL,
    period text NOT NULL,
    line integer NOT NULL,
    user_id uuid NOT NULL,
    kind text NOT NULL,
    lot integer NOT NULL,
    at timestamptz NOT NULL,
    units numeric NOT NULL,
    high_water_mark numeric NOT NULL,
    nav numeric NOT NULL,
    fee numeric NOT NULL,
    PRIMARY KEY (account_id, period, line)
);

SELECT read.protect(tenant) FROM unnest(ARRAY['read.invoices', 'read.invoice_lines']::regclass[]) AS tenant;
"""


def upgrade() -> None:
    run_sql(UPGRADE)
