"""What execution knows from the log is kept: a start folds what came after, and believes what a whole fold gives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.accounts.events import (
    AccountLinked,
    AccountReconciled,
    AccountStatus,
    AccountStatusChanged,
    AccountUnlinked,
    EquitySampled,
    PositionMode,
    SampleReason,
    TransferRecorded,
)
from patriot.execution.events import RoutedAccount, Routing, SignalRouted
from patriot.kernel.eventstore import START, Place
from patriot.kernel.policy import Snapshot
from patriot.risk.events import HaltLevel, LimitSet, PeakRebased, ReasonCode, Scope, TradingHalted, TradingResumed
from patriot.services.execution import TAIL, ExecutionService
from patriot.services.execution_fold import FOLDED, ExecutionFold
from patriot.services.pace import LivePace
from patriot.simulation.loop import run_virtually
from patriot.strategies.events import (
    AllocationChanged,
    SignalAction,
    SignalGenerated,
    StrategyAssigned,
    StrategyConfigChanged,
    StrategyCreated,
    StrategyPaused,
    StrategyResumed,
    StrategyStopped,
    StrategyUnassigned,
)
from patriot.trading.terms import AccountId, Environment, Exchange, SignalId, StrategyId, UserId
from tests.services.paper import ALICE, RANGE, TREND, Paper

pytestmark = pytest.mark.integration

D = Decimal
NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
ACCOUNTS = [AccountId(UUID(int=100 + n)) for n in range(3)]
USERS = [UserId(UUID(int=n % 2 + 1)) for n in range(3)]
STRATEGIES = [StrategyId(UUID(int=n + 20)) for n in range(2)]
GIVEN, SIGNAL = UUID(int=3), SignalId(UUID(int=4))
REASONS = (ReasonCode.DAILY_LOSS, ReasonCode.MAX_DRAWDOWN, "OPERATOR")
BEGUN: list[Any] = [
    *(
        AccountLinked(account, user, Exchange.BINANCE, Environment.SIM, PositionMode.ONE_WAY, "USDT", 1, NOON)
        for account, user in zip(ACCOUNTS, USERS, strict=True)
    ),
    *(
        StrategyCreated(one, "s", "ema", Exchange.BINANCE, "BTCUSDT", "15m", {}, D("0.0100"), D(5), D("0.3"), NOON)
        for one in STRATEGIES
    ),
    *(
        StrategyAssigned(one, GIVEN, user, account, D("0.50"), D(1), NOON, NOON)
        for one in STRATEGIES
        for account, user in zip(ACCOUNTS, USERS, strict=True)
    ),
    AllocationChanged(STRATEGIES[0], GIVEN, ACCOUNTS[0], D("0.2"), D("1E-7"), NOON),
]


def possible(n: int, strategy: StrategyId, at: datetime, amount: Decimal, level: HaltLevel) -> list[Any]:
    """Return what may happen to an account and a strategy at a moment: one event of every type but the first ones."""
    account, user = ACCOUNTS[n], USERS[n]
    scopes = [
        (Scope.GLOBAL, ""),
        (Scope.USER, str(user)),
        (Scope.STRATEGY, str(strategy)),
        (Scope.ACCOUNT, str(account)),
    ]
    return [
        EquitySampled(account, user, SampleReason.HOURLY, "USDT", amount, amount, (), at),
        TransferRecorded(account, user, "t-1", "USDT", amount, at),
        AccountReconciled(account, user, amount, None, at),
        PeakRebased(account, user, amount + 1, amount, "talked it over", "anna", "ben", at, at),
        AccountStatusChanged(account, user, AccountStatus.ACTIVE, AccountStatus.SUSPENDED, "OPERATOR", at),
        AccountUnlinked(account, user, Exchange.BINANCE, "CLIENT", at),
        *(LimitSet(*scope, name, amount, at) for scope in scopes for name in ("max_leverage", "max_total_exposure")),
        *(TradingHalted(*scope, level, reason, at) for scope in scopes for reason in REASONS),
        *(TradingResumed(*scope, reason, at) for scope in scopes for reason in REASONS),
        StrategyConfigChanged(strategy, {}, amount, 2, at),
        StrategyPaused(strategy, "OPERATOR", at),
        StrategyResumed(strategy, at),
        StrategyStopped(strategy, "OPERATOR", at),
        StrategyUnassigned(strategy, GIVEN, user, account, "CLIENT", at),
        StrategyAssigned(strategy, GIVEN, user, account, amount, D(2), at, at),
        SignalRouted(SIGNAL, strategy, (RoutedAccount(account, Routing.SKIPPED, None, "HALTED", None),), at),
        SignalGenerated(
            SIGNAL, strategy, Exchange.BINANCE, "BTCUSDT", SignalAction.BUY, amount, amount, None, D(1), {}, at, at, at
        ),
    ]


@st.composite
def later(draw: st.DrawFn) -> Any:
    """An event of any type that execution folds."""
    at = NOON + timedelta(minutes=draw(st.integers(0, 4_000)), microseconds=draw(st.integers(0, 1)))
    n, strategy, level = draw(st.integers(0, 2)), draw(st.sampled_from(STRATEGIES)), draw(st.sampled_from(HaltLevel))
    amount = draw(st.decimals(D("0.00000001"), 9_999, places=8))
    return draw(st.sampled_from(possible(n, strategy, at, amount, level)))


def folded(known: ExecutionFold, events: list[Any]) -> ExecutionFold:
    for event in events:
        known.apply(event)
    return known


def answers(known: ExecutionFold) -> list[Any]:
    """Return what the state says of every account in every strategy."""
    said: list[Any] = []
    for strategy in STRATEGIES:
        said += [known.book.in_turn(strategy, SignalId(UUID(int=turn))) for turn in range(3)]
        for account, user in zip(ACCOUNTS, USERS, strict=True):
            said.append(known.watch.limits.effective(user, account, strategy))
            said.append(known.watch.halts.level_for(user, account, strategy))
            said.append(known.watch.days.risk_of(account))
    return said


@given(st.lists(later(), max_size=40), st.data())
def test_state_that_was_kept_goes_on_as_the_one_that_was_folded(history: list[Any], data: st.DataObject) -> None:
    events = [*BEGUN, *history]
    cut = data.draw(st.integers(0, len(events)))
    kept = msgspec.msgpack.encode(folded(ExecutionFold(), events[:cut]))
    restored, whole = msgspec.msgpack.decode(kept, type=ExecutionFold), folded(ExecutionFold(), events)
    assert msgspec.msgpack.encode(restored) == kept  # to the last digit
    assert folded(restored, events[cut:]) == whole
    assert answers(restored) == answers(whole)
    assert list(restored.linked) == list(whole.linked)  # in the order in which they are put to work


def test_history_of_the_property_has_every_type_that_is_folded() -> None:
    told = {type(event) for event in (*BEGUN, *possible(0, STRATEGIES[0], NOON, D(1), HaltLevel.H1))}
    assert told == set(FOLDED)


# The service at its start -------------------------------------------------------------------------------------------


class Counted:
    """How many events execution's folds have taken since it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._taken, apply = 0, ExecutionFold.apply

        def counting(known: ExecutionFold, event: object) -> None:
            self._taken += 1
            apply(known, event)

        monkeypatch.setattr(ExecutionFold, "apply", counting)

    def since(self) -> int:
        taken, self._taken = self._taken, 0
        return taken


async def founded(paper: Paper) -> AccountId:
    """Let a platform have run: its account is linked, follows both strategies, and holds a position."""
    account_id = await paper.link(ALICE)
    await paper.found([(ALICE, account_id)])
    async with paper.running():
        await paper.signal(TREND)
    assert paper.positions(account_id).keys() == {"BTCUSDT"}
    return account_id


async def whole_fold(paper: Paper, service: ExecutionService) -> ExecutionFold:
    known = folded(ExecutionFold(), await paper.log(*FOLDED))
    known.watch.halts.ready = service._known.watch.halts.ready
    return known


def test_start_folds_only_what_came_after_the_kept_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patriot.kernel.policy.KEEP_AFTER_FOLDED", 1)

    async def day() -> None:
        paper, counted = Paper(), Counted(monkeypatch)
        account_id = await founded(paper)
        assert counted.since() >= 8
        halted = TradingHalted(Scope.ACCOUNT, str(account_id), HaltLevel.H1, "OPERATOR", paper.clock.now())
        await paper.write("HALT", UUID(int=8), halted)
        async with paper.running() as service:
            assert counted.since() == 1
            assert service._known == await whole_fold(paper, service)
            assert service.workers.keys() == {account_id}
            assert service._known.watch.halts.level_for(ALICE, account_id, TREND) is HaltLevel.H1
            await paper.signal(RANGE)  # is routed by what was taken up
            assert paper.positions(account_id).keys() == {"BTCUSDT"}
        assert paper.alarm.raised == []

    run_virtually(day())


def test_account_that_came_with_the_kept_state_is_traded_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patriot.kernel.policy.KEEP_AFTER_FOLDED", 1)

    async def day() -> None:
        paper, counted = Paper(), Counted(monkeypatch)
        account_id = await founded(paper)
        counted.since()
        async with paper.running():
            assert counted.since() == 0
            await paper.signal(RANGE)
            assert paper.positions(account_id).keys() == {"BTCUSDT", "ETHUSDT"}

    run_virtually(day())


def test_no_entry_goes_out_by_a_state_that_is_taken_up_before_the_rest_is_folded() -> None:
    async def day() -> None:
        paper = Paper()
        known = folded(ExecutionFold(), BEGUN)
        known.watch.halts.ready = True  # as the process that kept it had it
        await paper.snapshots.save(TAIL, Snapshot(START, msgspec.msgpack.encode(known)))
        async with paper.plugged_in() as ports:
            service = ExecutionService(ports, paper.vault, LivePace())
            await service.tail.begin()
            assert service._known.book == known.book
            assert service._known.watch.halts.level_for(USERS[0], ACCOUNTS[0], STRATEGIES[0]) is HaltLevel.H1

    run_virtually(day())


def test_state_ahead_of_the_checkpoint_or_damaged_is_folded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    async def day() -> None:
        paper, counted = Paper(), Counted(monkeypatch)
        account_id = await founded(paper)
        taken, newest = counted.since(), await paper.store.feed.newest()
        wrong = msgspec.msgpack.encode(folded(ExecutionFold(), BEGUN))
        ahead = Place(str(int(newest) + 100))
        for snapshot in (Snapshot(ahead, wrong), Snapshot(await paper.checkpoints.load(TAIL), wrong[:-1])):
            counted.since()
            await paper.snapshots.save(TAIL, snapshot)
            async with paper.running() as service:
                assert counted.since() >= taken
                assert service._known == await whole_fold(paper, service)
                assert service.workers.keys() == {account_id}

    run_virtually(day())
