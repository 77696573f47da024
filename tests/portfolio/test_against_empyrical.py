"""The ratios beside those of empyrical, an independent library, on the same random series."""

from datetime import date, timedelta
from decimal import Decimal

import empyrical
import numpy as np
import pandas as pd
import pytest

from patriot.portfolio.benchmarks import compare
from patriot.portfolio.performance import index_of, performance
from patriot.portfolio.returns import DAYS_OF_A_YEAR, DailyReturn

pytestmark = pytest.mark.integration

FIRST = date(2030, 1, 1)
AGREED = 1e-8
SEEDS = range(25)


def random_series(seed: int) -> tuple[list[DailyReturn], list[DailyReturn]]:
    """An account and a benchmark it follows loosely; 30 to 800 days, some flat, one in twenty without a trade."""
    chance = np.random.default_rng(seed)
    length = int(chance.integers(30, 800))
    benchmark = chance.normal(0.0005, 0.03, length)
    own = chance.normal(0.001, 0.02, length) + chance.uniform(-1, 1) * benchmark
    own[chance.random(length) < 0.05] = 0
    return tuple(
        [DailyReturn(FIRST + timedelta(days=n), Decimal(f"{value:.10f}")) for n, value in enumerate(values)]
        for values in (own, benchmark)
    )  # type: ignore[return-value]


def as_pandas(daily: list[DailyReturn]) -> pd.Series:
    return pd.Series([float(day.fraction) for day in daily], index=pd.to_datetime([day.day for day in daily]))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("risk_free", [0.0, 0.05])
def test_ratios_agree(seed: int, risk_free: float) -> None:
    daily, _ = random_series(seed)
    ours, theirs = performance(daily, risk_free), as_pandas(daily)
    per_day = risk_free / DAYS_OF_A_YEAR
    year = {"annualization": DAYS_OF_A_YEAR}
    assert float(ours.total_return) == pytest.approx(empyrical.cum_returns_final(theirs), abs=AGREED)
    assert ours.annual_return.value == pytest.approx(empyrical.annual_return(theirs, **year), abs=AGREED)
    assert ours.volatility.value == pytest.approx(empyrical.annual_volatility(theirs, **year), abs=AGREED)
    assert ours.sharpe.value == pytest.approx(empyrical.sharpe_ratio(theirs, per_day, **year), abs=AGREED)
    assert ours.sortino.value == pytest.approx(empyrical.sortino_ratio(theirs, per_day, **year), abs=AGREED)
    assert ours.calmar.value == pytest.approx(empyrical.calmar_ratio(theirs, **year), abs=AGREED)
    assert ours.omega.value == pytest.approx(empyrical.omega_ratio(theirs, per_day), abs=AGREED)
    assert ours.max_drawdown is not None
    assert float(ours.max_drawdown.fraction) == pytest.approx(empyrical.max_drawdown(theirs), abs=AGREED)


@pytest.mark.parametrize("seed", SEEDS)
def test_comparison_with_a_benchmark_agrees(seed: int) -> None:
    daily, benchmark = random_series(seed)
    ours, theirs, market = compare(daily, benchmark, 0.05), as_pandas(daily), as_pandas(benchmark)
    per_day = 0.05 / DAYS_OF_A_YEAR
    difference = empyrical.annual_volatility(theirs - market, annualization=DAYS_OF_A_YEAR)
    ratio = empyrical.excess_sharpe(theirs, market) * np.sqrt(DAYS_OF_A_YEAR)  # the library leaves it per day
    assert ours.beta.value == pytest.approx(empyrical.beta(theirs, market, per_day), abs=AGREED)
    assert ours.alpha.value == pytest.approx(
        empyrical.alpha(theirs, market, per_day, annualization=DAYS_OF_A_YEAR), abs=AGREED
    )
    assert ours.tracking_error.value == pytest.approx(difference, abs=AGREED)
    assert ours.information_ratio.value == pytest.approx(ratio, abs=AGREED)


@pytest.mark.parametrize("seed", SEEDS)
def test_index_and_months_agree(seed: int) -> None:
    daily, _ = random_series(seed)
    theirs = as_pandas(daily)
    index = [float(value.value) for value in index_of(daily)]
    assert index[1:] == pytest.approx(empyrical.cum_returns(theirs, starting_value=1).tolist(), abs=AGREED)
    months = [float(month.fraction) for month in performance(daily).months]
    assert months == pytest.approx(empyrical.aggregate_returns(theirs, "monthly").tolist(), abs=AGREED)
