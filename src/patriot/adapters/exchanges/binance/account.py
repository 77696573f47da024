"""One account's balances, income, settings and rights. Implements `accounts/ports.py AccountVenue` and `KeyProbe`."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime

from patriot.accounts.ports import ApiKey
from patriot.adapters.exchanges.binance.account_wire import (
    AccountReader,
    read_account_settings,
    read_alias,
    read_permissions,
    read_symbol_settings,
)
from patriot.adapters.exchanges.binance.answers import MARGIN_TYPE_UNCHANGED
from patriot.adapters.exchanges.binance.private_stream import PrivateStream
from patriot.adapters.exchanges.binance.session import BinanceSession, Parameters, Request, ignore_answer
from patriot.adapters.exchanges.binance.wire import Unknowns
from patriot.kernel.clock import to_epoch_ms
from patriot.kernel.errors import ExchangeRefused, ExchangeUnavailable
from patriot.trading.reports import (
    AccountSettings,
    AccountSnapshot,
    IncomeRecord,
    KeyPermissions,
    PrivateReport,
    SymbolSettings,
)
from patriot.trading.terms import Urgency

PAGE = 1_000
INCOME_WEIGHT = 30
ACCOUNT_WEIGHT = 5

_RIGHTS = Request("GET", "/sapi/v1/account/apiRestrictions", {})


class BinanceAccount:
    """The money side of one account."""

    def __init__(self, session: BinanceSession, stream: PrivateStream, unknown_seen: Unknowns) -> None:
        self.unknown_seen = unknown_seen
        self.stream = stream
        self._session = session
        self._reader = AccountReader(unknown_seen)

    async def snapshot(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSnapshot:
        """Return balances and positions of this moment."""
        request = Request("GET", "/fapi/v2/account", {}, weight=ACCOUNT_WEIGHT, urgency=urgency)
        return await self._session.call(request, lambda body: self._reader.snapshot(body, self._session.time.now()))

    async def income(self, since: datetime, *, urgency: Urgency = Urgency.NORMAL) -> list[IncomeRecord]:
        """Return the wallet's changes from a time on, ascending, all pages."""
        start, found = self._session.time.reading_from(since), dict[str, IncomeRecord]()
        while True:
            parameters = {"startTime": start, "limit": PAGE}
            request = Request("GET", "/fapi/v1/income", parameters, weight=INCOME_WEIGHT, urgency=urgency)
            page = await self._session.call(request, self._reader.income)
            before = len(found)
            found |= {record.record_id: record for record in page}
            if len(page) < PAGE:
                return sorted(found.values(), key=lambda record: (record.at, record.record_id))
            if len(found) == before:
                raise ExchangeUnavailable(f"income: more than {PAGE} records of one instant")
            start = max(to_epoch_ms(record.at) for record in page)  # again from the last instant: it may go on

    async def permissions(self) -> KeyPermissions:
        """Return what the account's key may do now."""
        return await self._session.call(_RIGHTS, read_permissions)

    async def identity(self) -> str:
        """Return the account's alias: the one thing that tells a key which may only trade whose account it is of.

        Source: "unique account code" of /fapi/v2/balance,
        https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api/Futures-Account-Balance-V2
        (read 2026-11-28).
        """
        return await self._session.call(Request("GET", "/fapi/v2/balance", {}, weight=ACCOUNT_WEIGHT), read_alias)

    async def account_settings(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSettings:
        """Return the modes of the account: one request, where asking for each mode costs twelve times as much."""
        request = Request("GET", "/fapi/v1/accountConfig", {}, weight=ACCOUNT_WEIGHT, urgency=urgency)
        return await self._session.call(request, read_account_settings)

    async def symbol_settings(self, symbol: str, *, urgency: Urgency = Urgency.NORMAL) -> SymbolSettings:
        """Return leverage and margin type of a symbol."""
        request = Request("GET", "/fapi/v1/symbolConfig", {"symbol": symbol}, weight=ACCOUNT_WEIGHT, urgency=urgency)
        return await self._session.call(request, lambda body: read_symbol_settings(body, symbol))

    async def prepare_symbol(self, symbol: str, leverage: int) -> None:
        """Set leverage and isolated margin for a symbol, where they differ."""
        settings = await self.symbol_settings(symbol)
        if not settings.isolated:
            await self._set_isolated(symbol)
        if settings.leverage != leverage:
            parameters: Parameters = {"symbol": symbol, "leverage": leverage}
            await self._session.call(Request("POST", "/fapi/v1/leverage", parameters), ignore_answer)

    def reports(self) -> AsyncIterator[PrivateReport]:
        """Yield private reports for ever, reconnecting; StreamResumed comes first and after each gap."""
        return self.stream.reports()

    def silent_seconds(self) -> float:
        """Return for how long the private stream has brought nothing, open or not."""
        return self.stream.silent_seconds

    def reopen_stream(self, reason: str) -> None:
        """Open the private stream again with a new listen key; StreamResumed follows."""
        self.stream.reopen(reason)

    async def _set_isolated(self, symbol: str) -> None:
        parameters = {"symbol": symbol, "marginType": "ISOLATED"}
        try:
            await self._session.call(Request("POST", "/fapi/v1/marginType", parameters), ignore_answer)
        except ExchangeRefused as refusal:
            if refusal.code != MARGIN_TYPE_UNCHANGED:
                raise


class BinanceKeyProbe:
    """Ask what a key may do before it is kept."""

    def __init__(self, session_for: Callable[[ApiKey], BinanceSession]) -> None:
        self._session_for = session_for

    async def permissions(self, key: ApiKey, *, urgency: Urgency = Urgency.NORMAL) -> KeyPermissions:
        """Return the rights of a key. Errors: ExchangeRefused if the exchange does not know it."""
        return await self._session_for(key).call(replace(_RIGHTS, urgency=urgency), read_permissions)
