"""EMA cross with an RSI filter: with the trend while it is neither asleep nor overdone."""

from patriot.market.events import Bar
from patriot.strategies.indicators import Atr, Ema, Rsi
from patriot.strategies.parameters import Values
from patriot.trading.terms import Side


class EmaCross:
    """Long while the fast average is above the slow one and RSI is between its middle and its ceiling; short mirrored.

    A position is left when the averages cross back. Stop and target are multiples of the average true range.
    """

    def __init__(self, values: Values) -> None:
        self._fast = Ema(values.whole("fast_period"))
        self._slow = Ema(values.whole("slow_period"))
        self._rsi = Rsi(values.whole("rsi_period"))
        self._atr = Atr(values.whole("atr_period"))
        self._rsi_ceiling = values.number("rsi_ceiling")
        self._stop_multiple = values.number("stop_atr")
        self._target_multiple = values.number("target_atr")
        periods = ("fast_period", "slow_period", "rsi_period", "atr_period")
        self.warm_up_bars = max(values.whole(name) for name in periods) + 1

    def update(self, bar: Bar) -> None:
        close = float(bar.close)
        self._fast.update(close)
        self._slow.update(close)
        self._rsi.update(close)
        self._atr.update(float(bar.high), float(bar.low), close)

    def entry(self) -> Side | None:
        trend, strength = self._fast.value - self._slow.value, self._rsi.value
        if trend > 0 and 50 < strength < self._rsi_ceiling:
            return Side.BUY
        if trend < 0 and 100 - self._rsi_ceiling < strength < 50:
            return Side.SELL
        return None

    def leaves(self, side: Side) -> bool:
        return side.sign * (self._fast.value - self._slow.value) < 0

    def stop_distance(self) -> float:
        return self._stop_multiple * self._atr.value

    def target_distance(self) -> float:
        return self._target_multiple * self._atr.value

    def confidence(self) -> float:
        """Return the distance of the averages in units of the average true range."""
        return abs(self._fast.value - self._slow.value) / self._atr.value if self._atr.value else 0.0

    def readings(self) -> dict[str, float]:
        return {
            "ema_fast": self._fast.value,
            "ema_slow": self._slow.value,
            "rsi": self._rsi.value,
            "atr": self._atr.value,
        }
