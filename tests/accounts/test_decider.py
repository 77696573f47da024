"""A linked account: which keys are taken, what suspends it, when it may go."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.accounts.commands import (
    AccountCommand,
    RecordPermissions,
    ReplaceCredentials,
    ResumeAccount,
    SuspendAccount,
    UnlinkAccount,
)
from patriot.accounts.credentials import problem_of
from patriot.accounts.decider import ACCOUNT
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
from patriot.kernel.errors import CommandRefused
from patriot.trading.reports import KeyPermissions
from patriot.trading.terms import Exchange, UserId
from tests.accounts.facts import GOOD, LINK, LINKED, NOON, ONE, OWNER, TWO, WITHDRAWS

pytestmark = pytest.mark.unit

SUSPENDED = AccountStatusChanged(ONE, OWNER, AccountStatus.ACTIVE, AccountStatus.SUSPENDED, "CLIENT", NOON)
UNLINKED = AccountUnlinked(ONE, OWNER, Exchange.BINANCE, "CLIENT", NOON)
REJECTED = CredentialsRejected(ONE, OWNER, Exchange.BINANCE, CredentialProblem.WITHDRAW_ENABLED, NOON)
KEY_SUSPENDED = AccountStatusChanged(
    ONE, OWNER, AccountStatus.ACTIVE, AccountStatus.SUSPENDED, "WITHDRAW_ENABLED", NOON
)


def decided(events: list[AccountEvent], command: AccountCommand) -> list[AccountEvent]:
    return ACCOUNT.decide(ACCOUNT.fold(events), command)


def refused(events: list[AccountEvent], command: AccountCommand, reason: str) -> None:
    with pytest.raises(CommandRefused, match=reason):
        decided(events, command)


@given(st.builds(KeyPermissions, *[st.booleans()] * 5))
def test_only_a_key_that_trades_and_cannot_move_money_is_linked(permissions: KeyPermissions) -> None:
    (event,) = decided([], replace(LINK, permissions=permissions))
    good = permissions.read and permissions.trade and not permissions.withdraw and not permissions.transfer
    assert isinstance(event, AccountLinked) is good
    assert isinstance(event, CredentialsRejected) is not good


@pytest.mark.parametrize(
    ("permissions", "problem"),
    [
        (None, CredentialProblem.INVALID),
        (WITHDRAWS, CredentialProblem.WITHDRAW_ENABLED),
        (replace(GOOD, transfer=True), CredentialProblem.TRANSFER_ENABLED),
        (replace(GOOD, read=False), CredentialProblem.NO_READ_PERMISSION),
        (replace(GOOD, trade=False), CredentialProblem.NO_TRADE_PERMISSION),
        (GOOD, None),
    ],
)
def test_problem_of_a_key(permissions: KeyPermissions | None, problem: CredentialProblem | None) -> None:
    assert problem_of(permissions) is problem


def test_link_repeated_changes_nothing() -> None:
    assert decided([LINKED], LINK) == []


def test_link_of_an_account_of_somebody_else_is_refused() -> None:
    refused([replace(LINKED, user_id=UserId(ONE))], LINK, "was linked before")


def test_refused_key_may_be_followed_by_a_good_one() -> None:
    assert decided([REJECTED], LINK) == [LINKED]


def test_sixth_account_of_a_user_is_refused() -> None:
    assert decided([], replace(LINK, accounts_of_user=4)) == [LINKED]
    refused([], replace(LINK, accounts_of_user=5), "at most 5")


def test_account_in_hedge_mode_is_refused() -> None:
    refused([], replace(LINK, position_mode=PositionMode.HEDGE), "hedge mode")


def test_key_that_gains_the_right_to_withdraw_suspends_the_account_once() -> None:
    check = RecordPermissions(ONE, WITHDRAWS, NOON)
    events = decided([LINKED], check)
    assert events == [REJECTED, KEY_SUSPENDED]
    assert decided([LINKED, *events], check) == []


def test_good_key_of_an_active_account_is_no_news() -> None:
    assert decided([LINKED], RecordPermissions(ONE, GOOD, NOON)) == []


def test_account_resumes_only_with_a_good_key() -> None:
    history: list[AccountEvent] = [LINKED, REJECTED, KEY_SUSPENDED]
    refused(history, ResumeAccount(ONE, WITHDRAWS, "ASKED", NOON), "may withdraw")
    assert decided(history, ResumeAccount(ONE, GOOD, "ASKED", NOON)) == [
        AccountStatusChanged(ONE, OWNER, AccountStatus.SUSPENDED, AccountStatus.ACTIVE, "ASKED", NOON)
    ]


def test_suspension_repeated_changes_nothing() -> None:
    suspend = SuspendAccount(ONE, "CLIENT", NOON)
    assert decided([LINKED], suspend) == [SUSPENDED]
    assert decided([LINKED, SUSPENDED], suspend) == []


def test_new_key_takes_the_place_of_the_old_one_if_it_is_good() -> None:
    assert decided([LINKED], ReplaceCredentials(ONE, GOOD, 2, NOON)) == [CredentialsUpdated(ONE, OWNER, 2, NOON)]
    assert decided([LINKED], ReplaceCredentials(ONE, GOOD, 1, NOON)) == []
    replaced = CredentialsUpdated(ONE, OWNER, 2, NOON)
    assert decided([LINKED, replaced], ReplaceCredentials(ONE, GOOD, 2, NOON)) == []
    again = ReplaceCredentials(ONE, GOOD, 3, NOON)
    assert decided([LINKED, replaced], again) == [CredentialsUpdated(ONE, OWNER, 3, NOON)]
    assert decided([LINKED], ReplaceCredentials(ONE, WITHDRAWS, 2, NOON)) == [REJECTED]


@pytest.mark.parametrize(("positions", "orders"), [(1, 0), (0, 2)])
def test_account_with_anything_open_is_not_unlinked(positions: int, orders: int) -> None:
    refused([LINKED], UnlinkAccount(ONE, positions, orders, "CLIENT", NOON), f"{positions} open positions and {orders}")


def test_flat_account_is_unlinked_once_and_for_good() -> None:
    unlink = UnlinkAccount(ONE, 0, 0, "CLIENT", NOON)
    assert decided([LINKED], unlink) == [UNLINKED]
    assert decided([LINKED, UNLINKED], unlink) == []
    refused([LINKED, UNLINKED], SuspendAccount(ONE, "X", NOON), "UNLINKED")
    refused([LINKED, UNLINKED], LINK, "was linked before")


def test_account_is_linked_again_by_its_user_and_for_the_same_account_of_the_exchange() -> None:
    linked = replace(LINKED, venue_account_id=ONE)
    again = replace(LINK, venue_account_id=ONE, credential_version=2)
    back = replace(linked, credential_version=2)
    assert decided([linked, UNLINKED], again) == [back]
    assert decided([linked, UNLINKED, back], again) == []
    assert decided([linked, UNLINKED, back], UnlinkAccount(ONE, 0, 0, "CLIENT", NOON)) == [UNLINKED]
    refused([linked], again, "was linked before")
    refused([linked, UNLINKED], replace(again, venue_account_id=TWO), "was linked before")
    refused([linked, UNLINKED], replace(again, user_id=UserId(TWO)), "was linked before")


@pytest.mark.parametrize(
    "command",
    [SuspendAccount(ONE, "X", NOON), UnlinkAccount(ONE, 0, 0, "X", NOON), RecordPermissions(ONE, GOOD, NOON)],
)
def test_account_that_was_never_linked_knows_no_other_command(command: AccountCommand) -> None:
    refused([REJECTED], command, "not linked")
