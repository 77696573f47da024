"""Facts that tests of accounts share."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from patriot.accounts.commands import LinkAccount
from patriot.accounts.events import AccountLinked, PositionMode
from patriot.trading.reports import KeyPermissions
from patriot.trading.terms import AccountId, Environment, Exchange, UserId

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
OWNER, ONE, TWO = UserId(UUID(int=9)), AccountId(UUID(int=1)), AccountId(UUID(int=2))
GOOD = KeyPermissions(read=True, trade=True, withdraw=False, transfer=False, ip_restricted=False)
WITHDRAWS = replace(GOOD, withdraw=True)
LINK = LinkAccount(
    account_id=ONE,
    user_id=OWNER,
    exchange=Exchange.BINANCE,
    environment=Environment.SIM,
    permissions=GOOD,
    position_mode=PositionMode.ONE_WAY,
    quote_asset="USDT",
    credential_version=1,
    accounts_of_user=0,
    at=NOON,
)
LINKED = AccountLinked(ONE, OWNER, Exchange.BINANCE, Environment.SIM, PositionMode.ONE_WAY, "USDT", 1, NOON)
