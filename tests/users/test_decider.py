"""Users: registered once, closed for good, no role given to oneself."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.kernel.errors import CommandRefused
from patriot.trading.terms import UserId
from patriot.users.commands import ChangeRole, ChangeUserStatus, RegisterUser, UserCommand
from patriot.users.decider import USER
from patriot.users.events import (
    RiskProfile,
    Role,
    UserEvent,
    UserRegistered,
    UserRoleChanged,
    UserStatus,
    UserStatusChanged,
)

pytestmark = pytest.mark.unit

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
ANN, BEN, CAY = (UserId(UUID(int=number)) for number in (1, 2, 3))
REGISTER = RegisterUser(ANN, Role.USER, RiskProfile.LOW, NOON)
REGISTERED = UserRegistered(ANN, Role.USER, RiskProfile.LOW, UserStatus.ACTIVE, NOON)
CLOSED = UserStatusChanged(ANN, UserStatus.ACTIVE, UserStatus.CLOSED, "ASKED", NOON)


def decided(events: list[UserEvent], command: UserCommand) -> list[UserEvent]:
    return USER.decide(USER.fold(events), command)


def refused(events: list[UserEvent], command: UserCommand, reason: str) -> None:
    with pytest.raises(CommandRefused, match=reason):
        decided(events, command)


def test_registration_is_recorded_once() -> None:
    assert decided([], REGISTER) == [REGISTERED]
    assert decided([REGISTERED], REGISTER) == []


def test_registration_that_differs_from_the_first_is_refused() -> None:
    refused([REGISTERED], replace(REGISTER, role=Role.ADMIN), "registered already")


def test_unverified_user_waits_for_verification() -> None:
    (event,) = decided([], replace(REGISTER, verified=False))
    assert isinstance(event, UserRegistered)
    assert event.status is UserStatus.PENDING_VERIFICATION


def test_nobody_starts_as_super_admin() -> None:
    refused([], replace(REGISTER, role=Role.SUPER_ADMIN), "two approvals")


def test_role_needs_the_approval_of_somebody_else() -> None:
    refused([REGISTERED], ChangeRole(ANN, Role.ADMIN, (), NOON), "1 approvals, found 0")
    refused([REGISTERED], ChangeRole(ANN, Role.ADMIN, (ANN,), NOON), "of their own")
    assert decided([REGISTERED], ChangeRole(ANN, Role.ADMIN, (BEN,), NOON)) == [
        UserRoleChanged(ANN, Role.USER, Role.ADMIN, (BEN,), NOON)
    ]


def test_super_admin_needs_two_different_people() -> None:
    refused([REGISTERED], ChangeRole(ANN, Role.SUPER_ADMIN, (BEN, BEN), NOON), "2 approvals, found 1")
    assert len(decided([REGISTERED], ChangeRole(ANN, Role.SUPER_ADMIN, (BEN, CAY), NOON))) == 1


def test_command_for_nobody_is_refused() -> None:
    refused([], ChangeUserStatus(ANN, UserStatus.ACTIVE, "X", NOON), "not registered")


def test_suspended_user_comes_back() -> None:
    suspended = decided([REGISTERED], ChangeUserStatus(ANN, UserStatus.SUSPENDED, "UNPAID", NOON))
    back = decided([REGISTERED, *suspended], ChangeUserStatus(ANN, UserStatus.ACTIVE, "PAID", NOON))
    assert back == [UserStatusChanged(ANN, UserStatus.SUSPENDED, UserStatus.ACTIVE, "PAID", NOON)]


@given(st.sampled_from([status for status in UserStatus if status is not UserStatus.CLOSED]))
def test_closed_is_final(status: UserStatus) -> None:
    refused([REGISTERED, CLOSED], ChangeUserStatus(ANN, status, "X", NOON), "CLOSED does not become")
    refused([REGISTERED, CLOSED], ChangeRole(ANN, Role.ADMIN, (BEN,), NOON), "CLOSED")
    assert decided([REGISTERED, CLOSED], ChangeUserStatus(ANN, UserStatus.CLOSED, "X", NOON)) == []
