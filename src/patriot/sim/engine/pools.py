"""Who stands against the accounts: the house behind the seeded book, the fee pool, the insurance fund.

Money only ever moves between the accounts and these; records.Pools says the law that holds after every operation.
"""

from __future__ import annotations

from decimal import Decimal

from patriot.sim.engine.records import Pools
from patriot.sim.engine.words import ZERO


class PoolLedger:
    """Mutable; the rules of the venue write to it beside every booking of an account, inside one operation.

    bounded: the insurance fund never falls below zero, what it cannot pay is the house's to pay. Where it is not, an
    account's liquidation never depends on another's.
    """

    __slots__ = ("_bounded", "_house_cash", "_house_quantity", "fees", "insurance", "insurance_funded")

    def __init__(self, *, bounded: bool) -> None:
        self._bounded = bounded
        self.fees = ZERO
        self.insurance = ZERO
        self.insurance_funded = ZERO
        self._house_cash = ZERO
        self._house_quantity: dict[str, Decimal] = {}

    def meet(self, symbol: str, quantity: Decimal, price: Decimal) -> None:
        """Let the house take the other side of an account's fill; quantity is signed as the account's.

        Every fill of every account passes here. Two accounts that met each other pass with opposite signs at one
        price, which leaves the house as it was.
        """
        self._house_cash += quantity * price
        self._house_quantity[symbol] = self._house_quantity.get(symbol, ZERO) - quantity

    def take_fee(self, commission: Decimal) -> None:
        """Take a commission that an account paid; a negative one is a rebate."""
        self.fees += commission

    def settle(self, amount: Decimal) -> None:
        """Let the house pay what an account was paid as funding, or take what it paid (negative)."""
        self._house_cash -= amount

    def insure(self, amount: Decimal) -> None:
        """Let the insurance fund pay an account's loss, or take its liquidation fee (negative)."""
        self._let_insurance_gain(-amount)

    def absorb(self, quantity: Decimal, price: Decimal, market_price: Decimal) -> None:
        """Let the insurance fund carry what the house took over at a bankruptcy price instead of the market's.

        quantity is signed as the position that was taken over. The fund bought it at price and sold it to the house
        at market_price: its loss or gain.
        """
        gain = quantity * (market_price - price)
        self._house_cash -= gain
        self._let_insurance_gain(gain)

    def can_carry(self, loss: Decimal) -> bool:
        """Whether the insurance fund could pay a loss by itself."""
        return not self._bounded or loss <= self.insurance

    def _let_insurance_gain(self, amount: Decimal) -> None:
        self.insurance += amount
        if self._bounded and self.insurance < ZERO:
            self._house_cash += self.insurance
            self.insurance = ZERO

    def fund(self, amount: Decimal) -> None:
        """Put money from outside into the insurance fund, or take it out."""
        self.insurance += amount
        self.insurance_funded += amount

    def view(self) -> Pools:
        """Return the pools as they are."""
        quantities = {symbol: self._house_quantity[symbol] for symbol in sorted(self._house_quantity)}
        return Pools(self.fees, self.insurance, self.insurance_funded, self._house_cash, quantities)
