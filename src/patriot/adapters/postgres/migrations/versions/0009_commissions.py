"""The commissions of a closed position, each asset apart: two arrays of one length."""

from patriot.adapters.postgres.migrations import run_sql

revision = "0009"
down_revision = "0008"

UPGRADE = """
ALTER TABLE read.closed_positions
    ADD COLUMN commission_assets text[] NOT NULL DEFAULT '{}',
    ADD COLUMN commission_amounts numeric[] NOT NULL DEFAULT '{}',
    ALTER COLUMN commission DROP NOT NULL;
UPDATE read.closed_positions SET commission_assets = ARRAY['USDT'], commission_amounts = ARRAY[commission]
WHERE commission <> 0;
"""


def upgrade() -> None:
    run_sql(UPGRADE)
