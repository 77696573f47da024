"""What an account holds and is worth, from its events alone. Pure and exact: no step here rounds.

The venue rounds the profit of a fill once, to 1e-8, and reports it; so the cost basis is defined by that report:

    basis' = basis + signed quantity x price + realized_pnl
    unrealized = quantity x mark - basis

At the fill's own price, wallet + unrealized is then the same before and after, but for the commission, whatever the
venue rounded: the remainder stays in the basis. Hence, for every mark price,

    equity = transfers + realized - commission + funding + unrealized
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, localcontext
from typing import assert_never

from patriot.accounts.events import ChargeBooked, FundingPaid, TradeBooked, TradeOrigin, TransferRecorded
from patriot.kernel.money import EXACT, ZERO
from patriot.orders.events import OrderFilled
from patriot.trading.terms import StrategyId

DUST = Decimal(
    "0.000000005"
)  # half of the venue's 1e-8: all that its one rounding can leave in the basis of a flat one

MoneyEvent = OrderFilled | TransferRecorded | FundingPaid | TradeBooked | ChargeBooked


@dataclass(frozen=True, slots=True)
class Holding:
    """One symbol of one account since its first fill. Units: base asset, quote asset; `quantity` negative is short.

    `strategy_id` is that of the newest fill: the owner while the position is open.
    """

    quantity: Decimal = ZERO
    cost_basis: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    commission: Decimal = ZERO
    funding: Decimal = ZERO
    strategy_id: StrategyId | None = None


def unrealized(quantity: Decimal, cost_basis: Decimal, mark_price: Decimal) -> Decimal:
    """Return the profit that closing at the mark would realize, before commission; not rounded.

    >>> unrealized(Decimal("-0.5"), Decimal("-20000"), Decimal("39000"))
    Decimal('500.0')
    """
    with localcontext(EXACT):
        return quantity * mark_price - cost_basis


def after_fill(holding: Holding, fill: OrderFilled | TradeBooked, quote_asset: str) -> Holding:
    """Return the holding after an execution. A commission in another asset is that asset's, not this position's.

    The venue knows one position of a symbol, whoever trades it; so does this.
    """
    with localcontext(EXACT):
        signed = fill.quantity * fill.side.sign
        quantity = holding.quantity + signed
        basis = holding.cost_basis + signed * fill.price + fill.realized_pnl
        if not quantity and abs(basis) <= DUST:
            basis = ZERO  # the venue forgets it with the position
        commission = fill.commission if fill.commission_asset == quote_asset else ZERO
        return Holding(
            quantity,
            basis,
            holding.realized_pnl + fill.realized_pnl,
            holding.commission + commission,
            holding.funding,
            fill.strategy_id if isinstance(fill, OrderFilled) else holding.strategy_id,
        )


def after_funding(holding: Holding, payment: FundingPaid, quote_asset: str) -> Holding:
    """Return the holding after a funding payment; one in another asset is that asset's."""
    amount = payment.amount if payment.asset == quote_asset else ZERO
    with localcontext(EXACT):
        return replace(holding, funding=holding.funding + amount)


@dataclass(frozen=True, slots=True)
class Balance:
    """What moved the wallet of one asset. Commission, with other charges and rebates, is positive when paid."""

    transfers: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    commission: Decimal = ZERO
    funding: Decimal = ZERO

    @property
    def wallet(self) -> Decimal:
        """Return the wallet that the events give."""
        with localcontext(EXACT):
            return self.transfers + self.realized_pnl - self.commission + self.funding

    def plus(self, other: "Balance") -> "Balance":
        """Return the sum of both."""
        with localcontext(EXACT):
            return Balance(
                self.transfers + other.transfers,
                self.realized_pnl + other.realized_pnl,
                self.commission + other.commission,
                self.funding + other.funding,
            )


@dataclass(slots=True)
class AccountBook:
    """An in-memory fold of one account's money: wallets by asset and holdings by symbol.

    The log repeats nothing, so each event counts as it comes.
    """

    quote_asset: str
    balances: dict[str, Balance] = field(default_factory=dict)
    holdings: dict[str, Holding] = field(default_factory=dict)

    def apply(self, event: MoneyEvent) -> None:
        """Take in what moved this account's money."""
        match event:
            case TradeBooked(origin=TradeOrigin.PATRIOT):
                pass  # it came as a fill
            case OrderFilled() | TradeBooked():
                held = self.holdings.get(event.symbol, Holding())
                self.holdings[event.symbol] = after_fill(held, event, self.quote_asset)
                self._book(self.quote_asset, Balance(realized_pnl=event.realized_pnl))
                if event.commission or event.commission_asset:
                    self._book(event.commission_asset, Balance(commission=event.commission))
            case FundingPaid():
                held = self.holdings.get(event.symbol, Holding())
                self.holdings[event.symbol] = after_funding(held, event, self.quote_asset)
                self._book(event.asset, Balance(funding=event.amount))
            case ChargeBooked():
                self._book(event.asset, Balance(commission=-event.amount))
            case TransferRecorded():
                self._book(event.asset, Balance(transfers=event.amount))
            case _:
                assert_never(event)

    @property
    def balance(self) -> Balance:
        """Return what moved the wallet of the quote asset."""
        return self.balances.get(self.quote_asset, Balance())

    @property
    def wallet(self) -> Decimal:
        """Return the wallet balance in the quote asset."""
        return self.balance.wallet

    def unrealized(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Return the unrealized profit of every open position.

        Errors: KeyError for an open position without a mark price.
        """
        with localcontext(EXACT):
            return sum(
                (
                    unrealized(held.quantity, held.cost_basis, marks[symbol] if held.quantity else ZERO)
                    for symbol, held in self.holdings.items()
                ),
                ZERO,
            )

    def equity(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Return wallet plus unrealized, exactly."""
        with localcontext(EXACT):
            return self.wallet + self.unrealized(marks)

    def _book(self, asset: str, change: Balance) -> None:
        self.balances[asset] = self.balances.get(asset, Balance()).plus(change)
