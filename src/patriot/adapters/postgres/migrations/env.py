"""Called by Alembic. The connection comes from `migrate.py`; there is no offline mode and no model metadata."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=None, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
