"""One data folder, one platform: the lock that keeps a second one out, and the names of what lies inside."""

import fcntl
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from patriot.kernel.errors import StartupError


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Where a platform keeps what it must not lose."""

    path: Path

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def sim(self) -> Path:
        return self.path / "sim"

    @property
    def master_key(self) -> Path:
        return self.path / "master.key"

    @property
    def log(self) -> Path:
        return self.path / "patriot.log"

    @property
    def results(self) -> Path:
        return self.path / "summary.json"

    @property
    def roots(self) -> Path:
        return self.path / "roots.jsonl"

    @property
    def pid_file(self) -> Path:
        return self.path / "patriot.pid"

    @property
    def sim_token_file(self) -> Path:
        return self.path / "sim.token"

    def sim_token(self) -> str:
        """Return the token of the simulator's control API, made once per data folder."""
        path = self.sim_token_file
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(24))
        return path.read_text()

    def lock(self) -> "FolderLock":
        """Take the folder for this process. Errors: StartupError if another platform runs on it, naming its pid."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = self.pid_file.open("a+")
        except OSError as error:
            raise StartupError(f"PATRIOT_HOME: {self.path} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            pid = file.read().strip() or "unknown"
            file.close()
            raise StartupError(
                f"another platform (pid {pid}) runs on {self.path}: "
                f"end it with `patriot down {self.path}`, or choose another PATRIOT_HOME"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        return FolderLock(file)

    def owner(self) -> int | None:
        """Return the process id of the platform that runs on the folder, if one does."""
        if not self.pid_file.exists():
            return None
        with self.pid_file.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                text = file.read().strip()
                return int(text) if text.isdigit() else None
        return None


@dataclass(frozen=True, slots=True)
class FolderLock:
    """Held until released, or until the process ends in any way."""

    file: IO[str]

    def release(self) -> None:
        """Let another platform in."""
        self.file.close()
