"""A case: the log beside the exchange's books, each account of the one joined to its account of the other.

Whoever has an event store and the exchange's state can judge, without a database, a socket or a file:

    case = join(await read_log(feed), state)  # of the engine in memory, or from the simulator's control API
    verdicts = {name: law(case) for name, law in LAWS.items()}  # of judge/laws.py

An account of the exchange is joined to the account of the log that its orders' client ids name; `uids` joins those as
well that have no orders yet. Ask when everything is at rest: what is still on its way is a finding.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from patriot.judge.exchange_books import VenueAccount, read_venue
from patriot.judge.log_evidence import LogEvidence
from patriot.orders.client_ids import parse_client_order_id
from patriot.trading.terms import AccountId

PROBLEMS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found about one law."""

    ok: bool
    checked: int
    problems: tuple[str, ...] = ()


def verdict(checked: int, problems: Iterable[str]) -> Verdict:
    """Return a verdict: kept if something was checked and nothing was wrong."""
    found = tuple(problems)
    return Verdict(ok=checked > 0 and not found, checked=checked, problems=found[:PROBLEMS_SHOWN])


@dataclass(frozen=True, slots=True)
class Case:
    """All the evidence. `unclaimed`: accounts of the exchange with orders of ours that no account of the log claims."""

    log: LogEvidence
    venue: Mapping[AccountId, VenueAccount]
    marks: Mapping[str, Decimal]
    unclaimed: tuple[VenueAccount, ...] = field(default=())
    shown: bool = True  # whether there was an exchange to look at

    @property
    def unreachable(self) -> list[AccountId]:
        """Return the accounts of the log whose side of the exchange was not shown."""
        known = self.log.linked.keys() | {created.account_id for created in self.log.intents.values()}
        return sorted(known - self.venue.keys())


def join(log: LogEvidence, state: dict[str, Any] | None, uids: Mapping[AccountId, int] | None = None) -> Case:
    """Join evidence of the log with the exchange's state: by `uids`, the rest by the orders that an account holds.

    Without a state, `None`, there is the log alone: what needs both sides is then not put to the test.
    """
    if state is None:
        return Case(log, {}, {}, shown=False)
    accounts, marks = read_venue(state)
    venue = {account_id: accounts.pop(uid) for account_id, uid in (uids or {}).items() if uid in accounts}
    owners = {created.client_order_id: created.account_id for created in log.intents.values()}
    unclaimed: list[VenueAccount] = []
    for account in accounts.values():
        ours = [order.client_order_id for order in account.orders if parse_client_order_id(order.client_order_id)]
        owner = next((owners[client_id] for client_id in ours if client_id in owners), None)
        if owner is not None and owner not in venue:
            venue[owner] = account
        elif ours:
            unclaimed.append(account)
    return Case(log, venue, marks, tuple(unclaimed))
