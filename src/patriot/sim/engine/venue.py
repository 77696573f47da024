"""The venue: one operation in, one outcome out, and everything that can be read of it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from patriot.sim.engine.model import (
    AccountView,
    AlgoOrder,
    Bar,
    Depth,
    Income,
    Instrument,
    Operation,
    Order,
    Outcome,
    PositionView,
    Ticker,
    Trade,
)


class Venue:
    """A simulated USD-M futures venue. Same operations in the same per-account order: the same bytes."""

    def __init__(self, *, seed: int, instruments: Sequence[Instrument]) -> None: ...

    def apply(self, operation: Operation, at_ms: int) -> Outcome:
        """Apply one operation; at_ms never runs backwards (a smaller one counts as the venue's time)."""
        raise NotImplementedError

    # market: a symbol that is not listed is refused with VenueRefusal(-1121)
    @property
    def now_ms(self) -> int: ...
    @property
    def instruments(self) -> tuple[Instrument, ...]: ...
    def instrument(self, symbol: str) -> Instrument: ...
    def ticker(self, symbol: str) -> Ticker | None: ...
    def depth(self, symbol: str, limit: int = 500) -> Depth: ...
    def funding_rate(self, symbol: str, at_ms: int) -> Decimal: ...
    def klines(
        self, symbol: str, interval: str, *, limit: int = 500, start_ms: int | None = None, end_ms: int | None = None
    ) -> tuple[Bar, ...]:
        """Bars ascending by open time, the one in progress last."""
        raise NotImplementedError

    # accounts: an unknown uid is a KeyError (the face authenticates first)
    @property
    def uids(self) -> tuple[int, ...]: ...
    def account(self, uid: int) -> AccountView: ...
    def positions(self, uid: int, symbol: str | None = None) -> tuple[PositionView, ...]:
        """With a symbol: its rows even when flat (one-way BOTH; hedge LONG and SHORT). Without: open ones only."""
        raise NotImplementedError

    def symbol_settings(self, uid: int, symbol: str) -> PositionView: ...
    def order(self, uid: int, symbol: str, *, order_id: int | None = None, client_order_id: str | None = None) -> Order:
        """The order (newest of a reused client id), or VenueRefusal(-2013)."""
        raise NotImplementedError

    def open_orders(self, uid: int, symbol: str | None = None) -> tuple[Order, ...]: ...
    def orders(self, uid: int, symbol: str | None = None) -> tuple[Order, ...]:
        """Every order ever, ascending by order id."""
        raise NotImplementedError

    def algo_order(self, uid: int, *, algo_id: int | None = None, client_algo_id: str | None = None) -> AlgoOrder: ...
    def open_algo_orders(self, uid: int, symbol: str | None = None) -> tuple[AlgoOrder, ...]: ...
    def algo_orders(self, uid: int, symbol: str | None = None) -> tuple[AlgoOrder, ...]: ...
    def trades(self, uid: int, symbol: str | None = None) -> tuple[Trade, ...]: ...
    def income(self, uid: int) -> tuple[Income, ...]: ...

    def state(self) -> dict[str, object]:
        """Everything a judge needs, JSON-ready: Decimal as str, per account by uid."""
        raise NotImplementedError
