"""What every answer of the venue shares: numbers, times, and the count of what this version does not know.

Whatever cannot be read raises one of `UNREADABLE`; the caller knows whether that leaves an outcome unknown.
"""

from collections import Counter
from datetime import datetime
from typing import Annotated

import msgspec
import structlog

from patriot.kernel.clock import from_epoch_ms
from patriot.kernel.errors import InvalidInput

log = structlog.get_logger()

UNREADABLE: tuple[type[Exception], ...] = (
    msgspec.MsgspecError,
    InvalidInput,
    ValueError,
    LookupError,
    ArithmeticError,
    RecursionError,
)

Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=4_102_444_800_000)]  # until the year 2100
Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Unknowns(Counter[str]):
    """Count what this version does not know: enum values, event names, unreadable messages.

    The metrics show each thing; the first of each is a line of the log, which is what an alarm asks for.
    """

    MOST = 200  # different things: a venue that talks nonsense must not fill our memory

    def seen(self, thing: str) -> None:
        """Count one unknown thing."""
        name = thing[:60]
        if name not in self:
            name = name if len(self) < self.MOST else "others"
        self[name] += 1
        if self[name] == 1:
            log.warning("exchange.unknown_seen", thing=name)


class _ServerTime(msgspec.Struct, rename="camel"):
    server_time: Milliseconds


def read_server_time(body: bytes) -> datetime:
    """Read /fapi/v1/time."""
    return from_epoch_ms(msgspec.json.decode(body, type=_ServerTime).server_time)
