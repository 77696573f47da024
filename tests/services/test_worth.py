"""What an amount of one asset was worth in another: by the exchange's price of that minute, or told to a person."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import cast

import pytest

from patriot.kernel.errors import ExchangeError, ExchangeRefused, ExchangeUnavailable
from patriot.market.ports import MarketVenue
from patriot.services.worth import WorthOnExchange

pytestmark = pytest.mark.unit

AT = datetime(2022, 1, 20, 10, 17, 42, tzinfo=UTC)


class Market:
    """Mark prices of one minute, and what was asked."""

    def __init__(self, answer: Decimal | ExchangeError | None) -> None:
        self.answer = answer
        self.asked: list[tuple[str, datetime, int]] = []

    async def mark_opens(self, symbol: str, first_at: datetime, minutes: int) -> list[Decimal | None]:
        self.asked.append((symbol, first_at, minutes))
        if isinstance(self.answer, ExchangeError):
            raise self.answer
        return [self.answer]


class Alerts:
    def __init__(self) -> None:
        self.raised: list[tuple[str, dict[str, object]]] = []

    def critical(self, name: str, **fields: object) -> None:
        self.raised.append((name, fields))


def worth_on(market: Market, alerts: Alerts) -> WorthOnExchange:
    return WorthOnExchange(cast("MarketVenue", market), alerts)


async def test_amount_counts_with_the_price_of_its_minute() -> None:
    market = Market(Decimal("410.25"))
    assert await worth_on(market, Alerts())(Decimal("0.004"), "BNB", "USDT", AT) == Decimal("1.641")
    assert market.asked == [("BNBUSDT", AT.replace(second=0), 1)]


@pytest.mark.parametrize(("amount", "asset"), [("7.5", "USDT"), ("0", "BNB"), ("0", "")])
async def test_what_needs_no_price_is_not_asked_for(amount: str, asset: str) -> None:
    market = Market(None)
    assert await worth_on(market, Alerts())(Decimal(amount), asset, "USDT", AT) == Decimal(amount)
    assert market.asked == []


async def test_asset_that_the_exchange_has_no_price_for_counts_nothing_and_is_told() -> None:
    alerts = Alerts()
    refused = Market(ExchangeRefused(-1121, "Invalid symbol."))
    assert await worth_on(refused, alerts)(Decimal(3), "MOON", "USDT", AT) == 0
    ((name, fields),) = alerts.raised
    assert (name, fields["asset"], fields["amount"]) == ("money.without_price", "MOON", Decimal(3))


@pytest.mark.parametrize("answer", [None, ExchangeUnavailable("away")])
async def test_price_that_is_not_there_yet_is_to_be_asked_for_again(answer: ExchangeError | None) -> None:
    alerts = Alerts()
    with pytest.raises(ExchangeUnavailable):
        await worth_on(Market(answer), alerts)(Decimal(3), "BNB", "USDT", AT)
    assert alerts.raised == []
