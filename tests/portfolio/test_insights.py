from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from patriot.portfolio.insights import (
    Insight,
    InsightKind,
    Severity,
    Sign,
    StrategyRecord,
    Unit,
    concentration,
    high_cost,
    high_sharpe,
    high_slippage,
    idle_allocations,
    low_win_rate,
    underperformance,
    value_at_risk,
)

pytestmark = pytest.mark.unit

BALANCE = Decimal(1000)
TODAY = date(2030, 3, 1)


def test_position_of_31_percent_warns_with_31_and_30() -> None:
    found = concentration({"BTCUSDT": Decimal(310), "ETHUSDT": Decimal(300)}, BALANCE)
    assert found == [
        Insight(
            InsightKind.CONCENTRATION, Severity.WARNING, "BTCUSDT", Decimal(31), Decimal(30), Unit.PERCENT
        )
    ]  # fmt: skip
    assert (str(found[0].figure), str(found[0].threshold)) == ("31", "30")


def test_short_is_as_concentrated_as_a_long() -> None:
    (found,) = concentration({"BTCUSDT": Decimal("-312.5")}, BALANCE)
    assert str(found.figure) == "31.25"


def test_comparison_is_exact_though_the_figure_is_rounded() -> None:
    (found,) = concentration({"BTCUSDT": Decimal("300.00001")}, BALANCE)
    assert (str(found.figure), str(found.threshold)) == ("30", "30")


def test_balance_of_nothing_raises_nothing() -> None:
    assert concentration({"BTCUSDT": Decimal(1)}, Decimal(0)) == []
    assert value_at_risk(Decimal(1), Decimal(0)) == []


def test_value_at_risk_above_5_percent_of_the_balance_warns() -> None:
    assert value_at_risk(Decimal(50), BALANCE) == []
    (found,) = value_at_risk(Decimal(51), BALANCE)
    assert (found.kind, found.severity, str(found.figure), str(found.threshold)) == (
        InsightKind.VALUE_AT_RISK, Severity.WARNING, "5.1", "5")  # fmt: skip
    assert value_at_risk(None, BALANCE) == []


def test_win_rate_under_40_percent_is_noted_from_20_trades_on() -> None:
    assert low_win_rate(0, 19) == []
    assert low_win_rate(8, 20) == []
    (found,) = low_win_rate(7, 20, "trend")
    assert (found.kind, found.severity, found.subject) == (InsightKind.LOW_WIN_RATE, Severity.NOTE, "trend")
    assert (str(found.figure), str(found.threshold)) == ("35", "40")


def test_sharpe_above_2_is_noted() -> None:
    assert high_sharpe(2.0) == high_sharpe(None) == []
    (found,) = high_sharpe(2.125)
    assert (found.kind, found.severity, str(found.figure), str(found.threshold), found.unit) == (
        InsightKind.HIGH_SHARPE, Severity.NOTE, "2.12", "2", Unit.RATIO)  # fmt: skip


def test_fees_and_funding_above_30_percent_of_the_gross_profit_warn() -> None:
    assert high_cost(Decimal(20), Decimal(-10), Decimal(100)) == []
    assert high_cost(Decimal(40), Decimal(10), Decimal(100)) == []  # funding received makes up for fees
    assert high_cost(Decimal(40), Decimal(0), Decimal(0)) == []
    (found,) = high_cost(Decimal(20), Decimal(-11), Decimal(100), "trend")
    assert (found.kind, found.severity, str(found.figure), str(found.threshold)) == (
        InsightKind.HIGH_COST, Severity.WARNING, "31", "30")  # fmt: skip


def test_slippage_above_twice_the_median_of_the_platform_warns() -> None:
    assert high_slippage(Decimal(8), Decimal(4)) == []
    assert (
        high_slippage(None, Decimal(4))
        == high_slippage(Decimal(9), None)
        == high_slippage(Decimal(9), Decimal(0))
        == []
    )
    (found,) = high_slippage(Decimal("8.5"), Decimal(4), "trend")
    assert (found.kind, found.severity, str(found.figure), str(found.threshold), found.unit) == (
        InsightKind.HIGH_SLIPPAGE, Severity.WARNING, "8.5", "8", Unit.BPS)  # fmt: skip


def test_allocation_idle_for_more_than_30_days_is_noted() -> None:
    found = idle_allocations({"b": TODAY - timedelta(days=31), "a": TODAY - timedelta(days=30)}, TODAY)
    assert [(item.kind, item.subject, str(item.figure), str(item.threshold), item.unit) for item in found] == [
        (InsightKind.IDLE_ALLOCATION, "b", "31", "30", Unit.DAYS)
    ]


# ---- underperformance

LATE = StrategyRecord(
    days=90,
    closed=31,
    sharpe=-0.2,
    total_return=Decimal("0.05"),
    benchmark_return=Decimal("0.10"),
    drawdown=Decimal("0.17"),
    drawdown_limit=Decimal("0.20"),  # 85 % of it is used
    slippage_bps=Decimal(4),
    backtest_slippage_bps=Decimal(3),
)


def test_negative_sharpe_near_the_drawdown_limit_asks_for_a_review() -> None:
    assert underperformance(LATE) == {Sign.NEGATIVE_SHARPE, Sign.NEAR_DRAWDOWN_LIMIT}


@pytest.mark.parametrize(
    "change",
    [{"days": 89}, {"closed": 29}, {"sharpe": 0.0}, {"sharpe": None}, {"drawdown": Decimal("0.16")},
     {"drawdown": None}, {"drawdown_limit": None}],
)  # fmt: skip
def test_fewer_days_trades_or_signs_ask_for_none(change: dict[str, object]) -> None:
    assert underperformance(replace(LATE, **change)) == frozenset()  # type: ignore[arg-type]


def test_each_sign_is_beyond_its_threshold_and_not_on_it() -> None:
    on_it = replace(LATE, total_return=Decimal(0), benchmark_return=Decimal("0.10"), slippage_bps=Decimal(6))
    assert underperformance(on_it) == {Sign.NEGATIVE_SHARPE, Sign.NEAR_DRAWDOWN_LIMIT}
    beyond = replace(on_it, total_return=Decimal("-0.001"), slippage_bps=Decimal("6.1"))
    assert underperformance(beyond) == frozenset(Sign)
