"""A strategy over bars that are known already. Pure: no process, no venue, no fees; the strategy that trades live."""

from collections.abc import Iterable, Iterator

from patriot.market.events import Bar
from patriot.strategies.interface import Strategy, Wish


def backtest(strategy: Strategy, bars: Iterable[Bar]) -> Iterator[tuple[Bar, Wish]]:
    """Yield every wish with the bar at whose close it came.

    Shapes: bars ascending by closed_at, of one symbol and interval, from the first one the strategy is to know.
    """
    on_bar = strategy.on_bar
    for bar in bars:
        for wish in on_bar(bar):
            yield bar, wish
