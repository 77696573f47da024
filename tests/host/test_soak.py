"""What a soak draws and what it counts, without a platform; tests/cli/test_soak.py runs a real one."""

from itertools import islice

import pytest

from patriot.host.soak import broken_laws, held
from patriot.host.soak_faults import KINDS, LONGEST_SECONDS, MOST_PAUSE_SECONDS, rounds
from patriot.judge.case import Verdict
from patriot.sim.faults.wishes import check

pytestmark = pytest.mark.unit

UIDS = (1001, 1002)


def test_same_seed_draws_the_same_faults_and_another_seed_others() -> None:
    assert list(islice(rounds(5, UIDS), 200)) == list(islice(rounds(5, UIDS), 200))
    assert list(islice(rounds(5, UIDS), 20)) != list(islice(rounds(6, UIDS), 20))


def test_every_kind_comes_in_the_first_minute_and_the_simulator_takes_every_fault() -> None:
    drawn = [fault for drawn in islice(rounds(1, UIDS), int(60 / MOST_PAUSE_SECONDS)) for fault in drawn.faults]
    assert {name for name, _ in drawn} == set(KINDS)
    for _, wish in (fault for drawn in islice(rounds(2, UIDS), 2_000) for fault in drawn.faults):
        check(wish)


def test_two_faults_come_at_once_and_none_outlives_its_seconds() -> None:
    drawn = list(islice(rounds(3, UIDS), 300))
    assert {len(one.faults) for one in drawn} == {1, 2}
    lasting = [wish for one in drawn for _, wish in one.faults if wish.fault or wish.stream or wish.parts]
    assert all(wish.seconds is not None and 0 < wish.seconds <= LONGEST_SECONDS for wish in lasting)


def test_broken_law_is_named_and_law_2_counts_in_real_time_only() -> None:
    laws = {
        "1": Verdict(ok=True, checked=3),
        "2": Verdict(ok=False, checked=3, problems=("no stop for 9 s",)),
        "4": Verdict(ok=False, checked=3, problems=("trade 7 is not in the log", "trade 8 is not in the log")),
        "8": Verdict(ok=False, checked=0),
        "9": Verdict(ok=False, checked=0),
    }
    at_sixty = broken_laws(laws, 60)
    assert at_sixty == [
        "law 4: trade 7 is not in the log",
        "law 4: trade 8 is not in the log",
        "law 8: was not put to the test",
    ]
    assert broken_laws(laws, 1) == ["law 2: no stop for 9 s", *at_sixty]


def test_what_is_open_on_the_exchange_is_named() -> None:
    resting = {"symbol": "BTCUSDT", "status": "NEW"}
    accounts = {
        "7": {
            "positions": [{"symbol": "BTCUSDT", "quantity": "0.1"}],
            "orders": [
                {**resting, "client_order_id": "entry"},
                {**resting, "client_order_id": "x", "status": "FILLED"},
            ],
            "algo_orders": [
                {**resting, "client_algo_id": "stop"},
                {**resting, "client_algo_id": "firing", "status": "TRIGGERING"},
                {**resting, "client_algo_id": "fired", "status": "TRIGGERED"},
                {**resting, "client_algo_id": "over", "status": "FINISHED"},
            ],
        },
        "8": {"positions": [], "orders": [], "algo_orders": []},
    }
    assert held(accounts) == [
        "account 7 holds 0.1 BTCUSDT",
        "account 7 has BTCUSDT order entry",
        "account 7 has BTCUSDT order stop",
        "account 7 has BTCUSDT order firing",
        "account 7 has BTCUSDT order fired",
    ]
