"""Wishes about people."""

from dataclasses import dataclass
from datetime import datetime

from patriot.trading.terms import UserId
from patriot.users.events import RiskProfile, Role, UserStatus


@dataclass(frozen=True, slots=True)
class RegisterUser:
    """`verified` people are active at once, others wait for their verification."""

    user_id: UserId
    role: Role
    risk_profile: RiskProfile
    at: datetime
    verified: bool = True


@dataclass(frozen=True, slots=True)
class ChangeRole:
    user_id: UserId
    role: Role
    approved_by: tuple[UserId, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class ChangeUserStatus:
    user_id: UserId
    status: UserStatus
    reason_code: str
    at: datetime


UserCommand = RegisterUser | ChangeRole | ChangeUserStatus
