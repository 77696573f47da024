"""Listen keys of the user-data stream: 60 minutes of real time, extended by PUT, one active per account.

They count on real time also in a stepped replay: they watch over a connection, not over a market.
"""

from collections.abc import Callable
from dataclasses import dataclass

from patriot.kernel.clock import Clock

LIFETIME_SECONDS = 3_600  # Source: USD-M user data streams, read 2026-11-22


@dataclass(frozen=True, slots=True)
class _Lease:
    listen_key: str
    expires_at: float


class ListenKeys:
    """Which listen key belongs to which account, and until when."""

    def __init__(self, clock: Clock, lifetime_seconds: int = LIFETIME_SECONDS) -> None:
        self._clock = clock
        self._lifetime = lifetime_seconds
        self._leases: dict[int, _Lease] = {}  # by account

    def open(self, uid: int, make: Callable[[], str]) -> str:
        """Return the account's active key with its life extended, or a new one."""
        active = self.extend(uid)
        if active is None:
            active = make()
            self.restore(uid, active)
        return active

    def restore(self, uid: int, listen_key: str) -> None:
        """Take a key as active from now on."""
        self._leases[uid] = _Lease(listen_key, self._clock.monotonic() + self._lifetime)

    def active(self, uid: int) -> str | None:
        """Return the account's key while it lives."""
        lease = self._leases.get(uid)
        return lease.listen_key if lease is not None and lease.expires_at > self._clock.monotonic() else None

    def extend(self, uid: int) -> str | None:
        """Return the account's active key with 60 more minutes, or None if it has none."""
        listen_key = self.active(uid)
        if listen_key is not None:
            self.restore(uid, listen_key)
        return listen_key

    def close(self, uid: int) -> str | None:
        """End the account's active key and return it, or None if it has none."""
        listen_key = self.active(uid)
        if listen_key is not None:
            del self._leases[uid]
        return listen_key

    def expired(self) -> list[tuple[int, str]]:
        """Forget the keys whose time is over and return them."""
        now = self._clock.monotonic()
        over = [(uid, lease.listen_key) for uid, lease in self._leases.items() if lease.expires_at <= now]
        for uid, _ in over:
            del self._leases[uid]
        return over
