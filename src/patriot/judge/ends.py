"""What must be true when a run has come to rest: nothing is half over, on either side. One function per invariant.

They need no exchange that can be seen: an account that nobody showed is judged by its fills in the log alone.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from patriot.judge.case import Case, Verdict, verdict
from patriot.judge.exchange_books import VenueAccount
from patriot.judge.routing import Handled, everything, signals_reached_followers
from patriot.kernel.eventstore import Place
from patriot.kernel.feed import LogFeed
from patriot.kernel.money import ZERO
from patriot.orders.events import OrderCreated
from patriot.trading.terms import AccountId, Leg, OrderId

RESTING = frozenset({"NEW", "PARTIALLY_FILLED", "TRIGGERING", "TRIGGERED"})  # what an order that is not over says
PROTECTIVE = frozenset({Leg.STOP, Leg.TARGET})


@dataclass(frozen=True, slots=True)
class BracketBooks:
    """One bracket as the exchange has it, or as the log has it where the exchange was not shown. Units: base asset."""

    entry: OrderCreated
    entered: Decimal  # unsigned
    held: Decimal  # signed as the position
    resting: tuple[OrderCreated, ...]  # its orders that are not over on the exchange


def brackets(case: Case) -> list[BracketBooks]:
    """Return the books of every bracket whose entry was approved."""
    entered, held = _executed(case)
    resting: dict[OrderId, list[OrderCreated]] = defaultdict(list)
    for created, status in _ours(case):
        if status in RESTING:
            resting[created.group_id].append(created)
    elsewhere = case.log.closed_elsewhere
    return [
        BracketBooks(created, entered[one], _less(held[one], elsewhere.get(one, ZERO)), tuple(resting[one]))
        for one, created in case.log.intents.items()
        if created.leg is Leg.ENTRY and one in case.log.approved
    ]


def reservations_equal_open_brackets(case: Case) -> list[str]:
    """Return brackets that are over and still reserve exposure, and open ones that reserve none."""
    problems = []
    for bracket in brackets(case):
        name, one = bracket.entry.client_order_id, bracket.entry.order_id
        if (bracket.held or bracket.entry in bracket.resting) and one not in case.log.reserved:
            problems.append(f"{name}: open, and no exposure is reserved for it")
        elif one in case.log.reserved and one in case.log.ended and not bracket.held and not bracket.resting:
            problems.append(f"{name}: over, and its exposure was never released")
    return problems


def closings_are_recorded_once(case: Case) -> list[str]:
    """Return brackets that were filled and are flat without exactly one `position.closed`."""
    problems = []
    for bracket in brackets(case):
        name, times = bracket.entry.client_order_id, case.log.closed[bracket.entry.order_id]
        if times > 1:
            problems.append(f"{name}: recorded as closed {times} times")
        elif not times and bracket.entered and not bracket.held and not bracket.resting:
            problems.append(f"{name}: filled and flat, and never recorded as closed")
        elif times and not bracket.entered:
            problems.append(f"{name}: recorded as closed, and never filled")
    return problems


def protection_belongs_to_open_brackets(case: Case) -> list[str]:
    """Return stops and targets of ours that rest on the exchange for a bracket that holds nothing."""
    problems = []
    for bracket in brackets(case):
        if not bracket.held:
            left = [order for order in bracket.resting if order.leg in PROTECTIVE]
            problems += [f"{order.client_order_id}: rests on the exchange, and its bracket is flat" for order in left]
    return problems


def positions_are_the_exchanges(case: Case) -> list[str]:
    """Return accounts whose positions are not what the log holds and what others did that is not in the books yet."""
    problems = []
    for account_id, account in case.venue.items():
        logged = case.log.accounts[account_id]
        held = {symbol: holding.quantity for symbol, holding in logged.book.holdings.items()}
        explained = defaultdict(Decimal, held)
        for trade in account.trades:
            if not account.is_ours(trade) and (trade.symbol, trade.trade_id) not in logged.booked:
                explained[trade.symbol] += trade.signed_quantity
        if {symbol: quantity for symbol, quantity in explained.items() if quantity} != account.positions:
            found = {symbol: quantity for symbol, quantity in held.items() if quantity}
            problems.append(f"account {account_id}: the log holds {found}, the exchange {account.positions}")
    return problems


def checkpoints_are_within_the_log(feed: LogFeed, checkpoints: Mapping[str, Place], newest: Place) -> list[str]:
    """Return consumers that claim to have handled what the log does not hold. Their rows and deeds are judged apart."""
    return [
        f"{name} claims to have come to {place}, the log ends at {newest or 'its start'}"
        for name, place in checkpoints.items()
        if not feed.reached(newest, place)
    ]


def came_to_rest(case: Case, handled: Handled = everything) -> Verdict:
    """All of them together: every bracket is open on both sides or over on both, every signal answered."""
    problems = [
        *signals_reached_followers(case, handled),
        *reservations_equal_open_brackets(case),
        *closings_are_recorded_once(case),
        *protection_belongs_to_open_brackets(case),
    ]
    return verdict(len(brackets(case)) + len(case.log.routed), problems)


def held_on_exchange(case: Case) -> dict[OrderId, Decimal]:
    """Return what the exchange's own executions left of each bracket's position. Units: base asset, signed."""
    held: dict[OrderId, Decimal] = defaultdict(Decimal)
    for group_id, _, signed in _by_exchange(case):
        held[group_id] += signed
    return held


def _executed(case: Case) -> tuple[dict[OrderId, Decimal], dict[OrderId, Decimal]]:
    """Return what entries bought or sold, and what is left of it, by bracket."""
    entered: dict[OrderId, Decimal] = defaultdict(Decimal)
    held: dict[OrderId, Decimal] = defaultdict(Decimal)
    for group_id, leg, signed in [*_by_exchange(case), *_by_log(case)]:
        held[group_id] += signed
        if leg is Leg.ENTRY:
            entered[group_id] += abs(signed)
    return entered, held


def _by_exchange(case: Case) -> Iterator[tuple[OrderId, Leg, Decimal]]:
    by_client_id = {(c.account_id, c.client_order_id): c for c in case.log.intents.values()}
    for account_id, account in case.venue.items():
        for trade in account.trades:
            created = by_client_id.get((account_id, account.order_client_ids.get(trade.order_id, "")))
            if created is not None:
                yield created.group_id, created.leg, trade.signed_quantity


def _by_log(case: Case) -> Iterator[tuple[OrderId, Leg, Decimal]]:
    for account_id, account in case.log.accounts.items():
        if account_id not in case.venue:
            for fill in account.fills.values():
                yield fill.group_id, fill.leg, fill.quantity * fill.side.sign


def _ours(case: Case) -> Iterator[tuple[OrderCreated, str]]:
    """Yield every order of ours on the exchange, and what the exchange says of it."""
    by_client_id: dict[tuple[AccountId, str], OrderCreated] = {
        (c.account_id, c.client_order_id): c for c in case.log.intents.values()
    }
    account: VenueAccount
    for account_id, account in case.venue.items():
        for order in account.orders:
            created = by_client_id.get((account_id, order.client_order_id))
            if created is not None:
                yield created, order.status


def _less(held: Decimal, elsewhere: Decimal) -> Decimal:
    """Return what is left of a position after somebody else closed a part of it."""
    left = max(abs(held) - elsewhere, ZERO)
    return left.copy_sign(held) if left else ZERO
