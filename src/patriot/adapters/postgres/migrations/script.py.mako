"""${message[:1].upper() + message[1:]}."""

from patriot.adapters.postgres.migrations import run_sql

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}

UPGRADE = """

"""


def upgrade() -> None:
    run_sql(UPGRADE)
