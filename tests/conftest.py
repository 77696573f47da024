"""Fixtures of the whole suite: one PostgreSQL server per session, one fresh migrated database per test."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import sys
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

from patriot.adapters.postgres.migrate import migrate
from patriot.host.embedded import EmbeddedPostgres

T = TypeVar("T")

SERVER_FIXTURES = frozenset({"postgres_server", "database"})
OUTSIDE = frozenset({"socket.bind", "socket.connect", "socket.sendto", "subprocess.Popen", "os.fork", "os.exec",
                     "os.posix_spawn", "os.system"})  # fmt: skip
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "alone")
TEMPLATE = f"patriot_template_{WORKER}"  # workers may share the server that PATRIOT_TEST_DATABASE_URL names
IN_CI = bool(os.environ.get("CI"))  # seeded properties; a skipped server-backed test is a failed one
numbers = itertools.count(1)

settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, print_blob=True)
settings.load_profile("ci" if IN_CI else "dev")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite golden files; a person reviews the change")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if is_server_backed(item):
            item.add_marker(pytest.mark.postgres)


class Outside:
    """Refuses a socket, a server or a process to the test that is marked `unit`, while it runs."""

    def __init__(self) -> None:
        self.test = ""  # the unit test that runs; empty while another or none does

    def watch(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.test and event in OUTSIDE:
            raise RuntimeError(f"{self.test} is marked unit, and reached outside: {event} {arguments}")


outside = Outside()
sys.addaudithook(outside.watch)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    outside.test = item.nodeid if item.get_closest_marker("unit") else ""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    outside.test = ""  # the last test ends what the whole session shares


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and is_server_backed(item) and IN_CI:
        report.outcome = "failed"
        report.longrepr = f"a server-backed test was skipped: {report.longrepr}"
    return report


def is_server_backed(item: pytest.Item) -> bool:
    return not SERVER_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Tell whether golden files are to be rewritten instead of compared."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the DSN of a server: an embedded one of this session, or the one that PATRIOT_TEST_DATABASE_URL names.

    Its autovacuum is off: it looks at every database that a test makes, each time in a transaction that readers of all
    logs wait for, and a test that reads at once what it appended would find nothing.
    """
    if given := os.environ.get("PATRIOT_TEST_DATABASE_URL"):
        yield given
        return
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    dsn = run(server.start()).dsn
    run(execute(dsn, "ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()"))
    yield dsn
    run(server.stop())
    shutil.rmtree(server.data_folder)


@pytest.fixture(scope="session")
def migrated_template(postgres_server: str) -> str:
    """Give the name of a database that was migrated once, to copy from."""

    async def create() -> None:
        await execute(postgres_server, f"DROP DATABASE IF EXISTS {TEMPLATE}", f"CREATE DATABASE {TEMPLATE}")
        await migrate(dsn_of(postgres_server, TEMPLATE))

    run(create())
    return TEMPLATE


@pytest.fixture
async def database(postgres_server: str, migrated_template: str) -> AsyncIterator[str]:
    """Give the DSN of a fresh, migrated database that is dropped after the test."""
    name = f"patriot_test_{os.getpid()}_{next(numbers)}"
    await execute(postgres_server, f"CREATE DATABASE {name} TEMPLATE {migrated_template}")
    yield dsn_of(postgres_server, name)
    await execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


def dsn_of(server: str, database: str) -> str:
    """Return the same address with another database."""
    parts = urlsplit(server)
    return f"{parts.scheme}://{parts.netloc}/{database}?{parts.query}"


async def execute(dsn: str, *statements: str) -> None:
    """Run statements one by one, each in its own transaction."""
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a loop of its own: a fixture of the session outlives the loops of the tests."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()
