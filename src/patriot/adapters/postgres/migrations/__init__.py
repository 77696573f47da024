"""The schema, as a line of numbered migrations in plain SQL. `migrate.py` runs them; nothing else changes the schema.

To add one, as the only change of its commit and additive first:

1. `.venv/bin/alembic revision --rev-id 0017 -m "add something"`, with the number after the last one in `versions/`.
   It writes `versions/0017_add_something.py` from `script.py.mako`.
2. Fill `UPGRADE`: any number of statements, with `$$ ... $$` bodies and `::casts` as they are. It runs in one
   transaction, so no `BEGIN`, no `COMMIT`, and nothing that refuses a transaction (`CREATE INDEX CONCURRENTLY`).
3. Run `.venv/bin/pytest tests/adapters/postgres/test_migrate.py`.

A migration of a read model whose projection folds otherwise from now on empties its tables and sets its place to '', as
`0014_fold_again.py` does: the rows of yesterday would differ from those that a rebuild gives.

A new table of `read` is given to its roles by name: `read.protect`, or a `GRANT`.

There is no downgrade: history is append-only, and so is the schema. A mistake is mended by the next migration.
"""

from __future__ import annotations

from typing import cast

import asyncpg
from alembic import op
from sqlalchemy.util import await_only


def run_sql(sql: str) -> None:
    """Run a script of many statements inside the migration's transaction.

    SQLAlchemy would prepare it, which allows one statement only, and would take `:name` in it for a parameter.
    """
    connection = op.get_bind()
    connection.exec_driver_sql("SELECT 1")  # opens the transaction on the driver's connection
    driver = cast("asyncpg.Connection[asyncpg.Record]", connection.connection.driver_connection)
    await_only(driver.execute(sql))
