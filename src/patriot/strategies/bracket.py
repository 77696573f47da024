"""A rule with a position: turns a view of the market into entries with stop and target, and into closes.

The position is virtual. Its stop and target are checked on each bar's low and high, so that the strategy notices on
its own that it was stopped out and may enter again, one bar later at the earliest.
"""

from datetime import datetime
from decimal import Decimal

from patriot.kernel.money import round_to_tick
from patriot.market.events import Bar
from patriot.strategies.events import SignalAction
from patriot.strategies.interface import Rule, Wish
from patriot.trading.terms import Side

CONFIDENCE_STEP = Decimal("0.01")


class BracketStrategy:
    """One rule on one symbol. At most one wish per bar: a change of side is a close now and an entry on a later bar."""

    def __init__(self, rule: Rule, tick_size: Decimal, active_from: datetime) -> None:
        self._rule = rule
        self._tick_size = tick_size
        self._active_from = active_from
        self._unread = rule.warm_up_bars
        self._side: Side | None = None
        self._stop = Decimal(0)
        self._target: Decimal | None = None

    @property
    def warm_up_bars(self) -> int:
        return self._rule.warm_up_bars

    def on_bar(self, bar: Bar) -> list[Wish]:
        """Take in the next closed bar; return no wish or one."""
        self._rule.update(bar)
        if self._unread:
            self._unread -= 1
            return []
        if self._side is not None:
            return self._hold(self._side, bar)
        if bar.closed_at <= self._active_from:
            return []
        side = self._rule.entry()
        return [] if side is None else [self._enter(side, bar)]

    def _hold(self, side: Side, bar: Bar) -> list[Wish]:
        if self._ended_inside(side, bar):
            self._side = None  # on the exchange too: stop and target rest there, so there is nothing to ask for
            return []
        if not self._rule.leaves(side):
            return []
        self._side = None
        return [Wish(SignalAction.CLOSE, bar.close, None, None, self._confidence(), self._readings())]

    def _ended_inside(self, side: Side, bar: Bar) -> bool:
        if side is Side.BUY:
            return bar.low <= self._stop or (self._target is not None and bar.high >= self._target)
        return bar.high >= self._stop or (self._target is not None and bar.low <= self._target)

    def _enter(self, side: Side, bar: Bar) -> Wish:
        self._side = side
        self._stop = self._level(bar.close, -side.sign, self._rule.stop_distance())
        distance = self._rule.target_distance()
        self._target = None if distance is None else self._level(bar.close, side.sign, distance)
        return Wish(SignalAction(side), bar.close, self._stop, self._target, self._confidence(), self._readings())

    def _level(self, price: Decimal, sign: int, distance: float) -> Decimal:
        # at least a tick away, and never below the lowest price that can be quoted
        away = max(round_to_tick(Decimal(distance), self._tick_size), self._tick_size)
        return max(round_to_tick(price, self._tick_size) + sign * away, self._tick_size)

    def _confidence(self) -> Decimal:
        return Decimal(min(max(self._rule.confidence(), 0.0), 1.0)).quantize(CONFIDENCE_STEP)

    def _readings(self) -> dict[str, str]:
        return {name: f"{value:.4f}" for name, value in self._rule.readings().items()}
