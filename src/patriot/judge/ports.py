"""What a judge asks of the world beside the log and the exchange's state."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

from patriot.kernel.eventstore import Place
from patriot.kernel.integrity import ChainReport

VerifyInvoice = Callable[[Path], Awaitable[str]]  # the offline verifier's complaint about a file, "" where it has none


class DatabaseEvidence(Protocol):
    """What the database that holds the log says of it, and keeps beside it."""

    async def chain(self) -> ChainReport:
        """Return what is wrong with the hash chains of the log, and with the ends of its streams."""
        ...

    async def checkpoints(self) -> Mapping[str, Place]:
        """Return how far each consumer of the log claims to have come."""
        ...

    async def differences(self) -> list[str]:
        """Return where a read model is not what the log gives; one that cannot be rebuilt is a difference too."""
        ...

    async def rows(self) -> int:
        """Return how many rows all read models have."""
        ...

    async def settings(self) -> Mapping[str, str]:
        """Return the settings that decide whether a commit is on the disk, each "on" or not."""
        ...
