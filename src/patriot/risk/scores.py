"""How much of its limits an account uses, and one score of it from 0 to 100. Pure.

The score is 100 x the highest of value / limit, at most 100: 100 says that a limit is reached, and 80 that the nearest
one is four fifths used. It adds nothing up, so it never hides one high figure behind others that are low.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from patriot.risk.estimates import TO_DAY, PortfolioEstimates
from patriot.risk.exposure import Exposure
from patriot.risk.holdings import MeasuredLimits, RiskTerms
from patriot.risk.value_at_risk import normal_var_multiple

LIMIT_TERMS = RiskTerms(Decimal("0.95"), 24)  # of the VaR that a limit bounds, whatever is asked for
FULL = 100.0


def limit_usage(
    exposure: Exposure,
    equity: Decimal,
    margin_usage: Decimal | None,
    estimates: PortfolioEstimates | None,
    limits: MeasuredLimits,
) -> Mapping[str, float | None]:
    """Return value / limit by the name of the limit, None where the value is not known.

    Correlation of fewer than two symbols, or below 0, uses nothing. Without equity above 0, leverage and VaR use
    nothing if nothing is at stake, else all of their limits and more: infinity. So does margin without a balance.
    """
    stake = float(exposure.total)
    return {
        "max_position_notional": float(exposure.largest / limits.max_position_notional),
        "max_total_exposure": float(exposure.total / limits.max_total_exposure),
        "max_leverage": _of_money(stake, float(limits.max_leverage) * float(equity)),
        "max_margin_usage": _margin(exposure, margin_usage, limits),
        "max_var_fraction": _var(exposure, equity, estimates, limits),
        "max_correlation": _correlation(exposure, estimates, limits),
    }


def composite_score(usage: Iterable[float | None]) -> float | None:
    """Return the score of these parts of limits used, None if one is not known and no other is used up.

    >>> composite_score([0.5, 0.8]), composite_score([0.5, None]), composite_score([1.3, None])
    (80.0, None, 100.0)
    """
    return worst_score([None if used is None else FULL * min(used, 1.0) for used in usage])


def worst_score(scores: Sequence[float | None]) -> float | None:
    """Return the highest of several scores, None if one is not known and no other says that a limit is reached."""
    highest = max((score for score in scores if score is not None), default=0.0)
    return None if None in scores and highest < FULL else highest


def _of_money(value: float, limit: float) -> float:
    if limit > 0:
        return value / limit
    return math.inf if value > 0 else 0.0


def _margin(exposure: Exposure, usage: Decimal | None, limits: MeasuredLimits) -> float:
    if usage is None:
        return math.inf if exposure.maintenance_margin > 0 else 0.0
    return float(usage / limits.max_margin_usage)


def _var(
    exposure: Exposure, equity: Decimal, estimates: PortfolioEstimates | None, limits: MeasuredLimits
) -> float | None:
    if estimates is None:
        return None
    at_risk = estimates.volatility_24h / TO_DAY * normal_var_multiple(LIMIT_TERMS)
    return _of_money(at_risk, float(limits.max_var_fraction) * float(equity))


def _correlation(exposure: Exposure, estimates: PortfolioEstimates | None, limits: MeasuredLimits) -> float | None:
    if sum(1 for symbol in exposure.by_symbol.values() if symbol.net) < 2:
        return 0.0
    if estimates is None or estimates.correlation is None:
        return None
    return max(0.0, estimates.correlation) / float(limits.max_correlation)
