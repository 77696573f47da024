"""States of policies at a place in the log, so that a start need not fold all of it. Each can be lost at any time."""

from patriot.adapters.postgres.migrations import run_sql

revision = "0012"
down_revision = "0011"

UPGRADE = """
CREATE TABLE eventing.snapshots (
    name text PRIMARY KEY,
    code text NOT NULL,
    place text NOT NULL,
    state bytea NOT NULL,
    saved_at timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT, INSERT, UPDATE ON eventing.snapshots TO patriot_app;
"""


def upgrade() -> None:
    run_sql(UPGRADE)
