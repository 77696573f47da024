"""Executions on an account that no order of PATRIOT made: found by the income they left, named by who sent them."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from patriot.accounts.commands import RecordTrade
from patriot.accounts.events import TradeOrigin
from patriot.accounts.ledger import Ledger
from patriot.accounts.ports import TradeVenue, Worth
from patriot.trading.reports import IncomeRecord, OrderSender, TradeReport
from patriot.trading.terms import AccountId, Urgency, UserId


class OtherTrades:
    """Looks for them.

    `is_ours` tells a client id of PATRIOT. `fills_booked` tells whether every fill that the log held a moment ago is in
    the account's books: until then nobody can say that an execution is somebody else's.
    """

    def __init__(
        self,
        account_id: AccountId,
        user_id: UserId,
        venue: TradeVenue,
        worth: Worth,
        is_ours: Callable[[str], bool],
        fills_booked: Callable[[], Awaitable[bool]],
    ) -> None:
        self._account_id = account_id
        self._user_id = user_id
        self._venue = venue
        self._worth = worth
        self._is_ours = is_ours
        self.fills_booked = fills_booked

    @staticmethod
    def unknown(ledger: Ledger, income: Sequence[IncomeRecord]) -> dict[str, datetime]:
        """Return the symbols whose income speaks of executions that the books do not have, and since when."""
        since: dict[str, datetime] = {}
        for record in income:
            if record.trade_id and ledger.lacks_trade(record.symbol, record.trade_id, record.at):
                since[record.symbol] = min(record.at, since.get(record.symbol, record.at))
        return since

    async def find(self, ledger: Ledger, since: dict[str, datetime], urgency: Urgency) -> list[RecordTrade]:
        """Return what is to be booked, ascending within a symbol. Errors: ExchangeError."""
        found: list[RecordTrade] = []
        senders: dict[tuple[str, str], OrderSender | None] = {}
        for symbol, at in sorted(since.items()):
            for trade in await self._venue.trades(symbol, at, urgency=urgency):
                if not ledger.lacks_trade(symbol, trade.trade_id, trade.at):
                    continue
                order = (symbol, trade.venue_order_id)
                if order not in senders:
                    senders[order] = await self._venue.sender_of(*order, urgency=urgency)
                sender = senders[order]
                if sender is None or not self._is_ours(sender.client_order_id):
                    found.append(await self._record(trade, sender, ledger.asset or ""))
        return found

    async def _record(self, trade: TradeReport, sender: OrderSender | None, asset: str) -> RecordTrade:
        by_exchange = sender is not None and sender.is_exchange
        return RecordTrade(
            account_id=self._account_id,
            user_id=self._user_id,
            symbol=trade.symbol,
            trade_id=trade.trade_id,
            origin=TradeOrigin.EXCHANGE if by_exchange else TradeOrigin.CLIENT,
            side=trade.side,
            quantity=trade.quantity,
            price=trade.price,
            realized_pnl=trade.realized_pnl,
            commission=trade.commission,
            commission_asset=trade.commission_asset,
            commission_value=await self._worth(trade.commission, trade.commission_asset, asset, trade.at),
            at=trade.at,
        )
