"""What an endpoint may see: the exchange, the listen keys, the limits, the tape, the files for download."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice

from patriot.kernel.clock import Clock, to_epoch_ms
from patriot.sim.binance.exports import Exports
from patriot.sim.binance.limits import Limits
from patriot.sim.binance.listen_keys import ListenKeys
from patriot.sim.engine.events import PriceMoved, Printed
from patriot.sim.exchange import Exchange

TAPE_LENGTH = 10_000  # prints kept per symbol


@dataclass(frozen=True, slots=True)
class Print:
    """One trade of the public tape."""

    trade_id: int
    price: Decimal
    quantity: Decimal
    at_ms: int
    buyer_is_maker: bool


@dataclass(slots=True)
class Tape:
    """The newest prints of each symbol."""

    _prints: dict[str, deque[Print]] = field(default_factory=dict)

    def add(self, event: PriceMoved | Printed) -> None:
        if isinstance(event, PriceMoved):
            symbol, price = event.ticker.symbol, event.ticker.last
        else:
            symbol, price = event.symbol, event.price
        prints = self._prints.get(symbol)
        if prints is None:
            prints = self._prints[symbol] = deque(maxlen=TAPE_LENGTH)
        prints.append(Print(event.trade_id, price, event.quantity, event.at_ms, event.buyer_is_maker))

    def newest(self, symbol: str, limit: int) -> list[Print]:
        """Return the newest prints of a symbol, oldest of them first."""
        prints = self._prints.get(symbol, ())
        return list(islice(prints, max(0, len(prints) - limit), None))

    def every(self, symbol: str) -> tuple[Print, ...]:
        """Return the prints of a symbol that are still known, oldest first."""
        return tuple(self._prints.get(symbol, ()))


@dataclass(frozen=True, slots=True)
class FaceContext:
    """Everything behind the REST endpoints of one venue face."""

    exchange: Exchange
    listen_keys: ListenKeys
    limits: Limits
    tape: Tape
    announce_expiry: Callable[[int, str], None]  # uid, listen key: tell its streams
    observe_book: Callable[[str], None]  # symbol: somebody sees its book now, so that its streams lead on from there
    exports: Exports = field(default_factory=Exports)

    @property
    def now_ms(self) -> int:
        """The time that the venue shows on the wire."""
        return self.exchange.wire_now_ms

    def clocks_ms(self, clock: Clock) -> tuple[int, int]:
        """Return the times a request may be measured against: the venue's own and the machine's, both as skewed."""
        return self.exchange.wire_now_ms, to_epoch_ms(clock.now()) + self.exchange.skew_ms
