"""One figure for the commissions of several assets means nothing (see `0009`); and nothing is paid in no asset."""

from patriot.adapters.postgres.migrations import run_sql

revision = "0010"
down_revision = "0009"

UPGRADE = """
ALTER TABLE read.closed_positions DROP COLUMN commission;
DELETE FROM read.ledger_entries WHERE kind = 'COMMISSION' AND asset = '' AND amount = 0;
DELETE FROM read.ledger WHERE asset = '' AND commission = 0;
"""


def upgrade() -> None:
    run_sql(UPGRADE)
