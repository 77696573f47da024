"""One account: its wallet, positions, orders and records, and the margin sums over them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final, NamedTuple

from patriot.sim.engine.ladder import Ladder
from patriot.sim.engine.margin import bracket_of, liquidation_price, maintenance_margin, max_notional
from patriot.sim.engine.market import Market
from patriot.sim.engine.records import (
    AccountView,
    AlgoOrder,
    Income,
    Instrument,
    MarginChange,
    Order,
    Position,
    PositionView,
    Trade,
)
from patriot.sim.engine.words import ZERO, IncomeType, MarginType, Permission, PositionSide, Side

IDS_PER_ACCOUNT: Final = (
    1_000_000_000  # ids are uid x this + a counter of the account: unique, and nobody else's business
)
LARGEST_UID: Final = 9_000_000  # keeps every id below 2**53, exact in any JSON reader
DEFAULT_LEVERAGE: Final = 20


class Settings(NamedTuple):
    leverage: int = DEFAULT_LEVERAGE
    margin_type: MarginType = MarginType.CROSSED


class Account:
    """Mutable; only the engine's functions change it, inside one operation."""

    __slots__ = (
        "_counters",
        "_isolated",
        "_open_in",
        "algo_by_client_id",
        "algo_orders",
        "called",
        "hedge_by_symbol",
        "hedge_mode",
        "houses",
        "income",
        "margin_changes",
        "open_algo_orders",
        "open_orders",
        "order_by_client_id",
        "orders",
        "permissions",
        "positions",
        "settings",
        "trades",
        "uid",
        "updated_ms",
        "wallet",
    )

    def __init__(self, uid: int, permissions: tuple[Permission, ...], hedge_mode: bool) -> None:
        self.uid = uid
        self.permissions = permissions
        self.hedge_mode = hedge_mode
        self.hedge_by_symbol: dict[str, bool] = {}  # where a symbol differs from hedge_mode
        self.wallet = ZERO
        self.updated_ms = 0
        self.positions: dict[tuple[str, PositionSide], Position] = {}  # flat ones are kept for their realized sum
        self.called: set[tuple[str, PositionSide]] = set()  # rows of which a margin call has been told
        self.settings: dict[str, Settings] = {}
        self.orders: dict[int, Order] = {}
        self._isolated = ZERO  # the sum of the isolated wallets
        self.open_orders: dict[int, Order] = {}
        self._open_in: dict[str, dict[int, Order]] = {}  # the same, by symbol
        self.order_by_client_id: dict[str, int] = {}  # the newest of a reused id
        self.algo_orders: dict[int, AlgoOrder] = {}
        self.open_algo_orders: dict[int, AlgoOrder] = {}
        self.algo_by_client_id: dict[str, int] = {}
        self.trades: list[Trade] = []
        self.income: list[Income] = []
        self.margin_changes: list[MarginChange] = []
        # in private liquidity, the house as it stands for this account: symbol -> (moment, by the taker's side)
        self.houses: dict[str, tuple[tuple[int, Decimal, Instrument], dict[Side, Ladder]]] = {}
        self._counters: dict[str, int] = {}

    # ------------------------------------------------------------------------------------------------ ids and records

    def next_id(self, kind: str) -> int:
        """Return the account's next id of a kind: order, trade, algo or tran."""
        number = self._counters.get(kind, 0) + 1
        self._counters[kind] = number
        return self.uid * IDS_PER_ACCOUNT + number

    def book(
        self,
        income_type: IncomeType,
        amount: Decimal,
        at_ms: int,
        *,
        symbol: str = "",
        info: str = "",
        trade_id: int | None = None,
    ) -> Income:
        """Move the wallet and write down why."""
        record = Income(self.uid, self.next_id("tran"), income_type, amount, at_ms, symbol, info, trade_id)
        self.wallet += amount
        self.updated_ms = at_ms
        self.income.append(record)
        return record

    def pay_funding(self, position: Position, amount: Decimal) -> None:
        """Let funding reach the wallet of an isolated position; the account's own wallet is booked by the caller."""
        if self.is_isolated(position.symbol):
            self.hold(replace(position, isolated_wallet=position.isolated_wallet + amount))

    def store_order(self, order: Order) -> None:
        """Keep the newest state of an order."""
        self.orders[order.order_id] = order
        self.order_by_client_id[order.client_order_id] = order.order_id
        if order.is_open:
            self.open_orders[order.order_id] = order
            self._open_in.setdefault(order.symbol, {})[order.order_id] = order
        elif self.open_orders.pop(order.order_id, None) is not None:
            del self._open_in[order.symbol][order.order_id]

    def store_algo_order(self, order: AlgoOrder) -> None:
        """Keep the newest state of an algo order."""
        self.algo_orders[order.algo_id] = order
        self.algo_by_client_id[order.client_algo_id] = order.algo_id
        if order.is_open:
            self.open_algo_orders[order.algo_id] = order
        else:
            self.open_algo_orders.pop(order.algo_id, None)

    # ------------------------------------------------------------------------------------------------ what it holds

    def settings_of(self, symbol: str) -> Settings:
        """Return leverage and margin type of a symbol."""
        return self.settings.get(symbol) or Settings()

    def position(self, symbol: str, position_side: PositionSide) -> Position:
        """Return the position, flat when it was never opened."""
        return self.positions.get((symbol, position_side)) or Position(symbol, position_side)

    def held(self, symbol: str | None = None) -> list[Position]:
        """Return the positions that are not flat."""
        if symbol is None:
            return [position for position in self.positions.values() if position.quantity]
        rows = (self.positions.get((symbol, position_side)) for position_side in PositionSide)
        return [position for position in rows if position is not None and position.quantity]

    def hold(self, position: Position) -> None:
        """Keep the newest state of a position."""
        row = (position.symbol, position.position_side)
        before = self.positions.get(row)
        self._isolated += position.isolated_wallet - (before.isolated_wallet if before is not None else ZERO)
        self.positions[row] = position

    def orders_in(self, symbol: str) -> list[Order]:
        """Return the open orders of a symbol, oldest first."""
        return list(self._open_in.get(symbol, {}).values())

    def algo_orders_in(self, symbol: str) -> list[AlgoOrder]:
        """Return the open algo orders of a symbol, oldest first."""
        return [order for order in self.open_algo_orders.values() if order.symbol == symbol]

    def is_isolated(self, symbol: str) -> bool:
        """Whether positions of the symbol carry their own wallet."""
        return self.settings_of(symbol).margin_type is MarginType.ISOLATED

    @property
    def cross_wallet(self) -> Decimal:
        """The wallet without what isolated positions hold."""
        return self.wallet - self._isolated

    # ------------------------------------------------------------------------------------------------ margin sums

    def symbol_notional(self, symbol: str, mark: Decimal, extra: tuple[Side, PositionSide, Decimal] | None) -> Decimal:
        """Return the largest notional that positions and open orders of a symbol can come to.

        extra: one more order to count, as (side, position side, notional).
        """
        entries = [
            (order.side, order.position_side, order.leaves_quantity * order.price)
            for order in self.orders_in(symbol)
            if not order.reduce_only
        ]
        if extra is not None:
            entries.append(extra)
        total = ZERO
        for position_side in self.sides_of(symbol):
            held = self.position(symbol, position_side).quantity * mark
            buys = sum((n for side, ps, n in entries if ps is position_side and side is Side.BUY), ZERO)
            sells = sum((n for side, ps, n in entries if ps is position_side and side is Side.SELL), ZERO)
            if position_side is not PositionSide.SHORT:
                total += max(abs(held), held + buys, sells - held if position_side is PositionSide.BOTH else ZERO)
            else:
                total += max(abs(held), sells - held)
        return total

    def hedges(self, symbol: str) -> bool:
        """Whether the symbol is in hedge mode: a long and a short position of their own."""
        return self.hedge_by_symbol.get(symbol, self.hedge_mode)

    def sides_of(self, symbol: str) -> tuple[PositionSide, ...]:
        """Return the rows a symbol has in its position mode."""
        return (PositionSide.LONG, PositionSide.SHORT) if self.hedges(symbol) else (PositionSide.BOTH,)

    def free_margin(self, markets: Mapping[str, Market]) -> Decimal:
        """Return what may back new exposure; negative when losses have eaten it."""
        free = self.cross_wallet
        for symbol, mark in self._active(markets):
            leverage = self.settings_of(symbol).leverage
            needed = self.symbol_notional(symbol, mark, None)
            if self.is_isolated(symbol):
                needed -= sum((abs(p.quantity) * mark for p in self.held(symbol)), ZERO)
            else:
                free += sum((p.unrealized_pnl(mark) for p in self.held(symbol)), ZERO)
            free -= needed / leverage
        return free

    def cross_margin(self, markets: Mapping[str, Market], without: Position | None = None) -> tuple[Decimal, Decimal]:
        """Return cross wallet plus unrealized, and the maintenance margin, of all crossed positions (but one)."""
        margin, needed = self.cross_wallet, ZERO
        for position in self.held():
            market = markets[position.symbol]
            if position is without or market.ticker is None or self.is_isolated(position.symbol):
                continue
            mark = market.ticker.mark
            margin += position.unrealized_pnl(mark)
            needed += maintenance_margin(market.instrument, abs(position.quantity) * mark)
        return margin, needed

    def liquidation_price_of(self, position: Position, markets: Mapping[str, Market]) -> Decimal | None:
        """Return the mark price at which a position is liquidated while all others stand still."""
        if not position.quantity:
            return None
        if self.is_isolated(position.symbol):
            margin = position.isolated_wallet
        else:
            others, needed = self.cross_margin(markets, without=position)
            margin = others - needed
        return liquidation_price(markets[position.symbol].instrument, position.quantity, position.basis, margin)

    def _active(self, markets: Mapping[str, Market]) -> Iterator[tuple[str, Decimal]]:
        symbols = {p.symbol for p in self.held()} | {order.symbol for order in self.open_orders.values()}
        for symbol in sorted(symbols):
            ticker = markets[symbol].ticker
            if ticker is not None:
                yield symbol, ticker.mark

    # ------------------------------------------------------------------------------------------------ views

    def position_view(self, symbol: str, position_side: PositionSide, markets: Mapping[str, Market]) -> PositionView:
        """Return a position beside its settings, at the mark price of the moment."""
        market, settings = markets[symbol], self.settings_of(symbol)
        position = self.position(symbol, position_side)
        mark = market.ticker.mark if market.ticker is not None else ZERO
        notional = position.quantity * mark
        initial = abs(notional) / settings.leverage
        wanted = self.symbol_notional(symbol, mark, None) / settings.leverage
        held = sum((abs(p.quantity) * mark for p in self.held(symbol)), ZERO) / settings.leverage
        first = position_side is self.sides_of(symbol)[0]  # open orders of both sides are shown once
        return PositionView(
            position,
            settings.leverage,
            settings.margin_type,
            mark,
            position.unrealized_pnl(mark),
            notional,
            initial,
            wanted - held if first else ZERO,
            maintenance_margin(market.instrument, abs(notional)) if position.quantity else ZERO,
            self.liquidation_price_of(position, markets) or ZERO,
            max_notional(market.instrument, settings.leverage)
            or bracket_of(market.instrument, abs(notional)).notional_cap,
        )

    def view(self, markets: Mapping[str, Market]) -> AccountView:
        """Return the account's sums at the mark prices of the moment."""
        position_initial = maintenance = unrealized = cross_unrealized = wanted = ZERO
        for symbol, mark in self._active(markets):
            leverage = self.settings_of(symbol).leverage
            wanted += self.symbol_notional(symbol, mark, None) / leverage
            for position in self.held(symbol):
                notional, profit = abs(position.quantity) * mark, position.unrealized_pnl(mark)
                position_initial += notional / leverage
                maintenance += maintenance_margin(markets[symbol].instrument, notional)
                unrealized += profit
                cross_unrealized += ZERO if self.is_isolated(symbol) else profit
        free = max(self.free_margin(markets), ZERO)
        cross_wallet = self.cross_wallet
        return AccountView(
            self.uid,
            self.permissions,
            self.hedge_mode,
            self.wallet,
            cross_wallet,
            unrealized,
            cross_unrealized,
            self.wallet + unrealized,
            wanted,
            position_initial,
            wanted - position_initial,
            maintenance,
            free,
            max(min(free, cross_wallet), ZERO),
            self.updated_ms,
        )
