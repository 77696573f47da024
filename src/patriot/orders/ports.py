"""What placing and following orders needs from one account's exchange session."""

from datetime import datetime
from typing import Protocol

from patriot.trading.reports import AccountSnapshot, OrderReport, TradeReport, VenueOrder
from patriot.trading.terms import Urgency


class OrderVenue(Protocol):
    """One account's orders on its exchange. The key is behind this port; nobody here sees it.

    Errors of every call: ExchangeRefused (a final no), ExchangeUnavailable (nothing was done), OutcomeUnknown. Reads
    wait for the weight of the address by their `urgency`; cancels, stops and reductions are urgent by themselves.
    """

    async def place(self, order: VenueOrder, sent_at: datetime) -> OrderReport:
        """Place an order, plain or conditional. The request carries `sent_at` and expires with its receive window."""
        ...

    async def cancel(self, symbol: str, client_order_id: str, *, conditional: bool) -> None:
        """Cancel a resting order. ExchangeRefused means that it is not resting (any more)."""
        ...

    async def find_order(
        self, symbol: str, client_order_id: str, *, conditional: bool, urgency: Urgency = Urgency.NORMAL
    ) -> OrderReport | None:
        """Return the newest order with this client id, or None if the exchange proves that it has none."""
        ...

    async def open_orders(self, symbol: str | None = None, *, urgency: Urgency = Urgency.NORMAL) -> list[OrderReport]:
        """Return every resting order, plain and conditional, ours or not; of one symbol it costs a fraction."""
        ...

    async def recent_orders(self, symbol: str, *, urgency: Urgency = Urgency.NORMAL) -> list[OrderReport]:
        """Return the newest orders of a symbol, resting or over, plain and conditional, ours or not."""
        ...

    async def trades(self, symbol: str, since: datetime, *, urgency: Urgency = Urgency.NORMAL) -> list[TradeReport]:
        """Return executions from a time on, ascending, all pages."""
        ...


class PositionReader(Protocol):
    """What the account holds: the evidence that stands when queries and lists of orders lag."""

    async def snapshot(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSnapshot:
        """Return balances and positions of this moment. Errors: ExchangeError."""
        ...
