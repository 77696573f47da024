"""Facts of people (stream type USER). No name, address or chat id: personal data lives outside the log."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from patriot.kernel.codec import event
from patriot.kernel.eventstore import StreamKey
from patriot.trading.terms import UserId

STREAM_TYPE = "USER"


def user_stream(user_id: UserId) -> StreamKey:
    """Return the stream of a user."""
    return StreamKey(STREAM_TYPE, user_id)


class Role(StrEnum):
    USER = "USER"
    SUPPORT = "SUPPORT"
    STRATEGY_MANAGER = "STRATEGY_MANAGER"
    RISK_MANAGER = "RISK_MANAGER"
    FUND_MANAGER = "FUND_MANAGER"
    COMPLIANCE = "COMPLIANCE"
    ADMIN = "ADMIN"
    SUPER_ADMIN = "SUPER_ADMIN"  # break-glass: two approvals


class RiskProfile(StrEnum):
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


class UserStatus(StrEnum):
    PENDING_VERIFICATION = "PENDING_VERIFICATION"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    CLOSED = "CLOSED"  # final


@event("user.registered")
@dataclass(frozen=True, slots=True)
class UserRegistered:
    user_id: UserId
    role: Role
    risk_profile: RiskProfile
    status: UserStatus
    registered_at: datetime


@event("user.role_changed")
@dataclass(frozen=True, slots=True)
class UserRoleChanged:
    """`approved_by` names the people who agreed; more than one for a role that asks for it."""

    user_id: UserId
    previous_role: Role
    new_role: Role
    approved_by: tuple[UserId, ...]
    changed_at: datetime


@event("user.status_changed")
@dataclass(frozen=True, slots=True)
class UserStatusChanged:
    user_id: UserId
    previous_status: UserStatus
    new_status: UserStatus
    reason_code: str
    changed_at: datetime


UserEvent = UserRegistered | UserRoleChanged | UserStatusChanged
