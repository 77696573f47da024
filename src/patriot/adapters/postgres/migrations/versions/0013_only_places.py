"""Readers' places are text alone: the two numbers beside them have not been written since migration 0008."""

from patriot.adapters.postgres.migrations import run_sql

revision = "0013"
down_revision = "0012"

UPGRADE = """
ALTER TABLE eventing.checkpoints DROP COLUMN tx_id, DROP COLUMN position;

ALTER TABLE eventing.projections DROP COLUMN tx_id, DROP COLUMN position;
"""


def upgrade() -> None:
    run_sql(UPGRADE)
