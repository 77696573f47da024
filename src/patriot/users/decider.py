"""The life of a user: registered, perhaps suspended, one day closed. Pure."""

from dataclasses import dataclass, replace
from typing import assert_never

from patriot.kernel.aggregate import Decider
from patriot.kernel.errors import CommandRefused
from patriot.users.commands import ChangeRole, ChangeUserStatus, RegisterUser, UserCommand
from patriot.users.events import (
    RiskProfile,
    Role,
    UserEvent,
    UserRegistered,
    UserRoleChanged,
    UserStatus,
    UserStatusChanged,
)

SUPER_ADMIN_APPROVALS = 2  # design: break-glass

_WAYS = {
    UserStatus.PENDING_VERIFICATION: (UserStatus.ACTIVE, UserStatus.CLOSED),
    UserStatus.ACTIVE: (UserStatus.SUSPENDED, UserStatus.CLOSED),
    UserStatus.SUSPENDED: (UserStatus.ACTIVE, UserStatus.CLOSED),
    UserStatus.CLOSED: (),
}


@dataclass(frozen=True, slots=True)
class User:
    status: UserStatus | None = None  # None: nobody
    role: Role = Role.USER
    risk_profile: RiskProfile = RiskProfile.MEDIUM


def decide(user: User, command: UserCommand) -> list[UserEvent]:
    """Return what a command does. Errors: CommandRefused."""
    match command, user.status:
        case RegisterUser() as c, None:
            return [_registered(c)]
        case RegisterUser() as c, _:
            if (c.role, c.risk_profile) == (user.role, user.risk_profile):
                return []  # the same registration again
            raise CommandRefused("this user is registered already, in another way")
        case ChangeRole() | ChangeUserStatus(), None:
            raise CommandRefused(f"{type(command).__name__} on a user who is not registered")
        case ChangeRole() as c, _:
            return _change_role(user, c)
        case ChangeUserStatus() as c, status:
            return _change_status(status, c)
        case _:
            raise TypeError(f"{type(command).__name__} is no command of users")


def _registered(c: RegisterUser) -> UserRegistered:
    if c.role is Role.SUPER_ADMIN:
        raise CommandRefused("SUPER_ADMIN is given by two approvals, not at registration")
    status = UserStatus.ACTIVE if c.verified else UserStatus.PENDING_VERIFICATION
    return UserRegistered(c.user_id, c.role, c.risk_profile, status, c.at)


def _change_role(user: User, c: ChangeRole) -> list[UserEvent]:
    if user.role is c.role:
        return []
    if user.status is UserStatus.CLOSED:
        raise CommandRefused("ChangeRole on a user who is CLOSED")
    approvers = set(c.approved_by)
    if c.user_id in approvers:
        raise CommandRefused("nobody approves a role of their own")
    needed = SUPER_ADMIN_APPROVALS if c.role is Role.SUPER_ADMIN else 1
    if len(approvers) < needed:
        raise CommandRefused(f"role {c.role} needs {needed} approvals, found {len(approvers)}")
    return [UserRoleChanged(c.user_id, user.role, c.role, c.approved_by, c.at)]


def _change_status(status: UserStatus, c: ChangeUserStatus) -> list[UserEvent]:
    if c.status is status:
        return []
    if c.status not in _WAYS[status]:
        raise CommandRefused(f"a user who is {status} does not become {c.status}")
    return [UserStatusChanged(c.user_id, status, c.status, c.reason_code, c.at)]


def evolve(user: User, event: UserEvent) -> User:
    """Return the user after an event."""
    match event:
        case UserRegistered():
            return User(event.status, event.role, event.risk_profile)
        case UserRoleChanged():
            return replace(user, role=event.new_role)
        case UserStatusChanged():
            return replace(user, status=event.new_status)
        case _:
            assert_never(event)


USER = Decider(initial=User(), decide=decide, evolve=evolve)
