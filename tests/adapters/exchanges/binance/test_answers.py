"""What each answer of the venue means for the one question that counts: did it happen, did it not, or is it unknown?"""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.adapters.exchanges.binance.answers import HttpAnswer, error_of
from patriot.adapters.exchanges.binance.venue_time import VenueTime
from patriot.kernel.clock import FakeClock, ReplayClock, to_epoch_ms
from patriot.kernel.errors import ExchangeError, ExchangeRefused, ExchangeUnavailable, OutcomeUnknown

pytestmark = pytest.mark.integration


def answer(status: int, code: int | None = None, message: str = "", **headers: str) -> HttpAnswer:
    body = b"<html>" if code is None else json.dumps({"code": code, "msg": message}).encode()
    return HttpAnswer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


UNKNOWN_503 = "Unknown error, please check your request or try again later."


@pytest.mark.parametrize(
    ("given_answer", "meaning"),
    [
        (answer(400, -2019, "Margin is insufficient."), ExchangeRefused),
        (answer(400, -2011, "Unknown order sent."), ExchangeRefused),
        (answer(401, -2015, "Invalid API-key, IP, or permissions for action."), ExchangeRefused),
        (answer(400, -1022, "Signature for this request is not valid."), ExchangeRefused),
        (answer(400, -9999, "a code of next year"), ExchangeRefused),
        (answer(400, -1021, "Timestamp for this request is outside of the recvWindow."), ExchangeUnavailable),
        (answer(429, -1003, "Too many requests"), ExchangeUnavailable),
        (answer(429, -1015, "Too many new orders"), ExchangeUnavailable),
        (answer(418, -1003, "IP banned until 1700000000000"), ExchangeUnavailable),
        (answer(403), ExchangeUnavailable),
        (answer(503, -1008, "Request throttled by system-level protection."), ExchangeUnavailable),
        (answer(503, 0, "Service Unavailable."), ExchangeUnavailable),
        (answer(503, -1001, "Internal error; unable to process your request. Please try again."), ExchangeUnavailable),
        (answer(503, -1000, UNKNOWN_503), OutcomeUnknown),
        (answer(503, 0, UNKNOWN_503), OutcomeUnknown),
        (answer(503), OutcomeUnknown),
        (answer(500, -2019, "a refusal that a broken server sent"), OutcomeUnknown),
        (answer(400, -1006, "execution status unknown"), OutcomeUnknown),
        (answer(400, -1007, "Send status unknown; execution status unknown."), OutcomeUnknown),
        (answer(408, -1007, "Timeout waiting for response from backend server."), OutcomeUnknown),
        (answer(404), OutcomeUnknown),
        (answer(302), OutcomeUnknown),
    ],
)
def test_answer_to_a_write_has_one_meaning(given_answer: HttpAnswer, meaning: type[ExchangeError]) -> None:
    assert type(error_of(given_answer, changes_something=True)) is meaning


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

    assert (error is None) is (200 <= status < 300)
    assert error is None or isinstance(error, ExchangeRefused | ExchangeUnavailable | OutcomeUnknown)


class TestVenueTime:
    def test_offset_takes_half_of_the_way_as_the_way_back(self) -> None:
        clock = FakeClock()
        time, asked_at = VenueTime(clock), clock.now()
        clock.advance(timedelta(seconds=2))

        time.measured(asked_at + timedelta(seconds=11), asked_at=asked_at)

        assert time.now() - clock.now() == timedelta(seconds=10)
        assert time.stamp(asked_at) == to_epoch_ms(asked_at) + 10_000

    def test_replay_clock_is_the_venues_and_is_not_corrected(self) -> None:
        clock = ReplayClock(FakeClock().now())
        time = VenueTime(clock)
        time.measured(clock.now() + timedelta(minutes=1), asked_at=clock.now())
        assert time.now() == clock.now()
