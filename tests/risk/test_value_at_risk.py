import math
import random
import statistics
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.kernel.errors import InvalidInput
from patriot.risk.history import Floats, sample_covariance
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
from tests.risk.books import SYMBOLS, chance_returns

pytestmark = pytest.mark.unit

SEEDS = st.integers(0, 2**32 - 1)
TERMS = st.builds(RiskTerms, st.decimals("0.90", "0.99", places=3), st.integers(1, 720))
ONE_HOUR = RiskTerms(horizon_hours=1)
TWO_APART = np.array([[0.0001, 0.0], [0.0, 0.0004]])  # 1 % and 2 % an hour
TWO_ALIKE = np.array([[0.0001, 0.0002], [0.0002, 0.0004]])


def weights(*portfolios: list[float]) -> Floats:
    return np.array(portfolios).T


def chance_weights(seed: int, portfolios: int = 3) -> Floats:
    return np.random.default_rng(seed).uniform(-1_000, 1_000, (len(SYMBOLS), portfolios))


@pytest.mark.parametrize(
    ("confidence", "hours", "value_at_risk", "expected_shortfall"),
    [
        ("0.95", 1, 1.644854, 2.062713),  # tables of the normal distribution
        ("0.95", 24, 8.058105, 10.105188),  # x 4.898979
        ("0.99", 1, 2.326348, 2.665214),
        ("0.90", 720, 34.38764, 47.09114),  # 1.281552 and 1.754983 x 26.832816
    ],
)
def test_normal_multiples_are_those_of_the_tables(
    confidence: str, hours: int, value_at_risk: float, expected_shortfall: float
) -> None:
    terms = RiskTerms(Decimal(confidence), hours)
    assert normal_var_multiple(terms) == pytest.approx(value_at_risk, rel=1e-6)
    assert normal_cvar_multiple(terms) == pytest.approx(expected_shortfall, rel=1e-6)


@pytest.mark.parametrize(("confidence", "hours"), [("0.899", 24), ("0.991", 24), ("0.95", 0), ("0.95", 721)], ids=str)
def test_terms_outside_their_range_are_refused(confidence: str, hours: int) -> None:
    with pytest.raises(InvalidInput, match="expected"):
        RiskTerms(Decimal(confidence), hours)


def test_deviation_of_two_apart_is_the_root_of_squares_and_gradients_share_it() -> None:
    # 300 x 1 % = 3, 200 x 2 % = 4: sqrt(9 + 16) = 5; gradients 300 x 0.0001 / 5 = 0.006, 200 x 0.0004 / 5 = 0.016
    deviation, gradient = deviation_and_gradient(weights([300, 200]), TWO_APART)
    assert deviation[0] == pytest.approx(5)
    assert gradient[:, 0].tolist() == pytest.approx([0.006, 0.016])  # 300 x 0.006 + 200 x 0.016 = 1.8 + 3.2 = 5


@pytest.mark.parametrize(("held", "deviation"), [([300.0, 200.0], 7), ([300.0, -200.0], 1), ([300.0, -150.0], 0)])
def test_deviation_of_two_alike_adds_and_offsets(held: list[float], deviation: float) -> None:
    # 300 x 1 % + 200 x 2 % = 3 + 4; 3 - 4; 3 - 3
    assert deviation_and_gradient(weights(held), TWO_ALIKE)[0][0] == pytest.approx(deviation)


def test_offset_wholly_is_exactly_nothing_and_has_no_gradient_and_no_ratio() -> None:
    offset = weights([300, -150])
    deviation, gradient = deviation_and_gradient(offset, TWO_ALIKE)
    assert deviation[0] == 0
    assert not gradient.any()
    assert math.isnan(diversification_ratio(offset, TWO_ALIKE)[0])


def test_diversification_ratio_of_two_apart_is_seven_fifths_and_of_one_is_one() -> None:
    # 3 + 4 alone over 5 together; 3 over 3
    assert diversification_ratio(weights([300, 200], [300, 0]), TWO_APART).tolist() == pytest.approx([1.4, 1])


def test_mean_correlation_weighs_pairs_and_turns_the_sign_of_a_hedge() -> None:
    # pairs of 100, -100, 200: -0.5 x 10,000 + 0.2 x 20,000 + 0.4 x 20,000 = 7,000 of 50,000 = 0.14
    correlation = np.array([[1, 0.5, 0.2], [0.5, 1, -0.4], [0.2, -0.4, 1]])
    assert mean_correlation(weights([100, -100, 200]), correlation)[0] == pytest.approx(0.14)


def test_mean_correlation_needs_a_pair_of_prices_that_moved() -> None:
    correlation = np.array([[1, 0.5, np.nan], [0.5, 1, np.nan], [np.nan, np.nan, np.nan]])
    found = mean_correlation(weights([1, 0, 0], [0, 0, 0], [1, 1, 1], [1, 1, 0], [1, -1, 0]), correlation)
    assert np.array_equal(found, [np.nan, np.nan, np.nan, 0.5, -0.5], equal_nan=True)


@pytest.mark.parametrize(
    ("confidence", "value_at_risk", "expected_shortfall"),
    [
        ("0.95", 19, 20),  # the 19th of 20; beyond it 20
        ("0.90", 18, 19.5),  # the 18th; (19 + 20) / 2
        ("0.97", 20, 20),  # 19.4 rounded up: the 20th
        ("0.92", 19, 19.625),  # the 19th (18.4); 1.6 hours lie beyond: (1 x 20 + 0.6 x 19) / 1.6
    ],
)
def test_historical_tail_of_losses_from_1_to_20(
    confidence: str, value_at_risk: float, expected_shortfall: float
) -> None:
    losses = np.array([random.Random(1).sample(range(1, 21), 20)], dtype=np.float64)
    found, beyond = historical_tail(losses, RiskTerms(Decimal(confidence), 1))
    assert (found[0], beyond[0]) == pytest.approx((value_at_risk, expected_shortfall))


def test_historical_tail_scales_by_the_root_of_the_horizon() -> None:
    found, beyond = historical_tail(np.arange(1.0, 21.0)[None, :], RiskTerms(horizon_hours=16))
    assert (found[0], beyond[0]) == pytest.approx((76, 80))  # 4 x 19, 4 x 20


def test_historical_tail_of_gains_alone_is_no_loss() -> None:
    found, beyond = historical_tail(-np.arange(1.0, 21.0)[None, :], ONE_HOUR)
    assert (found[0], beyond[0]) == (0, 0)


def test_scenario_losses_of_a_long_and_a_short() -> None:
    # 100 long, 50 short: 100 x 0.01 - 50 x 0.04 = -1; 100 x -0.02 - 50 x 0.02 = -3
    moves = np.array([[0.01, 0.04], [-0.02, 0.02]])
    assert scenario_losses(weights([100, -50]), moves).tolist() == [pytest.approx([1, 3])]


def naive_tail(weights_of_one: list[float], returns: list[list[float]], terms: RiskTerms) -> tuple[float, float]:
    """Count hours for VaR; for CVaR, minimize over every loss (Rockafellar and Uryasev's formula)."""
    losses = [-sum(w * r for w, r in zip(weights_of_one, hour, strict=True)) for hour in returns]
    needed = Fraction(terms.confidence) * len(losses)
    at_risk = min(loss for loss in losses if sum(1 for other in losses if other <= loss) >= needed)
    tail = float(1 - terms.confidence) * len(losses)
    beyond = min(loss + sum(max(0.0, other - loss) for other in losses) / tail for loss in losses)
    root = math.sqrt(terms.horizon_hours)
    return max(0.0, at_risk) * root, max(0.0, beyond) * root


@given(SEEDS, st.integers(2, 60), TERMS)
def test_historical_tail_agrees_with_a_naive_loop(seed: int, hours: int, terms: RiskTerms) -> None:
    returns, held = chance_returns(seed, hours=hours), chance_weights(seed)
    found, beyond = historical_tail(scenario_losses(held, returns), terms)
    for number in range(held.shape[1]):
        expected = naive_tail(held[:, number].tolist(), returns.tolist(), terms)
        assert (found[number], beyond[number]) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(SEEDS, TERMS)
def test_parametric_value_at_risk_agrees_with_the_spread_of_the_replayed_result(seed: int, terms: RiskTerms) -> None:
    returns, held = chance_returns(seed, hours=200), chance_weights(seed)
    deviation, _ = deviation_and_gradient(held, sample_covariance(returns))
    for number in range(held.shape[1]):
        results = [sum(w * r for w, r in zip(held[:, number].tolist(), hour, strict=True)) for hour in returns.tolist()]
        over_horizon = statistics.NormalDist(0, statistics.stdev(results) * terms.horizon_hours**0.5)
        assert deviation[number] * normal_var_multiple(terms) == pytest.approx(
            -over_horizon.inv_cdf(1 - float(terms.confidence)), rel=1e-8
        )


@given(SEEDS)
def test_components_add_up_and_gradients_are_slopes(seed: int) -> None:
    covariance, held = sample_covariance(chance_returns(seed, hours=100)), chance_weights(seed, 1)
    deviation, gradient = deviation_and_gradient(held, covariance)
    assert float((held * gradient).sum()) == pytest.approx(float(deviation[0]), rel=1e-9)
    for symbol in range(len(SYMBOLS)):
        more, less = held.copy(), held.copy()
        more[symbol] += 0.01
        less[symbol] -= 0.01
        rise = deviation_and_gradient(more, covariance)[0][0] - deviation_and_gradient(less, covariance)[0][0]
        assert rise / 0.02 == pytest.approx(gradient[symbol, 0], rel=1e-3, abs=1e-6)


@given(SEEDS, TERMS)
def test_conditional_value_at_risk_is_at_least_value_at_risk(seed: int, terms: RiskTerms) -> None:
    found, beyond = historical_tail(scenario_losses(chance_weights(seed), chance_returns(seed, hours=97)), terms)
    assert (beyond >= found).all()
    assert normal_cvar_multiple(terms) > normal_var_multiple(terms)


@given(SEEDS, TERMS)
def test_value_at_risk_doubles_with_what_is_held(seed: int, terms: RiskTerms) -> None:
    returns, held = chance_returns(seed, hours=97), chance_weights(seed)
    covariance = sample_covariance(returns)
    assert np.array_equal(
        deviation_and_gradient(2 * held, covariance)[0], 2 * deviation_and_gradient(held, covariance)[0]
    )
    once, twice = (historical_tail(scenario_losses(size * held, returns), terms) for size in (1, 2))
    assert np.array_equal(np.stack(twice), 2 * np.stack(once))


@given(SEEDS, st.integers(1, 4))
def test_conditional_value_at_risk_of_a_whole_is_at_most_that_of_its_parts(seed: int, tail: int) -> None:
    # CVaR is coherent, which VaR is not
    terms = RiskTerms(1 - Decimal(tail) / 40, 24)
    returns, held = chance_returns(seed, hours=80), chance_weights(seed, 2)
    whole = historical_tail(scenario_losses(held.sum(axis=1, keepdims=True), returns), terms)[1][0]
    assert whole <= historical_tail(scenario_losses(held, returns), terms)[1].sum() * (1 + 1e-12)
