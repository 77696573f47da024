from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.kernel.errors import CommandRefused
from patriot.kernel.ids import derived_id
from patriot.risk.commands import AccountRisk, EffectiveLimits, RecordViolation, ReleaseExposure, ReserveExposure
from patriot.risk.decider import REMEMBERED_ORDERS, RISK, RiskState
from patriot.risk.events import (
    ExposureRefused,
    ExposureReleased,
    ExposureReserved,
    HaltLevel,
    ReasonCode,
    RiskEvent,
    RiskViolation,
    Severity,
)
from patriot.risk.limits import GLOBAL_DEFAULTS
from patriot.trading.terms import AccountId, OrderId, StrategyId, UserId

pytestmark = pytest.mark.unit

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
ACCOUNT = AccountId(UUID(int=1))
TREND, BREAKOUT = StrategyId(UUID(int=2)), StrategyId(UUID(int=3))
RICH = AccountRisk(Decimal(10_000), Decimal(10_000), Decimal(10_000))


def order(number: int) -> OrderId:
    return OrderId(derived_id("order", number))


ENTRY = ReserveExposure(ACCOUNT, order(1), TREND, "BTCUSDT", Decimal(1_000), RICH, GLOBAL_DEFAULTS, None, NOON)


def reserved(number: int, symbol: str = "BTCUSDT", notional: str = "1000") -> ExposureReserved:
    return ExposureReserved(ACCOUNT, order(number), TREND, symbol, Decimal(notional))


def limits(**changes: str) -> EffectiveLimits:
    return replace(GLOBAL_DEFAULTS, **{name: Decimal(value) for name, value in changes.items()})


def risk(equity: str, day_start: str = "10000", peak: str = "10000") -> AccountRisk:
    return AccountRisk(Decimal(equity), Decimal(day_start), Decimal(peak))


def decide(history: list[RiskEvent], command: ReserveExposure | ReleaseExposure | RecordViolation) -> list[RiskEvent]:
    return RISK.decide(RISK.fold(history), command)


def test_entry_within_every_limit_is_reserved() -> None:
    assert decide([], ENTRY) == [reserved(1)]


@pytest.mark.parametrize(
    ("history", "entry", "reason", "value", "limit"),
    [
        ([], replace(ENTRY, halt=HaltLevel.H1), ReasonCode.HALTED, None, None),
        ([], replace(ENTRY, risk=None), ReasonCode.EQUITY_UNKNOWN, None, None),
        ([], replace(ENTRY, risk=risk("0")), ReasonCode.INSUFFICIENT_EQUITY, "0", "0"),
        ([], replace(ENTRY, risk=risk("-1")), ReasonCode.INSUFFICIENT_EQUITY, "-1", "0"),
        ([reserved(9)], replace(ENTRY, strategy_id=BREAKOUT), ReasonCode.SYMBOL_OWNED, None, None),
        ([reserved(9)], ENTRY, ReasonCode.POSITION_OPEN, None, None),
        (
            [],
            replace(ENTRY, limits=limits(max_position_notional="999.99")),
            ReasonCode.POSITION_SIZE,
            "1000",
            "999.99",
        ),
        (
            [reserved(9, "ETHUSDT")],
            replace(ENTRY, limits=limits(max_total_exposure="1999")),
            ReasonCode.TOTAL_EXPOSURE,
            "2000",
            "1999",
        ),
        (
            [reserved(9, "ETHUSDT")],
            replace(ENTRY, limits=limits(max_leverage="0.1999999")),
            ReasonCode.LEVERAGE,
            "0.200000",
            "0.1999999",
        ),
        ([], replace(ENTRY, risk=risk("9500")), ReasonCode.DAILY_LOSS, "0.050000", "0.05"),
        ([], replace(ENTRY, risk=risk("8000", day_start="8000")), ReasonCode.MAX_DRAWDOWN, "0.200000", "0.20"),
    ],
)
def test_entry_that_breaks_one_rule_is_refused_with_its_figures(
    history: list[RiskEvent], entry: ReserveExposure, reason: ReasonCode, value: str | None, limit: str | None
) -> None:
    (refused,) = decide(history, entry)
    assert isinstance(refused, ExposureRefused)
    assert refused.reason_code is reason
    assert refused.value == (None if value is None else Decimal(value))
    assert refused.limit == (None if limit is None else Decimal(limit))


@pytest.mark.parametrize(
    "entry",
    [
        replace(ENTRY, limits=limits(max_position_notional="1000")),
        replace(ENTRY, limits=limits(max_total_exposure="1000")),
        replace(ENTRY, limits=limits(max_leverage="0.1")),
        replace(ENTRY, risk=risk("9500.01")),
        replace(ENTRY, risk=risk("8000.01", day_start="8000.01")),
        replace(ENTRY, risk=risk("10", day_start="0", peak="10"), limits=limits(max_leverage="100")),
    ],
)
def test_entry_just_inside_a_limit_is_reserved(entry: ReserveExposure) -> None:
    assert decide([], entry) == [reserved(1)]


def test_halt_is_told_before_every_other_reason() -> None:
    entry = replace(ENTRY, halt=HaltLevel.H3, risk=None, notional=Decimal(10**9))
    (refused,) = decide([reserved(9)], entry)
    assert isinstance(refused, ExposureRefused)
    assert refused.reason_code is ReasonCode.HALTED


def test_entry_asked_twice_is_answered_once() -> None:
    answers = decide([], ENTRY)
    assert decide(answers, ENTRY) == []


def test_refused_entry_asked_twice_is_answered_once() -> None:
    answers = decide([], replace(ENTRY, risk=None))
    assert decide(answers, ENTRY) == []


def test_entry_of_a_bracket_that_is_over_is_not_reserved_again() -> None:
    over: list[RiskEvent] = [reserved(1), ExposureReleased(ACCOUNT, order(1), "BTCUSDT")]
    assert decide(over, ENTRY) == []


def test_release_frees_the_symbol_and_the_notional() -> None:
    history: list[RiskEvent] = [reserved(9)]
    history += decide(history, ReleaseExposure(ACCOUNT, order(9), NOON))
    assert RISK.fold(history).exposure == 0
    assert decide(history, ENTRY) == [reserved(1)]


def test_release_of_what_is_not_reserved_changes_nothing() -> None:
    assert decide([reserved(9)], ReleaseExposure(ACCOUNT, order(1), NOON)) == []


@pytest.mark.parametrize("notional", ["0", "-1", "NaN", "sNaN", "Infinity"])
def test_entry_without_a_positive_notional_is_refused(notional: str) -> None:
    with pytest.raises(CommandRefused, match="expected a number above 0"):
        decide([], replace(ENTRY, notional=Decimal(notional)))


def test_violation_is_recorded_once_per_type_and_day() -> None:
    seen = RecordViolation(
        ACCOUNT, UserId(UUID(int=7)), ReasonCode.DAILY_LOSS, Severity.HIGH, Decimal("0.06"), Decimal("0.05"), NOON
    )
    history = decide([], seen)
    assert [type(event) for event in history] == [RiskViolation]
    assert decide(history, replace(seen, at=NOON + timedelta(hours=3))) == []
    assert len(decide(history, replace(seen, at=NOON + timedelta(days=1)))) == 1
    assert len(decide(history, replace(seen, violation_type=ReasonCode.MAX_DRAWDOWN))) == 1


def test_answered_orders_are_remembered_up_to_a_bound() -> None:
    state = RiskState()
    for number in range(REMEMBERED_ORDERS + 1):
        refused = ExposureRefused(ACCOUNT, order(number), TREND, "BTCUSDT", ReasonCode.HALTED, None, None)
        state = RISK.evolve(state, refused)
    assert len(state.settled) == REMEMBERED_ORDERS
    assert state.settled[-1] == order(REMEMBERED_ORDERS)


money = st.decimals(min_value=1, max_value=60_000, places=8)
entries = st.builds(
    lambda number, symbol, strategy, notional, equity: replace(
        ENTRY,
        order_id=order(number),
        symbol=symbol,
        strategy_id=strategy,
        notional=notional,
        risk=AccountRisk(equity, equity, equity),
    ),
    st.integers(0, 12),
    st.sampled_from([f"S{n}USDT" for n in range(10)]),
    st.sampled_from([TREND, BREAKOUT, None]),
    money,
    st.decimals(min_value=2_000, max_value=40_000, places=2),
)
releases = st.builds(lambda number: ReleaseExposure(ACCOUNT, order(number), NOON), st.integers(0, 12))


@given(st.lists(entries | releases, max_size=60))
def test_no_sequence_of_commands_lets_the_exposure_pass_a_limit(
    commands: list[ReserveExposure | ReleaseExposure],
) -> None:
    history: list[RiskEvent] = []
    for command in commands:
        new = decide(history, command)
        history += new
        state = RISK.fold(history)
        symbols = [held.symbol for held in state.reserved.values()]
        assert len(set(symbols)) == len(symbols)
        assert state.exposure <= GLOBAL_DEFAULTS.max_total_exposure
        if new and isinstance(new[0], ExposureReserved):
            assert isinstance(command, ReserveExposure)
            assert command.risk is not None
            assert state.exposure <= command.risk.equity * GLOBAL_DEFAULTS.max_leverage
            assert command.notional <= GLOBAL_DEFAULTS.max_position_notional


@given(st.lists(entries | releases, max_size=30))
def test_every_new_entry_is_answered_and_repeats_change_nothing(
    commands: list[ReserveExposure | ReleaseExposure],
) -> None:
    history: list[RiskEvent] = []
    for command in commands:
        known = {event.order_id for event in history if isinstance(event, ExposureReserved | ExposureRefused)}
        new = decide(history, command)
        if isinstance(command, ReserveExposure):
            assert len(new) == (0 if command.order_id in known else 1)
        history += new
        assert decide(history, command) == []
