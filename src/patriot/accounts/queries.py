"""Accounts as views. What a client asks carries the owner as a predicate."""

from dataclasses import dataclass
from datetime import datetime

from patriot.accounts.events import AccountStatus, CredentialProblem, PositionMode
from patriot.kernel.sql import Row, Sql
from patriot.trading.terms import AccountId, Environment, Exchange, UserId

_ACCOUNTS = """
    SELECT account_id, user_id, exchange, environment, position_mode, quote_asset, status, reason_code, linked_at
    FROM read.accounts
"""
_OLDEST_FIRST = "ORDER BY linked_at, account_id"
_REFUSALS = "SELECT account_id, user_id, reason_code, rejected_at FROM read.rejected_credentials"


@dataclass(frozen=True, slots=True)
class AccountView:
    account_id: AccountId
    user_id: UserId
    exchange: Exchange
    environment: Environment
    position_mode: PositionMode
    quote_asset: str
    status: AccountStatus
    reason_code: str | None  # of the last change of status
    linked_at: datetime


@dataclass(frozen=True, slots=True)
class RefusedKeyView:
    account_id: AccountId
    user_id: UserId
    reason_code: CredentialProblem
    rejected_at: datetime


async def accounts_of_user(sql: Sql, user_id: UserId) -> list[AccountView]:
    """Return one user's accounts, unlinked ones too, the oldest first."""
    rows = await sql.fetch(f"{_ACCOUNTS} WHERE user_id = $1 {_OLDEST_FIRST}", user_id)
    return [_account(row) for row in rows]


async def find_account(sql: Sql, user_id: UserId, account_id: AccountId) -> AccountView | None:
    """Return one account of this user, or None: somebody else's account does not exist for them."""
    rows = await sql.fetch(f"{_ACCOUNTS} WHERE user_id = $1 AND account_id = $2", user_id, account_id)
    return _account(rows[0]) if rows else None


async def accounts(sql: Sql, status: AccountStatus | None = None) -> list[AccountView]:
    """Return every account, or those in one state, the oldest first; for the operator and the services."""
    if status is None:
        rows = await sql.fetch(f"{_ACCOUNTS} {_OLDEST_FIRST}")
    else:
        rows = await sql.fetch(f"{_ACCOUNTS} WHERE status = $1 {_OLDEST_FIRST}", status)
    return [_account(row) for row in rows]


async def refused_keys(sql: Sql, user_id: UserId | None = None) -> list[RefusedKeyView]:
    """Return the keys that were refused, of one user or of all, the oldest first."""
    if user_id is None:
        rows = await sql.fetch(f"{_REFUSALS} ORDER BY rejected_at, account_id")
    else:
        rows = await sql.fetch(f"{_REFUSALS} WHERE user_id = $1 ORDER BY rejected_at, account_id", user_id)
    return [
        RefusedKeyView(
            AccountId(row["account_id"]),
            UserId(row["user_id"]),
            CredentialProblem(row["reason_code"]),
            row["rejected_at"],
        )
        for row in rows
    ]


def _account(row: Row) -> AccountView:
    return AccountView(
        account_id=AccountId(row["account_id"]),
        user_id=UserId(row["user_id"]),
        exchange=Exchange(row["exchange"]),
        environment=Environment(row["environment"]),
        position_mode=PositionMode(row["position_mode"]),
        quote_asset=row["quote_asset"],
        status=AccountStatus(row["status"]),
        reason_code=row["reason_code"],
        linked_at=row["linked_at"],
    )
