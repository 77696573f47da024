"""Who holds which account of an exchange: no two of ours trade on one, and one that comes back is found. Pure."""

from dataclasses import dataclass, field, replace
from typing import assert_never

from patriot.accounts.commands import ClaimVenueAccount, ReleaseVenueAccount, VenueAccountCommand
from patriot.accounts.events import (
    VenueAccountClaimed,
    VenueAccountEvent,
    VenueAccountRefused,
    VenueAccountReleased,
)
from patriot.kernel.aggregate import Decider
from patriot.trading.terms import AccountId, UserId


@dataclass(frozen=True, slots=True)
class VenueAccount:
    holder: AccountId | None = None
    account_of: dict[UserId, AccountId] = field(default_factory=dict)  # each user's own, whether it is linked or not


def decide(account: VenueAccount, command: VenueAccountCommand) -> list[VenueAccountEvent]:
    """Return what a wish to hold or to release does: a refusal is an event, too."""
    if command.venue_account_id is None:
        return []
    match command:
        case ClaimVenueAccount() as c if account.holder is None:
            return [VenueAccountClaimed(command.venue_account_id, c.account_id, c.user_id, c.at)]
        case ClaimVenueAccount() as c if account.holder != c.account_id:
            return [VenueAccountRefused(command.venue_account_id, c.account_id, c.user_id, c.at)]
        case ReleaseVenueAccount() as c if account.holder == c.account_id:
            return [VenueAccountReleased(command.venue_account_id, c.account_id, c.at)]
        case _:
            return []


def evolve(account: VenueAccount, event: VenueAccountEvent) -> VenueAccount:
    """Return who holds the account after an event."""
    match event:
        case VenueAccountClaimed():
            return VenueAccount(event.account_id, {**account.account_of, event.user_id: event.account_id})
        case VenueAccountReleased():
            return replace(account, holder=None)
        case VenueAccountRefused():
            return account
        case _:
            assert_never(event)


VENUE_ACCOUNT = Decider(initial=VenueAccount(), decide=decide, evolve=evolve)
