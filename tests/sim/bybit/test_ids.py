"""Ids: what was given out leads back, and nothing else does."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.sim.bybit.ids import Kind, decode, encode

pytestmark = pytest.mark.integration


@given(st.sampled_from(Kind), st.integers(0, 2**60 - 1))
def test_id_of_any_number_leads_back_to_it(kind: Kind, number: int) -> None:
    text = encode(kind, number)
    assert decode(text) == (kind, number)
    assert str(UUID(text)) == text


@given(st.uuids())
def test_id_that_was_never_given_out_names_nothing(text: UUID) -> None:
    assert decode(str(text)) is None


@given(st.text(max_size=50))
def test_text_that_is_no_id_names_nothing(text: str) -> None:
    assert decode(text) is None
