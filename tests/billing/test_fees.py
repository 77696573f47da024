"""What a client pays: each case with the value worked out by hand, and the rules that no case may break.

In every story the price is 1,000 until it is said to move, and PATRIOT holds 1 BTC: each quote unit that the price goes
up is one of result. The rate is 30 % unless said otherwise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import pytest

from patriot.accounts.events import PositionSample, TradeOrigin
from tests.billing.support import (
    HOUR,
    JANUARY_ENDS,
    LINKED,
    MINUTE,
    OTHER_ACCOUNT,
    RATE,
    Story,
    long_one,
    on,
)

pytestmark = pytest.mark.unit

JANUARY, FEBRUARY, MARCH = "2022-01", "2022-02", "2022-03"
CLIENT, EXCHANGE = TradeOrigin.CLIENT, TradeOrigin.EXCHANGE


@dataclass(frozen=True)
class Case:
    what: str
    tell: Callable[[], Story]
    periods: tuple[str, ...]
    fees: tuple[str, ...]  # with the working beside it

    def __str__(self) -> str:
        return self.what


CASES = [
    Case(
        "a gain",
        lambda: long_one().price(on(1, 20), "1100"),
        (JANUARY,),
        ("30.00",),  # R 100; 0.30 x (100 - 0)
    ),
    Case(
        "a gain, half given back, more won",
        lambda: long_one().price(on(1, 20), "1100").price(on(2, 5), "1050").price(on(2, 20), "1111.43"),
        (JANUARY, FEBRUARY),
        ("30.00", "3.43"),  # R 100; then 111.43: 0.30 x 11.43 = 3.429
    ),
    Case(
        "a gain that stays below the highest one",
        lambda: long_one().price(on(1, 20), "1100").price(on(2, 5), "1050"),
        (JANUARY, FEBRUARY),
        ("30.00", "0.00"),
    ),
    Case("a deposit and nothing else", lambda: Story.of_a_client().moves(on(1, 20), "10000"), (JANUARY,), ("0.00",)),
    Case(
        "a loss, then a deposit, then the loss made good",
        lambda: long_one().price(on(1, 20), "900").moves(on(1, 21), "50000").price(on(1, 25), "1000"),
        (JANUARY,),
        ("0.00",),  # R -100, then 0
    ),
    Case(
        "a withdrawal under water, then the loss made good",
        lambda: long_one().price(on(1, 20), "900").moves(on(1, 21), "-5000").price(on(2, 5), "1000"),
        (JANUARY, FEBRUARY),
        ("0.00", "0.00"),
    ),
    Case(
        "out and in again within minutes under water",
        lambda: (
            long_one()
            .price(on(1, 20), "900")
            .moves(on(1, 21), "-9000")
            .moves(on(1, 21, 0, 8), "9000")
            .price(on(1, 25), "1000")
        ),
        (JANUARY,),
        ("0.00",),
    ),
    Case(
        "all out after a charged gain, back the next day, more won",
        lambda: (
            long_one()
            .price(on(1, 20), "1100")
            .moves(on(2, 2), "-10100")
            .moves(on(2, 3), "10100")
            .price(on(2, 10), "1150")
        ),
        (JANUARY, FEBRUARY),
        ("30.00", "15.00"),  # R 100, then 150
    ),
    *(
        Case(
            f"a deposit {when} the cut",
            lambda at=at: long_one().price(on(1, 20), "1100").moves(at, "25000"),  # type: ignore[misc]
            (JANUARY,),
            ("30.00",),
        )
        for when, at in (
            ("at", JANUARY_ENDS),
            ("just before", JANUARY_ENDS - MINUTE),
            ("just after", JANUARY_ENDS + MINUTE),
        )
    ),
    Case(
        "five minutes of a spike upward at the cut",
        lambda: (
            long_one()
            .price(on(1, 20), "1100")
            .price(JANUARY_ENDS - 5 * MINUTE, "2100")
            .price(JANUARY_ENDS + 5 * MINUTE, "1100")
        ),
        (JANUARY,),
        ("31.04",),  # R at the cut 1,100; mean 100 + 1,000 / 288 = 103.4722...; 0.30 x 103.4722 = 31.0417
    ),
    Case(
        "a spike downward at the cut",
        lambda: long_one().price(on(1, 20), "1100").price(JANUARY_ENDS, "600").price(JANUARY_ENDS + 5 * MINUTE, "1100"),
        (JANUARY, FEBRUARY),
        ("0.00", "30.00"),  # R at the cut -400; then 100: together what it would have been
    ),
    Case(
        "a gain of the last hour",
        lambda: long_one().price(JANUARY_ENDS - HOUR, "1240"),
        (JANUARY, FEBRUARY),
        ("3.00", "69.00"),  # R at the cut 240, mean 240 x 12 / 288 = 10; then 240: 0.30 x 230
    ),
    Case(
        "a gain after the cut",
        lambda: long_one().price(JANUARY_ENDS + MINUTE, "1500"),
        (JANUARY,),
        ("0.00",),
    ),
    Case(
        "several winning and losing positions: they net",
        lambda: long_one().price(on(1, 15), "1400").buys(on(1, 15), "2", "1400").price(on(1, 20), "1100"),
        (JANUARY,),
        ("0.00",),  # 100 on the first, 2 x -300 on the second
    ),
    Case(
        "the month of link: the mean begins with the terms",
        lambda: (
            Story.of_a_client(JANUARY_ENDS - 2 * HOUR)
            .buys(JANUARY_ENDS - 2 * HOUR, price="1000")
            .price(JANUARY_ENDS - HOUR, "1100")
        ),
        (JANUARY,),
        ("15.00",),  # R at the cut 100; mean (0 x 1 h + 100 x 1 h) / 2 h = 50
    ),
    Case(
        "terms after trading began: only what came since",
        lambda: (
            Story()
            .links(LINKED, "10000")
            .buys(LINKED + HOUR)
            .price(on(1, 15), "1500")
            .agrees(on(1, 20), RATE)
            .price(on(1, 25), "1600")
        ),
        (JANUARY,),
        ("30.00",),  # 600 since linking, 500 before the terms
    ),
    Case(
        "terms that begin with a later month",
        lambda: (
            Story()
            .links(LINKED, "10000")
            .buys(LINKED + HOUR)
            .agrees(on(1, 15), RATE, FEBRUARY)
            .price(on(1, 20), "1500")
            .price(on(2, 20), "1510")
        ),
        (FEBRUARY,),
        ("3.00",),
    ),
    Case(
        "commission, rebate and funding",
        lambda: (
            Story.of_a_client()
            .buys(LINKED + HOUR, commission="0.40")
            .is_paid_funding(on(1, 12, 8), "-1.10")
            .is_charged(on(1, 13), "0.10", "", "COMMISSION_REBATE")
            .price(on(1, 20), "1100")
        ),
        (JANUARY,),
        ("29.58",),  # 100 - 0.40 - 1.10 + 0.10 = 98.60
    ),
    Case(
        "commission in BNB, with what it was worth at its time",
        lambda: (
            Story.of_a_client()
            .buys(LINKED + HOUR, commission="0.005", asset="BNB", worth="2.00")
            .price(on(1, 20), "1100")
        ),
        (JANUARY,),
        ("29.40",),  # 98
    ),
    Case(
        "another rate from February",
        lambda: (
            long_one().agrees(on(1, 20), Decimal("0.20"), FEBRUARY).price(on(1, 20), "1100").price(on(2, 10), "1200")
        ),
        (JANUARY, FEBRUARY),
        ("30.00", "20.00"),  # 0.30 x 100; 0.20 x 100
    ),
    Case(
        "a client's own gain",
        lambda: Story.of_a_client().buys(on(1, 11), by=CLIENT).price(on(1, 20), "1500").sells(on(1, 21), by=CLIENT),
        (JANUARY,),
        ("0.00",),
    ),
    Case(
        "a client's own loss beside a gain of PATRIOT's",
        lambda: (
            long_one().buys(on(1, 12), "3", "1800", by=CLIENT).price(on(1, 20), "1100").sells(on(1, 21), "3", by=CLIENT)
        ),
        (JANUARY,),
        ("30.00",),  # 100; the client's -2,100 are his
    ),
    Case(
        "a client closes PATRIOT's position by hand and goes on alone",
        lambda: (
            long_one()
            .price(on(1, 20), "1100")
            .sells(on(1, 20, 1), "3", by=CLIENT)  # 1 of PATRIOT's, and 2 short of his own
            .price(on(1, 25), "500")
        ),
        (JANUARY,),
        ("30.00",),
    ),
    Case(
        "PATRIOT buys where the client is short by hand, and can sell only what the exchange still holds",
        lambda: (
            Story.of_a_client()
            .sells(on(1, 11), "1", by=CLIENT)
            .buys(on(1, 12), "2")  # 1 closes the client's, at the price of this trade
            .price(on(1, 20), "1100")
            .sells(on(1, 21), "1")
            .price(on(1, 25), "5000")
        ),
        (JANUARY,),
        ("30.00",),  # 100 on the one that was held; nothing is held any more
    ),
    Case(
        "PATRIOT sells more than it holds, out of what the client holds",
        lambda: (
            long_one()
            .buys(on(1, 12), "1", by=CLIENT)
            .price(on(1, 20), "1100")
            .sells(on(1, 21), "2")
            .price(on(1, 25), "500")
        ),
        (JANUARY,),
        ("30.00",),  # 100; the client's own was sold at the price of that trade
    ),
    Case(
        "what the client held before he linked is his",
        lambda: (
            Story()
            .links(
                LINKED,
                "10000",
                PositionSample("BTCUSDT", Decimal(2), Decimal(900), Decimal(1000), Decimal(200)),
            )
            .agrees(LINKED, RATE)
            .price(on(1, 20), "1100")
            .sells(on(1, 21), "2", by=CLIENT)
        ),
        (JANUARY,),
        ("0.00",),
    ),
    Case(
        "funding on a position of both is divided by size",
        lambda: long_one().buys(on(1, 12), "3", by=CLIENT).is_paid_funding(on(1, 13), "-8").price(on(1, 20), "1100"),
        (JANUARY,),
        ("29.40",),  # 100 - 8 x 1 / 4 = 98
    ),
    Case(
        "a liquidation",
        lambda: (
            long_one()
            .price(on(1, 20), "700")
            .sells(on(1, 20), by=EXCHANGE, commission="3")
            .is_charged(on(1, 20, 0, 1), "-5")
            .buys(on(1, 21), "10", "700")
            .price(on(1, 22), "740.80")
        ),
        (JANUARY,),
        ("30.00",),  # -300 - 3 - 5 = -308; then 10 x 40.80 = 408
    ),
    Case(
        "auto-deleveraging of a gain",
        lambda: long_one().price(on(1, 20), "1200").sells(on(1, 20), by=EXCHANGE).price(on(1, 21), "100"),
        (JANUARY,),
        ("60.00",),
    ),
    Case(
        "a leap month",
        lambda: (
            Story.of_a_client(on(2, 1, year=2024)).buys(on(2, 2, year=2024)).price(on(2, 29, 0, 0, year=2024), "1100")
        ),
        ("2024-02",),
        ("30.00",),  # the whole of 29 February at 1,100
    ),
    Case(
        "cents: each month's fee is what the rounded sum grew by",
        lambda: (
            Story.of_a_client(rate=Decimal("0.3"))
            .buys(LINKED + HOUR)
            .price(on(1, 20), "1000.05")  # 0.015: 0.02
            .price(on(2, 20), "1000.10")  # 0.030: 0.03 - 0.02
            .price(on(3, 20), "1000.15")  # 0.045: 0.04 - 0.03
        ),
        (JANUARY, FEBRUARY, MARCH),
        ("0.02", "0.01", "0.01"),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_fee_is_what_an_accountant_works_out(case: Case) -> None:
    assert case.tell().fees(*case.periods) == list(case.fees)


def test_unlinking_closes_at_its_moment_and_linking_again_goes_on() -> None:
    story = long_one().price(on(1, 20), "1100").sells(on(1, 21), price="1100")
    assert story.fees(JANUARY, final_at=on(1, 22, 13, 37)) == ["30.00"]
    story.buys(on(2, 2), price="1100").price(on(2, 3), "1090").price(on(2, 20), "1150")
    assert story.fees(FEBRUARY) == ["15.00"]  # R 150, H 100


def test_other_account_of_a_user_has_a_result_of_its_own() -> None:
    assert long_one().price(on(1, 20), "1100").fees(JANUARY) == ["30.00"]
    other = Story.of_a_client(account_id=OTHER_ACCOUNT).buys(LINKED + HOUR).price(on(1, 20), "900")
    assert other.fees(JANUARY) == ["0.00"]


def test_forgiven_invoice_leaves_the_highest_result_charged() -> None:
    story = long_one().price(on(1, 20), "1100")
    (january,) = story.closes(JANUARY)
    (february,) = story.closes(FEBRUARY)
    assert january.standing.high == february.high_before == 100
    assert february.fee_amount == 0
