"""Compares what the exchange holds with what the brackets of one account explain. Pure, but for what it remembers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import inf

from patriot.execution.bracket import Bracket
from patriot.kernel.money import ZERO
from patriot.orders.events import OrderCreated
from patriot.trading.reports import AccountSnapshot
from patriot.trading.terms import OrderId

CONFIRM_SECONDS = 75.0  # positions and orders are told apart by up to a minute: what differs for longer is different


@dataclass(frozen=True, slots=True)
class Difference:
    """A bracket that the exchange sees otherwise. Units: base asset, unsigned."""

    entry: OrderCreated
    expected: Decimal
    found: Decimal


class PositionCheck:
    """Remembers since when a position differs, and which positions no bracket explains."""

    def __init__(self) -> None:
        self.unexplained: dict[str, Decimal] = {}  # symbol -> signed quantity
        self._since: dict[OrderId, tuple[Decimal, float]] = {}

    def confirmed(self, differences: Iterable[Difference], now: float) -> list[Difference]:
        """Return the differences that have stood for long enough; the others are remembered."""
        found = {difference.entry.order_id: difference for difference in differences}
        self._since = {
            order_id: before
            for order_id, before in self._since.items()
            if order_id in found and found[order_id].found == before[0]
        }
        for order_id, difference in found.items():
            self._since.setdefault(order_id, (difference.found, now))
        standing = [order_id for order_id, (_, since) in self._since.items() if now - since >= CONFIRM_SECONDS]
        for order_id in standing:
            self._since[order_id] = (found[order_id].found, inf)  # told once
        return [found[order_id] for order_id in standing]

    def changed(self, unexplained: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """Take what no bracket explains now; return what is new about it, 0 for a position that is gone."""
        gone = {symbol: ZERO for symbol in self.unexplained if symbol not in unexplained}
        new = {symbol: held for symbol, held in unexplained.items() if self.unexplained.get(symbol) != held}
        self.unexplained = dict(unexplained)
        return gone | new


def differences(brackets: Iterable[Bracket], snapshot: AccountSnapshot) -> list[Difference]:
    """Return the brackets at rest whose position the exchange sees otherwise."""
    different = []
    for bracket in brackets:
        if bracket.entry is not None and bracket.at_rest:
            found = max(ZERO, snapshot.position(bracket.entry.symbol) * bracket.entry.side.sign)
            if found != max(ZERO, bracket.position):
                different.append(Difference(bracket.entry, bracket.position, found))
    return different


def unexplained(brackets: Iterable[Bracket], snapshot: AccountSnapshot) -> dict[str, Decimal]:
    """Return the signed position of each symbol on which no bracket holds, enters or leaves anything."""
    explained = {bracket.entry.symbol for bracket in brackets if bracket.entry is not None}
    return {position.symbol: position.quantity for position in snapshot.positions if position.symbol not in explained}
