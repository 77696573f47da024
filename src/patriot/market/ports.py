"""What market data needs from an exchange."""

from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from patriot.market.events import Bar, MarkPrice
from patriot.trading.terms import Instrument


class MarketVenue(Protocol):
    """Public data of one exchange."""

    @property
    def stream_problem(self) -> str:
        """Return why a stream that is asked for is not heard at this moment, "" when none is lost."""
        ...

    async def server_time(self) -> datetime:
        """Return the exchange's clock."""
        ...

    async def instruments(self) -> list[Instrument]:
        """Return the filters of every tradable symbol."""
        ...

    async def bars(self, symbol: str, interval: str, limit: int) -> list[Bar]:
        """Return the newest closed bars, ascending by opened_at."""
        ...

    async def bars_since(self, symbol: str, interval: str, opened_from: datetime) -> list[Bar]:
        """Return every closed bar that opened at or after a moment, ascending, all pages."""
        ...

    async def mark_price(self, symbol: str) -> MarkPrice:
        """Return the mark and index price of this moment."""
        ...

    async def mark_opens(self, symbol: str, first_at: datetime, minutes: int) -> list[Decimal | None]:
        """Return the mark price at the open of each of so many minutes; None where the exchange has none.

        At most a day and an hour of them. Errors: ExchangeError.
        """
        ...

    def stream(self, symbols: tuple[str, ...], intervals: tuple[str, ...]) -> AsyncIterator[Bar | MarkPrice]:
        """Yield closed bars and mark prices for ever, reconnecting; bars missed in a gap are filled in by request."""
        ...
