from decimal import Decimal

import pytest

from patriot.risk.exposure import exposure_of, margin_usage, position_exposure
from patriot.risk.holdings import MeasuredLimits, OpenEntry, Position
from patriot.risk.scores import composite_score, limit_usage, worst_score
from tests.risk.books import OURS, position

pytestmark = pytest.mark.unit

LIMITS = MeasuredLimits(
    max_position_notional=Decimal(1_000),
    max_total_exposure=Decimal(4_000),
    max_leverage=Decimal(5),
    max_margin_usage=Decimal("0.7"),
)


def usage(
    *positions: Position, equity: str = "1000", balance: str = "1000", reserved: str = "0"
) -> dict[str, float | None]:
    exposure = exposure_of(map(position_exposure, positions), [OpenEntry("SOLUSDT", Decimal(reserved), OURS)])
    used = margin_usage(exposure.maintenance_margin, Decimal(balance))
    return dict(limit_usage(exposure, Decimal(equity), used, None, LIMITS))


def test_limit_usage_is_value_over_limit() -> None:
    # largest 600 / 1,000; total 600 + 500 + 900 = 2,000 / 4,000; leverage 2,000 / 1,000 / 5; margin 0.35 / 0.7
    found = usage(position("BTCUSDT", "-600", maintenance="350"), position("ETHUSDT", "500"), reserved="900")
    assert found == {
        "max_position_notional": 0.6,
        "max_total_exposure": 0.5,
        "max_leverage": 0.4,
        "max_margin_usage": pytest.approx(0.5),
        "max_var_fraction": None,  # no history
        "max_correlation": None,
    }


def test_correlation_of_one_symbol_uses_nothing_even_without_a_history() -> None:
    assert usage(position("BTCUSDT", "1"))["max_correlation"] == 0


@pytest.mark.parametrize("money", ["0", "-5"])
def test_something_held_without_money_passes_every_limit_of_it(money: str) -> None:
    found = usage(position("BTCUSDT", "1", maintenance="0.1"), equity=money, balance=money)
    assert (found["max_leverage"], found["max_margin_usage"]) == (float("inf"), float("inf"))
    assert composite_score(found.values()) == 100


def test_nothing_held_without_money_uses_nothing() -> None:
    found = usage(equity="0", balance="0")
    assert (found["max_leverage"], found["max_margin_usage"]) == (0, 0)


@pytest.mark.parametrize(
    ("scores", "worst"),
    [([], 0), ([40.0, 70.0], 70), ([40.0, None], None), ([100.0, None], 100)],
)
def test_worst_score_of_a_group_is_its_highest_and_unknown_while_a_higher_is_possible(
    scores: list[float | None], worst: float | None
) -> None:
    assert worst_score(scores) == worst
