"""Executions on an account that no order of PATRIOT made: found by the income they left, named by who sent them.

One that the exchange itself sent is booked at once. Any other may still turn out ours: an order that was conditional
can have another client id when it works, and what the exchange lists may lag. So it is left alone until it is old by
the exchange's clock, all own fills up to a later time are booked, and no conditional order of ours became its order.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from patriot.accounts.commands import RecordTrade
from patriot.accounts.events import TradeOrigin
from patriot.accounts.ledger import Ledger
from patriot.accounts.ports import TradeVenue, Worth
from patriot.kernel.errors import ExchangeRefused
from patriot.trading.reports import IncomeRecord, OrderSender, TradeReport
from patriot.trading.terms import AccountId, Urgency, UserId

MAY_BE_OURS = timedelta(minutes=3)  # how long an execution is left alone; wallets are judged later than that


@dataclass(frozen=True, slots=True)
class Found:
    """What is to be booked, and since when there are executions of which nobody can tell yet whose they are.

    `refusal`: the exchange refuses to tell those of a symbol.
    """

    commands: tuple[RecordTrade, ...] = ()
    undecided_since: datetime | None = None
    refusal: ExchangeRefused | None = None


class OtherTrades:
    """Looks for them.

    `is_ours` tells whether the log has an order of the account that a client id belongs to. `fills_known` asks the
    exchange for the executions of all that is open, and tells whether the account's books have them.
    """

    def __init__(
        self,
        account_id: AccountId,
        user_id: UserId,
        venue: TradeVenue,
        worth: Worth,
        is_ours: Callable[[str], Awaitable[bool]],
        fills_known: Callable[[], Awaitable[bool]],
    ) -> None:
        self._account_id = account_id
        self._user_id = user_id
        self._venue = venue
        self._worth = worth
        self._is_ours = is_ours
        self.fills_known = fills_known

    @staticmethod
    def unknown(ledger: Ledger, income: Sequence[IncomeRecord]) -> dict[str, datetime]:
        """Return the symbols whose income speaks of executions that the books do not have, and since when."""
        since: dict[str, datetime] = {}
        for record in income:
            if record.trade_id and ledger.lacks_trade(record.symbol, record.trade_id, record.at):
                since[record.symbol] = min(record.at, since.get(record.symbol, record.at))
        return since

    async def find(
        self, ledger: Ledger, since: dict[str, datetime], decided_until: datetime | None, urgency: Urgency
    ) -> Found:
        """Return what is to be booked, ascending within a symbol.

        Own fills up to `decided_until` and later are in the books; None if nobody knows. What is refused of one symbol
        leaves it undecided, and the others are found. Errors: ExchangeError, but for a refusal.
        """
        commands: list[RecordTrade] = []
        undecided: list[datetime] = []
        refusal: ExchangeRefused | None = None
        for symbol, at in sorted(since.items()):
            try:
                trades = await self._venue.trades(symbol, at, urgency=urgency)
                lacking = [one for one in trades if ledger.lacks_trade(symbol, one.trade_id, one.at)]
                senders = await self._senders(symbol, lacking, urgency)
            except ExchangeRefused as error:
                refusal = error
                undecided.append(at)
                continue
            for trade in lacking:
                sender = senders[trade.venue_order_id]
                by_exchange = sender is not None and sender.is_exchange
                if sender is not None and await self._is_ours(sender.client_order_id):
                    continue  # it is booked with its fill
                if by_exchange or (decided_until is not None and trade.at <= decided_until):
                    origin = TradeOrigin.EXCHANGE if by_exchange else TradeOrigin.CLIENT
                    commands.append(await self._record(trade, origin, ledger.asset or ""))
                else:
                    undecided.append(trade.at)
        return Found(tuple(commands), min(undecided, default=None), refusal)

    async def _senders(
        self, symbol: str, trades: Sequence[TradeReport], urgency: Urgency
    ) -> dict[str, OrderSender | None]:
        """Return who sent the orders of these executions: of one that was conditional, who sent that."""
        senders: dict[str, OrderSender | None] = {}
        for order_id in dict.fromkeys(trade.venue_order_id for trade in trades):
            senders[order_id] = await self._venue.sender_of(symbol, order_id, urgency=urgency)
        fired = await self._venue.fired_orders(symbol, urgency=urgency) if senders else {}
        return senders | {one: OrderSender(fired[one], is_exchange=False) for one in senders.keys() & fired.keys()}

    async def _record(self, trade: TradeReport, origin: TradeOrigin, asset: str) -> RecordTrade:
        return RecordTrade(
            account_id=self._account_id,
            user_id=self._user_id,
            symbol=trade.symbol,
            trade_id=trade.trade_id,
            origin=origin,
            side=trade.side,
            quantity=trade.quantity,
            price=trade.price,
            realized_pnl=trade.realized_pnl,
            commission=trade.commission,
            commission_asset=trade.commission_asset,
            commission_value=await self._worth(trade.commission, trade.commission_asset, asset, trade.at),
            at=trade.at,
        )
