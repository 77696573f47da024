"""What an endpoint may see: the exchange, the listen keys, and the prints of the tape."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from patriot.sim.binance.limits import Limits
from patriot.sim.binance.listen_keys import ListenKeys
from patriot.sim.engine.events import PriceMoved
from patriot.sim.exchange import Exchange

TAPE_LENGTH = 1_000  # prints per symbol: the venue's largest page


@dataclass(slots=True)
class Tape:
    """The newest prints of each symbol."""

    _prints: dict[str, deque[PriceMoved]] = field(default_factory=dict)

    def add(self, event: PriceMoved) -> None:
        prints = self._prints.get(event.ticker.symbol)
        if prints is None:
            prints = self._prints[event.ticker.symbol] = deque(maxlen=TAPE_LENGTH)
        prints.append(event)

    def of(self, symbol: str, limit: int) -> list[PriceMoved]:
        return list(self._prints.get(symbol, ()))[-limit:]


@dataclass(frozen=True, slots=True)
class FaceContext:
    """Everything behind the REST endpoints of one venue face."""

    exchange: Exchange
    listen_keys: ListenKeys
    limits: Limits
    tape: Tape
    announce_expiry: Callable[[int, str], None]  # uid, listen key: tell its streams
