"""Real commands for tests: run to their end, or started, watched and ended."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

DEADLINE_SECONDS = 110


def patriot(*words: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the real command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "patriot.cli.main", *words],
        env=environment(home, **variables),
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


def environment(home: Path, **variables: str) -> dict[str, str]:
    """Return this process's environment without its own PATRIOT settings."""
    inherited = {n: v for n, v in os.environ.items() if not n.startswith("PATRIOT_") and n != "DATABASE_URL"}
    return inherited | {"PATRIOT_HOME": str(home), "COLUMNS": "120"} | variables


def copy_of(kept: Path, to: Path) -> Path:
    """Copy a data folder that nothing runs on."""
    shutil.copytree(kept, to, symlinks=True)
    return to


class Started:
    """A real command that goes on running; what it said stands in a file."""

    def __init__(self, *words: str, home: Path, log: Path, **variables: str) -> None:
        self._log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "patriot.cli.main", *words],
                env=environment(home, PYTHONUNBUFFERED="1", **variables),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

    @property
    def said(self) -> str:
        """Return everything that it printed so far."""
        return self._log.read_text()

    async def says(self, words: str) -> None:
        """Wait until it printed that."""
        await eventually(lambda: words in self.said, self)

    async def ended(self) -> int:
        """Wait for its end; return its exit status."""
        await eventually(lambda: self.process.poll() is not None, self)
        return self.process.returncode

    def end(self) -> None:
        """End it if it still runs, by force after a while."""
        self.process.terminate()
        try:
            self.process.wait(DEADLINE_SECONDS / 2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __str__(self) -> str:
        return self.said


async def eventually(holds: Callable[[], bool], said: object = "", seconds: float = 60.0) -> None:
    """Wait until something holds; fail with what is said when it does not in time."""
    clock = asyncio.get_running_loop()
    deadline = clock.time() + seconds
    while not holds():
        assert clock.time() < deadline, f"not within {seconds} s: {said}"
        await asyncio.sleep(0.05)


def free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def answer(url: str) -> tuple[int, str]:
    """Return status and body of a GET; status 0 where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""
