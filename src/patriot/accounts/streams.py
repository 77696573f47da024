"""Which stream each command of this domain goes to."""

from patriot.accounts.commands import (
    AccountCommand,
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
    ReplaceCredentials,
    ResumeAccount,
    SuspendAccount,
    UnlinkAccount,
)
from patriot.accounts.decider import ACCOUNT
from patriot.accounts.events import account_stream, ledger_stream
from patriot.accounts.ledger import LEDGER
from patriot.kernel.bus import CommandBus, Handler


def register(bus: CommandBus) -> None:
    """Register every command of this domain."""
    life: Handler[AccountCommand] = Handler(lambda c: account_stream(c.account_id), ACCOUNT, None, lambda c: c.at)
    for command in (LinkAccount, ReplaceCredentials, RecordPermissions, SuspendAccount, ResumeAccount, UnlinkAccount):
        bus.handle(command, life)
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
