"""Market data is not event-sourced: these are slim records on the bus, not rows of the log."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from patriot.trading.terms import Exchange


@dataclass(frozen=True, slots=True)
class Bar:
    """One closed bar. Units: quote per base; volume in base asset. `closed_at` is the first instant after it."""

    exchange: Exchange
    symbol: str
    interval: str
    opened_at: datetime
    closed_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True)
class MarkPrice:
    exchange: Exchange
    symbol: str
    mark_price: Decimal
    index_price: Decimal
    at: datetime
