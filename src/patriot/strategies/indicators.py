"""Indicators, one bar at a time: `update` takes the next value, `value` is valid once `ready`. Floats: never money.

Averages start from the plain mean of their first `period` values, so they depend on nothing before the first bar.
"""

from collections import deque


class Ema:
    """Exponential moving average; weight 2 / (period + 1) on the newest value.

    >>> ema = Ema(2)
    >>> for price in (1.0, 3.0, 8.0):
    ...     ema.update(price)
    >>> ema.value
    6.0
    """

    __slots__ = ("_left", "_period", "_sum", "_weight", "value")

    def __init__(self, period: int, weight: float | None = None) -> None:
        self._period = period
        self._weight = 2 / (period + 1) if weight is None else weight
        self._left = period
        self._sum = 0.0
        self.value = 0.0

    @property
    def ready(self) -> bool:
        return self._left == 0

    def update(self, value: float) -> None:
        if self._left == 0:
            self.value += self._weight * (value - self.value)
            return
        self._sum += value
        self._left -= 1
        if self._left == 0:
            self.value = self._sum / self._period


class WilderAverage(Ema):
    """Wilder's smoothing: an exponential average with weight 1 / period. Source: Wilder, New Concepts (1978)."""

    __slots__ = ()

    def __init__(self, period: int) -> None:
        super().__init__(period, 1 / period)


class Rsi:
    """Relative strength index after Wilder, 0 to 100; 50 while nothing moves. Source: Wilder, New Concepts (1978)."""

    __slots__ = ("_gain", "_loss", "_previous")

    def __init__(self, period: int) -> None:
        self._gain = WilderAverage(period)
        self._loss = WilderAverage(period)
        self._previous: float | None = None

    @property
    def ready(self) -> bool:
        return self._gain.ready

    @property
    def value(self) -> float:
        total = self._gain.value + self._loss.value
        return 100 * (self._gain.value / total) if total else 50.0  # multiplied first, it may round to above 100

    def update(self, close: float) -> None:
        if self._previous is not None:
            change = close - self._previous
            self._gain.update(change if change > 0 else 0.0)
            self._loss.update(-change if change < 0 else 0.0)
        self._previous = close


class Atr:
    """Average true range after Wilder, in quote per base. Source: Wilder, New Concepts (1978)."""

    __slots__ = ("_average", "_previous_close")

    def __init__(self, period: int) -> None:
        self._average = WilderAverage(period)
        self._previous_close: float | None = None

    @property
    def ready(self) -> bool:
        return self._average.ready

    @property
    def value(self) -> float:
        return self._average.value

    def update(self, high: float, low: float, close: float) -> None:
        previous = self._previous_close
        top = high if previous is None or previous < high else previous
        bottom = low if previous is None or previous > low else previous
        self._average.update(top - bottom)
        self._previous_close = close


class Donchian:
    """Highest high and lowest low of the last `period` bars, each bar in constant time on average.

    >>> channel = Donchian(2)
    >>> for high, low in ((5.0, 4.0), (9.0, 3.0), (7.0, 6.0), (6.0, 5.0)):
    ...     channel.update(high, low)
    >>> channel.highest, channel.lowest
    (7.0, 5.0)
    """

    __slots__ = ("_count", "_highs", "_lows", "_period")

    def __init__(self, period: int) -> None:
        self._period = period
        self._count = 0
        self._highs: deque[tuple[int, float]] = deque()  # falling: the first is the highest still in the window
        self._lows: deque[tuple[int, float]] = deque()  # rising

    @property
    def ready(self) -> bool:
        return self._count >= self._period

    @property
    def highest(self) -> float:
        return self._highs[0][1]

    @property
    def lowest(self) -> float:
        return self._lows[0][1]

    def update(self, high: float, low: float) -> None:
        highs, lows, count = self._highs, self._lows, self._count
        while highs and highs[-1][1] <= high:
            highs.pop()
        highs.append((count, high))
        while lows and lows[-1][1] >= low:
            lows.pop()
        lows.append((count, low))
        oldest = count - self._period
        if highs[0][0] <= oldest:
            highs.popleft()
        if lows[0][0] <= oldest:
            lows.popleft()
        self._count = count + 1
