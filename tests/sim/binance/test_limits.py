"""Request limits: counted and refused, and banned for those who go on."""

from datetime import timedelta
from pathlib import Path

import pytest

from patriot.kernel.clock import FakeClock, to_epoch_ms
from patriot.sim.binance.limits import (
    FIRST_BAN_SECONDS,
    LONGEST_BAN_SECONDS,
    TOLERATED_REFUSALS,
    LimitExceeded,
    Limits,
    Pool,
    RateLimiter,
)
from tests.sim.binance.client import flat, running_sim, write_dump

pytestmark = pytest.mark.integration

ADDRESS = "127.0.0.1"


def refused_by(limiter: RateLimiter, weight: int = 1, pool: Pool = Pool.WEIGHT) -> LimitExceeded | None:
    try:
        limiter.count_weight(ADDRESS, weight, pool)
    except LimitExceeded as refusal:
        return refusal
    return None


def go_on_until_banned(limiter: RateLimiter) -> LimitExceeded:
    for _ in range(TOLERATED_REFUSALS + 2):
        refusal = refused_by(limiter)
        if refusal is not None and refusal.status == 418:
            return refusal
    raise AssertionError("was never banned")


def test_weight_above_the_ceiling_is_refused_until_the_minute_is_over() -> None:
    clock = FakeClock()
    limiter = RateLimiter(clock, Limits(weight_per_minute=10))
    assert limiter.count_weight(ADDRESS, 10) == 10

    refusal = refused_by(limiter)
    assert refusal is not None
    assert (refusal.code, refusal.status) == (-1003, 429)
    assert 0 < refusal.retry_after_seconds <= 60
    assert limiter.count_weight("10.0.0.1", 10) == 10

    clock.advance(timedelta(seconds=refusal.retry_after_seconds))
    assert limiter.count_weight(ADDRESS, 1) == 1


def test_who_goes_on_is_banned_longer_each_time_up_to_three_days() -> None:
    clock = FakeClock()
    limiter = RateLimiter(clock, Limits(weight_per_minute=0))
    lengths = []
    for _ in range(13):
        ban = go_on_until_banned(limiter)
        lengths.append(ban.retry_after_seconds)
        again = refused_by(limiter, weight=0)
        assert again is not None
        assert again.status == 418
        clock.advance(timedelta(seconds=ban.retry_after_seconds))

    assert lengths[:3] == [FIRST_BAN_SECONDS, 2 * FIRST_BAN_SECONDS, 4 * FIRST_BAN_SECONDS]
    assert lengths[-1] == LONGEST_BAN_SECONDS


def test_ban_names_its_end_and_other_addresses_are_free() -> None:
    clock = FakeClock()
    limiter = RateLimiter(clock, Limits(weight_per_minute=0))

    ban = go_on_until_banned(limiter)

    assert ban.code == -1003
    assert f"IP({ADDRESS}) banned until {to_epoch_ms(clock.now()) + FIRST_BAN_SECONDS * 1000}." in ban.message
    limiter.check_ban("10.0.0.1")
    clock.advance(timedelta(seconds=FIRST_BAN_SECONDS))
    limiter.check_ban(ADDRESS)


def test_who_waits_as_told_is_not_banned() -> None:
    clock = FakeClock()
    limiter = RateLimiter(clock, Limits(weight_per_minute=1))
    for _ in range(10 * TOLERATED_REFUSALS):
        refusal = refused_by(limiter)
        if refusal is not None:
            assert refusal.status == 429
            clock.advance(timedelta(seconds=refusal.retry_after_seconds))


@pytest.mark.parametrize(
    ("pool", "limits"),
    [
        (Pool.FUNDING, Limits(funding_per_5_minutes=2)),
        (Pool.STATISTICS, Limits(statistics_per_5_minutes=2)),
    ],
)
def test_pool_of_its_own_is_counted_over_five_minutes(pool: Pool, limits: Limits) -> None:
    clock = FakeClock()
    limiter = RateLimiter(clock, limits)
    assert [refused_by(limiter, 0, pool) for _ in range(2)] == [None, None]

    refusal = refused_by(limiter, 0, pool)
    assert refusal is not None
    assert refused_by(limiter) is None
    clock.advance(timedelta(seconds=refusal.retry_after_seconds))
    assert refused_by(limiter, 0, pool) is None


def test_orders_are_counted_in_both_windows() -> None:
    clock = FakeClock()
    limiter = RateLimiter(clock, Limits(orders_per_10_seconds=3, orders_per_minute=4))
    assert limiter.count_order(1, 3, 1) == (3, 1)

    with pytest.raises(LimitExceeded, match="3 orders per 10 SECOND"):
        limiter.count_order(1)
    clock.advance(timedelta(seconds=10))
    limiter.count_order(1)
    limiter.count_order(1)
    with pytest.raises(LimitExceeded, match="4 orders per 1 MINUTE"):
        limiter.count_order(1)
    assert limiter.count_order(2) == (1, 1)


async def test_client_that_goes_on_after_429_sees_418_on_every_path(tmp_path: Path) -> None:
    data = write_dump(tmp_path / "BTCUSDT.csv", flat("40000.0", 5))
    clock = FakeClock()
    async with running_sim(data, limits=Limits(weight_per_minute=1), clock=clock) as sim:
        answers = [await sim.public("/fapi/v1/ping") for _ in range(TOLERATED_REFUSALS + 3)]
        elsewhere = await sim.public("/fapi/v1/nothing")
        clock.advance(timedelta(seconds=FIRST_BAN_SECONDS))
        later = await sim.public("/fapi/v1/ping")

    assert [answer.status for answer in answers[:2]] == [200, 429]
    assert [answer.headers["X-MBX-USED-WEIGHT-1M"] for answer in answers[:2]] == ["1", "2"]
    assert (answers[-1].status, answers[-1].body["code"]) == (418, -1003)
    assert int(answers[-1].headers["Retry-After"]) == FIRST_BAN_SECONDS
    assert (elsewhere.status, later.status) == (418, 200)
