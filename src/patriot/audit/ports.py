"""What the audit needs from outside."""

from typing import Protocol


class RootShelf(Protocol):
    """Where published roots are kept beside the log, out of reach of whoever can change the log: one line each."""

    def lines(self) -> list[str]:
        """Return every line, oldest first."""
        ...

    def add(self, line: str) -> None:
        """Add a line, durably."""
        ...
