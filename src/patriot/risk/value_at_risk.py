"""Value at risk and conditional value at risk of many portfolios at once, parametric and historical. numpy, pure.

A weight is a signed notional in quote asset. Both methods take hours as independent and scale one hour to the horizon
by its square root. Source: J.P. Morgan/Reuters, "RiskMetrics Technical Document" (1996); Hull, "Risk Management and
Financial Institutions", on the time horizon. Parametric takes the mean as 0 and the distribution as normal; historical
replays the last 720 hours on what is held now, and shows what the normal distribution leaves out.
"""

import math
from decimal import ROUND_CEILING
from statistics import NormalDist

import numpy as np

from patriot.risk.history import Floats, weighted_sum
from patriot.risk.holdings import RiskTerms

STANDARD_NORMAL = NormalDist()
NOISE = 1e-12  # of the variance without any offset: what is below it is rounding, not risk


def normal_var_multiple(terms: RiskTerms) -> float:
    """Return the parametric VaR per unit of hourly standard deviation: z x sqrt(hours).

    >>> round(normal_var_multiple(RiskTerms()), 4)  # 1.644854 x sqrt(24)
    8.0581
    """
    return STANDARD_NORMAL.inv_cdf(float(terms.confidence)) * math.sqrt(terms.horizon_hours)


def normal_cvar_multiple(terms: RiskTerms) -> float:
    """Return the parametric CVaR per unit of hourly standard deviation: pdf(z) / (1 - confidence) x sqrt(hours).

    Source: McNeil, Frey and Embrechts, "Quantitative Risk Management" (2015), example 2.14.

    >>> round(normal_cvar_multiple(RiskTerms()), 4)  # 2.062713 x sqrt(24)
    10.1052
    """
    z = STANDARD_NORMAL.inv_cdf(float(terms.confidence))
    return STANDARD_NORMAL.pdf(z) / float(1 - terms.confidence) * math.sqrt(terms.horizon_hours)


def deviation_and_gradient(weights: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """Return each portfolio's standard deviation and how it changes by weight, 0 where there is no deviation.

    Shapes: weights (symbols, portfolios), covariance (symbols, symbols) to (portfolios,) and (symbols, portfolios).
    The deviation is the sum of weight x gradient (Euler): times a VaR multiple, gradients are marginal VaR, and
    weight x gradient is component VaR. Source: Garman, "Taking VaR to Pieces", Risk 10 (1997).
    """
    slope = weighted_sum(covariance[:, :, None], weights[:, None, :])
    variance = weighted_sum(weights, slope)
    alone = undiversified_deviation(weights, covariance)
    variance = np.where(variance > NOISE * alone * alone, variance, 0.0)
    deviation = np.sqrt(variance)
    return deviation, np.divide(slope, deviation, out=np.zeros_like(slope), where=deviation > 0)


def undiversified_deviation(weights: Floats, covariance: Floats) -> Floats:
    """Return the sum of what each symbol's standard deviation would be alone."""
    return weighted_sum(np.sqrt(np.diagonal(covariance))[:, None], np.abs(weights))


def scenario_losses(weights: Floats, returns: Floats) -> Floats:
    """Return what each portfolio would lose in each hour of the past; a gain is negative.

    Shapes: weights (symbols, portfolios), returns (hours, symbols) to (portfolios, hours).
    """
    losses = np.zeros((weights.shape[1], len(returns)))
    for weight, moves in zip(weights, returns.T, strict=True):
        held = np.flatnonzero(weight)
        losses[held] -= weight[held, None] * moves
    return losses


def historical_tail(losses: Floats, terms: RiskTerms) -> tuple[Floats, Floats]:
    """Return historical VaR and CVaR of each row of hourly losses, scaled to the horizon, at least 0.

    Shapes: (portfolios, n) to (portfolios,) twice. VaR is the smallest loss that at least confidence x n of the n do
    not pass: the ceil(confidence x n)-th from below. CVaR is VaR plus the mean excess over it, so a tail that is no
    whole number of hours is weighed by its part. Source: Rockafellar and Uryasev, "Conditional Value-at-Risk for
    General Loss Distributions", Journal of Banking & Finance 26 (2002).
    """
    count = losses.shape[1]
    place = int((terms.confidence * count).to_integral_value(ROUND_CEILING))
    ordered = np.sort(losses, axis=1)
    at_risk = ordered[:, place - 1]
    excess = weighted_sum(np.ones((count - place, 1)), ordered[:, place:].T - at_risk)
    beyond = at_risk + excess / float((1 - terms.confidence) * count)
    scale = math.sqrt(terms.horizon_hours)
    return np.maximum(at_risk, 0.0) * scale, np.maximum(beyond, 0.0) * scale


def diversification_ratio(weights: Floats, covariance: Floats) -> Floats:
    """Return the sum of deviations alone over the deviation together, 1 for one symbol; NaN without any deviation.

    Source: Choueifaty and Coignard, "Toward Maximum Diversification", Journal of Portfolio Management 35 (2008).
    """
    deviation, _ = deviation_and_gradient(weights, covariance)
    alone = undiversified_deviation(weights, covariance)
    return np.divide(alone, deviation, out=np.full_like(alone, np.nan), where=deviation > 0)


def mean_correlation(weights: Floats, correlation: Floats) -> Floats:
    """Return the mean correlation of each portfolio's pairs of symbols, as its result feels it.

    A pair of two sides counts with the sign turned, and each pair with the product of its notionals; +1 means that all
    positions win and lose together. NaN without a pair, and where a price that did not move has no correlation.
    Shapes: weights (symbols, portfolios), correlation (symbols, symbols) to (portfolios,).
    """
    pairs = np.where(np.eye(len(correlation), dtype=bool), 0.0, 1.0)
    size = np.abs(weights)
    together = weighted_sum(weights, weighted_sum((np.nan_to_num(correlation) * pairs)[:, :, None], weights[:, None]))
    whole = weighted_sum(size, weighted_sum(pairs[:, :, None], size[:, None]))
    constant = np.isnan(np.diagonal(correlation))
    judged = (whole > 0) & ~np.any((size > 0) & constant[:, None], axis=0)
    mean = np.divide(together, whole, out=np.full_like(whole, np.nan), where=judged)
    np.clip(mean, -1, 1, out=mean)
    return mean
