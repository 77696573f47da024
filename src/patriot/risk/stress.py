"""What accounts would lose in a crash, in a spike of volatility, when correlations move, and by shocks one names. Pure.

A loss is positive, and everything works on signed exposures: a short gains in a crash, a hedged book loses what its
sides differ by. Shocks of price are exact. Volatility and correlation have no one loss: theirs is the parametric VaR
with the covariance of the scenario, and they give a probability of survival.

An account survives when its equity after the loss is above its maintenance margin, which grows with the notional where
a price rises and is not taken to fall. Each account is judged as one whole: one isolated position can lose less.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from enum import StrEnum
from math import sqrt

import numpy as np

from patriot.kernel.errors import InvalidInput
from patriot.kernel.money import EXACT, ZERO
from patriot.risk.estimates import weights_of
from patriot.risk.exposure import Exposure, exposure_of, position_exposure
from patriot.risk.history import Floats, History
from patriot.risk.holdings import AccountHoldings, Missing, Position, RiskTerms, missing_history
from patriot.risk.metrics import DEFAULT_TERMS, one_asset
from patriot.risk.value_at_risk import STANDARD_NORMAL, deviation_and_gradient, normal_var_multiple
from patriot.trading.terms import AccountId

ESTIMATE_STEP = Decimal("0.00000001")  # quote asset; finer digits of an estimate mean nothing
LOWEST_SHOCK = Decimal(-1)  # a price of 0


class Stress(StrEnum):
    MARKET_CRASH = "MARKET_CRASH"
    VOLATILITY_SPIKE = "VOLATILITY_SPIKE"
    CORRELATION_BREAKDOWN = "CORRELATION_BREAKDOWN"


class StressSeverity(StrEnum):
    MILD = "MILD"
    MODERATE = "MODERATE"
    SEVERE = "SEVERE"


# The move of every price; the multiple of every volatility; the correlation of every pair of symbols.
LEVELS: Mapping[Stress, Mapping[StressSeverity, Decimal]] = {
    stress: dict(zip(StressSeverity, map(Decimal, levels), strict=True))
    for stress, levels in {
        Stress.MARKET_CRASH: ("-0.10", "-0.20", "-0.40"),
        Stress.VOLATILITY_SPIKE: ("1.5", "2", "3"),
        Stress.CORRELATION_BREAKDOWN: ("0.8", "0.9", "1.0"),
    }.items()
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One of the nine that have a name."""

    stress: Stress
    severity: StressSeverity


@dataclass(frozen=True, slots=True)
class PriceShocks:
    """A scenario of one's own: the move of each symbol's price as a fraction, and that of all others.

    Errors: InvalidInput for a shock below -1 or that is no number.
    """

    by_symbol: Mapping[str, Decimal]
    others: Decimal = ZERO

    def __post_init__(self) -> None:
        for symbol, shock in [*self.by_symbol.items(), ("others", self.others)]:
            if not shock.is_finite() or shock < LOWEST_SHOCK:
                raise InvalidInput("shock", f"expected a fraction of at least -1 for {symbol[:40]}, found {shock}")

    def of(self, symbol: str) -> Decimal:
        """Return the move of one symbol's price."""
        return self.by_symbol.get(symbol, self.others)


@dataclass(frozen=True, slots=True)
class PositionStress:
    """The part of one position in its account's loss; negative, a gain."""

    position: Position
    loss: Decimal


@dataclass(frozen=True, slots=True)
class AccountStress:
    """What a scenario does to one account. All None and no positions where `missing` says why.

    `survival_probability`: that the account survives the horizon, of a normal distribution; None for shocks of price,
    which it survives or not.
    """

    loss: Decimal | None
    equity: Decimal | None  # after the loss
    maintenance_margin: Decimal
    survives: bool | None
    survival_probability: float | None
    positions: tuple[PositionStress, ...]
    missing: tuple[Missing, ...] = ()

    @property
    def affected_positions(self) -> int:
        """Return how many positions lose."""
        return sum(1 for position in self.positions if position.loss > 0)


@dataclass(frozen=True, slots=True)
class StressReport:
    """A scenario over accounts of one asset."""

    asset: str
    scenario: Scenario | PriceShocks
    terms: RiskTerms
    accounts: Mapping[AccountId, AccountStress]

    @property
    def loss(self) -> Decimal | None:
        """Return the sum of what the accounts lose, gains of others taken off; None if one is not known."""
        losses = [account.loss for account in self.accounts.values()]
        with localcontext(EXACT):
            return None if None in losses else sum((loss for loss in losses if loss is not None), ZERO)

    @property
    def survivors(self) -> int:
        """Return how many accounts are known to survive."""
        return sum(1 for account in self.accounts.values() if account.survives)

    @property
    def survival_probability(self) -> float | None:
        """Return the lowest of the accounts: all of them together survive with this probability at most."""
        found = [account.survival_probability for account in self.accounts.values()]
        return None if None in found else min(probability for probability in found if probability is not None)


def stress_test(
    accounts: Sequence[AccountHoldings],
    scenario: Scenario | PriceShocks,
    history: History,
    terms: RiskTerms = DEFAULT_TERMS,
) -> StressReport:
    """Return what a scenario does to each account.

    Confidence and horizon count for volatility and correlation only, and only these need a history.
    Errors: InvalidInput without an account, for one that is there twice, or for more than one quote asset.
    """
    asset = one_asset(accounts)
    if isinstance(scenario, PriceShocks):
        outcomes = [_shocked(account, scenario) for account in accounts]
    elif scenario.stress is Stress.MARKET_CRASH:
        crash = PriceShocks({}, LEVELS[scenario.stress][scenario.severity])
        outcomes = [_shocked(account, crash) for account in accounts]
    else:
        outcomes = _estimated(accounts, stressed_covariance(scenario, history), history, terms)
    found = dict(zip((account.account_id for account in accounts), outcomes, strict=True))
    return StressReport(asset, scenario, terms, found)


def stressed_covariance(scenario: Scenario, history: History) -> Floats:
    """Return the hourly covariance under a scenario of volatility or of correlation.

    Shapes: (symbols, symbols). Every volatility is multiplied, or every pair of symbols gets the same correlation at
    the volatility it has. That prices move together helps a book that is long and short, and hurts every other.
    """
    level = float(LEVELS[scenario.stress][scenario.severity])
    if scenario.stress is Stress.VOLATILITY_SPIKE:
        return history.covariance * level**2
    moved = history.volatility[:, None] * history.volatility[None, :] * level
    np.fill_diagonal(moved, history.volatility**2)
    return moved


def _shocked(account: AccountHoldings, shocks: PriceShocks) -> AccountStress:
    with localcontext(EXACT):
        parts = []
        maintenance = ZERO
        for position in account.positions:
            shock = shocks.of(position.symbol)
            parts.append(PositionStress(position, -position.market_value * shock))
            maintenance += position.maintenance_margin * (1 + max(ZERO, shock))
        loss = sum((part.loss for part in parts), ZERO)
        equity = account.equity - loss
    return AccountStress(loss, equity, maintenance, _survives(account, equity, maintenance), None, tuple(parts))


def _estimated(
    accounts: Sequence[AccountHoldings], covariance: Floats, history: History, terms: RiskTerms
) -> list[AccountStress]:
    exposures = [exposure_of(map(position_exposure, account.positions), ()) for account in accounts]
    deviation, gradient = deviation_and_gradient(weights_of(exposures, history), covariance)
    return [
        _likely(account, exposure, alone, dict(zip(history.column, slopes, strict=True)), history, terms)
        for account, exposure, alone, slopes in zip(
            accounts, exposures, deviation.tolist(), gradient.T.tolist(), strict=True
        )
    ]


def _likely(
    account: AccountHoldings,
    exposure: Exposure,
    deviation: float,
    gradient: Mapping[str, float],
    history: History,
    terms: RiskTerms,
) -> AccountStress:
    maintenance = exposure.maintenance_margin
    missing = missing_history("loss", history.missing_hours(exposure.by_symbol))
    if missing:
        return AccountStress(None, None, maintenance, None, None, (), missing)
    multiple = normal_var_multiple(terms)
    loss = estimate(deviation * multiple)
    parts = tuple(
        PositionStress(position, estimate(float(position.market_value) * gradient[position.symbol] * multiple))
        for position in account.positions
    )
    with localcontext(EXACT):
        equity, room = account.equity - loss, account.equity - maintenance
    if deviation and account.positions:
        probability = STANDARD_NORMAL.cdf(float(room) / (deviation * sqrt(terms.horizon_hours)))
    else:
        probability = 1.0 if _survives(account, account.equity, maintenance) else 0.0
    return AccountStress(loss, equity, maintenance, _survives(account, equity, maintenance), probability, parts)


def _survives(account: AccountHoldings, equity: Decimal, maintenance: Decimal) -> bool:
    return equity > maintenance or not account.positions  # nothing held, nothing to liquidate


def estimate(value: float) -> Decimal:
    """Return a float as a Decimal of 8 places, half to even."""
    return Decimal(value).quantize(ESTIMATE_STEP, ROUND_HALF_EVEN, EXACT)
