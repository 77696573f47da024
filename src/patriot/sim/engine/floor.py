"""What every rule of the venue stands on: markets, accounts, the time, and what the operation in hand has emitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from patriot.sim.engine import refusals
from patriot.sim.engine.account import Account
from patriot.sim.engine.deadlines import Deadlines, Due
from patriot.sim.engine.events import AccountUpdated, AlgoOrderUpdated, OrderUpdated, VenueEvent
from patriot.sim.engine.margin import after_fill
from patriot.sim.engine.market import Market
from patriot.sim.engine.pools import PoolLedger
from patriot.sim.engine.records import AlgoOrder, Amendment, Instrument, Order, Position, Ticker, Trade
from patriot.sim.engine.words import (
    ZERO,
    AlgoStatus,
    Closing,
    ExecutionType,
    IncomeType,
    Liquidity,
    OrderStatus,
    PositionSide,
    Side,
    UpdateReason,
    round_money,
)


class Floor:
    """Markets by symbol, accounts by uid. Also the two writes that all rules share: a fill, and the end of an order."""

    __slots__ = (
        "_priority",
        "accounts",
        "amendments",
        "deadlines",
        "emitted",
        "first_uid",
        "indebted",
        "liquidity",
        "markets",
        "now_ms",
        "pools",
        "seed",
        "stale",
        "standing",
        "touched",
        "unprotected",
    )

    def __init__(self, seed: int, instruments: Sequence[Instrument], liquidity: Liquidity, first_uid: int) -> None:
        self.seed = seed
        self.liquidity = liquidity
        self.first_uid = first_uid
        self.now_ms = 0
        self.markets: dict[str, Market] = {i.symbol: Market(i, seed) for i in instruments}
        self.accounts: dict[int, Account] = {}
        self.pools = PoolLedger(bounded=liquidity is Liquidity.SHARED)
        self.deadlines = Deadlines()
        self.amendments: dict[int, list[Amendment]] = {}  # by order id, oldest first
        self.stale: set[int] = set()  # accounts whose trip wires have to be renewed
        self.standing: dict[int, tuple[str, ...]] = {}  # by uid: the symbols in which its trip wires are
        self.touched: dict[str, None] = {}  # symbols whose public book the operation has changed, in sequence
        self.emitted: list[VenueEvent] = []
        self.indebted: set[int] = set()  # accounts whose own fills have brought their wallet below zero
        self._priority = 0
        self.unprotected: list[Order] = []  # just filled for the first time, with an attached protection to apply

    def market(self, symbol: str) -> Market:
        """Return a listed market, or refuse."""
        market = self.markets.get(symbol)
        if market is None:
            raise refusals.INVALID_SYMBOL.because()
        return market

    def priced(self, symbol: str) -> tuple[Market, Ticker]:
        """Return a listed market that has a price, or refuse."""
        market = self.market(symbol)
        if market.ticker is None:
            raise refusals.NO_BEST_PRICE.because()
        return market, market.ticker

    # ------------------------------------------------------------------------------------------------ events

    def tell_order(self, order: Order, execution_type: ExecutionType, trade: Trade | None = None) -> None:
        """Emit an order's new state."""
        self.emitted.append(OrderUpdated(order.uid, self.now_ms, execution_type, order, trade))

    def tell_account(
        self,
        account: Account,
        reason: UpdateReason,
        *,
        change: Decimal = ZERO,
        positions: Sequence[tuple[str, PositionSide]] = (),
    ) -> None:
        """Emit an account's new balances beside the positions that changed."""
        views = tuple(account.position_view(symbol, side, self.markets) for symbol, side in positions)
        self.emitted.append(
            AccountUpdated(account.uid, self.now_ms, reason, account.wallet, account.cross_wallet, change, views)
        )

    def store_algo(self, account: Account, order: AlgoOrder) -> AlgoOrder:
        """Keep and emit an algo order's new state."""
        account.store_algo_order(order)
        if order.good_till_ms:
            deadline = (Due.ALGO_ORDER, order.uid, str(order.algo_id))
            if order.is_open:
                self.deadlines.set(deadline, order.good_till_ms)
            else:
                self.deadlines.drop(deadline)
        self.emitted.append(AlgoOrderUpdated(account.uid, self.now_ms, order))
        return order

    # ------------------------------------------------------------------------------------------------ the book

    def next_priority(self, account: Account | None = None) -> int:
        """Return the next place in time: one sequence for all, or the account's own where nobody meets another."""
        if self.liquidity is Liquidity.PRIVATE:
            return account.next_id("priority") if account is not None else 0
        self._priority += 1
        return self._priority

    def touch(self, symbol: str) -> None:
        """Note that the public book of a symbol has changed."""
        if self.liquidity is Liquidity.SHARED:
            self.touched[symbol] = None

    def rest(self, order: Order) -> None:
        """Let an open order rest in the book."""
        self.markets[order.symbol].book.rest(order)
        self.touch(order.symbol)

    def refresh_interest(self, account: Account) -> None:
        """Note that an account's prices of concern have to be looked up again before the next move."""
        self.stale.add(account.uid)

    # ------------------------------------------------------------------------------------------------ shared writes

    def fill(
        self, account: Account, order: Order, price: Decimal, quantity: Decimal, *, maker: bool
    ) -> tuple[Order, Trade]:
        """Fill a part of an order: position, wallet, income, trade, events."""
        before = account.position(order.symbol, order.position_side)
        trade = self._trade(account, order, price, quantity, maker=maker)
        filled = order.filled_quantity + quantity
        order = replace(
            order,
            filled_quantity=filled,
            filled_notional=order.filled_notional + price * quantity,
            status=OrderStatus.FILLED if filled == order.quantity else OrderStatus.PARTIALLY_FILLED,
            updated_ms=self.now_ms,
        )
        account.store_order(order)
        self._settle_in_book(order)
        self.refresh_interest(account)
        self.tell_account(account, UpdateReason.ORDER, positions=[(order.symbol, order.position_side)])
        self.tell_order(order, ExecutionType.CALCULATED if order.closing else ExecutionType.TRADE, trade)
        position = account.position(order.symbol, order.position_side)
        if before.quantity and (not position.quantity or (before.quantity > ZERO) != (position.quantity > ZERO)):
            account.called.discard((order.symbol, order.position_side))
            self._end_with_position(account, position)
        if order.attached is not None and filled == quantity:
            self.unprotected.append(order)
        return order, trade

    def _trade(self, account: Account, order: Order, price: Decimal, quantity: Decimal, *, maker: bool) -> Trade:
        """Book a part of an order: position, wallet and income of the account, and who stands against it."""
        instrument, symbol = self.markets[order.symbol].instrument, order.symbol
        signed = quantity if order.side is Side.BUY else -quantity
        position, realized = after_fill(
            account.position(symbol, order.position_side),
            signed,
            price,
            isolated_leverage=account.settings_of(symbol).leverage if account.is_isolated(symbol) else None,
            at_ms=self.now_ms,
        )
        account.hold(position)
        rate = instrument.maker_fee_rate if maker else instrument.taker_fee_rate
        if order.closing is Closing.DELEVERAGING:
            rate = ZERO
        trade = Trade(
            account.uid,
            account.next_id("trade"),
            order.order_id,
            order.client_order_id,
            symbol,
            order.side,
            order.position_side,
            price,
            quantity,
            round_money(price * quantity * rate),
            realized,
            maker,
            self.now_ms,
        )
        account.trades.append(trade)
        self.pools.meet(symbol, signed, price)
        self.pools.take_fee(trade.commission)
        for income_type, amount in (
            (IncomeType.REALIZED_PNL, realized),
            (IncomeType.COMMISSION, -trade.commission),
        ):
            if amount:
                account.book(income_type, amount, self.now_ms, symbol=symbol, trade_id=trade.trade_id)
        if account.wallet < ZERO:
            self.indebted.add(account.uid)
        return trade

    def _end_with_position(self, account: Account, position: Position) -> None:
        """Expire the conditional orders that stood for a position that is gone."""
        for algo in account.algo_orders_in(position.symbol):
            if algo.ends_with_position and algo.position_side is position.position_side:
                self.store_algo(account, replace(algo, status=AlgoStatus.EXPIRED, updated_ms=self.now_ms))

    def end_order(self, account: Account, order: Order, status: OrderStatus) -> Order:
        """Cancel or expire what is left of an order."""
        order = replace(order, status=status, updated_ms=self.now_ms)
        account.store_order(order)
        self._settle_in_book(order)
        canceled = status is OrderStatus.CANCELED
        self.tell_order(order, ExecutionType.CANCELED if canceled else ExecutionType.EXPIRED)
        return order

    def _settle_in_book(self, order: Order) -> None:
        """Let the book know an order's new state, and its deadline that it is closed."""
        self.markets[order.symbol].book.update(order)
        self.touch(order.symbol)
        if order.good_till_ms and not order.is_open:
            self.deadlines.drop((Due.ORDER, order.uid, str(order.order_id)))

    def finish_parent(self, account: Account, order: Order) -> None:
        """Finish the algo order that made an order, once that order is closed."""
        if order.is_open or order.algo_id is None:
            return
        parent = account.algo_orders[order.algo_id]
        if parent.status is AlgoStatus.TRIGGERED:
            self.store_algo(
                account,
                replace(
                    parent,
                    status=AlgoStatus.FINISHED,
                    actual_price=order.average_fill_price,
                    actual_quantity=order.filled_quantity,
                    updated_ms=self.now_ms,
                ),
            )
