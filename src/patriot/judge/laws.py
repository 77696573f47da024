"""One function per law: the exchange's own records against the log, each counted by itself. Pure.

A law that was not put to the test is not kept: every verdict says how much it checked.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, localcontext
from itertools import pairwise

from patriot.execution.events import PositionProtected
from patriot.judge.case import Case, Verdict, verdict
from patriot.judge.ends import came_to_rest, held_on_exchange, positions_are_the_exchanges
from patriot.judge.exchange_books import VenueOrderRecord
from patriot.judge.naked_spans import NakedSpan, less_closed, naked_spans
from patriot.kernel.money import EXACT, ZERO
from patriot.orders.client_ids import parse_client_order_id
from patriot.orders.events import OrderCreated
from patriot.trading.terms import AccountId, Leg, OrderId, Side

PROTECTION_LIMIT_SECONDS = Decimal(2)
MAX_TRIES = 4  # a try ends with an unknown outcome; the next begins when the exchange is found not to have the order
MAX_SUBMISSIONS_OF_A_TRY = 6  # one, and one after each pause when the exchange did nothing: `DeskPatience.retry`
CLOCK_ALLOWANCE = timedelta(seconds=1)  # an exchange takes a request stamped so far ahead of its own clock
ALLOWED_PERMISSIONS = frozenset({"read", "trade"})
NO_SERVER: Mapping[str, str] = {}  # a log in memory syncs nothing


@dataclass(frozen=True, slots=True)
class OrderCount:
    """Orders on the exchange, counted per intent."""

    on_exchange: int
    sent_intents: int
    duplicates: int
    problems: tuple[str, ...]


def count_orders(case: Case) -> OrderCount:
    """Match every order on the exchange with one intent of the log, and the other way round."""
    by_client_id = {(c.account_id, c.client_order_id): c for c in case.log.intents.values()}
    per_intent: Counter[OrderId] = Counter()
    per_entry: Counter[tuple[object, AccountId]] = Counter()
    problems: list[str] = []
    on_exchange = 0
    for account_id, account in case.venue.items():
        for order in account.orders:
            if parse_client_order_id(order.client_order_id) is None:
                continue  # not ours: law 4 looks at those
            on_exchange += 1
            intent = by_client_id.get((account_id, order.client_order_id))
            if intent is None:
                problems.append(f"{order.client_order_id}: on the exchange without an intent")
                continue
            per_intent[intent.order_id] += 1
            if intent.leg is Leg.ENTRY:
                per_entry[intent.signal_id or intent.order_id, account_id] += 1
    sent = {one: created for one, created in case.log.sent().items() if created.account_id in case.venue}
    problems += [f"{sent[i].client_order_id}: sent, and not on the exchange" for i in sent if i not in per_intent]
    duplicates = sum(n - 1 for n in per_intent.values()) + sum(n - 1 for n in per_entry.values())
    same = sum(n - 1 for i, n in per_intent.items() if case.log.intents[i].leg is Leg.ENTRY)
    duplicates -= same  # an entry placed twice under one id is one duplicate, not two
    problems += [
        f"{case.log.intents[i].client_order_id}: {n} orders of one intent" for i, n in per_intent.items() if n > 1
    ]
    problems += [f"signal {s} on account {a}: {n} entries" for (s, a), n in per_entry.items() if n > 1]
    return OrderCount(on_exchange, len(sent), duplicates, tuple(problems))


def at_most_once(count: OrderCount) -> Verdict:
    """Law 1: one intent, at most one order on the exchange."""
    problems = list(count.problems)
    if count.on_exchange != count.sent_intents:
        problems.append(f"{count.on_exchange} orders on the exchange, {count.sent_intents} intents sent")
    return verdict(count.on_exchange, problems)


def max_unprotected_seconds(case: Case) -> Decimal:
    """Return the longest time that a position had no stop: as recorded, by exchange time and by the wire's clock.

    What was excused of it does not count.
    """
    return max((span.seconds for span in _all_naked_spans(case)), default=ZERO)


def max_excused_seconds(case: Case) -> Decimal:
    """Return the most that was excused of one time without a stop, since the exchange took nothing."""
    return max((span.excused_seconds for span in _all_naked_spans(case)), default=ZERO)


def _all_naked_spans(case: Case) -> list[NakedSpan]:
    recorded = [_recorded(case, event) for event in case.log.protected.values()]
    return recorded + [span for account in case.venue.values() for span in naked_spans(account)]


def _recorded(case: Case, event: PositionProtected) -> NakedSpan:
    """Return what the platform measured: until it knew of the stop, which may be after the stop rested."""
    account, seconds = case.venue.get(event.account_id), event.unprotected_seconds
    if account is None:
        return NakedSpan(seconds)
    known_at = event.first_filled_at + timedelta(seconds=float(seconds))
    return less_closed(seconds, account, event.first_filled_at, max(event.protected_at, known_at))


def _excuse(span: NakedSpan) -> str:
    """Return in words how much of a span is not counted."""
    return f", not counting {span.excused_seconds} s in which it took nothing" if span.excused_seconds else ""


def never_naked(case: Case) -> Verdict:
    """Law 2: a stop rests within two seconds of the first fill, and as long as the position stands.

    A position whose protection failed must have been closed. Besides the platform's own figure, every span is measured
    from the exchange's records, by its own time and by the monotonic clock of a simulator since its last start. What
    lies in a time in which the exchange had told the account to ask for nothing does not count.
    """
    entries = [c for c in case.log.intents.values() if c.leg is Leg.ENTRY]
    held, still_held = _held_in_log(case), held_on_exchange(case)
    problems = []
    for created in entries:
        if created.order_id not in held:
            continue
        protected = case.log.protected.get(created.order_id)
        failed = created.order_id in case.log.protection_failed
        left = held[created.order_id] or still_held[created.order_id]
        if failed and left and created.order_id not in case.log.closed:
            problems.append(f"{created.client_order_id}: protection failed and never closed")
        elif protected is None and not failed:
            problems.append(f"{created.client_order_id}: filled and never protected")
        elif protected is not None and (span := _recorded(case, protected)).seconds > PROTECTION_LIMIT_SECONDS:
            problems.append(f"{created.client_order_id}: unprotected for {span.seconds} s{_excuse(span)}")
    for account_id, account in case.venue.items():
        problems += [
            f"account {account_id}: no stop for {span.seconds} s on the exchange{_excuse(span)}"
            for span in naked_spans(account)
            if span.seconds > PROTECTION_LIMIT_SECONDS
        ]
    return verdict(len(held), problems)


def _held_in_log(case: Case) -> dict[OrderId, Decimal]:
    """Return what the fills of each bracket left of its position; a bracket without fills is not there."""
    held: dict[OrderId, Decimal] = defaultdict(Decimal)
    for account in case.log.accounts.values():
        for fill in account.fills.values():
            held[fill.group_id] += fill.quantity if fill.side is Side.BUY else -fill.quantity
    return held


def unknown_is_a_state(case: Case) -> Verdict:
    """Law 3: what the exchange did not answer stays open until it is known, and is not sent again on a guess.

    Checked: nothing recorded as rejected is on the exchange; nothing is left unknown; nothing is sent again once it is
    known to exist; what was sent more than once is on the exchange once at most; and no order is sent again more often
    than the platform's patience allows. That absence was asked for in between is not in the log, and not checked.
    """
    problems = _sent_again(case)
    taken = {
        (account_id, order.client_order_id)
        for account_id, account in case.venue.items()
        for order in account.orders
        if order.status != "REJECTED"  # by the exchange itself, at its trigger
    }
    for order_id, rejected in case.log.rejected.items():
        if (rejected.account_id, case.log.name(order_id)) in taken:
            problems.append(f"{case.log.name(order_id)}: recorded as rejected, and on the exchange")
    problems += [f"{case.log.name(one)}: left unknown" for one in sorted(case.log.left_unknown)]
    return verdict(len(case.log.submissions), problems)


def _sent_again(case: Case) -> list[str]:
    on_exchange = Counter(order.client_order_id for account in case.venue.values() for order in account.orders)
    problems = []
    for order_id, submissions in case.log.submissions.items():
        name = case.log.name(order_id)
        if order_id in case.log.sent_when_known:
            problems.append(f"{name}: sent again when it was known to exist")
        if len(submissions) > 1 and on_exchange[name] > 1:
            problems.append(f"{name}: sent {len(submissions)} times, and more than once on the exchange")
        ends = [0, *case.log.unknowns.get(order_id, []), len(submissions)]
        tries = [after - before for before, after in pairwise(ends) if after > before]
        if len(tries) > MAX_TRIES or max(tries, default=0) > MAX_SUBMISSIONS_OF_A_TRY:
            problems.append(f"{name}: sent {len(submissions)} times in {len(tries)} tries")
    return problems


def exchange_owns_facts(case: Case) -> Verdict:
    """Law 4: every execution of the exchange is in the log exactly once, as the exchange has it, and no other is."""
    checked, problems = 0, []
    for account_id, account in case.venue.items():
        logged = dict(case.log.accounts[account_id].fills)
        for trade in account.trades:
            checked += 1
            fill = logged.pop(trade.trade_id, None)
            if fill is None:
                ours = parse_client_order_id(account.order_client_ids.get(trade.order_id, "")) is not None
                problems += [f"trade {trade.trade_id}: on the exchange, not in the log"] if ours else []
                continue
            said = (trade.quantity, trade.price, trade.commission, trade.realized_pnl, trade.side)
            if said != (fill.quantity, fill.price, fill.commission, fill.realized_pnl, fill.side):
                problems.append(f"trade {trade.trade_id}: the log has other figures than the exchange")
        problems += [f"trade {trade_id}: in the log, not on the exchange" for trade_id in logged]
        repeated = case.log.accounts[account_id].repeated_fills
        problems += [f"trade {trade_id}: in the log more than once" for trade_id in repeated]
    problems += positions_are_the_exchanges(case)
    problems += [
        f"exchange account {account.uid}: it holds orders of ours, and no account of the log claims it"
        for account in case.unclaimed
    ]
    problems += [f"account {one}: it sent orders, and the exchange does not show it" for one in _lost_accounts(case)]
    return verdict(checked, problems)


def _lost_accounts(case: Case) -> list[AccountId]:
    sent = {created.account_id for created in case.log.sent().values()}
    return [account_id for account_id in case.unreachable if case.shown and account_id in sent]


def unexplained(case: Case) -> dict[AccountId, Decimal]:
    """Return, per account with books, the equity that the exchange reports minus the equity that the events give."""
    rest = {}
    for account_id, account in case.venue.items():
        logged = case.log.accounts[account_id]
        if logged.opened or logged.fills:
            with localcontext(EXACT):
                rest[account_id] = account.equity - logged.book.equity(case.marks)
    return rest


def money_adds_up(case: Case) -> Verdict:
    """Law 8: exactly nothing is unexplained."""
    rest = unexplained(case)
    return verdict(len(rest), [f"account {a}: {amount} is unexplained" for a, amount in rest.items() if amount])


def commands_were_durable(case: Case, settings: Mapping[str, str] = NO_SERVER) -> Verdict:
    """Law 11: whatever is on the exchange was in the log before, and the server syncs what it commits.

    Checked: every order of ours is approved in the log; an entry was submitted, and first submitted not later than the
    exchange has it; the server's settings. Two clocks are compared, so an exchange's own allowance is granted.
    """
    problems = [f"PostgreSQL runs with {name} = {value}" for name, value in settings.items() if value != "on"]
    lost = [order_id for order_id in case.log.submissions if order_id not in case.log.intents]
    problems += [f"order {order_id}: submitted, and its creation is not in the log" for order_id in lost]
    on_exchange: list[tuple[OrderCreated, VenueOrderRecord]] = []
    by_client_id = {(c.account_id, c.client_order_id): c for c in case.log.intents.values()}
    for account_id, account in case.venue.items():
        found = [(by_client_id.get((account_id, order.client_order_id)), order) for order in account.orders]
        on_exchange += [(created, order) for created, order in found if created is not None]
    for created, order in on_exchange:
        if created.order_id not in case.log.approved:
            problems.append(f"{created.client_order_id}: on the exchange without an approval in the log")
        submissions = case.log.submissions.get(created.order_id, [])
        if created.leg is Leg.ENTRY and not submissions:
            problems.append(f"{created.client_order_id}: on the exchange without a submission in the log")
        elif created.leg is Leg.ENTRY and submissions[0].submitted_at > order.created_at + CLOCK_ALLOWANCE:
            problems.append(f"{created.client_order_id}: on the exchange before its first submission")
    return verdict(len(on_exchange), problems)


def rights_beyond_trading(case: Case) -> list[str]:
    """Return the accounts that trade with keys that may do what no client's key may: a part of law 6."""
    return [
        f"account {account_id}: its key may {', '.join(sorted(account.permissions - ALLOWED_PERMISSIONS))}"
        for account_id, account in case.venue.items()
        if account.permissions - ALLOWED_PERMISSIONS and account_id not in case.log.suspended
    ]


LAWS: Mapping[str, Callable[[Case], Verdict]] = {
    "1": lambda case: at_most_once(count_orders(case)),
    "2": never_naked,
    "3": unknown_is_a_state,
    "4": exchange_owns_facts,
    "8": money_adds_up,
    "11": commands_were_durable,
    "end": came_to_rest,
}
