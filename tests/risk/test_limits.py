from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.kernel.errors import InvalidInput
from patriot.risk.commands import EffectiveLimits
from patriot.risk.events import LimitSet, Scope, limits_stream_id
from patriot.risk.limits import GLOBAL_DEFAULTS, LIMIT_NAMES, LIMITS, LimitBook, set_limit
from patriot.trading.terms import AccountId, StrategyId, UserId

pytestmark = pytest.mark.unit

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
USER, ACCOUNT, STRATEGY = UserId(UUID(int=1)), AccountId(UUID(int=2)), StrategyId(UUID(int=3))
REFERENCES = {
    Scope.GLOBAL: "",
    Scope.USER: str(USER),
    Scope.ACCOUNT: str(ACCOUNT),
    Scope.STRATEGY: str(STRATEGY),
}


def limit(scope: Scope, name: str, value: str, reference: str | None = None) -> LimitSet:
    return LimitSet(scope, REFERENCES[scope] if reference is None else reference, name, Decimal(value), NOON)


def book(*events: LimitSet) -> LimitBook:
    made = LimitBook()
    for event in events:
        made.apply(event)
    return made


def test_limits_that_nobody_set_are_the_defaults() -> None:
    assert book().effective(USER, ACCOUNT, STRATEGY) == GLOBAL_DEFAULTS
    assert (
        EffectiveLimits(Decimal(50_000), Decimal(250_000), Decimal(10), Decimal("0.05"), Decimal("0.20"))
        == GLOBAL_DEFAULTS
    )


@pytest.mark.parametrize(
    ("name", "expected"), [("max_leverage", "above 0 and at most 125"), ("max_position_notional", "above 0")]
)
def test_refusal_of_a_limit_says_what_was_expected(name: str, expected: str) -> None:
    with pytest.raises(InvalidInput, match=f"expected a number {expected} for {name}"):
        LIMITS.decide({}, set_limit(Scope.GLOBAL, "", name, Decimal(0), NOON))


@pytest.mark.parametrize("scope", list(Scope))
def test_stricter_limit_of_any_scope_holds(scope: Scope) -> None:
    effective = book(limit(scope, "max_leverage", "3")).effective(USER, ACCOUNT, STRATEGY)
    assert effective == replace(GLOBAL_DEFAULTS, max_leverage=Decimal(3))


@pytest.mark.parametrize("scope", [Scope.USER, Scope.ACCOUNT, Scope.STRATEGY])
def test_wider_limit_below_the_operator_has_no_effect(scope: Scope) -> None:
    assert book(limit(scope, "max_leverage", "20")).effective(USER, ACCOUNT, STRATEGY) == GLOBAL_DEFAULTS


def test_operator_may_widen_the_default_for_all() -> None:
    assert book(limit(Scope.GLOBAL, "max_leverage", "20")).effective(USER, ACCOUNT, None).max_leverage == 20


def test_limit_of_another_client_has_no_effect() -> None:
    other = limit(Scope.USER, "max_leverage", "1", reference=str(UUID(int=9)))
    assert book(other).effective(USER, ACCOUNT, STRATEGY) == GLOBAL_DEFAULTS


set_limits = st.builds(
    limit,
    st.sampled_from(list(Scope)),
    st.sampled_from(LIMIT_NAMES),
    st.decimals(min_value="0.01", max_value=1, places=2).map(str),
)


@given(st.lists(set_limits, max_size=20))
def test_effective_limit_is_never_above_any_scope(events: list[LimitSet]) -> None:
    effective = book(*events).effective(USER, ACCOUNT, STRATEGY)
    newest = {(event.scope, event.name): event.value for event in events}
    for (_, name), value in newest.items():
        assert getattr(effective, name) <= value
    for name in LIMIT_NAMES:
        assert getattr(effective, name) in {*newest.values(), getattr(GLOBAL_DEFAULTS, name)}


def test_setting_a_limit_records_it_once() -> None:
    wish = set_limit(Scope.USER, str(USER), "max_leverage", Decimal(3), NOON)
    (event,) = LIMITS.decide({}, wish)
    assert event == limit(Scope.USER, "max_leverage", "3")
    assert LIMITS.decide(LIMITS.fold([event]), wish) == []
    assert wish.limits_id == limits_stream_id(Scope.USER, str(USER)) != limits_stream_id(Scope.ACCOUNT, str(USER))


@pytest.mark.parametrize(
    ("scope", "reference", "name", "value", "field"),
    [
        (Scope.GLOBAL, "", "max_profit", "1", "name"),
        (Scope.GLOBAL, "", "max_leverage", "0", "value"),
        (Scope.GLOBAL, "", "max_leverage", "126", "value"),
        (Scope.GLOBAL, "", "max_daily_loss_fraction", "1.01", "value"),
        (Scope.GLOBAL, "", "max_position_notional", "NaN", "value"),
        (Scope.GLOBAL, "", "max_position_notional", "-1", "value"),
        (Scope.GLOBAL, "u-1", "max_leverage", "1", "reference"),
        (Scope.USER, "", "max_leverage", "1", "reference"),
    ],
)
def test_limit_that_makes_no_sense_names_its_field(
    scope: Scope, reference: str, name: str, value: str, field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        LIMITS.decide({}, set_limit(scope, reference, name, Decimal(value), NOON))
    assert refused.value.field == field


def test_every_field_of_the_effective_limits_can_be_set() -> None:
    for name in (limit.name for limit in fields(GLOBAL_DEFAULTS)):
        assert LIMITS.decide({}, set_limit(Scope.GLOBAL, "", name, Decimal("0.5"), NOON))
