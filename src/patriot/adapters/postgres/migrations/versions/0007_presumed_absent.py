"""An order's row remembers whether its rejection is only the exchange's silence, which its own word still overrules."""

from patriot.adapters.postgres.migrations import run_sql

revision = "0007"
down_revision = "0006"

UPGRADE = """
ALTER TABLE read.orders ADD COLUMN presumed_absent boolean NOT NULL DEFAULT false;
UPDATE read.orders SET presumed_absent = true WHERE status = 'REJECTED' AND reason_code = 'PROVEN_ABSENT';
"""


def upgrade() -> None:
    run_sql(UPGRADE)
