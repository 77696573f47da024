"""What PATRIOT's trading brought one account, from the account's own books alone. Pure and exact.

    result = sum over its executions of (-signed quantity x price - commission) + funding and charges
             + the position that is left x its mark price

Whose an execution is decides what it moves. An order of PATRIOT moves PATRIOT's position; what it takes out of one that
the client holds the other way closes that, at the execution's price: the exchange holds one position. Of any other
order, the client's or the exchange's, what reduces the client's own position is the client's, what then reduces
PATRIOT's position counts here, and what opens or enlarges a position is the client's own again. Money that moves in or
out is in none of it. Commission on PATRIOT's orders counts here; what belongs to both (other commission, funding, a
charge) is divided by size, rounded once to 18 decimals.
Source: docs/adr/0018-trading-result.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, localcontext

from patriot.accounts.events import (
    ChargeBooked,
    EquitySampled,
    FundingPaid,
    LedgerEvent,
    SampleReason,
    TradeBooked,
    TradeOrigin,
)
from patriot.kernel.money import EXACT, ZERO, divide


@dataclass(slots=True)
class Stake:
    """One symbol, in base asset, signed: what PATRIOT holds of it, and what the client holds by hand."""

    ours: Decimal = ZERO
    theirs: Decimal = ZERO
    last_ours: Decimal = ZERO  # while anything was held last, unsigned
    last_whole: Decimal = ZERO

    def take_ours(self, signed: Decimal) -> Decimal:
        """Take in an execution of an order of PATRIOT; return how much of it moved PATRIOT's position."""
        of_theirs = _reducing(self.theirs, self.ours + signed)
        self.ours += signed - of_theirs
        self.theirs += of_theirs
        self._remember()
        return signed - of_theirs

    def take_other(self, signed: Decimal) -> Decimal:
        """Take in an execution of any other order; return how much of it moved PATRIOT's position."""
        of_theirs = _reducing(self.theirs, signed)
        of_ours = _reducing(self.ours, signed - of_theirs)
        self.ours += of_ours
        self.theirs += signed - of_ours
        self._remember()
        return of_ours

    def find(self, whole: Decimal) -> None:
        """Take in what was held in all when the account was linked: what is not PATRIOT's is the client's."""
        self.theirs = whole - self.ours
        self._remember()

    def part_of(self, amount: Decimal) -> Decimal:
        """Return PATRIOT's part of what was booked on the position that is held, or was held last."""
        return part(amount, self.last_ours, self.last_whole)

    def _remember(self) -> None:
        whole = abs(self.ours) + abs(self.theirs)
        if whole:
            self.last_ours, self.last_whole = abs(self.ours), whole


def part(amount: Decimal, of: Decimal, whole: Decimal) -> Decimal:
    """Return a part of an amount, exact where it is all or nothing, else rounded once.

    >>> part(Decimal("-0.30"), Decimal(1), Decimal(3))
    Decimal('-0.100000000000000000')
    """
    if not of or not whole:
        return ZERO
    return amount if of == whole else divide(amount * of, whole)


def _reducing(held: Decimal, signed: Decimal) -> Decimal:
    """Return the part of a signed quantity that brings a position nearer to zero."""
    if held * signed >= ZERO:
        return ZERO
    return signed if abs(signed) <= abs(held) else -held


@dataclass(slots=True)
class ResultBook:
    """The fold: what PATRIOT's trading brought in and took out so far, and what is held. Units: quote asset."""

    asset: str
    cash: Decimal = ZERO
    stakes: dict[str, Stake] = field(default_factory=dict)
    commission: Decimal = ZERO  # paid on PATRIOT's executions
    all_commission: Decimal = ZERO  # and on everybody's

    def apply(self, event: LedgerEvent) -> None:
        """Take in what happened next, by the exchange's time."""
        with localcontext(EXACT):
            match event:
                case TradeBooked():
                    self._trade(event)
                case FundingPaid() if event.asset == self.asset:
                    self.cash += self._stake(event.symbol).part_of(event.amount)
                case ChargeBooked() if event.symbol:
                    self.cash += self._stake(event.symbol).part_of(event.value)
                case ChargeBooked():
                    self.cash += part(event.value, self.commission, self.all_commission)
                case EquitySampled() if event.reason is SampleReason.LINKED:
                    for position in event.positions:
                        self._stake(position.symbol).find(position.quantity)
                case _:
                    pass  # money that moves in or out, and what the exchange says the account is worth

    def held(self) -> dict[str, Decimal]:
        """Return PATRIOT's open positions by symbol, in base asset, signed."""
        return {symbol: stake.ours for symbol, stake in self.stakes.items() if stake.ours}

    def result(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Return the trading result so far. Errors: KeyError for a position without a mark price."""
        with localcontext(EXACT):
            return self.cash + sum((quantity * marks[symbol] for symbol, quantity in self.held().items()), ZERO)

    def _stake(self, symbol: str) -> Stake:
        return self.stakes.setdefault(symbol, Stake())

    def _trade(self, trade: TradeBooked) -> None:
        signed = trade.quantity * trade.side.sign
        if trade.origin is TradeOrigin.PATRIOT:
            moved, commission = self._stake(trade.symbol).take_ours(signed), trade.commission_value
        else:
            moved = self._stake(trade.symbol).take_other(signed)
            commission = part(trade.commission_value, abs(moved), abs(signed))
        self.cash -= moved * trade.price + commission
        self.commission += commission
        self.all_commission += trade.commission_value


def happened_at(event: LedgerEvent) -> datetime | None:
    """Return when an event moved the trading result, by the exchange's time; None if it did not."""
    match event:
        case TradeBooked():
            return event.traded_at
        case FundingPaid():
            return event.funding_time
        case ChargeBooked():
            return event.booked_at
        case EquitySampled() if event.reason is SampleReason.LINKED:
            return event.sampled_at
        case _:
            return None
