"""Client order ids: short, distinct, and telling which order they belong to."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.orders.client_ids import (
    LegId,
    client_id_prefix,
    client_order_id,
    leg_order_id,
    parse_client_order_id,
)
from patriot.orders.events import entry_order_id
from patriot.trading.terms import AccountId, Leg, OrderId, SignalId

pytestmark = pytest.mark.unit

groups = st.uuids().map(OrderId)
legs = st.sampled_from(list(Leg))
sequences = st.integers(1, 99_999)


@given(groups, legs, sequences)
def test_client_order_id_names_its_order_and_fits_both_exchanges(group: OrderId, leg: Leg, sequence: int) -> None:
    sequence = 1 if leg is Leg.ENTRY else sequence
    prefix = client_id_prefix(group)
    client_id = client_order_id(prefix, leg, sequence)

    assert parse_client_order_id(client_id) == LegId(prefix, leg, sequence)
    assert len(client_id) <= 36
    assert re.fullmatch("[a-z0-9]+", client_id)


@given(st.lists(st.tuples(groups, legs, st.integers(1, 30)), unique=True))
def test_two_orders_never_share_a_client_order_id(orders: list[tuple[OrderId, Leg, int]]) -> None:
    assert len({client_order_id(client_id_prefix(g), leg, n) for g, leg, n in orders}) == len(orders)


@given(st.text(max_size=40))
def test_foreign_client_ids_are_nobody_of_ours_or_read_back_the_same(text: str) -> None:
    named = parse_client_order_id(text)

    assert named is None or text == client_order_id(named.prefix, named.leg, named.sequence)


def test_ids_of_other_programs_are_not_taken_for_ours() -> None:
    ours = client_order_id(client_id_prefix(UUID(int=1)), Leg.STOP, 1)
    for text in ("", "web_abc", "p", "x" + ours[1:], ours[:-1], ours + "a", ours[:27] + "z1", ours[:-1] + "²"):
        assert parse_client_order_id(text) is None


def test_only_ids_that_patriot_would_write_are_ours() -> None:
    prefix = client_id_prefix(UUID(int=1))
    for forged in ("c0", "c01", "c001", "c100000", "c99999999", "e2", "e01", "E1", "s1\n"):
        assert parse_client_order_id(prefix + forged) is None
    assert parse_client_order_id(prefix.upper() + "s1") is None


@given(st.uuids().map(SignalId), st.uuids().map(AccountId), st.integers(1, 20))
def test_order_ids_of_a_bracket_are_derived_and_distinct(signal: SignalId, account: AccountId, count: int) -> None:
    group = entry_order_id(signal, account)
    ids = [leg_order_id(group, leg, n) for leg in Leg if leg is not Leg.ENTRY for n in range(1, count + 1)]

    assert group == entry_order_id(signal, account)
    assert leg_order_id(group, Leg.ENTRY, 1) == group
    assert len({group, *ids}) == 1 + 4 * count
