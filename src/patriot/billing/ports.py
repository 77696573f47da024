"""What closing a month needs from outside: the mark prices that the exchange publishes."""

from datetime import datetime
from decimal import Decimal
from typing import Protocol


class MarkHistory(Protocol):
    """Mark prices of the past on one exchange, by minute."""

    async def mark_opens(self, symbol: str, first_at: datetime, minutes: int) -> list[Decimal | None]:
        """Return the mark price at the open of each of so many minutes; None where the exchange has none.

        Errors: ExchangeError.
        """
        ...
