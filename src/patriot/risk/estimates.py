"""Volatility, value at risk, diversification and correlation of portfolios as they stand, from a history. numpy, pure.

One call makes the arrays of all portfolios (`value_at_risk.py`); each portfolio is then given its own figures. One that
holds a symbol without statistics gets None.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from patriot.risk.exposure import Exposure, PositionExposure
from patriot.risk.history import DAYS_A_YEAR, HOURS_A_DAY, Floats, History
from patriot.risk.holdings import RiskTerms
from patriot.risk.value_at_risk import (
    deviation_and_gradient,
    diversification_ratio,
    historical_tail,
    mean_correlation,
    normal_cvar_multiple,
    normal_var_multiple,
    scenario_losses,
)

TO_DAY = math.sqrt(HOURS_A_DAY)
TO_YEAR = math.sqrt(HOURS_A_DAY * DAYS_A_YEAR)


class Tail(NamedTuple):
    """The loss that is not passed with the confidence, and the mean of what lies beyond. Units: quote asset."""

    value_at_risk: float
    conditional_value_at_risk: float


class Contribution(NamedTuple):
    """A symbol's or position's part in the parametric VaR of its portfolio: components add up to it.

    `marginal_var` is the VaR added per unit of quote asset bought, None where the portfolio has no deviation.
    """

    marginal_var: float | None
    component_var: float


@dataclass(frozen=True, slots=True)
class PortfolioEstimates:
    """What 30 days say of a portfolio as it stands. Volatility: standard deviation of its result, in quote asset."""

    volatility_24h: float
    volatility_annual: float  # of 365 days
    parametric: Tail
    historical: Tail
    diversification_ratio: float | None  # None where there is no deviation
    correlation: float | None  # None with fewer than two symbols, or for a price that did not move
    contributions: Mapping[str, Contribution]  # by symbol


@dataclass(frozen=True, slots=True)
class PositionEstimates:
    """What 30 days say of one position alone. Volatility: of its symbol's price, as a fraction."""

    volatility_24h: float
    volatility_annual: float  # of 365 days
    parametric: Tail
    historical: Tail


@dataclass(frozen=True, slots=True)
class Units:
    """What one unit of quote asset risks: by symbol, its volatility of an hour, its historical tail long and short."""

    by_symbol: Mapping[str, tuple[float, Tail, Tail]]
    normal: Tail  # of a standard deviation of 1 an hour


def portfolio_estimates(
    exposures: Sequence[Exposure], history: History, terms: RiskTerms
) -> list[PortfolioEstimates | None]:
    """Return the estimates of each portfolio in order, None where it holds a symbol that lacks hours."""
    weights, normal = weights_of(exposures, history), normal_tail(terms)
    deviation, gradient = deviation_and_gradient(weights, history.covariance)
    marginal = gradient * normal.value_at_risk
    at_risk, beyond = historical_tail(scenario_losses(weights, history.returns), terms)
    arrays = (
        *(deviation, marginal.T, (weights * marginal).T, at_risk, beyond),
        diversification_ratio(weights, history.covariance),
        mean_correlation(weights, history.correlation),
    )
    rows = map(_Row, *(array.tolist() for array in arrays))
    return [
        _portfolio(exposure, history.column, normal, row) if _complete(exposure, history) else None
        for exposure, row in zip(exposures, rows, strict=True)
    ]


class _Row(NamedTuple):
    deviation: float
    marginal: list[float]
    component: list[float]
    at_risk: float
    beyond: float
    diversification: float
    correlation: float


def weights_of(exposures: Sequence[Exposure], history: History) -> Floats:
    """Return the net notional of each portfolio in each symbol of the history, others left out.

    Shapes: (symbols, portfolios).
    """
    weights = np.zeros((len(history.column), len(exposures)))
    for portfolio, exposure in enumerate(exposures):
        for symbol, held in exposure.by_symbol.items():
            if symbol in history.column:
                weights[history.column[symbol], portfolio] = float(held.net)
    return weights


def _complete(exposure: Exposure, history: History) -> bool:
    return all(symbol in history.column for symbol in exposure.by_symbol)


def _portfolio(exposure: Exposure, column: Mapping[str, int], normal: Tail, row: _Row) -> PortfolioEstimates:
    contributions = {}
    for symbol in exposure.by_symbol:
        at = column[symbol]
        contributions[symbol] = Contribution(row.marginal[at] if row.deviation else None, row.component[at])
    return PortfolioEstimates(
        volatility_24h=row.deviation * TO_DAY,
        volatility_annual=row.deviation * TO_YEAR,
        parametric=_times(normal, row.deviation),
        historical=Tail(row.at_risk, row.beyond),
        diversification_ratio=_known(row.diversification),
        correlation=_known(row.correlation),
        contributions=contributions,
    )


def normal_tail(terms: RiskTerms) -> Tail:
    """Return the parametric tail of a standard deviation of 1 an hour."""
    return Tail(normal_var_multiple(terms), normal_cvar_multiple(terms))


def _times(tail: Tail, size: float) -> Tail:
    return Tail(tail.value_at_risk * size, tail.conditional_value_at_risk * size)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def units_of(history: History, terms: RiskTerms) -> Units:
    """Return what each symbol of the history risks per unit of quote asset, long and short."""
    long = np.stack(historical_tail(-history.returns.T, terms), axis=1).tolist()
    short = np.stack(historical_tail(history.returns.T, terms), axis=1).tolist()
    volatility = history.volatility.tolist()
    return Units(
        {symbol: (volatility[at], Tail(*long[at]), Tail(*short[at])) for symbol, at in history.column.items()},
        normal_tail(terms),
    )


def position_estimates(position: PositionExposure, units: Units) -> PositionEstimates | None:
    """Return the estimates of one position alone, None where its symbol lacks hours."""
    unit = units.by_symbol.get(position.position.symbol)
    if unit is None:
        return None
    volatility, long, short = unit
    notional = float(position.market_value)
    size = abs(notional)
    return PositionEstimates(
        volatility_24h=volatility * TO_DAY,
        volatility_annual=volatility * TO_YEAR,
        parametric=_times(units.normal, size * volatility),
        historical=_times(long if notional >= 0 else short, size),
    )
