"""One writer per account: a lease with a fencing token that only grows."""

from datetime import timedelta
from typing import Protocol

from patriot.kernel.eventstore import Fence

LEASE_TTL = timedelta(seconds=10)  # a dead owner is replaced after this; renewed at a third of it


class Leases(Protocol):
    """Who owns what, in the store that the fence is checked in."""

    async def acquire(self, name: str, owner: str) -> Fence | None:
        """Return a fence with a new token, or None while another owner's lease runs. The same owner renews."""
        ...

    async def renew(self, fence: Fence, owner: str) -> None:
        """Extend the lease. Errors: LeaseLost if another owner has it."""
        ...

    async def is_held(self, name: str) -> bool:
        """Tell whether anybody's lease runs."""
        ...

    async def release(self, fence: Fence, owner: str) -> None:
        """Let the lease go; a token is never used again."""
        ...
