"""How prices moved in the last 30 days: volatility, covariance, correlation of closed hourly bars. numpy, pure.

Returns are simple ones (close / close before - 1): the result of a linear perpetual is its notional times them, and
they add over positions; log returns add over time only. Source: Campbell, Lo and MacKinlay, "The Econometrics of
Financial Markets" (1997), section 1.4.

Nothing is guessed: a symbol that lacks one hour of the 720 has no statistics, and says how many it lacks. Sums are made
one addition after another (`weighted_sum`), never by BLAS: what one portfolio or symbol gets does not depend on which
others are measured with it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from patriot.kernel.errors import InvalidInput

Floats = NDArray[np.float64]

LOOKBACK_DAYS = 30
HOURS_A_DAY = 24
LOOKBACK_HOURS = LOOKBACK_DAYS * HOURS_A_DAY
ROUNDING = 1e-12  # of a return: no tick is that fine, so a smaller deviation is float64's, and none
DAYS_A_YEAR = 365  # crypto trades every day


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Simple returns of closed hours.

    Shapes: `returns` is (hours, symbols), ascending, the last row the newest closed hour; NaN where one is not known.
    Errors: InvalidInput if the shape does not fit, a symbol is there twice, or a return is infinite or below -1.
    """

    symbols: tuple[str, ...]
    returns: Floats

    def __post_init__(self) -> None:
        if self.returns.ndim != 2 or self.returns.shape[1] != len(self.symbols):
            raise InvalidInput(
                "returns", f"expected (hours, {len(self.symbols)} symbols), found shape {self.returns.shape}"
            )
        if len(set(self.symbols)) != len(self.symbols):
            raise InvalidInput("symbols", "expected each symbol once")
        if np.any(np.isinf(self.returns)) or np.any(self.returns < -1):
            raise InvalidInput("returns", "expected finite numbers of at least -1, or NaN where one is not known")

    @classmethod
    def from_closes(cls, symbols: tuple[str, ...], closes: Floats) -> Self:
        """Return the window of these closes.

        Shapes: (hours + 1, symbols), ascending, NaN where a bar is missing: the two returns beside it are not known.
        """
        if np.any(closes <= 0):
            raise InvalidInput("closes", "expected prices above 0, or NaN where a bar is missing")
        return cls(symbols, closes[1:] / closes[:-1] - 1)


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Statistics of the symbols whose last 720 hours are all known; made once for each closed hour.

    Shapes: `column` gives a symbol's place in each array, ascending by symbol; returns (720, n), volatility (n,),
    covariance and correlation (n, n). Units: volatility and covariance of one hour; correlation of 30 daily returns,
    NaN beside a symbol whose price did not move.
    """

    column: Mapping[str, int]
    known_hours: Mapping[str, int]  # of the last 720, by symbol, of every symbol in the window
    returns: Floats
    volatility: Floats
    covariance: Floats
    correlation: Floats

    def missing_hours(self, symbols: Iterable[str]) -> dict[str, int]:
        """Return how many more closed hours each of these symbols needs; 0 if it has statistics."""
        return {symbol: LOOKBACK_HOURS - self.known_hours.get(symbol, 0) for symbol in symbols}

    def unmoved(self, symbol: str) -> bool:
        """Return whether a symbol with statistics has the same price at every close of a day."""
        at = self.column[symbol]
        return bool(np.isnan(self.correlation[at, at]))


def summarize(window: Window) -> History:
    """Return the statistics of the last 720 hours of a window."""
    recent = window.returns[-LOOKBACK_HOURS:]
    known = np.count_nonzero(~np.isnan(recent), axis=0).tolist()
    known_hours = dict(zip(window.symbols, known, strict=True))
    complete = sorted(symbol for symbol, hours in known_hours.items() if hours == LOOKBACK_HOURS)
    places = [window.symbols.index(symbol) for symbol in complete]
    returns = np.ascontiguousarray(recent[:, places]) if places else np.zeros((LOOKBACK_HOURS, 0))
    covariance = sample_covariance(returns)
    return History(
        column={symbol: number for number, symbol in enumerate(complete)},
        known_hours=known_hours,
        returns=returns,
        volatility=np.sqrt(np.diagonal(covariance)),
        covariance=covariance,
        correlation=correlation_of(sample_covariance(daily_returns(returns))),
    )


def weighted_sum(weights: Floats, values: Floats) -> Floats:
    """Return the sum over the first axis of weights x values, one addition after another.

    Shapes: (n, ...) and (n, ...), of shapes that broadcast together below the first axis.
    """
    total = np.zeros(np.broadcast_shapes(weights.shape[1:], values.shape[1:]))
    for weight, value in zip(weights, values, strict=True):
        total += weight * value
    return total


def sample_covariance(returns: Floats) -> Floats:
    """Return the sample covariance of columns, with n - 1 in the denominator.

    Shapes: (n, symbols) to (symbols, symbols). Source: Hull, "Options, Futures, and Other Derivatives", on
    estimating volatility and correlation.
    """
    count = len(returns)
    deviations = returns - weighted_sum(np.ones((count, 1)), returns) / count
    deviations[np.abs(deviations) < ROUNDING] = 0.0
    return weighted_sum(deviations[:, :, None], deviations[:, None, :]) / (count - 1)


def daily_returns(hourly: Floats) -> Floats:
    """Return hours compounded to days that end with the newest hour.

    Shapes: (days x 24, symbols) to (days, symbols).
    """
    growth = np.ones((len(hourly) // HOURS_A_DAY, hourly.shape[1]))
    for hour in range(HOURS_A_DAY):
        growth *= 1 + hourly[hour::HOURS_A_DAY]
    return growth - 1


def correlation_of(covariance: Floats) -> Floats:
    """Return the correlation matrix of a covariance matrix, NaN in the row and column of a constant."""
    deviation = np.sqrt(np.diagonal(covariance))
    scale = deviation[:, None] * deviation[None, :]
    unknown = np.full_like(covariance, np.nan)
    correlation: Floats = np.divide(covariance, scale, out=unknown, where=scale > 0)
    np.clip(correlation, -1, 1, out=correlation)
    return correlation
