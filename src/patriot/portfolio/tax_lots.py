"""Tax lots, first in, first out: what was bought when, disposed when, and the gain, row by row. Pure, exact.

A row is the part of one opening fill that one closing fill disposed of. The fee of a fill is divided over its parts by
quantity, each rounded half to even to 18 decimals and the last one the rest, so nothing is lost. Funding is income of
its own and in no row. Units: base asset, quote per base, quote; a fee in another asset is converted by the caller.
Source: first in, first out by lots, as 26 CFR 1.1012-1(j)(3) orders units of digital assets. No tax advice.
"""

import csv
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from io import StringIO

from patriot.kernel.money import EXACT, ZERO, plain
from patriot.portfolio.trades import shares, total
from patriot.trading.terms import Side

COLUMNS = ("acquired", "disposed", "symbol", "position_side", "quantity", "proceeds", "cost", "fee", "gain")


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution, as far as lots need it. A rebate is a negative fee."""

    at: datetime
    trade_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal


@dataclass(frozen=True, slots=True)
class OpenLot:
    """What is left of an opening fill, with its part of the fee."""

    acquired: datetime
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal


@dataclass(frozen=True, slots=True)
class TaxLot:
    """One disposal. A short is acquired when it is sold and disposed when it is bought back."""

    acquired: datetime
    disposed: datetime
    symbol: str
    side: Side  # that opened it
    quantity: Decimal
    proceeds: Decimal  # of what was sold
    cost: Decimal  # of what was bought
    fee: Decimal  # of both
    gain: Decimal  # proceeds - cost - fee


@dataclass(frozen=True, slots=True)
class TaxLots:
    """The disposals of some fills, oldest first, and what is still held."""

    disposed: tuple[TaxLot, ...]
    held: tuple[OpenLot, ...]


def tax_lots(fills: Iterable[Fill]) -> TaxLots:
    """Match the fills of one account first in, first out, symbol by symbol.

    Shapes: from the account's first fill, in any order; those of one moment count by trade id, as a number.
    A fill that turns a position around closes all of it and opens the rest.
    """
    books: dict[str, deque[OpenLot]] = {}
    disposed: list[TaxLot] = []
    for fill in sorted(fills, key=lambda fill: (fill.at, fill.symbol, len(fill.trade_id), fill.trade_id)):
        book = books.setdefault(fill.symbol, deque())
        disposed += _match(book, fill)
    return TaxLots(tuple(disposed), tuple(lot for symbol in sorted(books) for lot in books[symbol]))


def _match(book: deque[OpenLot], fill: Fill) -> list[TaxLot]:
    """Dispose of the oldest lots that a fill closes; what closes nothing becomes the newest lot."""
    lots: list[TaxLot] = []
    left, fee = fill.quantity, fill.fee
    while left and book and book[0].side is fill.side.opposite:
        oldest = book.popleft()
        quantity = min(left, oldest.quantity)
        of_opening, opening_rest = _part(oldest.fee, quantity, oldest.quantity)
        of_closing, fee = _part(fee, quantity, left)
        lots.append(_disposal(oldest, fill, quantity, total((of_opening, of_closing))))
        left = total((left, -quantity))
        rest = total((oldest.quantity, -quantity))
        if rest:
            book.appendleft(OpenLot(oldest.acquired, oldest.symbol, oldest.side, rest, oldest.price, opening_rest))
    if left:
        book.append(OpenLot(fill.at, fill.symbol, fill.side, left, fill.price, fee))
    return lots


def _part(fee: Decimal, quantity: Decimal, whole: Decimal) -> tuple[Decimal, Decimal]:
    """Return the part of a fee that falls on some of a quantity, and the rest of it."""
    rest = total((whole, -quantity))
    part, others = shares(fee, [quantity, rest]) if rest else (fee, ZERO)
    return part, others


def _disposal(opened: OpenLot, fill: Fill, quantity: Decimal, fee: Decimal) -> TaxLot:
    with localcontext(EXACT):
        opening, closing = quantity * opened.price, quantity * fill.price
        proceeds, cost = (closing, opening) if opened.side is Side.BUY else (opening, closing)
        gain = proceeds - cost - fee
    return TaxLot(opened.acquired, fill.at, fill.symbol, opened.side, quantity, proceeds, cost, fee, gain)


def tax_lots_csv(lots: Sequence[TaxLot]) -> str:
    """Return disposals as CSV text: a header, one line each, plain decimals, UTC moments."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for lot in lots:
        amounts = (lot.quantity, lot.proceeds, lot.cost, lot.fee, lot.gain)
        side = "LONG" if lot.side is Side.BUY else "SHORT"
        moments = (_moment(lot.acquired), _moment(lot.disposed))
        writer.writerow([*moments, lot.symbol, side, *(plain(amount.normalize(EXACT)) for amount in amounts)])
    return text.getvalue()


def _moment(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
