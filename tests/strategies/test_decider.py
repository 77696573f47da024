"""Strategies, the division of accounts among them, and signals: given, when, then; and the whole through the bus."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.kernel.aggregate import Decider
from patriot.kernel.bus import CommandBus, decode_all
from patriot.kernel.clock import FakeClock
from patriot.kernel.errors import CommandRefused, InvalidInput
from patriot.kernel.eventstore import Context
from patriot.kernel.ids import Ids
from patriot.kernel.memory import MemoryEventStore, MemoryLeases
from patriot.strategies.allocation import ALLOCATION
from patriot.strategies.commands import (
    AssignStrategy,
    ChangeAllocation,
    ConfigureStrategy,
    CreateStrategy,
    PauseStrategy,
    RecordSignal,
    ReleaseAllocation,
    ReserveAllocation,
    ResumeStrategy,
    StopStrategy,
    UnassignStrategy,
)
from patriot.strategies.decider import STRATEGY
from patriot.strategies.events import (
    AllocationChanged,
    AllocationReleased,
    AllocationReserved,
    SignalAction,
    SignalGenerated,
    StrategyAssigned,
    StrategyConfigChanged,
    StrategyCreated,
    StrategyPaused,
    StrategyResumed,
    StrategyStopped,
    StrategyUnassigned,
    allocation_stream,
    strategy_stream,
)
from patriot.strategies.parameters import complete
from patriot.strategies.signals import SIGNAL
from patriot.strategies.streams import register
from patriot.trading.terms import AccountId, Exchange, SignalId, StrategyId, UserId

pytestmark = pytest.mark.unit

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
ONE, TWO = StrategyId(UUID(int=1)), StrategyId(UUID(int=2))
ALICE, BOB = AccountId(UUID(int=11)), AccountId(UUID(int=12))
OWNER, ASSIGNMENT = UserId(UUID(int=21)), UUID(int=31)
HALF = Decimal("0.5")

CREATE = CreateStrategy(
    ONE,
    "Breakout",
    "donchian",
    Exchange.BINANCE,
    "BTCUSDT",
    "15m",
    {"entry_bars": "30"},
    Decimal("0.01"),
    Decimal(5),
    Decimal("0.3"),
    NOON,
)
PARAMETERS = complete("donchian", {"entry_bars": "30"})
CREATED = StrategyCreated(
    ONE,
    "Breakout",
    "donchian",
    Exchange.BINANCE,
    "BTCUSDT",
    "15m",
    PARAMETERS,
    Decimal("0.01"),
    Decimal(5),
    Decimal("0.3"),
    NOON,
)
PAUSED, RESUMED, STOPPED = (
    StrategyPaused(ONE, "ADMIN", NOON),
    StrategyResumed(ONE, NOON),
    StrategyStopped(ONE, "X", NOON),
)
ASSIGN = AssignStrategy(ONE, ASSIGNMENT, OWNER, ALICE, HALF, Decimal(1), NOON, NOON)
ASSIGNED = StrategyAssigned(ONE, ASSIGNMENT, OWNER, ALICE, HALF, Decimal(1), NOON, NOON)


class Scenario:
    """Given events, when a command, then events or a refusal."""

    def __init__(self, decider: Decider[Any, Any, Any], *events: object) -> None:
        self._decider, self._state = decider, decider.fold(events)

    def when(self, command: object) -> "Scenario":
        self._command = command
        return self

    def then(self, *events: object) -> None:
        assert self._decider.decide(self._state, self._command) == list(events)

    def then_refused(self, reason: str) -> None:
        with pytest.raises(CommandRefused, match=reason):
            self._decider.decide(self._state, self._command)

    def then_invalid(self, field: str) -> None:
        with pytest.raises(InvalidInput) as found:
            self._decider.decide(self._state, self._command)
        assert found.value.field == field


def test_strategy_is_created_with_every_parameter() -> None:
    Scenario(STRATEGY).when(CREATE).then(CREATED)


def test_creation_repeated_later_changes_nothing() -> None:
    Scenario(STRATEGY, CREATED).when(replace(CREATE, at=NOON + timedelta(hours=1))).then()


def test_creation_of_another_strategy_under_the_same_id_is_refused() -> None:
    Scenario(STRATEGY, CREATED).when(replace(CREATE, symbol="ETHUSDT")).then_refused("exists already")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " x "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"kind": "martingale"}, "kind"),
        ({"interval": "7m"}, "interval"),
        ({"parameters": {"entry_bars": "one"}}, "parameters.entry_bars"),
        ({"risk_per_trade_fraction": Decimal(0)}, "risk_per_trade_fraction"),
        ({"risk_per_trade_fraction": Decimal("0.11")}, "risk_per_trade_fraction"),
        ({"risk_per_trade_fraction": Decimal("NaN")}, "risk_per_trade_fraction"),
        ({"max_leverage": Decimal(126)}, "max_leverage"),
        ({"fee_rate": Decimal("1.01")}, "fee_rate"),
        ({"fee_rate": Decimal("Infinity")}, "fee_rate"),
    ],
)
def test_creation_with_a_bad_value_names_the_field(changes: dict[str, Any], field: str) -> None:
    Scenario(STRATEGY).when(replace(CREATE, **changes)).then_invalid(field)


@pytest.mark.parametrize(
    "command",
    [
        ConfigureStrategy(ONE, {}, Decimal("0.01"), NOON),
        PauseStrategy(ONE, "ADMIN", NOON),
        ResumeStrategy(ONE, NOON),
        StopStrategy(ONE, "ADMIN", NOON),
        ASSIGN,
        ChangeAllocation(ONE, ALICE, HALF, Decimal(1), NOON),
        UnassignStrategy(ONE, ALICE, "CLIENT", NOON),
    ],
)
def test_command_to_a_strategy_that_does_not_exist_is_refused(command: object) -> None:
    Scenario(STRATEGY).when(command).then_refused("does not exist")


def test_strategy_pauses_resumes_and_stops() -> None:
    Scenario(STRATEGY, CREATED).when(PauseStrategy(ONE, "ADMIN", NOON)).then(PAUSED)
    Scenario(STRATEGY, CREATED, PAUSED).when(ResumeStrategy(ONE, NOON)).then(RESUMED)
    Scenario(STRATEGY, CREATED, PAUSED).when(StopStrategy(ONE, "X", NOON)).then(STOPPED)
    Scenario(STRATEGY, CREATED).when(StopStrategy(ONE, "X", NOON)).then(STOPPED)


def test_operation_already_done_changes_nothing() -> None:
    Scenario(STRATEGY, CREATED, PAUSED).when(PauseStrategy(ONE, "AGAIN", NOON)).then()
    Scenario(STRATEGY, CREATED).when(ResumeStrategy(ONE, NOON)).then()
    Scenario(STRATEGY, CREATED, STOPPED).when(StopStrategy(ONE, "AGAIN", NOON)).then()


def test_stopped_strategy_never_comes_back() -> None:
    Scenario(STRATEGY, CREATED, STOPPED).when(ResumeStrategy(ONE, NOON)).then_refused("that is stopped")
    Scenario(STRATEGY, CREATED, STOPPED).when(PauseStrategy(ONE, "X", NOON)).then_refused("that is stopped")
    Scenario(STRATEGY, CREATED, STOPPED).when(ASSIGN).then_refused("that is stopped")


def test_configuration_is_completed_and_counted() -> None:
    changed = StrategyConfigChanged(ONE, complete("donchian", {}), Decimal("0.02"), 2, NOON)
    Scenario(STRATEGY, CREATED).when(ConfigureStrategy(ONE, {}, Decimal("0.02"), NOON)).then(changed)
    Scenario(STRATEGY, CREATED, changed).when(ConfigureStrategy(ONE, {}, Decimal("0.02"), NOON)).then()
    Scenario(STRATEGY, CREATED).when(ConfigureStrategy(ONE, {"x": "1"}, Decimal("0.02"), NOON)).then_invalid(
        "parameters.x"
    )


def test_account_follows_with_its_owners_consent() -> None:
    Scenario(STRATEGY, CREATED).when(ASSIGN).then(ASSIGNED)
    Scenario(STRATEGY, CREATED, PAUSED).when(ASSIGN).then(ASSIGNED)
    Scenario(STRATEGY, CREATED, ASSIGNED).when(ASSIGN).then()


def test_account_does_not_follow_without_consent() -> None:
    Scenario(STRATEGY, CREATED).when(replace(ASSIGN, consented_at=None)).then_refused("has not consented")
    later = NOON + timedelta(seconds=1)
    Scenario(STRATEGY, CREATED).when(replace(ASSIGN, consented_at=later)).then_invalid("consented_at")


def test_account_follows_a_strategy_only_once() -> None:
    Scenario(STRATEGY, CREATED, ASSIGNED).when(replace(ASSIGN, assignment_id=UUID(int=32))).then_refused("already")


def test_follower_changes_and_leaves() -> None:
    change = ChangeAllocation(ONE, ALICE, Decimal("0.2"), Decimal(2), NOON)
    changed = AllocationChanged(ONE, ASSIGNMENT, ALICE, Decimal("0.2"), Decimal(2), NOON)
    Scenario(STRATEGY, CREATED, ASSIGNED).when(change).then(changed)
    Scenario(STRATEGY, CREATED, ASSIGNED, changed).when(change).then()
    Scenario(STRATEGY, CREATED, ASSIGNED).when(replace(change, account_id=BOB)).then_refused("does not follow")
    Scenario(STRATEGY, CREATED, ASSIGNED).when(replace(change, risk_multiplier=Decimal(11))).then_invalid(
        "risk_multiplier"
    )
    left = StrategyUnassigned(ONE, ASSIGNMENT, OWNER, ALICE, "CLIENT", NOON)
    leave = UnassignStrategy(ONE, ALICE, "CLIENT", NOON)
    Scenario(STRATEGY, CREATED, ASSIGNED, STOPPED).when(leave).then(left)
    Scenario(STRATEGY, CREATED, ASSIGNED, left).when(leave).then()
    Scenario(STRATEGY, CREATED, ASSIGNED, left).when(ASSIGN).then(ASSIGNED)


def reserve(strategy: int, fraction: str) -> ReserveAllocation:
    return ReserveAllocation(ALICE, StrategyId(UUID(int=strategy)), Decimal(fraction), NOON)


def reserved(strategy: int, fraction: str) -> AllocationReserved:
    return AllocationReserved(ALICE, StrategyId(UUID(int=strategy)), Decimal(fraction), NOON)


def test_whole_account_can_be_reserved_and_no_more() -> None:
    Scenario(ALLOCATION, reserved(1, "0.6")).when(reserve(2, "0.4")).then(reserved(2, "0.4"))
    Scenario(ALLOCATION, reserved(1, "0.6")).when(reserve(2, "0.41")).then_refused("only 0.4 of the account is free")


def test_reservation_replaces_the_strategys_own() -> None:
    Scenario(ALLOCATION, reserved(1, "0.6")).when(reserve(1, "1")).then(reserved(1, "1"))
    Scenario(ALLOCATION, reserved(1, "0.6")).when(reserve(1, "0.6")).then()


def test_sixth_strategy_is_refused_and_the_fifth_may_still_change() -> None:
    five = [reserved(number, "0.1") for number in range(1, 6)]
    Scenario(ALLOCATION, *five).when(reserve(6, "0.1")).then_refused("at most 5 strategies")
    Scenario(ALLOCATION, *five).when(reserve(5, "0.2")).then(reserved(5, "0.2"))


@pytest.mark.parametrize("fraction", ["0", "0.0499", "-0.5", "1.01", "NaN", "Infinity", "1e400"])
def test_allocation_outside_its_bounds_is_invalid(fraction: str) -> None:
    Scenario(ALLOCATION).when(reserve(1, fraction)).then_invalid("allocation_fraction")


def test_released_part_is_free_again() -> None:
    released = AllocationReleased(ALICE, ONE, NOON)
    Scenario(ALLOCATION, reserved(1, "1")).when(ReleaseAllocation(ALICE, ONE, NOON)).then(released)
    Scenario(ALLOCATION, reserved(1, "1"), released).when(reserve(2, "1")).then(reserved(2, "1"))
    Scenario(ALLOCATION).when(ReleaseAllocation(ALICE, ONE, NOON)).then()


BUY = RecordSignal(
    SignalId(UUID(int=5)),
    ONE,
    Exchange.BINANCE,
    "BTCUSDT",
    SignalAction.BUY,
    Decimal(100),
    Decimal(90),
    Decimal(120),
    Decimal("0.5"),
    {"atr": "5"},
    NOON,
    NOON,
    NOON + timedelta(seconds=10),
)
BOUGHT = SignalGenerated(
    BUY.signal_id,
    ONE,
    Exchange.BINANCE,
    "BTCUSDT",
    SignalAction.BUY,
    Decimal(100),
    Decimal(90),
    Decimal(120),
    Decimal("0.5"),
    {"atr": "5"},
    NOON,
    NOON,
    NOON + timedelta(seconds=10),
)


def test_signal_is_recorded_once_whatever_is_said_again() -> None:
    Scenario(SIGNAL).when(BUY).then(BOUGHT)
    Scenario(SIGNAL, BOUGHT).when(BUY).then()
    Scenario(SIGNAL, BOUGHT).when(replace(BUY, action=SignalAction.SELL)).then()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"stop_price": None}, "needs a stop on its losing side, found None"),
        ({"stop_price": Decimal(100)}, "needs a stop on its losing side"),
        ({"stop_price": Decimal(0)}, "needs a stop on its losing side"),
        ({"stop_price": Decimal(110)}, "needs a stop on its losing side"),
        ({"action": SignalAction.SELL}, "needs a stop on its losing side"),
        ({"take_profit_price": Decimal(99)}, "needs a target on its winning side"),
    ],
)
def test_signal_whose_prices_contradict_it_is_refused(changes: dict[str, Any], reason: str) -> None:
    Scenario(SIGNAL).when(replace(BUY, **changes)).then_refused(reason)


def test_close_needs_no_stop() -> None:
    close = replace(BUY, action=SignalAction.CLOSE, stop_price=None, take_profit_price=None)
    assert len(SIGNAL.decide(SIGNAL.initial, close)) == 1


fractions = st.sampled_from([Decimal(n) / 20 for n in range(22)])
commands = st.one_of(
    st.builds(
        lambda strategy, account, fraction: replace(
            ASSIGN,
            strategy_id=StrategyId(UUID(int=strategy)),
            account_id=account,
            allocation_fraction=fraction,
        ),
        st.integers(1, 7),
        st.sampled_from([ALICE, BOB]),
        fractions,
    ),
    st.builds(
        lambda strategy, account, fraction: ChangeAllocation(
            StrategyId(UUID(int=strategy)), account, fraction, Decimal(1), NOON
        ),
        st.integers(1, 7),
        st.sampled_from([ALICE, BOB]),
        fractions,
    ),
    st.builds(
        lambda strategy, account: UnassignStrategy(StrategyId(UUID(int=strategy)), account, "CLIENT", NOON),
        st.integers(1, 7),
        st.sampled_from([ALICE, BOB]),
    ),
    st.builds(lambda strategy: StopStrategy(StrategyId(UUID(int=strategy)), "X", NOON), st.integers(1, 7)),
)


@given(st.lists(commands, min_size=5, max_size=40))
async def test_no_sequence_of_commands_divides_an_account_beyond_itself(sequence: list[object]) -> None:
    clock = FakeClock(NOON)
    store = MemoryEventStore(clock, MemoryLeases(clock))
    bus = CommandBus(store, clock, Ids(clock))
    register(bus)
    context = Context(UUID(int=0))
    for number in range(1, 8):
        await bus.dispatch(replace(CREATE, strategy_id=StrategyId(UUID(int=number))), context)
    for command in sequence:
        try:
            await bus.dispatch(command, context)
        except (CommandRefused, InvalidInput):
            continue
    for account in (ALICE, BOB):
        division = ALLOCATION.fold(decode_all(await store.read_stream(allocation_stream(account))))
        assert division.total <= 1
        assert len(division.held) <= 5
        following = {}
        for number in range(1, 8):
            id_ = StrategyId(UUID(int=number))
            strategy = STRATEGY.fold(decode_all(await store.read_stream(strategy_stream(id_))))
            if account in strategy.followers:
                following[id_] = strategy.followers[account].allocation_fraction
        assert following == division.held  # the two streams never disagree
