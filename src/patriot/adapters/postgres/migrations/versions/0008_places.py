"""How far a reader has come is a text that its feed wrote, so that a reader can follow another feed than this table.

The columns that held two numbers stay until the release that no longer writes them.
"""

from patriot.adapters.postgres.migrations import run_sql

revision = "0008"
down_revision = "0007"

UPGRADE = """
ALTER TABLE eventing.checkpoints
    ADD COLUMN place text NOT NULL DEFAULT '', ALTER COLUMN tx_id SET DEFAULT '0', ALTER COLUMN position SET DEFAULT 0;

ALTER TABLE eventing.projections
    ADD COLUMN place text NOT NULL DEFAULT '', ALTER COLUMN tx_id SET DEFAULT '0', ALTER COLUMN position SET DEFAULT 0;

UPDATE eventing.checkpoints SET place = tx_id || '.' || position WHERE position > 0;

UPDATE eventing.projections SET place = tx_id || '.' || position WHERE position > 0;
"""


def upgrade() -> None:
    run_sql(UPGRADE)
