"""What projections and queries ask of a database: SQL with $1 parameters, rows by name. No driver is named here."""

from collections.abc import Sequence
from typing import Any, Protocol


class Row(Protocol):
    """One row, read by column name."""

    def __getitem__(self, column: str) -> Any: ...


class Sql(Protocol):
    """A connection or a transaction."""

    async def execute(self, sql: str, *arguments: object) -> object:
        """Run one statement."""
        ...

    async def executemany(self, sql: str, rows: Sequence[Sequence[object]]) -> object:
        """Run one statement for many rows."""
        ...

    async def fetch(self, sql: str, *arguments: object) -> Sequence[Row]:
        """Return the rows of a query."""
        ...
