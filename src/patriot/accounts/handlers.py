"""Which stream each command of this domain goes to."""

from uuid import UUID

from patriot.accounts.commands import (
    AccountCommand,
    LedgerCommand,
    LinkAccount,
    OpenLedger,
    RecordEquity,
    RecordFunding,
    RecordPermissions,
    RecordReconciliation,
    RecordTransfer,
    ReplaceCredentials,
    ResumeAccount,
    SuspendAccount,
    UnlinkAccount,
)
from patriot.accounts.decider import ACCOUNT
from patriot.accounts.events import LEDGER_STREAM_TYPE, STREAM_TYPE
from patriot.accounts.ledger import LEDGER
from patriot.kernel.bus import CommandBus, Handler
from patriot.kernel.eventstore import StreamKey
from patriot.kernel.ids import derived_id
from patriot.trading.terms import AccountId


def account_stream(account_id: AccountId) -> StreamKey:
    """Return the stream of an account's life."""
    return StreamKey(STREAM_TYPE, account_id)


def ledger_stream(account_id: AccountId) -> StreamKey:
    """Return the stream of an account's money."""
    return StreamKey(LEDGER_STREAM_TYPE, ledger_id(account_id))


def ledger_id(account_id: AccountId) -> UUID:
    """Return the id of an account's BALANCE stream."""
    return derived_id("balance", account_id)


def register(bus: CommandBus) -> None:
    """Register every command of this domain."""
    life: Handler[AccountCommand] = Handler(lambda c: account_stream(c.account_id), ACCOUNT, None, lambda c: c.at)
    for command in (LinkAccount, ReplaceCredentials, RecordPermissions, SuspendAccount, ResumeAccount, UnlinkAccount):
        bus.handle(command, life)
    money: Handler[LedgerCommand] = Handler(lambda c: ledger_stream(c.account_id), LEDGER, None, lambda c: c.at)
    for report in (OpenLedger, RecordTransfer, RecordFunding, RecordEquity, RecordReconciliation):
        bus.handle(report, money)
