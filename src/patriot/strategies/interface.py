"""What a strategy is written against: bars in, at most one wish per bar out. The same for live trading and for replay.

A strategy knows no accounts. It keeps a virtual position of its own, and everything it knows comes from its bars, so
the same bars give the same wishes in any process, today or after a restart.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from patriot.market.events import Bar
from patriot.strategies.events import SignalAction
from patriot.trading.terms import Exchange, Side, StrategyId

INTERVALS = {
    "1m": timedelta(minutes=1),
    "3m": timedelta(minutes=3),
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "2h": timedelta(hours=2),
    "4h": timedelta(hours=4),
    "6h": timedelta(hours=6),
    "12h": timedelta(hours=12),
    "1d": timedelta(days=1),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a strategy wants at the close of a bar. Prices are absolute, on the tick; stop is set for BUY and SELL."""

    action: SignalAction
    reference_price: Decimal
    stop_price: Decimal | None
    take_profit_price: Decimal | None
    confidence: Decimal  # 0 to 1
    indicators: dict[str, str]


class Strategy(Protocol):
    """Any strategy. `warm_up_bars` is how many bars it takes in before its first wish."""

    @property
    def warm_up_bars(self) -> int: ...

    def on_bar(self, bar: Bar) -> list[Wish]:
        """Take in the next closed bar; return no wish or one."""
        ...


class Rule(Protocol):
    """The view of the market inside a strategy; `strategies/bracket.py` turns it into wishes with stop and target.

    Distances are in quote per base, from the close of the newest bar.
    """

    @property
    def warm_up_bars(self) -> int: ...

    def update(self, bar: Bar) -> None:
        """Take in the next closed bar."""
        ...

    def entry(self) -> Side | None:
        """Return the side on which a position may be opened now."""
        ...

    def leaves(self, side: Side) -> bool:
        """Return whether a position of that side should be closed now."""
        ...

    def stop_distance(self) -> float: ...

    def target_distance(self) -> float | None: ...

    def confidence(self) -> float:
        """Return how clear the view is, from 0 to 1."""
        ...

    def readings(self) -> dict[str, float]:
        """Return the indicators behind the view, by name, for people to read."""
        ...


@dataclass(frozen=True, slots=True)
class StrategySpec:
    """What a strategy is built from. Bars that close at `active_from` or before it only warm the indicators up."""

    strategy_id: str
    kind: str
    symbol: str
    interval: str
    parameters: dict[str, str]
    tick_size: Decimal
    active_from: datetime


@dataclass(frozen=True, slots=True)
class ActiveStrategy:
    """A strategy that is to run. `active_from` is when it was created, last configured or last resumed."""

    strategy_id: StrategyId
    kind: str
    exchange: Exchange
    symbol: str
    interval: str
    parameters: dict[str, str]
    active_from: datetime
