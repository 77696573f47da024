"""The life of a linked exchange account. Pure: what the exchange said about the key arrives inside the command."""

from dataclasses import dataclass, replace
from typing import assert_never

from patriot.accounts.commands import (
    AccountCommand,
    LinkAccount,
    RecordPermissions,
    ReplaceCredentials,
    ResumeAccount,
    SuspendAccount,
    UnlinkAccount,
)
from patriot.accounts.credentials import REASONS, problem_of
from patriot.accounts.events import (
    AccountEvent,
    AccountLinked,
    AccountStatus,
    AccountStatusChanged,
    AccountUnlinked,
    CredentialProblem,
    CredentialsRejected,
    CredentialsUpdated,
    PositionMode,
)
from patriot.kernel.aggregate import Decider
from patriot.kernel.errors import CommandRefused

MAX_ACCOUNTS_PER_USER = 5  # spec: components 1.1


@dataclass(frozen=True, slots=True)
class Account:
    status: AccountStatus | None = None  # None: not linked
    linked: AccountLinked | None = None
    credential_version: int = 0
    key_problem: CredentialProblem | None = None


def decide(account: Account, command: AccountCommand) -> list[AccountEvent]:
    """Return what a command does. Errors: CommandRefused."""
    if isinstance(command, LinkAccount):
        return _link(account, command)
    if account.linked is None or account.status is None:
        raise CommandRefused(f"{type(command).__name__} on an account that is not linked")
    if account.status is AccountStatus.UNLINKED:
        if isinstance(command, UnlinkAccount):
            return []
        raise CommandRefused(f"{type(command).__name__} on an account that is {account.status}")
    match command:
        case ReplaceCredentials() as c:
            return _replace(account, account.linked, c)
        case RecordPermissions() as c:
            return _check(account, account.linked, c)
        case SuspendAccount() as c:
            return _to(account, account.linked, AccountStatus.SUSPENDED, c)
        case ResumeAccount() as c:
            problem = problem_of(c.permissions)
            if problem is not None:
                raise CommandRefused(f"the account cannot trade: {REASONS[problem]}")
            return _to(account, account.linked, AccountStatus.ACTIVE, c)
        case UnlinkAccount() as c:
            return _unlink(account.linked, c)
        case _:
            assert_never(command)


def _link(account: Account, c: LinkAccount) -> list[AccountEvent]:
    if account.linked is not None:
        same = (account.linked.user_id, account.linked.exchange, account.status, account.credential_version)
        if same == (c.user_id, c.exchange, AccountStatus.ACTIVE, c.credential_version):
            return []
        comes_back = account.status is AccountStatus.UNLINKED and account.linked.user_id == c.user_id
        if not comes_back or c.venue_account_id is None or account.linked.venue_account_id != c.venue_account_id:
            raise CommandRefused(f"account {c.account_id} was linked before")
    problem = CredentialProblem.LINKED_ELSEWHERE if c.linked_elsewhere else problem_of(c.permissions)
    if problem is not None:  # a recorded refusal: the caller turns it into an answer
        return [CredentialsRejected(c.account_id, c.user_id, c.exchange, problem, c.at)]
    if c.accounts_of_user >= MAX_ACCOUNTS_PER_USER:
        raise CommandRefused(f"a user has at most {MAX_ACCOUNTS_PER_USER} accounts, found {c.accounts_of_user}")
    if c.position_mode is PositionMode.HEDGE:
        raise CommandRefused("the account is in hedge mode: set it to one-way mode at the exchange and link it again")
    linked = AccountLinked(
        account_id=c.account_id,
        user_id=c.user_id,
        exchange=c.exchange,
        environment=c.environment,
        position_mode=c.position_mode,
        quote_asset=c.quote_asset,
        credential_version=c.credential_version,
        linked_at=c.at,
        venue_account_id=c.venue_account_id,
    )
    return [linked]


def _replace(account: Account, linked: AccountLinked, c: ReplaceCredentials) -> list[AccountEvent]:
    problem = problem_of(c.permissions)
    if problem is not None:
        return [CredentialsRejected(c.account_id, linked.user_id, linked.exchange, problem, c.at)]
    if c.credential_version == account.credential_version:
        return []
    return [CredentialsUpdated(c.account_id, linked.user_id, c.credential_version, c.at)]


def _check(account: Account, linked: AccountLinked, c: RecordPermissions) -> list[AccountEvent]:
    problem = problem_of(c.permissions)
    if problem is None:
        return []
    events: list[AccountEvent] = []
    if problem is not account.key_problem:
        events.append(CredentialsRejected(c.account_id, linked.user_id, linked.exchange, problem, c.at))
    if account.status is AccountStatus.ACTIVE:
        events.append(
            AccountStatusChanged(
                c.account_id, linked.user_id, AccountStatus.ACTIVE, AccountStatus.SUSPENDED, problem.value, c.at
            )
        )
    return events


def _to(
    account: Account, linked: AccountLinked, status: AccountStatus, c: SuspendAccount | ResumeAccount
) -> list[AccountEvent]:
    if account.status is None or account.status is status:
        return []
    return [AccountStatusChanged(c.account_id, linked.user_id, account.status, status, c.reason_code, c.at)]


def _unlink(linked: AccountLinked, c: UnlinkAccount) -> list[AccountEvent]:
    if c.open_positions or c.open_orders:
        raise CommandRefused(
            f"the account has {c.open_positions} open positions and {c.open_orders} open orders: close them first"
        )
    return [AccountUnlinked(c.account_id, linked.user_id, linked.exchange, c.reason_code, c.at)]


def evolve(account: Account, event: AccountEvent) -> Account:
    """Return the account after an event."""
    match event:
        case AccountLinked():
            return Account(AccountStatus.ACTIVE, event, event.credential_version)
        case CredentialsRejected():
            return replace(account, key_problem=event.reason_code)
        case CredentialsUpdated():
            return replace(account, credential_version=event.credential_version, key_problem=None)
        case AccountStatusChanged():
            cleared = event.new_status is AccountStatus.ACTIVE
            return replace(account, status=event.new_status, key_problem=None if cleared else account.key_problem)
        case AccountUnlinked():
            return replace(account, status=AccountStatus.UNLINKED)
        case _:
            assert_never(event)


ACCOUNT = Decider(initial=Account(), decide=decide, evolve=evolve)
