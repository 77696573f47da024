"""What an amount of one asset was worth in another, by the mark price that the exchange publishes for that minute."""

from datetime import datetime
from decimal import Decimal, localcontext

from patriot.execution.ports import Alerts
from patriot.kernel.errors import ExchangeRefused, ExchangeUnavailable
from patriot.kernel.money import EXACT, ZERO
from patriot.market.ports import MarketVenue


class WorthOnExchange:
    """Implements `accounts/ports.py Worth` for one exchange."""

    def __init__(self, market: MarketVenue, alerts: Alerts) -> None:
        self._market = market
        self._alerts = alerts

    async def __call__(self, amount: Decimal, asset: str, in_asset: str, at: datetime) -> Decimal:
        """Return the worth at a moment. What the exchange has no price for is told to a person, and counts nothing.

        Errors: ExchangeError if the exchange does not answer, or not yet.
        """
        if not amount or asset in (in_asset, ""):
            return amount
        try:
            (price,) = await self._market.mark_opens(asset + in_asset, at.replace(second=0, microsecond=0), 1)
        except ExchangeRefused as refusal:
            self._alerts.critical("money.without_price", asset=asset, amount=amount, at=at, reason=str(refusal))
            return ZERO
        if price is None:
            raise ExchangeUnavailable(f"no mark price of {asset}{in_asset} at {at.isoformat()}")
        with localcontext(EXACT):
            return amount * price
