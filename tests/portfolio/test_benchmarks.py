from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from math import sqrt
from pathlib import Path

import pytest

from patriot.kernel.errors import InvalidInput
from patriot.portfolio.benchmarks import compare, parse_closes, read_closes, returns_of_closes
from patriot.portfolio.figure import Figure
from patriot.portfolio.returns import DailyReturn

pytestmark = pytest.mark.unit

FIRST = date(2030, 1, 1)
DAY = timedelta(days=1)


def days(fractions: Sequence[str], first: date = FIRST) -> list[DailyReturn]:
    return [DailyReturn(first + number * DAY, Decimal(fraction)) for number, fraction in enumerate(fractions)]


# The benchmark does +2 % and -2 % in turn: mean 0, variance 0.0004. The account does twice that and 0.1 % more: beta 2,
# daily alpha 0.001. The difference is 2.1 % and -1.9 % in turn: mean 0.001, squares 30 x 0.02^2 = 0.012.
BENCHMARK = days(["0.02", "-0.02"] * 15)
ACCOUNT = days(["0.041", "-0.039"] * 15)


def test_comparison_worked_out_by_hand() -> None:
    found = compare(ACCOUNT, BENCHMARK)
    assert found.days == 30
    assert found.beta.value == pytest.approx(2, abs=1e-12)
    assert found.alpha.value == pytest.approx(1.001**365 - 1, abs=1e-12)
    assert found.tracking_error.value == pytest.approx(sqrt(0.012 / 29) * sqrt(365), abs=1e-12)
    assert found.information_ratio.value == pytest.approx(0.001 / sqrt(0.012 / 29) * sqrt(365), abs=1e-12)


def test_risk_free_rate_is_taken_off_both() -> None:
    # 0.365 a year is 0.001 a day: alpha = (0.001 - 0.001) - 2 x (0 - 0.001) = 0.002 a day
    assert compare(ACCOUNT, BENCHMARK, risk_free=0.365).alpha.value == pytest.approx(1.002**365 - 1, abs=1e-12)


def test_benchmark_beside_itself_is_itself() -> None:
    found = compare(BENCHMARK, BENCHMARK)
    assert (found.beta.value, found.alpha.value, found.tracking_error.value) == (1, 0, 0)
    assert found.information_ratio == Figure(None, "a day on which the account and the benchmark part")


def test_only_days_that_both_have_are_compared() -> None:
    shifted = days(["0.02", "-0.02"] * 15, FIRST + 2 * DAY)
    found = compare(ACCOUNT, shifted)
    assert found.days == 28
    assert found.beta.value is None
    assert found.beta.days_missing == found.alpha.days_missing == found.tracking_error.days_missing == 2
    assert found.information_ratio.missing.startswith("2 more days on which both")


def test_benchmark_at_rest_has_no_beta() -> None:
    found = compare(ACCOUNT, days(["0.01"] * 30))
    assert found.beta == found.alpha == Figure(None, "a benchmark that moves")
    assert found.tracking_error.value is not None


def test_closes_carry_over_a_weekend_and_not_over_a_hole() -> None:
    closes = {
        date(2030, 1, 4): Decimal(100),
        date(2030, 1, 7): Decimal(110),  # Friday to Monday
        date(2030, 1, 8): Decimal(99),
        date(2030, 1, 13): Decimal(500),  # five days on: a hole
        date(2030, 1, 14): Decimal(600),
    }
    assert returns_of_closes(closes) == (
        DailyReturn(date(2030, 1, 5), Decimal(0), carried=True),
        DailyReturn(date(2030, 1, 6), Decimal(0), carried=True),
        DailyReturn(date(2030, 1, 7), Decimal("0.1")),
        DailyReturn(date(2030, 1, 8), Decimal("-0.1")),
        DailyReturn(date(2030, 1, 14), Decimal("0.2")),
    )
    assert returns_of_closes({}) == ()


def test_closes_four_days_apart_are_a_market_at_rest() -> None:
    closes = {FIRST: Decimal(100), FIRST + 4 * DAY: Decimal(110)}
    assert [day.fraction for day in returns_of_closes(closes)] == [0, 0, 0, Decimal("0.1")]


def test_file_is_read_with_other_columns_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "spy.csv"
    path.write_text("\ufeffDate,Open,Close\n2030-01-02,1,100.5\n\n2030-01-03,1,101\n", encoding="utf-8")
    assert read_closes(path) == {date(2030, 1, 2): Decimal("100.5"), date(2030, 1, 3): Decimal(101)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"x\.csv line 1, date: expected one such column, found \[\]"),
        ("date,price\n", r"x\.csv line 1, close: expected one such column, found \['date', 'price'\]"),
        ("date,close,close\n", r"x\.csv line 1, close: expected one such column"),
        ("date,close\n2030-01-02\n", r"x\.csv line 2: expected 2 fields, found 1"),
        ("date,close\n02.01.2030,1\n", r"x\.csv line 2, date: expected a day such as 2030-01-31, found '02\.01\.2030'"),
        ("date,close\n2030-02-30,1\n", r"x\.csv line 2, date: expected a day"),
        ("date,close\n2030-01-02,1\n2030-01-02,2\n", r"x\.csv line 3, date: expected a day after 2030-01-02"),
        ("date,close\n2030-01-02,1\n2030-01-01,2\n", r"x\.csv line 3, date: expected a day after 2030-01-02"),
        (
            "date,close\n2030-01-02,1e5\n",
            r"x\.csv line 2, close: expected a plain decimal such as '0\.001', found '1e5'",
        ),
        ("date,close\n2030-01-02,NaN\n", r"x\.csv line 2, close: expected a plain decimal"),
        ("date,close\n2030-01-02,0\n", r"x\.csv line 2, close: expected a price above zero, found 0"),
        ("date,close\n2030-01-02,-1\n", r"x\.csv line 2, close: expected a price above zero, found -1"),
    ],
)
def test_fault_in_a_file_names_its_line_and_field(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{message}"):
        parse_closes(text.splitlines(keepends=True), "x.csv")


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"^none\.csv: expected a CSV file in UTF-8, found FileNotFoundError"):
        read_closes(tmp_path / "none.csv")
    latin = tmp_path / "latin.csv"
    latin.write_bytes(b"date,close\n\xe4\n")
    with pytest.raises(InvalidInput, match=r"^latin\.csv: expected a CSV file in UTF-8, found UnicodeDecodeError"):
        read_closes(latin)
