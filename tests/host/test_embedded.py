"""The embedded server keeps its data through stops, kills and orphanhood, and touches nothing outside its folder."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from patriot.host.embedded import EmbeddedPostgres, ServerAddress
from patriot.host.unprivileged import namespace_identity, nobody_identity
from patriot.kernel.errors import StartupError
from tests.support import eventually

pytestmark = [pytest.mark.postgres, pytest.mark.integration]

START_AND_DIE = """
import asyncio, os, signal, sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from patriot.host.embedded import EmbeddedPostgres
address = asyncio.run(EmbeddedPostgres(Path(sys.argv[1])).start())
print(address.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a folder whose parents any user may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="patriot-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


async def execute(address: ServerAddress, sql: str) -> None:
    connection = await asyncpg.connect(address.dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def rows(address: ServerAddress) -> int:
    connection = await asyncpg.connect(address.dsn)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM kept"))
    finally:
        await connection.close()


def is_running(pid: int) -> bool:
    try:
        return b"postgres" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False


async def test_stop_and_start_again_keeps_the_data(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres")
    first = await server.start()
    await execute(first, "CREATE TABLE kept AS SELECT generate_series(1, 3)")
    await server.stop()
    assert not is_running(first.pid)
    async with EmbeddedPostgres(tmp_path / "postgres") as second:
        assert second.pid != first.pid
        assert await rows(second) == 3


async def test_server_that_was_killed_recovers_every_committed_row(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres")
    first = await server.start()
    await execute(first, "CREATE TABLE kept AS SELECT generate_series(1, 1000)")
    os.killpg(first.pid, signal.SIGKILL)
    async with server as second:
        assert second.pid != first.pid
        assert await rows(second) == 1000


async def test_server_whose_parent_was_killed_is_adopted_and_then_stopped(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    parent = subprocess.run([sys.executable, "-c", START_AND_DIE, folder], capture_output=True, text=True, check=False)
    assert parent.returncode == -signal.SIGKILL, parent.stderr
    orphan = int(parent.stdout)
    server = EmbeddedPostgres(folder)
    address = await server.start()
    assert address.pid == orphan
    await execute(address, "SELECT 1")
    await server.stop()
    await eventually(lambda: not is_running(orphan))


async def test_pid_file_that_names_a_stranger_does_not_stop_the_start(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres")
    first = await server.start()
    await execute(first, "CREATE TABLE kept AS SELECT generate_series(1, 3)")
    pid_file = server.data_folder / "cluster" / "postmaster.pid"
    lines = pid_file.read_text().splitlines(keepends=True)
    os.killpg(first.pid, signal.SIGKILL)
    await eventually(lambda: not is_running(first.pid))
    pid_file.write_text("".join([f"{os.getpid()}\n", *lines[1:]]))
    async with server as second:
        assert await rows(second) == 3


async def test_folders_above_the_data_folder_keep_their_modes(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    before = [(parent, parent.stat().st_mode, parent.stat().st_uid) for parent in [private, *private.parents]]
    async with EmbeddedPostgres(private / "home" / "postgres") as address:
        assert stat.S_IMODE(address.data_folder.stat().st_mode) == 0o700
        assert [(parent, parent.stat().st_mode, parent.stat().st_uid) for parent, _, _ in before] == before


async def test_data_folder_too_deep_for_a_socket_still_starts(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 60) / ("b" * 60)
    async with EmbeddedPostgres(deep / "postgres") as address:
        await execute(address, "SELECT 1")
        socket_folder = Path(parse_qs(urlsplit(address.dsn).query)["host"][0])
        assert not socket_folder.is_relative_to(deep)
        assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
    assert not socket_folder.exists()


async def test_second_start_on_one_folder_finds_the_first(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / "postgres") as address:
        assert await EmbeddedPostgres(tmp_path / "postgres").start() == address
        assert await EmbeddedPostgres(tmp_path / "postgres").running() == address


async def test_nothing_running_is_no_address_and_stop_is_no_error(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres")
    assert await server.running() is None
    await server.stop()
    assert not server.data_folder.exists()


async def test_no_tcp_port_is_opened_and_writes_are_durable(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / "postgres") as address:
        connection = await asyncpg.connect(address.dsn)
        names = ("listen_addresses", "fsync", "synchronous_commit", "full_page_writes")
        found = {name: await connection.fetchval("SELECT current_setting($1)", name) for name in names}
        await connection.close()
    assert found == {"listen_addresses": "", "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


async def test_cluster_of_another_release_is_refused_with_what_to_do(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres")
    await server.start()
    await server.stop()
    (server.data_folder / "cluster" / "PG_VERSION").write_text("9\n")
    with pytest.raises(StartupError, match="was written by PostgreSQL 9"):
        await server.start()


async def test_folder_that_cannot_be_written_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StartupError, match="did not start"):
        await EmbeddedPostgres(tmp_path / "file" / "postgres").start()


@pytest.mark.skipif(sys.platform != "linux", reason="user namespaces are a Linux kernel feature")
async def test_server_runs_in_a_user_namespace_with_files_that_stay_ours(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / "postgres", identity=namespace_identity()) as address:
        await execute(address, "CREATE TABLE kept AS SELECT 1")
        assert (address.data_folder / "cluster").stat().st_uid == os.geteuid()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
async def test_root_without_namespaces_runs_the_server_as_nobody(
    open_folder: Path, request: pytest.FixtureRequest
) -> None:
    server = EmbeddedPostgres(open_folder / "asked", identity=nobody_identity(), fallback_home=open_folder / "lib")
    request.addfinalizer(partial(os.umask, os.umask(0o077)))  # the strictest one that users have
    async with server as address:
        await execute(address, "CREATE TABLE kept AS SELECT generate_series(1, 3)")
        assert address.data_folder.is_relative_to(open_folder / "lib")
        assert (address.data_folder / "cluster").stat().st_uid == nobody_identity().user
    async with server as address:
        assert await rows(address) == 3


async def test_two_starts_at_once_give_one_server(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / "postgres") as address:
        others = [EmbeddedPostgres(tmp_path / "postgres") for _ in range(3)]
        assert {found.pid for found in await asyncio.gather(*(other.start() for other in others))} == {address.pid}
