import statistics

import numpy as np
import pytest

from patriot.kernel.errors import InvalidInput
from patriot.risk.history import LOOKBACK_HOURS, Window, daily_returns, sample_covariance, summarize
from tests.risk.books import SYMBOLS, chance_returns, daily, hourly, moved

pytestmark = pytest.mark.unit


def test_volatility_of_one_percent_up_and_down_is_one_percent_an_hour() -> None:
    # 720 x 0.0001 / 719: 0.01 x sqrt(720 / 719) = 0.010006952
    assert moved(BTCUSDT=hourly(0.01, -0.01)).volatility.tolist() == pytest.approx([0.010006952], abs=1e-9)


def test_covariance_agrees_with_the_statistics_module() -> None:
    returns = chance_returns(3)
    history = summarize(Window(SYMBOLS, returns))
    columns = [column.tolist() for column in returns.T]
    for i, one in enumerate(columns):
        assert history.volatility[i] == pytest.approx(statistics.stdev(one), rel=1e-12)
        for j, other in enumerate(columns):
            assert history.covariance[i, j] == pytest.approx(statistics.covariance(one, other), rel=1e-10)


def test_correlation_is_that_of_compounded_days() -> None:
    returns = chance_returns(4)
    days = []
    for column in returns.T.tolist():
        growths = []
        for start in range(0, LOOKBACK_HOURS, 24):
            growth = 1.0
            for move in column[start : start + 24]:
                growth *= 1 + move
            growths.append(growth - 1)
        days.append(growths)
    history = summarize(Window(SYMBOLS, returns))
    for i, one in enumerate(days):
        for j, other in enumerate(days):
            assert history.correlation[i, j] == pytest.approx(statistics.correlation(one, other), rel=1e-9)


def test_correlation_of_days_that_move_alike_apart_and_against_each_other_is_one_zero_and_minus_one() -> None:
    history = moved(A=daily(0.02, -0.02), B=daily(0.01, -0.01), C=daily(0.02, 0.02, -0.02, -0.02), D=daily(-0.03, 0.03))
    assert history.correlation[0] == pytest.approx([1, 1, 0, -1], abs=1e-12)


def test_days_end_with_the_newest_hour_and_compound() -> None:
    # 24 hours of 1 %: 1.01 ^ 24 - 1 = 0.269734649; then a day of 0
    found = daily_returns(np.array([[0.01]] * 24 + [[0.0]] * 24))
    assert found[:, 0].tolist() == pytest.approx([0.269734649, 0])


@pytest.mark.parametrize("resting", [[0.0] * LOOKBACK_HOURS, hourly(0.01, -0.003)])
def test_price_with_the_same_close_or_the_same_move_each_day_has_no_correlation(resting: list[float]) -> None:
    history = moved(A=daily(0.02, -0.02), B=resting)
    assert np.isnan(history.correlation[0, 1])
    assert (history.unmoved("A"), history.unmoved("B")) == (False, True)


def test_only_the_last_720_hours_count() -> None:
    recent = chance_returns(5)
    older = np.concatenate([np.full((100, len(SYMBOLS)), 0.5), recent])
    assert np.array_equal(summarize(Window(SYMBOLS, older)).covariance, summarize(Window(SYMBOLS, recent)).covariance)


def test_symbol_that_lacks_hours_has_no_statistics_and_says_how_many() -> None:
    returns = chance_returns(6)
    returns[:220, 1] = np.nan  # listed 500 hours ago
    returns[300, 2] = np.nan  # a hole
    history = summarize(Window(SYMBOLS, returns))
    assert list(history.column) == ["ADAUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"]
    assert history.missing_hours(["BTCUSDT", "DOGEUSDT", "ETHUSDT", "TRXUSDT"]) == {
        "BTCUSDT": 220,
        "DOGEUSDT": 1,
        "ETHUSDT": 0,
        "TRXUSDT": 720,  # not in the window at all
    }


def test_window_of_too_few_hours_lacks_the_rest_for_every_symbol() -> None:
    history = summarize(Window(SYMBOLS, chance_returns(7, hours=719)))
    assert not history.column
    assert set(history.missing_hours(SYMBOLS).values()) == {1}


def test_statistics_of_a_symbol_do_not_depend_on_the_others_in_the_window() -> None:
    returns = chance_returns(8)
    whole = summarize(Window(SYMBOLS, returns))
    pair = summarize(Window(("ETHUSDT", "BTCUSDT"), returns[:, [3, 1]]))
    assert list(pair.column) == ["BTCUSDT", "ETHUSDT"]
    assert np.array_equal(pair.covariance, whole.covariance[np.ix_([1, 3], [1, 3])])
    assert np.array_equal(pair.correlation, whole.correlation[np.ix_([1, 3], [1, 3])])
    assert summarize(Window(("ETHUSDT",), returns[:, [3]])).volatility[0] == whole.volatility[3]


def test_returns_are_made_of_closes_and_a_missing_bar_takes_both_beside_it() -> None:
    window = Window.from_closes(("BTCUSDT",), np.array([[100.0], [110.0], [np.nan], [99.0], [49.5]]))
    assert np.allclose(window.returns[:, 0], [0.1, np.nan, np.nan, -0.5], equal_nan=True)


@pytest.mark.parametrize(
    ("symbols", "returns", "said"),
    [
        (("A",), [[0.0, 0.0]], "expected .hours, 1 symbols."),
        (("A",), [0.0], "expected .hours, 1 symbols."),
        (("A", "A"), [[0.0, 0.0]], "expected each symbol once"),
        (("A",), [[np.inf]], "expected finite numbers"),
        (("A",), [[-1.1]], "at least -1"),
    ],
)
def test_window_that_cannot_be_is_refused(symbols: tuple[str, ...], returns: list[object], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Window(symbols, np.array(returns, dtype=np.float64))


def test_close_of_zero_is_refused() -> None:
    with pytest.raises(InvalidInput, match="closes: expected prices above 0"):
        Window.from_closes(("A",), np.array([[1.0], [0.0]]))


def test_covariance_of_two_rows_by_hand() -> None:
    # A: 1, 3 (mean 2); B: 2, 8 (mean 5); over n - 1 = 1: 2, 6, 18
    assert sample_covariance(np.array([[1.0, 2.0], [3.0, 8.0]])).tolist() == [[2, 6], [6, 18]]
