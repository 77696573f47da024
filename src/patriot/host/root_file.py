"""Published roots, one line each, in a file of the data folder. A copy elsewhere proves against the folder's owner."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RootFile:
    """`RootShelf` in a file that only grows. What a crash left of a line is no line."""

    path: Path

    def lines(self) -> list[str]:
        """See `RootShelf.lines`."""
        text = self.path.read_text() if self.path.exists() else ""
        return text[: text.rfind("\n") + 1].splitlines()

    def add(self, line: str) -> None:
        """See `RootShelf.add`."""
        with self.path.open("a+b") as file:
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
