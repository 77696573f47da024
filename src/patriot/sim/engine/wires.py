"""Trip wires: the prices at which an account has to be looked at, renewed when something of the account changed.

They may be too near, never too far: whoever is due to be liquidated, called for margin or triggered has been reached.
Resting orders need none, since the book itself is in the sequence of prices.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from patriot.sim.engine import conditional
from patriot.sim.engine.account import Account
from patriot.sim.engine.floor import Floor
from patriot.sim.engine.margin import bracket_of, maintenance_margin
from patriot.sim.engine.records import Position
from patriot.sim.engine.watch import NOWHERE_HIGH, NOWHERE_LOW, Reach
from patriot.sim.engine.words import ZERO

MARGIN_CALL_RATIO: Final = Decimal("0.8")  # maintenance margin / margin from which on an account is called
_ALWAYS: Final[Reach] = (NOWHERE_HIGH, NOWHERE_LOW)
_NEVER: Final[Reach] = (NOWHERE_LOW, NOWHERE_HIGH)
_CALL_FACTOR: Final = 1 / MARGIN_CALL_RATIO


def refresh(floor: Floor) -> None:
    """Renew the wires of every account of which something changed."""
    for uid in floor.stale:
        reaches: dict[str, Reach] = {}
        for symbol, reach in _reaches(floor, floor.accounts[uid]):
            before = reaches.get(symbol, _NEVER)
            reaches[symbol] = (max(before[0], reach[0]), min(before[1], reach[1]))
        for symbol in floor.standing.get(uid, ()):
            if symbol not in reaches:
                floor.markets[symbol].watch.drop(uid)
        for symbol, reach in reaches.items():
            floor.markets[symbol].watch.put(uid, reach)
        floor.standing[uid] = tuple(reaches)
    floor.stale.clear()


def standing_in(floor: Floor, symbol: str) -> list[int]:
    """Return the accounts with a position or a conditional order in a symbol, by uid."""
    if floor.stale:
        refresh(floor)
    return sorted(floor.markets[symbol].watch.reaches)


def _reaches(floor: Floor, account: Account) -> Iterator[tuple[str, Reach]]:
    for algo in account.open_algo_orders.values():
        low, high = conditional.concerned_between(algo)
        yield algo.symbol, (NOWHERE_LOW if low is None else low, NOWHERE_HIGH if high is None else high)
    for symbol, _ in account.called:
        yield symbol, _ALWAYS  # the next move may bring the recovery
    held = account.held()
    crossed = [position for position in held if not account.is_isolated(position.symbol)]
    if crossed:
        margin, needed = account.cross_margin(floor.markets)
        for position in crossed:
            yield position.symbol, _reach(floor, position, margin, needed, len(crossed))
    for position in held:
        market, ticker = floor.priced(position.symbol)
        if account.is_isolated(position.symbol):
            margin = position.isolated_wallet + position.unrealized_pnl(ticker.mark)
            needed = maintenance_margin(market.instrument, abs(position.quantity) * ticker.mark)
            yield position.symbol, _reach(floor, position, margin, needed, 1)


def _reach(floor: Floor, position: Position, margin: Decimal, needed: Decimal, rows: int) -> Reach:
    """Return how far the mark price may go before this row has eaten its share of what stands above a limit.

    The limit is the margin call. As long as none of the rows has eaten its share, whatever the others do, the margin
    stays above the limit: profits are not counted, the maintenance margin of a long position falls with the price, and
    that of a short one rises by no more than the ratio at twice the price.
    """
    room = margin - needed * _CALL_FACTOR
    if room <= ZERO:
        return _ALWAYS
    market, ticker = floor.priced(position.symbol)
    size, mark = abs(position.quantity), ticker.mark
    room /= rows
    if position.quantity > ZERO:
        return mark - room / size, NOWHERE_HIGH
    ratio = bracket_of(market.instrument, 2 * size * mark).maintenance_ratio
    return NOWHERE_LOW, min(mark + room / (size * (1 + _CALL_FACTOR * ratio)), 2 * mark)
