"""Who sets the pace: the world, or a replay (`demo/replay.py`) that moves the venue's clock when all is quiet."""

from datetime import datetime
from typing import Protocol


class Pace(Protocol):
    """What services ask so that the same code runs live and in a replay."""

    def venue_said(self, at: datetime) -> None:
        """Take the time of a message from the venue."""
        ...

    async def before_bar(self) -> None:
        """Return when a bar may be looked at."""
        ...

    async def settle(self) -> None:
        """Return when what the last signal set off has come to rest."""
        ...


class LivePace:
    """The world does not wait."""

    def venue_said(self, at: datetime) -> None:
        """Do nothing: the clock is the world's."""

    async def before_bar(self) -> None:
        """Do nothing: a bar is looked at when it comes."""

    async def settle(self) -> None:
        """Do nothing: live signals do not wait for each other."""
