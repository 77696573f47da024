"""Which stream each command of this domain goes to, and who may hold an exchange's account as the gate of linking."""

from dataclasses import replace

from patriot.accounts.commands import (
    AccountCommand,
    ClaimVenueAccount,
    LedgerCommand,
    LinkAccount,
    OpenLedger,
    RecordCharge,
    RecordEquity,
    RecordFunding,
    RecordPermissions,
    RecordReconciliation,
    RecordTrade,
    RecordTransfer,
    ReleaseVenueAccount,
    ReplaceCredentials,
    ResumeAccount,
    SuspendAccount,
    UnlinkAccount,
)
from patriot.accounts.decider import ACCOUNT
from patriot.accounts.events import (
    VenueAccountEvent,
    VenueAccountRefused,
    account_stream,
    ledger_stream,
    venue_account_stream,
)
from patriot.accounts.ledger import LEDGER
from patriot.accounts.venue_accounts import VENUE_ACCOUNT
from patriot.kernel.bus import CommandBus, Gate, Handler
from patriot.kernel.eventstore import StreamKey


def _held_by(c: LinkAccount | UnlinkAccount) -> StreamKey:
    return venue_account_stream(c.venue_account_id or c.account_id)


def _claim(c: LinkAccount) -> ClaimVenueAccount:
    return ClaimVenueAccount(c.venue_account_id, c.account_id, c.user_id, c.at)


def _admit(c: LinkAccount, claim: list[VenueAccountEvent]) -> LinkAccount:
    return replace(c, linked_elsewhere=any(isinstance(event, VenueAccountRefused) for event in claim))


def _release(c: UnlinkAccount) -> ReleaseVenueAccount:
    return ReleaseVenueAccount(c.venue_account_id, c.account_id, c.at)


def register(bus: CommandBus) -> None:
    """Register every command of this domain."""
    life: Handler[AccountCommand] = Handler(lambda c: account_stream(c.account_id), ACCOUNT, None, lambda c: c.at)
    for command in (ReplaceCredentials, RecordPermissions, SuspendAccount, ResumeAccount):
        bus.handle(command, life)
    claim: Gate[LinkAccount] = Gate(_held_by, VENUE_ACCOUNT, _claim, _admit)
    bus.handle(LinkAccount, Handler(lambda c: account_stream(c.account_id), ACCOUNT, claim, lambda c: c.at))
    release: Gate[UnlinkAccount] = Gate(_held_by, VENUE_ACCOUNT, _release, lambda c, _: c)
    bus.handle(UnlinkAccount, Handler(lambda c: account_stream(c.account_id), ACCOUNT, release, lambda c: c.at))
    money: Handler[LedgerCommand] = Handler(lambda c: ledger_stream(c.account_id), LEDGER, None, lambda c: c.at)
    for report in (
        OpenLedger,
        RecordTransfer,
        RecordFunding,
        RecordTrade,
        RecordCharge,
        RecordEquity,
        RecordReconciliation,
    ):
        bus.handle(report, money)
