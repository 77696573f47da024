"""The last 24 hours of a symbol, as its tickers tell them; what has closed is summed up once a minute."""

from patriot.sim.binance.context import Tape
from patriot.sim.binance.market_messages import Day
from patriot.sim.engine.klines import merged
from patriot.sim.engine.records import Bar
from patriot.sim.engine.venue import Venue
from patriot.sim.engine.words import ZERO

MINUTES_PER_DAY = 1_440


class RollingDays:
    """The rolling day of each symbol of a venue."""

    def __init__(self, venue: Venue, tape: Tape) -> None:
        self._venue = venue
        self._tape = tape
        self._closed: dict[str, tuple[int, Bar | None]] = {}  # open time of the minute in progress, what was before it

    def of(self, symbol: str, at_ms: int) -> Day:
        """Return the day of a symbol up to now, in UTC milliseconds; an unlisted symbol is refused."""
        minutes = self._venue.klines(symbol, "1m", limit=1)
        prints = self._tape.newest(symbol, 1)
        newest = prints[-1] if prints else None
        if not minutes:
            price = newest.price if newest is not None else ZERO
            bar = Bar(at_ms, price, price, price, price)
        else:
            before = self._before(symbol, minutes[-1])
            bar = minutes[-1] if before is None else merged(before, minutes[-1], before.open_ms)
        last_quantity, last_id = (newest.quantity, newest.trade_id) if newest is not None else (ZERO, 0)
        return Day(bar, at_ms, last_quantity, last_id)

    def _before(self, symbol: str, minute: Bar) -> Bar | None:
        known = self._closed.get(symbol)
        if known is None or known[0] != minute.open_ms:
            day: Bar | None = None
            for bar in self._venue.klines(symbol, "1m", limit=MINUTES_PER_DAY)[:-1]:
                day = merged(day, bar, day.open_ms if day is not None else bar.open_ms)
            known = self._closed[symbol] = (minute.open_ms, day)
        return known[1]
