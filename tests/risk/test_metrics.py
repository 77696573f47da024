import math
import random
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patriot.kernel.errors import InvalidInput
from patriot.risk.estimates import PortfolioEstimates
from patriot.risk.history import History, Window, summarize
from patriot.risk.holdings import AccountHoldings, OpenEntry, RiskTerms
from patriot.risk.metrics import AccountMetrics, PortfolioMetrics, measure
from patriot.trading.terms import StrategyId, UserId
from tests.risk.books import (
    MANY_SYMBOLS,
    OTHERS,
    OURS,
    SYMBOLS,
    account,
    amounts,
    chance_account,
    chance_history,
    chance_returns,
    daily,
    hourly,
    moved,
    position,
)

pytestmark = pytest.mark.unit

SEEDS = st.integers(0, 2**32 - 1)
PERCENT = 0.01 * math.sqrt(720 / 719)  # hourly volatility of 1 % up and down
APART = moved(BTCUSDT=hourly(0.01, -0.01), ETHUSDT=hourly(0.01, 0.01, -0.01, -0.01), SOLUSDT=hourly(0.02, -0.02))
DAYS = moved(BTCUSDT=daily(0.02, -0.02), ETHUSDT=daily(0.04, -0.04), SOLUSDT=daily(0.02, 0.02, -0.02, -0.02))


def alone(holdings: AccountHoldings, history: History, terms: RiskTerms | None = None) -> AccountMetrics:
    return measure([holdings], history, terms or RiskTerms()).accounts[holdings.account_id]


def estimated(metrics: AccountMetrics | PortfolioMetrics) -> PortfolioEstimates:
    portfolio = metrics.portfolio if isinstance(metrics, AccountMetrics) else metrics
    assert portfolio.estimates is not None
    return portfolio.estimates


def test_value_at_risk_of_one_position_by_hand() -> None:
    # 1,000 x 1.0006952 % x 1.644854 x 4.898979 = 80.637; CVaR x 2.062713 / 1.644854 = 101.122
    # the 684th of 720 losses is 10, and so is the tail: 10 x 4.898979 = 48.990
    metrics = alone(account(1, position("BTCUSDT", "-1000")), APART)
    found, held = estimated(metrics), metrics.positions[0]
    assert found.parametric == pytest.approx((80.637, 101.122), abs=1e-3)
    assert found.historical == pytest.approx((48.990, 48.990), abs=1e-3)
    assert held.estimates is not None
    assert held.estimates.parametric == pytest.approx(found.parametric)
    assert held.estimates.historical == pytest.approx(found.historical)
    assert held.contribution is not None
    assert held.contribution == pytest.approx((-0.080637, 80.637), abs=1e-3)  # buying takes risk off a short


def test_volatility_is_scaled_to_24_hours_and_365_days() -> None:
    # 1.0006952 % x sqrt(24) = 4.9024 %; x sqrt(8,760) = 93.660 %
    metrics = alone(account(1, position("BTCUSDT", "1000")), APART)
    held = metrics.positions[0].estimates
    assert held is not None
    assert (held.volatility_24h, held.volatility_annual) == pytest.approx((0.049024, 0.93660), abs=1e-5)
    found = estimated(metrics)
    assert (found.volatility_24h, found.volatility_annual) == pytest.approx((49.024, 936.60), abs=1e-2)


def test_value_at_risk_of_two_apart_is_the_root_of_their_squares() -> None:
    # 80.637 x sqrt(2) = 114.038; each component half of it; alone 161.274: ratio 1.41421
    found = estimated(alone(account(1, position("BTCUSDT", "1000"), position("ETHUSDT", "-1000")), APART))
    assert found.parametric.value_at_risk == pytest.approx(114.038, abs=1e-3)
    assert [part.component_var for part in found.contributions.values()] == pytest.approx([57.019, 57.019], abs=1e-3)
    assert found.diversification_ratio == pytest.approx(math.sqrt(2))


def test_hedged_book_under_perfect_correlation_is_near_zero() -> None:
    # 1,000 at 1 % against 500 at 2 %
    metrics = alone(account(1, position("BTCUSDT", "1000"), position("SOLUSDT", "-500")), APART)
    found = estimated(metrics)
    assert found.parametric == pytest.approx((0, 0), abs=1e-6)
    assert found.historical == pytest.approx((0, 0), abs=1e-6)
    assert found.diversification_ratio is None
    assert metrics.portfolio.exposure.held == 1_500


def test_offset_that_is_not_whole_in_float64_is_whole() -> None:
    # 300 at 1 % against 100 at 3 %: what is left of the variance is rounding, some 1e-13 of it
    history = moved(BTCUSDT=hourly(0.01, -0.003), ETHUSDT=hourly(0.03, -0.009))
    found = estimated(alone(account(1, position("BTCUSDT", "300"), position("ETHUSDT", "-100")), history))
    assert found.parametric.value_at_risk == 0
    assert found.diversification_ratio is None
    assert [part.marginal_var for part in found.contributions.values()] == [None, None]


def test_correlation_of_daily_returns_turns_with_the_side() -> None:
    # BTC with ETH +1 long and long, -1 long and short; with SOL 0: pairs 200 x +1 and nothing of 100 and 200
    both = account(1, position("BTCUSDT", "10"), position("ETHUSDT", "20"))
    hedge = account(2, position("BTCUSDT", "10"), position("ETHUSDT", "-20"))
    three = account(3, position("BTCUSDT", "10"), position("ETHUSDT", "20"), position("SOLUSDT", "10"))
    found = measure([both, hedge, three], DAYS).accounts
    assert [estimated(found[holdings.account_id]).correlation for holdings in (both, hedge, three)] == pytest.approx(
        [1, -1, 200 / 500]
    )
    usage = [found[holdings.account_id].limit_usage["max_correlation"] for holdings in (both, hedge, three)]
    assert usage == pytest.approx([1 / 0.8, 0, 0.4 / 0.8])


def test_foreign_position_counts_in_everything_but_its_strategy() -> None:
    ours, foreign = position("BTCUSDT", "100"), position("ETHUSDT", "300", strategy=None)
    metrics = measure([account(1, ours, foreign)], APART)
    assert metrics.platform.exposure.total == 400
    assert estimated(metrics.platform).parametric.value_at_risk == pytest.approx(8.0637 * math.sqrt(1 + 9), abs=1e-3)
    assert set(metrics.strategies) == {OURS}
    assert metrics.strategies[OURS].exposure.total == 100


def test_users_strategies_and_platform_add_their_accounts() -> None:
    one = account(1, position("BTCUSDT", "100"), position("ETHUSDT", "50", strategy=OTHERS), equity="200", user=7)
    two = account(2, position("BTCUSDT", "-40"), equity="100", user=7)
    three = account(3, position("SOLUSDT", "10", strategy=OTHERS), equity="50", user=8)
    metrics = measure([one, two, three], APART)
    user = metrics.users[UserId(UUID(int=7))]
    assert (user.exposure.held, user.exposure.net, user.equity) == amounts(190, 110, 300)
    assert user.leverage == Decimal("0.633334")
    assert user.exposure.by_symbol["BTCUSDT"].net == 60
    assert metrics.strategies[OTHERS].exposure.held == 60
    assert metrics.strategies[OURS].exposure.by_symbol["BTCUSDT"].gross == 140
    assert (metrics.platform.exposure.held, metrics.platform.equity) == amounts(200, 350)


def test_entries_count_for_their_strategy_and_on_top_of_what_is_held() -> None:
    entries = (OpenEntry("BTCUSDT", Decimal(30), OURS), OpenEntry("ETHUSDT", Decimal(20), OTHERS))
    metrics = measure([account(1, position("BTCUSDT", "50"), entries=entries, equity="10")], APART)
    assert metrics.platform.leverage == 10
    assert metrics.strategies[OURS].exposure.total == 80
    assert metrics.strategies[OTHERS].exposure.held == 0
    assert metrics.strategies[OTHERS].exposure.total == 20


def test_margin_usage_and_score_of_a_group_are_those_of_its_worst_account() -> None:
    calm = account(1, position("BTCUSDT", "10", maintenance="1"), balance="10")
    tight = account(2, position("BTCUSDT", "10", maintenance="6"), balance="10")
    metrics = measure([calm, tight], APART)
    assert metrics.platform.margin_usage == Decimal("0.6")
    assert metrics.platform.score == pytest.approx(600 / 7)  # 0.6 of 0.7
    assert metrics.strategies[OURS].score == metrics.platform.score


def test_score_is_the_nearest_limit() -> None:
    # leverage 4 / 10 = 40; VaR 95 % over 24 h 322.55 / (10 % of 1,000) above 1: 100; of 8,000, 0.40318
    assert alone(account(1, position("BTCUSDT", "4000")), APART).portfolio.score == 100
    metrics = alone(account(1, position("BTCUSDT", "4000"), equity="8000"), APART, RiskTerms(Decimal("0.99"), 720))
    assert metrics.portfolio.score == pytest.approx(40.318, abs=1e-3)  # whatever terms are asked for


def test_too_few_hours_give_no_estimate_and_say_what_is_missing() -> None:
    returns = chance_returns(1)
    returns[:220, 1] = np.nan
    history = summarize(Window(SYMBOLS, returns))
    metrics = alone(account(1, position("BTCUSDT", "10"), position("ETHUSDT", "10"), position("NEWUSDT", "1")), history)
    assert metrics.portfolio.estimates is None
    assert [(lack.figure, lack.reason, lack.more_hours) for lack in metrics.portfolio.missing] == [
        ("estimates", "BTCUSDT: 220 more closed hours needed", 220),
        ("estimates", "NEWUSDT: 720 more closed hours needed", 720),
        ("score", "a figure that it is made of is missing", 0),
    ]
    assert metrics.portfolio.exposure.total == 21
    assert [held.estimates is None for held in metrics.positions] == [True, False, True]
    assert [held.contribution for held in metrics.positions] == [None, None, None]


def test_account_without_money_has_no_leverage_and_the_highest_score() -> None:
    metrics = alone(account(1, position("BTCUSDT", "10", maintenance="1"), equity="-3"), APART).portfolio
    assert (metrics.leverage, metrics.margin_usage, metrics.score) == (None, None, 100)
    reasons = {lack.figure: lack.reason for lack in metrics.missing}
    assert reasons["leverage"] == "equity is not above 0"
    assert reasons["margin_usage"] == "margin balance is not above 0"


def test_strategy_has_no_money_of_its_own() -> None:
    found = measure([account(1, position("BTCUSDT", "10"))], APART).strategies[OURS]
    assert (found.equity, found.leverage, found.margin_usage) == (None, None, None)
    reasons = {lack.figure: lack.reason for lack in found.missing}
    assert reasons["leverage"] == reasons["margin_usage"] == "a strategy has no equity and no margin of its own"


def test_account_that_holds_nothing_risks_nothing() -> None:
    metrics = alone(account(1), APART).portfolio
    assert estimated(metrics).parametric == estimated(metrics).historical == (0, 0)
    assert metrics.leverage == 0
    assert metrics.score == 0
    assert {lack.figure: lack.reason for lack in metrics.missing} == {
        "diversification_ratio": "nothing is held, or all of it offsets",
        "correlation": "fewer than 2 symbols",
    }


def test_price_that_did_not_move_has_no_correlation_and_is_named() -> None:
    history = moved(BTCUSDT=daily(0.02, -0.02), USDCUSDT=[0.0] * 720)
    metrics = alone(account(1, position("BTCUSDT", "10"), position("USDCUSDT", "10")), history).portfolio
    assert estimated(metrics).correlation is None
    assert "the price of USDCUSDT did not move in 30 days" in [lack.reason for lack in metrics.missing]


@pytest.mark.parametrize(
    ("accounts", "said"),
    [
        ([], "found no account"),
        ([account(1), account(1)], "expected each account once"),
        ([account(1), account(2, asset="USDC")], "expected accounts of one asset, found USDC, USDT"),
    ],
)
def test_accounts_that_cannot_be_measured_together_are_refused(accounts: list[AccountHoldings], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        measure(accounts, APART)


@settings(max_examples=30)
@given(SEEDS, st.integers(2, 8), st.integers(1, 24))
def test_account_alone_is_measured_as_inside_a_batch_to_the_last_bit(seed: int, others: int, held: int) -> None:
    # more symbols than numpy adds up in a row: its own sums, and BLAS, depend on the shape
    chance, history = random.Random(seed), chance_history(seed, MANY_SYMBOLS)
    accounts = [chance_account(number, chance, held, MANY_SYMBOLS) for number in range(others)]
    batch = measure(accounts, history)
    for holdings in accounts:
        assert alone(holdings, history) == batch.accounts[holdings.account_id]
    assert measure(accounts[::-1], history).platform == batch.platform


@given(SEEDS)
def test_doubled_positions_double_every_amount_and_leave_every_ratio(seed: int) -> None:
    history = chance_history(seed)
    once = chance_account(1, random.Random(seed))
    twice = replace(once, positions=tuple(replace(held, quantity=2 * held.quantity) for held in once.positions))
    one, two = (alone(holdings, history) for holdings in (once, twice))
    small, large = estimated(one), estimated(two)
    assert two.portfolio.exposure.held == 2 * one.portfolio.exposure.held
    assert large.parametric == pytest.approx([2 * figure for figure in small.parametric], rel=1e-12)
    assert large.historical == pytest.approx([2 * figure for figure in small.historical], rel=1e-12)
    assert large.correlation == pytest.approx(small.correlation)
    assert large.diversification_ratio == pytest.approx(small.diversification_ratio)


@given(SEEDS)
def test_position_alone_is_the_account_that_holds_nothing_else(seed: int) -> None:
    metrics = alone(chance_account(1, random.Random(seed), held=1), chance_history(seed))
    held, whole = metrics.positions[0].estimates, estimated(metrics)
    assert held is not None
    assert held.parametric == pytest.approx(whole.parametric)
    assert held.historical == pytest.approx(whole.historical)


@given(SEEDS)
def test_components_of_symbols_and_of_positions_add_up_to_the_whole(seed: int) -> None:
    history = chance_history(seed)
    holdings = chance_account(1, random.Random(seed))
    hedge = position(holdings.positions[0].symbol, "-77", strategy=StrategyId(UUID(int=9)))
    metrics = alone(replace(holdings, positions=(*holdings.positions, hedge)), history)
    found = estimated(metrics)
    symbols = [part.component_var for part in found.contributions.values()]
    positions = [held.contribution.component_var for held in metrics.positions if held.contribution is not None]
    assert math.fsum(symbols) == pytest.approx(found.parametric.value_at_risk, rel=1e-9)
    assert len(positions) == len(holdings.positions) + 1
    assert math.fsum(positions) == pytest.approx(found.parametric.value_at_risk, rel=1e-9)


@given(SEEDS)
def test_whole_is_at_most_the_sum_of_its_parts(seed: int) -> None:
    chance = random.Random(seed)
    history = chance_history(seed)
    metrics = measure([chance_account(number, chance) for number in range(4)], history)
    accounts = [estimated(found).parametric.value_at_risk for found in metrics.accounts.values()]
    assert estimated(metrics.platform).parametric.value_at_risk <= sum(accounts) * (1 + 1e-12)
    for found in metrics.accounts.values():
        held = [part.estimates.parametric.value_at_risk for part in found.positions if part.estimates is not None]
        assert estimated(found).parametric.value_at_risk <= sum(held) * (1 + 1e-12)
        ratio = estimated(found).diversification_ratio
        assert ratio is not None
        assert ratio >= 1 - 1e-12


@given(SEEDS)
def test_foreign_position_added_adds_its_whole_exposure(seed: int) -> None:
    history = chance_history(seed)
    holdings = chance_account(1, random.Random(seed), held=2)
    foreign = position(random.Random(seed).choice(SYMBOLS), "-250", "2", strategy=None)
    before = alone(holdings, history).portfolio.exposure
    after = alone(replace(holdings, positions=(*holdings.positions, foreign)), history).portfolio.exposure
    assert (after.total, after.net) == (before.total + 500, before.net - 500)
