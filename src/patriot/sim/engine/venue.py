"""The venue: one operation in, one outcome out, and everything that can be read of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Context, Decimal, localcontext
from typing import Any, Final

from patriot.sim.engine import (
    amending,
    changes,
    conditional,
    counterparties,
    deleveraging,
    expiry,
    klines,
    liquidation,
    liquidity,
    matching,
    moves,
    protection,
    refusals,
    settings,
    statement,
)
from patriot.sim.engine.account import Account
from patriot.sim.engine.events import KlineClosed, Outcome, Result, VenueRefusal
from patriot.sim.engine.floor import Floor
from patriot.sim.engine.operations import (
    AdjustMargin,
    AmendAlgoOrder,
    AmendOrder,
    CancelAlgoOrder,
    CancelAllAlgoOrders,
    CancelAllOrders,
    CancelOrder,
    ChangeInstrument,
    CloseBar,
    CreateAccount,
    FundInsurance,
    MovePrice,
    Operation,
    PassTime,
    PlaceAlgoOrder,
    PlaceOrder,
    SetCountdown,
    SetFillParts,
    SetLeverage,
    SetMarginType,
    SetPermissions,
    SetPositionMode,
    SetProtection,
    SettleFunding,
    Transfer,
)
from patriot.sim.engine.records import (
    AccountView,
    AlgoOrder,
    Amendment,
    Bar,
    Depth,
    Income,
    Instrument,
    MarginChange,
    Order,
    Pools,
    PositionView,
    Ticker,
    Trade,
)
from patriot.sim.engine.words import Liquidity, PositionSide, Side

_ARITHMETIC: Final = Context(prec=34)  # the engine's own: whoever calls cannot change what a division gives


class Venue:
    """A simulated USD-M futures venue.

    The same operations in the same order per account give the same bytes; how the operations of different accounts
    interleave between two price moves changes nothing for any of them.
    """

    def __init__(
        self,
        *,
        seed: int,
        instruments: Sequence[Instrument],
        liquidity: Liquidity = Liquidity.PRIVATE,
        first_uid: int = 1,
    ) -> None:
        self._floor = Floor(seed, instruments, liquidity, first_uid)

    def apply(self, operation: Operation, at_ms: int) -> Outcome:
        """Apply one operation at a time in UTC milliseconds; a time before the venue's own counts as the venue's.

        Errors: none; what the venue refuses comes back as a refusal, with nothing changed. KeyError for an unknown uid.
        """
        floor = self._floor
        before_ms = floor.now_ms
        if at_ms > before_ms:
            floor.now_ms = at_ms
        floor.emitted = []
        try:
            with localcontext(_ARITHMETIC):
                result = _HANDLERS[type(operation)](floor, operation)
                protection.apply_attached(floor)
                if floor.indebted:
                    liquidation.clear_debts(floor)
                if floor.touched:
                    counterparties.tell_touch(floor)
        except VenueRefusal as refusal:
            floor.now_ms = before_ms
            return Outcome(None, VenueRefusal(refusal.code, refusal.message))
        return Outcome(result, None, tuple(floor.emitted))

    def check(self, operation: PlaceOrder, at_ms: int) -> None:
        """Raise the VenueRefusal with which this order would be refused, if it would be; changes nothing."""
        floor = self._floor
        before_ms = floor.now_ms
        floor.now_ms = max(at_ms, before_ms)
        try:
            with localcontext(_ARITHMETIC):
                protection.check_attached(floor, operation, operation.price)
                matching.admitted(floor, floor.accounts[operation.uid], operation)
        finally:
            floor.now_ms = before_ms

    # ------------------------------------------------------------------------------------------------ market

    @property
    def now_ms(self) -> int:
        """The time of the newest operation."""
        return self._floor.now_ms

    @property
    def next_deadline_ms(self) -> int | None:
        """When the next GTD order or countdown is due, None when nothing is: apply PassTime then."""
        return self._floor.deadlines.next_ms

    @property
    def liquidity(self) -> Liquidity:
        """Whom orders meet besides the seeded book."""
        return self._floor.liquidity

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What is listed."""
        return tuple(market.instrument for market in self._floor.markets.values())

    def instrument(self, symbol: str) -> Instrument:
        """Return a listed instrument, or VenueRefusal -1121."""
        return self._floor.market(symbol).instrument

    def ticker(self, symbol: str) -> Ticker | None:
        """Return the prices of the last move, None before the first."""
        return self._floor.market(symbol).ticker

    def depth(self, symbol: str, limit: int = 500) -> Depth:
        """Return the public book, its first level the ticker's touch. In shared liquidity a taker meets just this."""
        floor, market = self._floor, self._floor.market(symbol)
        at_ms = market.ticker.at_ms if market.ticker is not None else floor.now_ms
        with localcontext(_ARITHMETIC):
            bids, asks = (counterparties.rows(floor, market, taker, limit) for taker in (Side.SELL, Side.BUY))
        return Depth(symbol, market.updates, at_ms, bids, asks)

    def funding_rate(self, symbol: str, at_ms: int) -> Decimal:
        """Return the seeded rate of the settlement at a time, a fraction of notional."""
        self._floor.market(symbol)
        return liquidity.seeded_funding_rate(self._floor.seed, symbol, at_ms)

    def klines(
        self, symbol: str, interval: str, *, limit: int = 500, start_ms: int | None = None, end_ms: int | None = None
    ) -> tuple[Bar, ...]:
        """Return bars ascending by open time, the one in progress last; VenueRefusal -1120 for an unknown interval."""
        market = self._floor.market(symbol)
        if interval not in klines.INTERVAL_MINUTES:
            raise refusals.INVALID_INTERVAL.because()
        return market.klines.bars(interval, limit, start_ms, end_ms)

    # ------------------------------------------------------------------------------------------------ accounts

    @property
    def uids(self) -> tuple[int, ...]:
        """Every account, in the order of creation."""
        return tuple(self._floor.accounts)

    def account(self, uid: int) -> AccountView:
        """Return an account's sums at the mark prices of the moment."""
        with localcontext(_ARITHMETIC):
            return self._account(uid).view(self._floor.markets)

    def positions(self, uid: int, symbol: str | None = None) -> tuple[PositionView, ...]:
        """With a symbol: its rows even when flat (one-way BOTH; hedge LONG and SHORT). Without: open ones only."""
        account = self._account(uid)
        if symbol is None:
            rows = [(position.symbol, position.position_side) for position in account.held()]
        else:
            self._floor.market(symbol)
            rows = [(symbol, position_side) for position_side in account.sides_of(symbol)]
        with localcontext(_ARITHMETIC):
            return tuple(account.position_view(*row, self._floor.markets) for row in rows)

    def symbol_settings(self, uid: int, symbol: str) -> PositionView:
        """Return leverage and margin type of a symbol, beside its first row."""
        return self.positions(uid, symbol)[0]

    def hedges(self, uid: int, symbol: str) -> bool:
        """Whether a symbol of an account is in hedge mode."""
        return self._account(uid).hedges(symbol)

    def adl_quantile(self, uid: int, symbol: str) -> dict[PositionSide, int]:
        """Return for each row of a symbol its place in the queue of auto-deleveraging, 0 to 4; 4 is closed first."""
        self._floor.market(symbol)
        with localcontext(_ARITHMETIC):
            return deleveraging.quantiles(self._floor, self._account(uid), symbol)

    def order(self, uid: int, symbol: str, *, order_id: int | None = None, client_order_id: str | None = None) -> Order:
        """Return an order (the newest of a reused client id), or VenueRefusal -2013."""
        self._floor.market(symbol)
        order = matching.find_order(self._account(uid), symbol, order_id, client_order_id)
        if order is None:
            raise refusals.NO_SUCH_ORDER.because()
        return order

    def open_orders(self, uid: int, symbol: str | None = None) -> tuple[Order, ...]:
        """Return the open orders, oldest first."""
        account = self._account(uid)
        return tuple(account.open_orders.values() if symbol is None else account.orders_in(symbol))

    def orders(self, uid: int, symbol: str | None = None) -> tuple[Order, ...]:
        """Return every order ever, ascending by order id."""
        return tuple(o for o in self._account(uid).orders.values() if symbol is None or o.symbol == symbol)

    def amendments(self, uid: int, symbol: str, order_id: int | None = None) -> tuple[Amendment, ...]:
        """Return what was changed of the orders of a symbol, or of one of them, oldest first."""
        self._floor.market(symbol)
        return amending.amendments(self._floor, self._account(uid), symbol, order_id)

    def last_trade_id(self, symbol: str) -> int:
        """Return the newest aggregate trade id of a symbol, 0 before the first."""
        return self._floor.market(symbol).prints

    def algo_order(self, uid: int, *, algo_id: int | None = None, client_algo_id: str | None = None) -> AlgoOrder:
        """Return an algo order (the newest of a reused client id), or VenueRefusal -2013."""
        order = conditional.find_algo_order(self._account(uid), algo_id, client_algo_id)
        if order is None:
            raise refusals.NO_SUCH_ORDER.because()
        return order

    def open_algo_orders(self, uid: int, symbol: str | None = None) -> tuple[AlgoOrder, ...]:
        """Return the open algo orders, oldest first."""
        account = self._account(uid)
        return tuple(account.open_algo_orders.values() if symbol is None else account.algo_orders_in(symbol))

    def algo_orders(self, uid: int, symbol: str | None = None) -> tuple[AlgoOrder, ...]:
        """Return every algo order ever, ascending by algo id."""
        return tuple(o for o in self._account(uid).algo_orders.values() if symbol is None or o.symbol == symbol)

    def trades(self, uid: int, symbol: str | None = None) -> tuple[Trade, ...]:
        """Return every trade, ascending by trade id."""
        return tuple(t for t in self._account(uid).trades if symbol is None or t.symbol == symbol)

    def income(self, uid: int) -> tuple[Income, ...]:
        """Return every change of the wallet, ascending by tran id."""
        return tuple(self._account(uid).income)

    def pools(self) -> Pools:
        """Return who stands against the accounts: fees, insurance, the house."""
        return self._floor.pools.view()

    def margin_changes(self, uid: int, symbol: str) -> tuple[MarginChange, ...]:
        """Return what was moved in and out of the isolated positions of a symbol, oldest first."""
        self._floor.market(symbol)
        return tuple(change for change in self._account(uid).margin_changes if change.symbol == symbol)

    def state(self) -> dict[str, Any]:
        """Return everything a judge needs, ready for JSON: Decimal as str, accounts by uid."""
        with localcontext(_ARITHMETIC):
            return statement.of_venue(self._floor)

    def noted_state(self) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
        """Return the same in two parts, the venue's and the accounts', these for statement.told() to make ready.

        It is quick, and nothing that happens afterwards changes it.
        """
        floor = self._floor
        with localcontext(_ARITHMETIC):
            accounts = {uid: statement.noted(account, floor) for uid, account in sorted(floor.accounts.items())}
            return statement.head(floor), accounts

    def _account(self, uid: int) -> Account:
        return self._floor.accounts[uid]


# -------------------------------------------------------------------------------------------------- operations


def _set_permissions(floor: Floor, account: Account, operation: SetPermissions) -> AccountView:
    account.permissions = operation.permissions
    return account.view(floor.markets)


def _close_bar(floor: Floor, operation: CloseBar) -> Bar:
    market = floor.market(operation.symbol)
    for interval, bar in market.klines.close_minute(operation.bar):
        floor.emitted.append(KlineClosed(floor.now_ms, operation.symbol, interval, bar))
    return operation.bar


def _for_account(rule: Callable[[Floor, Account, Any], Result]) -> Callable[[Floor, Any], Result]:
    def handle(floor: Floor, operation: Any) -> Result:
        return rule(floor, floor.accounts[operation.uid], operation)

    return handle


# Any: each rule takes its own operation; the key of its row says which.
_HANDLERS: Final[dict[type[Operation], Callable[[Floor, Any], Result]]] = {
    MovePrice: moves.move_price,
    CloseBar: _close_bar,
    SettleFunding: moves.settle_funding,
    CreateAccount: settings.create_account,
    SetPermissions: _for_account(_set_permissions),
    PlaceOrder: _for_account(protection.place_order),
    AmendOrder: _for_account(amending.amend_order),
    CancelOrder: _for_account(matching.cancel_order),
    CancelAllOrders: _for_account(matching.cancel_all_orders),
    PlaceAlgoOrder: _for_account(protection.place_algo_order),
    AmendAlgoOrder: _for_account(conditional.amend_algo_order),
    CancelAlgoOrder: _for_account(conditional.cancel_algo_order),
    CancelAllAlgoOrders: _for_account(conditional.cancel_all_algo_orders),
    SetLeverage: _for_account(settings.set_leverage),
    SetMarginType: _for_account(settings.set_margin_type),
    SetPositionMode: _for_account(settings.set_position_mode),
    SetProtection: _for_account(protection.set_protection),
    AdjustMargin: _for_account(settings.adjust_margin),
    Transfer: _for_account(settings.transfer),
    SetCountdown: _for_account(expiry.set_countdown),
    PassTime: expiry.pass_time,
    ChangeInstrument: changes.change_instrument,
    SetFillParts: changes.set_fill_parts,
    FundInsurance: settings.fund_insurance,
}
