"""What each answer of the venue means for the one question that counts: did it happen, did it not, or is it unknown?"""

import json
from http import HTTPStatus
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.adapters.exchanges.binance.answers import HttpAnswer, error_of
from patriot.kernel.errors import ExchangeError, ExchangeRefused, ExchangeUnavailable, OutcomeUnknown

pytestmark = pytest.mark.integration


def answer(status: int, code: int | None = None, message: str = "", **headers: str) -> HttpAnswer:
    body = b"<html>" if code is None else json.dumps({"code": code, "msg": message}).encode()
    return HttpAnswer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


STATUSES = [int(status) for status in HTTPStatus] + [299, 418, 420, 499, 520, 522, 524, 530, 599]
CODES = {*range(-1136, -999), *range(-2028, -2000), *range(-4600, -3999), *range(-5050, -4999)}
UNKNOWN_503 = "Unknown error, please check your request or try again later."
FAILED_503 = "Service Unavailable."
PAGES = [
    b"",
    b"<html><title>503 Service Unavailable</title></html>",
    b"Service Unavailable.",
    b"Internal error; unable to process your request. Please try again.",
    b'{"code":-2019,"msg":"Margin is ins',
    b'{"code":"-2019","msg":"Margin is insufficient."}',
    b'{"msg":"Service Unavailable."}',
    b'[{"code":-2019,"msg":"Margin is insufficient."}]',
    b'{"orderId":1,"status":"NEW"}',
    b"null",
    b"\xff\xfe",
]
NOTHING_DONE = {(400, -1021), (400, -5028), (418, -1003), (429, -1003), (429, -1015), (503, -1001), (503, -1008)}
REFUSED = frozenset(json.loads((Path(__file__).parents[3] / "golden/binance/refused_codes.json").read_text()))
OF_A_KEY = [-1002, -2008, -2014, -2015]
PROVE_NOTHING = [0, 1, 200, -1, -9999, -1000, -1001, -1003, -1006, -1007, -1008, -1010, -1015, -1016, -4116]


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_with_every_body_has_one_meaning_for_a_write(status: int) -> None:
    for page in PAGES:
        expected = None if status == 200 else OutcomeUnknown
        assert type_of(HttpAnswer(status, page, {})) is expected, page
    if status == 200:
        return
    for code in CODES.union(PROVE_NOTHING):
        meaning = type_of(answer(status, code, "any words"))
        if (status, code) in NOTHING_DONE:
            assert meaning is ExchangeUnavailable, code
        elif status not in (400, 401) or code in PROVE_NOTHING:
            assert meaning is OutcomeUnknown, code
        elif code in REFUSED and (status == 400 or code in OF_A_KEY):
            assert meaning is ExchangeRefused, code
        else:
            assert meaning is OutcomeUnknown, code
        assert type_of(answer(status, code, UNKNOWN_503)) is OutcomeUnknown, code
        assert type_of(answer(status, code, "Service unavailable")) is meaning, code


@pytest.mark.parametrize("status", STATUSES)
def test_text_of_a_failure_counts_only_under_its_status_and_without_a_contradiction(status: int) -> None:
    meaning = ExchangeUnavailable if status == 503 else None if status == 200 else OutcomeUnknown
    assert type_of(answer(status, 0, FAILED_503)) is meaning
    if status == 503:
        assert type_of(answer(503, -1000, FAILED_503)) is OutcomeUnknown
        assert type_of(answer(503, -1007, FAILED_503)) is OutcomeUnknown


@pytest.mark.parametrize("code", OF_A_KEY)
def test_key_that_is_not_accepted_is_a_refusal_under_both_of_its_statuses(code: int) -> None:
    assert type_of(answer(401, code)) is type_of(answer(400, code)) is ExchangeRefused


def type_of(given_answer: HttpAnswer, *, writes: bool = True) -> type[ExchangeError] | None:
    error = error_of(given_answer, changes_something=writes)
    return None if error is None else type(error)


def test_lost_answer_to_a_read_is_never_unknown() -> None:
    assert type(error_of(answer(503), changes_something=False)) is ExchangeUnavailable


def test_wait_that_the_venue_asks_for_is_kept() -> None:
    error = error_of(answer(429, -1003, "Too many requests", retry_after="17"), changes_something=True)

    assert isinstance(error, ExchangeUnavailable)
    assert error.retry_after_seconds == 17


@given(
    status=st.integers(100, 599),
    body=st.binary(max_size=200),
    wait=st.text(max_size=20),
    writes=st.booleans(),
)
def test_any_answer_is_a_success_or_one_error_of_an_exchange(status: int, body: bytes, wait: str, writes: bool) -> None:
    error = error_of(HttpAnswer(status, body, {"retry-after": wait}), changes_something=writes)

    assert (error is None) is (status == 200)
    assert error is None or isinstance(error, ExchangeRefused | ExchangeUnavailable | OutcomeUnknown)


@pytest.mark.parametrize(("text", "read"), [("17", 17), ("99999999", 99_999_999), ("100000000", None), ("1.5", None)])
def test_count_of_the_venue_is_read_if_it_can_be_one(text: str, read: int | None) -> None:
    assert answer(200, x_mbx_used_weight_1m=text).used_weight == read
    assert answer(429, retry_after=text).retry_after_seconds == read
