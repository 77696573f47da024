"""Order and portfolio rows fold otherwise since `0007` and `0010`: they are folded anew from the log.

A read model holds nothing but what the log says, so emptying it loses nothing.
"""

from patriot.adapters.postgres.migrations import run_sql

revision = "0014"
down_revision = "0013"

UPGRADE = """
TRUNCATE read.orders, read.fills, read.brackets, read.ledger_accounts, read.ledger_entries, read.ledger,
    read.positions, read.closed_positions;
UPDATE eventing.projections SET place = '' WHERE name IN ('orders', 'ledger', 'closed_positions');
"""


def upgrade() -> None:
    run_sql(UPGRADE)
