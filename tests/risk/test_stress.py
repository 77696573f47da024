import math
import random
import statistics
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.kernel.errors import InvalidInput
from patriot.risk.history import Window, summarize
from patriot.risk.holdings import AccountHoldings, RiskTerms
from patriot.risk.metrics import measure
from patriot.risk.stress import (
    LEVELS,
    AccountStress,
    PriceShocks,
    Scenario,
    Stress,
    StressSeverity,
    stress_test,
)
from tests.risk.books import (
    MANY_SYMBOLS,
    SYMBOLS,
    account,
    amounts,
    chance_account,
    chance_history,
    chance_returns,
    hourly,
    moved,
    position,
)

pytestmark = pytest.mark.unit

SEEDS = st.integers(0, 2**32 - 1)
SCENARIOS = [Scenario(stress, severity) for stress in Stress for severity in StressSeverity]
NO_HISTORY = moved(OTHERUSDT=hourly(0.01))
APART = moved(BTCUSDT=hourly(0.01, -0.01), ETHUSDT=hourly(0.01, 0.01, -0.01, -0.01))
VAR = 80.637  # of 1,000 in either, 95 %, 24 h: 1,000 x 1.0006952 % x 1.644854 x 4.898979


def outcome(holdings: AccountHoldings, scenario: Scenario | PriceShocks) -> AccountStress:
    return stress_test([holdings], scenario, APART).accounts[holdings.account_id]


def crash(severity: str) -> Scenario:
    return Scenario(Stress.MARKET_CRASH, StressSeverity(severity))


def spike(severity: str) -> Scenario:
    return Scenario(Stress.VOLATILITY_SPIKE, StressSeverity(severity))


def breakdown(severity: str) -> Scenario:
    return Scenario(Stress.CORRELATION_BREAKDOWN, StressSeverity(severity))


def test_levels_of_the_nine_scenarios() -> None:
    assert {stress: [str(level) for level in levels.values()] for stress, levels in LEVELS.items()} == {
        Stress.MARKET_CRASH: ["-0.10", "-0.20", "-0.40"],
        Stress.VOLATILITY_SPIKE: ["1.5", "2", "3"],
        Stress.CORRELATION_BREAKDOWN: ["0.8", "0.9", "1.0"],
    }


@pytest.mark.parametrize(("severity", "loss"), [("MILD", "100"), ("MODERATE", "200"), ("SEVERE", "400")])
def test_crash_takes_its_part_of_a_long_and_needs_no_history(severity: str, loss: str) -> None:
    holdings = account(1, position("BTCUSDT", "10", "100"))
    found = stress_test([holdings], crash(severity), NO_HISTORY)
    assert found.loss == found.accounts[holdings.account_id].loss == Decimal(loss)


def test_market_crash_severe_on_a_hedged_book_uses_signed_exposures() -> None:
    # long 1,000, short 900: 0.4 x 1,000 - 0.4 x 900 = 40; equity 1,000 - 40
    found = outcome(account(1, position("BTCUSDT", "10", "100"), position("ETHUSDT", "-9", "100")), crash("SEVERE"))
    assert [part.loss for part in found.positions] == [400, -360]
    assert (found.loss, found.equity) == amounts(40, 960)
    assert (found.affected_positions, found.survives) == (1, True)
    assert found.survival_probability is None


@pytest.mark.parametrize(("equity", "survives"), [("450.01", True), ("450", False), ("449.99", False)])
def test_account_survives_with_equity_above_its_maintenance_margin(equity: str, survives: bool) -> None:
    # loses 400, needs more than 50
    found = outcome(account(1, position("BTCUSDT", "10", "100", maintenance="50"), equity=equity), crash("SEVERE"))
    assert found.survives is survives


def test_shocks_by_symbol_hit_the_named_ones_and_leave_others() -> None:
    # long 1,000 x -0.5 loses 500; short 900 x +0.1 loses 90; long 200 rests
    book = account(
        1, position("BTCUSDT", "10", "100"), position("ETHUSDT", "-9", "100"), position("SOLUSDT", "2", "100")
    )
    found = outcome(book, PriceShocks({"BTCUSDT": Decimal("-0.5"), "ETHUSDT": Decimal("0.1")}))
    assert [part.loss for part in found.positions] == [500, 90, 0]
    assert found.loss == 590
    assert found.affected_positions == 2


def test_maintenance_margin_grows_with_a_price_that_rises_and_does_not_fall() -> None:
    # short: 40 x 1.5 = 60; long that falls: 30 as it was
    book = account(1, position("BTCUSDT", "-1", maintenance="40"), position("ETHUSDT", "1", maintenance="30"))
    found = outcome(book, PriceShocks({"BTCUSDT": Decimal("0.5"), "ETHUSDT": Decimal("-0.5")}))
    assert found.maintenance_margin == 90


@pytest.mark.parametrize("shock", ["-1.01", "NaN", "Infinity"])
def test_shock_below_a_price_of_zero_or_no_number_is_refused(shock: str) -> None:
    with pytest.raises(InvalidInput, match="expected a fraction of at least -1 for BTCUSDT"):
        PriceShocks({"BTCUSDT": Decimal(shock)})
    with pytest.raises(InvalidInput, match="for others"):
        PriceShocks({}, Decimal(shock))


@pytest.mark.parametrize(("severity", "factor"), [("MILD", 1.5), ("MODERATE", 2), ("SEVERE", 3)])
def test_spike_multiplies_the_value_at_risk(severity: str, factor: float) -> None:
    found = outcome(account(1, position("BTCUSDT", "1000"), position("ETHUSDT", "-1000")), spike(severity))
    assert float(found.loss or 0) == pytest.approx(factor * VAR * math.sqrt(2), abs=1e-2)


@pytest.mark.parametrize(("severity", "level"), [("MILD", 0.8), ("MODERATE", 0.9), ("SEVERE", 1.0)])
def test_breakdown_of_two_longs_adds_and_of_a_hedge_offsets(severity: str, level: float) -> None:
    # of two equal ones: VaR x sqrt(2 + 2 rho) and, hedged, x sqrt(2 - 2 rho)
    both = outcome(account(1, position("BTCUSDT", "1000"), position("ETHUSDT", "1000")), breakdown(severity))
    hedged = outcome(account(1, position("BTCUSDT", "1000"), position("ETHUSDT", "-1000")), breakdown(severity))
    assert float(both.loss or 0) == pytest.approx(VAR * math.sqrt(2 + 2 * level), abs=1e-2)
    assert float(hedged.loss or 0) == pytest.approx(VAR * math.sqrt(2 - 2 * level), abs=1e-2)


def test_survival_probability_is_that_of_a_result_above_the_room() -> None:
    # room 1,000 - 900 = 100; deviation 2 x 49.024 = 98.048 over 24 h: the normal at 1.01991 = 0.84611
    found = outcome(account(1, position("BTCUSDT", "1000", maintenance="900")), spike("MODERATE"))
    assert found.survival_probability == pytest.approx(0.84611, abs=1e-4)
    assert found.survives is False  # at 95 % it loses 161.27, and has room for 100


def test_survival_probability_of_many_accounts_is_at_most_that_of_the_worst() -> None:
    tight, easy = account(1, position("BTCUSDT", "1000", maintenance="900")), account(2, position("BTCUSDT", "1"))
    found = stress_test([tight, easy], spike("MODERATE"), APART)
    assert found.survival_probability == found.accounts[tight.account_id].survival_probability
    assert found.survivors == 1


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: f"{scenario.stress}-{scenario.severity}")
def test_account_that_holds_nothing_loses_nothing_and_survives(scenario: Scenario) -> None:
    found = outcome(account(1, equity="0"), scenario)
    assert found.loss == 0
    assert found.survives
    assert found.survival_probability == (None if scenario.stress is Stress.MARKET_CRASH else 1)


def test_wholly_offset_account_survives_surely_or_surely_not() -> None:
    def hedged(maintenance: str) -> AccountHoldings:
        return account(1, position("BTCUSDT", "1", maintenance=maintenance), position("BTCUSDT", "-1"))

    assert outcome(hedged("999"), spike("SEVERE")).survival_probability == 1
    assert outcome(hedged("1001"), spike("SEVERE")).survival_probability == 0


def test_symbol_without_history_gives_no_estimate_of_its_account_only() -> None:
    unknown, known = account(1, position("NEWUSDT", "1")), account(2, position("BTCUSDT", "1"))
    report = stress_test([unknown, known], spike("MILD"), APART)
    lacking, found = report.accounts[unknown.account_id], report.accounts[known.account_id]
    assert (lacking.loss, lacking.equity, lacking.survives, lacking.survival_probability) == (None, None, None, None)
    assert [lack.reason for lack in lacking.missing] == ["NEWUSDT: 720 more closed hours needed"]
    assert found.loss is not None
    assert (report.loss, report.survival_probability) == (None, None)


@given(SEEDS, st.sampled_from(SCENARIOS))
def test_account_alone_is_stressed_as_inside_a_batch_and_its_positions_add_up(seed: int, scenario: Scenario) -> None:
    chance = random.Random(seed)
    history = chance_history(seed, MANY_SYMBOLS)
    accounts = [chance_account(number, chance, 16, MANY_SYMBOLS) for number in range(4)]
    batch = stress_test(accounts, scenario, history)
    for holdings in accounts:
        found = batch.accounts[holdings.account_id]
        assert found == stress_test([holdings], scenario, history).accounts[holdings.account_id]
        assert found.loss is not None
        assert abs(sum(part.loss for part in found.positions) - found.loss) <= Decimal("0.0000001")
    assert batch.loss == sum(found.loss or 0 for found in batch.accounts.values())


@given(SEEDS, st.sampled_from(StressSeverity))
def test_estimated_losses_agree_with_results_replayed_under_the_scenario(seed: int, severity: StressSeverity) -> None:
    returns = chance_returns(seed)
    history = summarize(Window(SYMBOLS, returns))
    holdings = chance_account(1, random.Random(seed))
    net = {held.symbol: float(held.quantity * held.mark_price) for held in holdings.positions}
    spread = {symbol: statistics.stdev(returns[:, at].tolist()) for at, symbol in enumerate(SYMBOLS)}
    multiple = statistics.NormalDist().inv_cdf(0.95) * 24**0.5
    level = float(LEVELS[Stress.CORRELATION_BREAKDOWN][severity])
    alone = [net[symbol] * spread[symbol] for symbol in net]
    variance = sum(
        one * other * (1 if i == j else level) for i, one in enumerate(alone) for j, other in enumerate(alone)
    )
    found = stress_test([holdings], breakdown(severity), history).loss
    assert float(found or 0) == pytest.approx(math.sqrt(max(variance, 0)) * multiple, rel=1e-5, abs=1e-4)
    terms = RiskTerms(Decimal("0.99"), 48)
    calm = measure([holdings], history, terms).platform.estimates
    assert calm is not None
    stressed = stress_test([holdings], spike(severity), history, terms).loss
    factor = float(LEVELS[Stress.VOLATILITY_SPIKE][severity])
    assert float(stressed or 0) == pytest.approx(factor * calm.parametric.value_at_risk, rel=1e-9, abs=1e-6)
