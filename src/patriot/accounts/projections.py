"""Accounts as rows: whose, where, in which state; and the keys that were refused. Never a key."""

from typing import ClassVar, assert_never

from patriot.accounts.events import (
    AccountEvent,
    AccountLinked,
    AccountStatus,
    AccountStatusChanged,
    AccountUnlinked,
    CredentialsRejected,
    CredentialsUpdated,
)
from patriot.kernel.projection import Recorded
from patriot.kernel.sql import Sql

_LINK = """
    INSERT INTO read.accounts (account_id, user_id, exchange, environment, position_mode, quote_asset, status,
        reason_code, credential_version, linked_at, changed_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, $8, $9, $9)
    ON CONFLICT (account_id) DO UPDATE SET position_mode = $5, quote_asset = $6, status = $7, reason_code = NULL,
        credential_version = $8, linked_at = $9, changed_at = $9
"""
_REJECT = """
    INSERT INTO read.rejected_credentials (account_id, version, user_id, exchange, reason_code, rejected_at)
    VALUES ($1, $2, $3, $4, $5, $6)
"""
_UPDATE_KEY = "UPDATE read.accounts SET credential_version = $2, changed_at = $3 WHERE account_id = $1"
_CHANGE = "UPDATE read.accounts SET status = $2, reason_code = $3, changed_at = $4 WHERE account_id = $1"


class Accounts:
    """`read.accounts` and `read.rejected_credentials`."""

    name: ClassVar[str] = "accounts.accounts"
    tables: ClassVar[tuple[str, ...]] = ("accounts", "rejected_credentials")
    event_types: ClassVar[frozenset[str]] = frozenset(
        {
            "account.linked",
            "account.credentials_rejected",
            "account.credentials_updated",
            "account.status_changed",
            "account.unlinked",
        }
    )

    async def apply(self, sql: Sql, batch: list[Recorded]) -> None:
        """Write the rows of a batch."""
        for recorded in batch:
            await _write(sql, recorded.event, recorded.envelope.stream_version)


async def _write(sql: Sql, event: AccountEvent, version: int) -> None:
    match event:
        case AccountLinked() as e:
            await sql.execute(
                _LINK,
                e.account_id,
                e.user_id,
                e.exchange,
                e.environment,
                e.position_mode,
                e.quote_asset,
                AccountStatus.ACTIVE,
                e.credential_version,
                e.linked_at,
            )
        case CredentialsRejected() as e:
            await sql.execute(_REJECT, e.account_id, version, e.user_id, e.exchange, e.reason_code, e.rejected_at)
        case CredentialsUpdated() as e:
            await sql.execute(_UPDATE_KEY, e.account_id, e.credential_version, e.updated_at)
        case AccountStatusChanged() as e:
            await sql.execute(_CHANGE, e.account_id, e.new_status, e.reason_code, e.changed_at)
        case AccountUnlinked() as e:
            await sql.execute(_CHANGE, e.account_id, AccountStatus.UNLINKED, e.reason_code, e.unlinked_at)
        case _:
            assert_never(event)
