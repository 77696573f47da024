"""A pool of PostgreSQL connections that speaks the kernel's `Sql` and the kernel's errors.

Every connection takes on the role `patriot_app` as it starts (`role` is a start-up parameter, so a reset of the session
keeps it): the account that logs in may own everything, the application still cannot change or delete an event.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self, TypeAlias

import asyncpg

from patriot.kernel.errors import StartupError, StoreUnavailable
from patriot.kernel.sql import Row, Sql

APP_ROLE = "patriot_app"
CONNECT_TIMEOUT_SECONDS = 5.0
COMMAND_TIMEOUT_SECONDS = 30.0
IDLE_TRANSACTION = "10s"  # readers of the log wait for every transaction: one whose client stands still is ended

Listener: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,  # shutting down, starting up, canceled by a deadline
    asyncpg.exceptions.InsufficientResourcesError,  # disk full, too many connections
    asyncpg.exceptions.IdleInTransactionSessionTimeoutError,  # we stood still for too long in the middle of one
    asyncpg.exceptions.ReadOnlySQLTransactionError,  # a standby, or a primary that became one
    asyncpg.InterfaceError,  # the connection or the pool is closed
    asyncpg.InternalClientError,  # the line broke in the middle of a message
    OSError,
    TimeoutError,
)


@contextmanager
def kernel_errors() -> Iterator[None]:
    """Turn a driver's way of saying "the server is away" into StoreUnavailable; other errors pass."""
    try:
        yield
    except asyncpg.exceptions.ClientConfigurationError as error:
        raise StartupError(f"DATABASE_URL: {error}") from error
    except asyncpg.exceptions.DataError:
        raise  # an argument that does not fit its column: our mistake, not the server's absence
    except _AWAY as error:
        raise StoreUnavailable(f"PostgreSQL cannot be reached: {str(error) or type(error).__name__}") from error


async def open_session(dsn: str) -> "asyncpg.Connection[asyncpg.Record]":
    """Return one connection, outside of any pool.

    Errors: StoreUnavailable if the server is away; StartupError if it does not let us in.
    """
    try:
        with kernel_errors():
            return await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_SECONDS)
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        raise StartupError(f"DATABASE_URL: {error}") from error


class Database:
    """Connections to one database; itself a `Sql` whose every statement is a transaction of its own."""

    def __init__(self, dsn: str, pool: "asyncpg.Pool[asyncpg.Record]", settings: dict[str, str]) -> None:
        self._dsn = dsn
        self._pool = pool
        self._settings = settings

    @classmethod
    async def connect(
        cls,
        dsn: str,
        *,
        role: str | None = APP_ROLE,
        max_connections: int = 10,
        command_timeout_seconds: float = COMMAND_TIMEOUT_SECONDS,
        name: str = "patriot",
    ) -> Self:
        """Open a pool. It survives a server that goes away: each connection is made again when it is next needed.

        Errors: StoreUnavailable if the server cannot be reached now.
        """
        settings = {
            "application_name": name,
            "timezone": "UTC",
            "idle_in_transaction_session_timeout": IDLE_TRANSACTION,
        } | ({"role": role} if role else {})
        with kernel_errors():
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=max_connections,
                timeout=CONNECT_TIMEOUT_SECONDS,
                command_timeout=command_timeout_seconds,
                server_settings=settings,
                reset=_keep_session,
            )
        return cls(dsn, pool, settings)

    async def close(self) -> None:
        """End every connection, at once if the server does not answer."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                await self._pool.close()
        except (TimeoutError, *_AWAY):
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """Borrow a connection of the driver, for what `Sql` does not say (cursors)."""
        with kernel_errors():
            async with self._pool.acquire() as connection:
                yield connection  # type: ignore[misc]  # the proxy forwards every method of a connection

    @asynccontextmanager
    async def transaction(self, *, durable: bool = True) -> AsyncIterator[Sql]:
        """Open a transaction: committed at the end of the block, rolled back on an exception.

        `durable=False` answers before the disk does: right for what the log can give again (read models, checkpoints),
        since rows and checkpoint are lost together or not at all.
        Errors: StoreUnavailable; if it comes from the end of the block, the transaction may or may not be committed.
        """
        begin = "BEGIN" if durable else "BEGIN; SET LOCAL synchronous_commit = off"
        async with self.connection() as connection:
            await connection.execute(begin)
            try:
                yield connection
                if await connection.execute("COMMIT") != "COMMIT":
                    raise RuntimeError("a statement of this transaction failed, so nothing of it was committed")
            except BaseException:
                # A closed connection has rolled back already.
                if not connection.is_closed():
                    await _roll_back(connection)
                raise

    async def execute(self, sql: str, *arguments: object) -> object:
        """Run one statement."""
        async with self.connection() as connection:
            return await connection.execute(sql, *arguments)

    async def executemany(self, sql: str, rows: Sequence[Sequence[object]]) -> object:
        """Run one statement for many rows, all or none."""
        async with self.connection() as connection:
            await connection.executemany(sql, rows)
        return None

    async def fetch(self, sql: str, *arguments: object) -> Sequence[Row]:
        """Return the rows of a query."""
        async with self.connection() as connection:
            return await connection.fetch(sql, *arguments)

    @asynccontextmanager
    async def listen(self, channel: str, heard: Callable[[], None]) -> AsyncIterator[Listener]:
        """Hold a connection outside the pool and call `heard` at each notification, and when it ends."""

        def on_notification(_: Any, sender: int, __: str, ___: object) -> None:
            if sender != ourselves:
                heard()

        with kernel_errors():
            connection = await asyncpg.connect(
                self._dsn,
                timeout=CONNECT_TIMEOUT_SECONDS,
                command_timeout=COMMAND_TIMEOUT_SECONDS,
                server_settings=self._settings | {"synchronous_commit": "off"},
            )
            ourselves = connection.get_server_pid()  # a connection that has ended does not know it any more
            try:
                connection.add_termination_listener(lambda _: heard())
                await connection.add_listener(channel, on_notification)
                yield connection
            finally:
                connection.terminate()


async def _keep_session(_: object) -> None:
    """Skip the driver's reset query: nothing here changes a session beyond its transaction."""


async def _roll_back(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            await connection.execute("ROLLBACK")
    except (asyncpg.PostgresError, *_AWAY):
        connection.terminate()
