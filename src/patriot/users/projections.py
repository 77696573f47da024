"""Users as rows: role, risk profile and status. No personal data."""

from typing import ClassVar, assert_never

from patriot.kernel.projection import Recorded
from patriot.kernel.sql import Sql
from patriot.users.events import UserEvent, UserRegistered, UserRoleChanged, UserStatusChanged

_REGISTER = """
    INSERT INTO read.users (user_id, role, risk_profile, status, registered_at, changed_at)
    VALUES ($1, $2, $3, $4, $5, $5)
"""
_CHANGE_ROLE = "UPDATE read.users SET role = $2, changed_at = $3 WHERE user_id = $1"
_CHANGE_STATUS = "UPDATE read.users SET status = $2, changed_at = $3 WHERE user_id = $1"


class Users:
    """`read.users`."""

    name: ClassVar[str] = "users.users"
    tables: ClassVar[tuple[str, ...]] = ("users",)
    event_types: ClassVar[frozenset[str]] = frozenset({"user.registered", "user.role_changed", "user.status_changed"})

    async def apply(self, sql: Sql, batch: list[Recorded]) -> None:
        """Write the rows of a batch."""
        for recorded in batch:
            event: UserEvent = recorded.event
            match event:
                case UserRegistered() as e:
                    await sql.execute(_REGISTER, e.user_id, e.role, e.risk_profile, e.status, e.registered_at)
                case UserRoleChanged() as e:
                    await sql.execute(_CHANGE_ROLE, e.user_id, e.new_role, e.changed_at)
                case UserStatusChanged() as e:
                    await sql.execute(_CHANGE_STATUS, e.user_id, e.new_status, e.changed_at)
                case _:
                    assert_never(event)
