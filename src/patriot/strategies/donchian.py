"""Donchian breakout with an ATR stop: with the price when it leaves the range of the last bars."""

from patriot.market.events import Bar
from patriot.strategies.indicators import Atr, Donchian
from patriot.strategies.parameters import Values
from patriot.trading.terms import Side


class DonchianBreakout:
    """Long when a bar closes above every high of the entry channel, short when below every low.

    A position is left when a bar closes beyond the other side of the shorter exit channel. Channels end before the
    newest bar. Stop is a multiple of the average true range; so is the target, where 0 means none.
    """

    def __init__(self, values: Values) -> None:
        self._entry_channel = Donchian(values.whole("entry_bars"))
        self._exit_channel = Donchian(values.whole("exit_bars"))
        self._atr = Atr(values.whole("atr_period"))
        self._stop_multiple = values.number("stop_atr")
        self._target_multiple = values.number("target_atr")
        self.warm_up_bars = max(values.whole(name) for name in ("entry_bars", "exit_bars", "atr_period")) + 1
        self._close = 0.0
        self._entry_range = self._exit_range = (0.0, 0.0)  # (low, high) before the newest bar

    def update(self, bar: Bar) -> None:
        high, low, self._close = float(bar.high), float(bar.low), float(bar.close)
        if self._entry_channel.ready and self._exit_channel.ready:
            self._entry_range = (self._entry_channel.lowest, self._entry_channel.highest)
            self._exit_range = (self._exit_channel.lowest, self._exit_channel.highest)
        self._entry_channel.update(high, low)
        self._exit_channel.update(high, low)
        self._atr.update(high, low, self._close)

    def entry(self) -> Side | None:
        low, high = self._entry_range
        if self._close > high:
            return Side.BUY
        return Side.SELL if self._close < low else None

    def leaves(self, side: Side) -> bool:
        low, high = self._exit_range
        return self._close < low if side is Side.BUY else self._close > high

    def stop_distance(self) -> float:
        return self._stop_multiple * self._atr.value

    def target_distance(self) -> float | None:
        return self._target_multiple * self._atr.value or None

    def confidence(self) -> float:
        """Return how far outside the entry channel the bar closed, in units of the average true range."""
        low, high = self._entry_range
        outside = max(self._close - high, low - self._close, 0.0)
        return outside / self._atr.value if self._atr.value else 0.0

    def readings(self) -> dict[str, float]:
        low, high = self._entry_range
        return {"channel_low": low, "channel_high": high, "atr": self._atr.value}
