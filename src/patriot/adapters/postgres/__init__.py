"""PostgreSQL: the event store, the read models, the embedded server and its migrations."""
