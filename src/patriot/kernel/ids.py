"""Identifiers: random ones are UUIDv7 (sorted by time), derived ones are UUIDv5 of what they stand for."""

import secrets
from collections.abc import Callable
from uuid import UUID, uuid5

from patriot.kernel.clock import Clock, to_epoch_ms

NAMESPACE = UUID("5f0a3c52-3c0e-5a4b-9d0e-7a5d2f6b8c11")  # PATRIOT's own, for every derived id


class Ids:
    """Make UUIDv7 from a clock and a source of random bytes, both handed in."""

    def __init__(self, clock: Clock, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._clock = clock
        self._random_bytes = random_bytes

    def new(self) -> UUID:
        """Return a fresh UUIDv7 (RFC 9562)."""
        milliseconds = to_epoch_ms(self._clock.now()) & ((1 << 48) - 1)
        noise = int.from_bytes(self._random_bytes(10), "big")
        high, low = noise >> 68, noise & ((1 << 62) - 1)
        return UUID(int=(milliseconds << 80) | (0x7 << 76) | ((high & 0xFFF) << 64) | (0b10 << 62) | low)


def derived_id(*parts: object) -> UUID:
    """Return the UUIDv5 that stands for these parts, the same one every time.

    >>> derived_id("order", "s-1") == derived_id("order", "s-1") != derived_id("order", "s-2")
    True
    """
    return uuid5(NAMESPACE, "\x1f".join(str(part) for part in parts))
