"""A limit that several accounts share is never passed by all of them together."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.accounts.events import AccountLinked, AccountUnlinked, PositionMode
from patriot.risk.commands import AccountRisk, ReleaseExposure, ReserveExposure, RiskCommand
from patriot.risk.decider import RISK
from patriot.risk.events import LimitSet, Scope
from patriot.risk.limits import GLOBAL_DEFAULTS, LimitBook
from patriot.risk.quotas import SharingEvent, share
from patriot.strategies.events import StrategyAssigned, StrategyUnassigned
from patriot.trading.terms import AccountId, Environment, Exchange, OrderId, StrategyId, UserId

pytestmark = pytest.mark.unit

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
ALICE, BOB = UserId(UUID(int=1)), UserId(UUID(int=2))
ACCOUNTS = [AccountId(UUID(int=10 + number)) for number in range(5)]
TREND, RANGE = StrategyId(UUID(int=21)), StrategyId(UUID(int=22))
OWNERS = dict(zip(ACCOUNTS, [ALICE, ALICE, ALICE, BOB, BOB], strict=True))
REFERENCES = {Scope.GLOBAL: "", Scope.USER: str(ALICE), Scope.STRATEGY: str(TREND)}


def linked(account_id: AccountId) -> AccountLinked:
    return AccountLinked(
        account_id, OWNERS[account_id], Exchange.BINANCE, Environment.SIM, PositionMode.ONE_WAY, "USDT", 1, NOON
    )


def unlinked(account_id: AccountId) -> AccountUnlinked:
    return AccountUnlinked(account_id, OWNERS[account_id], Exchange.BINANCE, "CLIENT", NOON)


def assigned(account_id: AccountId, strategy_id: StrategyId = TREND) -> StrategyAssigned:
    return StrategyAssigned(
        strategy_id, UUID(int=30), OWNERS[account_id], account_id, Decimal("0.5"), Decimal(1), NOON, NOON
    )


def unassigned(account_id: AccountId) -> StrategyUnassigned:
    return StrategyUnassigned(TREND, UUID(int=30), OWNERS[account_id], account_id, "CLIENT", NOON)


def limit(scope: Scope, value: str, name: str = "max_total_exposure") -> LimitSet:
    return LimitSet(scope, REFERENCES[scope], name, Decimal(value), NOON)


def exposure_of(
    account_id: AccountId, *events: SharingEvent | LimitSet, strategy_id: StrategyId | None = None
) -> Decimal:
    book = LimitBook()
    for event in events:
        book.apply(event)
    return book.effective(OWNERS[account_id], account_id, strategy_id).max_total_exposure


ALL: list[SharingEvent | LimitSet] = [linked(account_id) for account_id in ACCOUNTS]


def test_limit_of_a_user_is_shared_by_the_accounts_of_that_user() -> None:
    assert exposure_of(ACCOUNTS[0], *ALL, limit(Scope.USER, "10000")) == Decimal("3333.33")
    assert exposure_of(ACCOUNTS[3], *ALL, limit(Scope.USER, "10000")) == GLOBAL_DEFAULTS.max_total_exposure


def test_limit_of_a_strategy_is_shared_by_its_followers() -> None:
    followers = (assigned(ACCOUNTS[0]), assigned(ACCOUNTS[3]), assigned(ACCOUNTS[4], RANGE))
    events: list[SharingEvent | LimitSet] = [*ALL, *followers, limit(Scope.STRATEGY, "10000")]
    assert exposure_of(ACCOUNTS[0], *events, strategy_id=TREND) == 5000
    assert exposure_of(ACCOUNTS[4], *events, strategy_id=RANGE) == GLOBAL_DEFAULTS.max_total_exposure


def test_limit_of_the_operator_is_shared_by_all_accounts() -> None:
    assert exposure_of(ACCOUNTS[0], *ALL, limit(Scope.GLOBAL, "1000000")) == 200_000
    assert exposure_of(ACCOUNTS[0], *ALL, limit(Scope.GLOBAL, "10000000")) == 2_000_000


def test_ceiling_that_nobody_set_is_each_accounts_own() -> None:
    assert exposure_of(ACCOUNTS[0], *ALL) == GLOBAL_DEFAULTS.max_total_exposure


def test_share_that_an_account_leaves_goes_to_the_others() -> None:
    of_user, of_strategy = limit(Scope.USER, "9000"), limit(Scope.STRATEGY, "9000")
    assert exposure_of(ACCOUNTS[0], *ALL, of_user, unlinked(ACCOUNTS[1])) == 4500
    followers = [assigned(account_id) for account_id in ACCOUNTS[:3]]
    left: list[SharingEvent | LimitSet] = [*ALL, *followers, of_strategy, unassigned(ACCOUNTS[1])]
    assert exposure_of(ACCOUNTS[0], *left, strategy_id=TREND) == 4500
    assert exposure_of(ACCOUNTS[0], *left, unlinked(ACCOUNTS[2]), strategy_id=TREND) == 9000


@pytest.mark.parametrize("name", ["max_position_notional", "max_leverage"])
def test_other_limits_are_not_shared(name: str) -> None:
    book = LimitBook()
    for event in (*ALL, limit(Scope.USER, "0.9", name)):
        book.apply(event)
    assert getattr(book.effective(ALICE, ACCOUNTS[0], None), name) == Decimal("0.9")


@given(st.decimals(min_value=0, max_value="1e12", places=2), st.integers(0, 10_000))
def test_shares_add_up_to_the_limit_but_for_less_than_a_cent_each(limited: Decimal, sharers: int) -> None:
    part, number = share(limited, sharers), max(1, sharers)
    assert part * number <= limited < (part + Decimal("0.01")) * number


tried = st.lists(
    st.tuples(
        st.sampled_from(ACCOUNTS),
        st.sampled_from([TREND, RANGE]),
        st.sampled_from(["BTCUSDT", "ETHUSDT", "SOLUSDT"]),
        st.decimals(min_value="0.01", max_value=6000, places=2),
        st.booleans(),  # one of the account's open positions is over first
    ),
    max_size=60,
)
limits = st.decimals(min_value="0.01", max_value=20_000, places=2).map(str)


@given(tried, limits, limits, limits)
def test_no_sequence_of_entries_passes_a_shared_limit(
    entries: list[tuple[AccountId, StrategyId, str, Decimal, bool]], of_alice: str, of_trend: str, of_all: str
) -> None:
    book = LimitBook()
    followers = [assigned(account_id, strategy_id) for account_id in ACCOUNTS for strategy_id in (TREND, RANGE)]
    for event in (*ALL, *followers):
        book.apply(event)
    for event in (limit(Scope.USER, of_alice), limit(Scope.STRATEGY, of_trend), limit(Scope.GLOBAL, of_all)):
        book.apply(event)
    states = dict.fromkeys(ACCOUNTS, RISK.initial)

    def tell(command: RiskCommand) -> None:
        state = states[command.account_id]
        states[command.account_id] = RISK.fold(RISK.decide(state, command), state)

    rich = AccountRisk(Decimal(100_000), Decimal(100_000), Decimal(100_000))
    for number, (account_id, strategy_id, symbol, notional, one_is_over) in enumerate(entries):
        if one_is_over and states[account_id].reserved:
            tell(ReleaseExposure(account_id, next(iter(states[account_id].reserved)), NOON))
        order_id = OrderId(UUID(int=100 + number))
        allowed = book.effective(OWNERS[account_id], account_id, strategy_id)
        tell(ReserveExposure(account_id, order_id, strategy_id, symbol, notional, rich, allowed, None, NOON))

        held = [(OWNERS[one], r) for one, state in states.items() for r in state.reserved.values()]
        assert sum(r.notional for owner, r in held if owner == ALICE) <= Decimal(of_alice)
        assert sum(r.notional for _, r in held if r.strategy_id == TREND) <= Decimal(of_trend)
        assert sum(r.notional for _, r in held) <= Decimal(of_all)
