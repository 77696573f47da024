"""What every service's own worker is to whoever runs it: `services/all_in_one.py` in one process, `patriot serve`."""

from abc import ABC, abstractmethod
from datetime import datetime

from patriot.kernel.subscription import Tail


class Engine(ABC):
    """A service's own worker beside its read models; `tail` is how it follows the log, if it does."""

    tail: Tail | None = None

    @abstractmethod
    async def run(self) -> None:
        """Serve until cancelled."""

    async def tick(self, now: datetime) -> None:  # noqa: B027  most have nothing to do
        """Do what the time asks for; called about once a second. Errors: StoreUnavailable: call again."""

    async def finish(self) -> None:  # noqa: B027  most have nothing to do
        """Do what a clean end asks for. Errors: StoreUnavailable: the next start makes up for it."""
