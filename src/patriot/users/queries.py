"""Users as views."""

from dataclasses import dataclass
from datetime import datetime

from patriot.kernel.sql import Row, Sql
from patriot.trading.terms import UserId
from patriot.users.events import RiskProfile, Role, UserStatus

_COLUMNS = "user_id, role, risk_profile, status, registered_at"


@dataclass(frozen=True, slots=True)
class UserView:
    user_id: UserId
    role: Role
    risk_profile: RiskProfile
    status: UserStatus
    registered_at: datetime


async def find_user(sql: Sql, user_id: UserId) -> UserView | None:
    """Return one user, or None."""
    rows = await sql.fetch(f"SELECT {_COLUMNS} FROM read.users WHERE user_id = $1", user_id)  # noqa: S608 - constants
    return _view(rows[0]) if rows else None


async def users(sql: Sql) -> list[UserView]:
    """Return every user, the oldest first; for the operator."""
    rows = await sql.fetch(f"SELECT {_COLUMNS} FROM read.users ORDER BY registered_at, user_id")  # noqa: S608
    return [_view(row) for row in rows]


def _view(row: Row) -> UserView:
    return UserView(
        user_id=UserId(row["user_id"]),
        role=Role(row["role"]),
        risk_profile=RiskProfile(row["risk_profile"]),
        status=UserStatus(row["status"]),
        registered_at=row["registered_at"],
    )
