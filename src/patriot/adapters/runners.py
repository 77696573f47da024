"""Where strategies run: each in a process of its own, or in ours for the deterministic simulation."""

import asyncio
import os
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from patriot.adapters.environment import environment_of_child
from patriot.strategies.ports import Runner, RunnerBroken
from patriot.strategies.runner import Conversation

COMMAND = (sys.executable, "-m", "patriot.strategies.runner")
MAX_LINE_BYTES = 1024 * 1024


class SubprocessRunners:
    """Start runners as processes. What they print besides answers goes to `log`, or nowhere."""

    def __init__(self, log: Path | None = None, command: Sequence[str] = COMMAND) -> None:
        self._log = log
        self._command = command

    async def __call__(self) -> Runner:
        """See `SpawnRunner`."""
        with (self._log or Path(os.devnull)).open("ab") as log:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    env=environment_of_child(),
                    limit=MAX_LINE_BYTES,
                )
            except OSError as error:
                raise RunnerBroken(f"cannot be started: {error}") from error
        return SubprocessRunner(process)


class SubprocessRunner:
    """One process and its two pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None  # noqa: S101  a pipe
        assert process.stdout is not None  # noqa: S101  a pipe
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._listening = asyncio.Lock()  # a pipe has one reader at a time

    @property
    def pid(self) -> int:
        return self._process.pid

    async def send(self, lines: bytes) -> None:
        """See `Runner.send`."""
        try:
            self._stdin.write(lines)
            await self._stdin.drain()
        except (OSError, RuntimeError) as error:  # RuntimeError: the pipe's transport is closed
            raise RunnerBroken(f"ended: {error}") from error

    async def receive(self) -> bytes:
        """See `Runner.receive`."""
        try:
            async with self._listening:
                line = await self._stdout.readline()
        except (OSError, ValueError) as error:  # ValueError: no end of line within the limit
            raise RunnerBroken(f"cannot be heard: {error}") from error
        if not line.endswith(b"\n"):
            raise RunnerBroken("ended without an answer")
        return line

    async def end(self) -> None:
        """See `Runner.end`."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._stdin.close()
        with suppress(OSError):
            async with self._listening:
                while await self._stdout.read(MAX_LINE_BYTES):
                    pass  # what it still had to say: the pipe is only closed when it was read to its end
        await self._process.wait()


class InProcessRunners:
    """Start runners that are no processes: the same conversation on our own event loop."""

    async def __call__(self) -> Runner:
        """See `SpawnRunner`."""
        return InProcessRunner()


class InProcessRunner:
    """A conversation without a pipe."""

    pid = 0

    def __init__(self) -> None:
        self._conversation = Conversation()
        self._answers: deque[bytes] = deque()
        self._ended = False
        self._news = asyncio.Event()

    async def send(self, lines: bytes) -> None:
        """See `Runner.send`."""
        if self._ended:
            raise RunnerBroken("ended")
        for line in lines.splitlines(keepends=True):
            answer = self._conversation.hear(line)
            if answer is not None:
                self._answers.append(answer)
                self._news.set()

    async def receive(self) -> bytes:
        """See `Runner.receive`."""
        while not self._answers and not self._ended:
            self._news.clear()
            await self._news.wait()
        if self._ended:
            raise RunnerBroken("ended without an answer")
        return self._answers.popleft()

    async def end(self) -> None:
        """See `Runner.end`."""
        self._ended = True
        self._news.set()
