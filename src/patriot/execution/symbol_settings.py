"""How an account must be set before it enters: one-way, isolated, at the leverage that was decided.

Whoever has the account can change that between two trades, so it is looked at before each entry. What differs from what
was set here before is set again where the exchange allows it, and never without a word to a person.
"""

import asyncio

from patriot.execution.ports import Alerts, SettingsVenue
from patriot.kernel.errors import CommandRefused
from patriot.trading.reports import SymbolSettings
from patriot.trading.terms import AccountId, Urgency


class SettingsKeeper:
    """Keeps the settings of one account as its entries need them."""

    def __init__(self, account_id: AccountId, venue: SettingsVenue, alerts: Alerts) -> None:
        self._account_id = account_id
        self._venue = venue
        self._alerts = alerts
        self._set_here: dict[str, SymbolSettings] = {}
        self._usable = True  # as far as is known: modes are not ours to switch
        self._one_at_a_time = asyncio.Lock()

    async def check_modes(self, urgency: Urgency = Urgency.NORMAL) -> None:
        """See that the account is in the modes that PATRIOT trades in; tell a person if not. Errors: ExchangeError."""
        modes = await self._venue.account_settings(urgency=urgency)
        usable = not modes.hedge_mode and not modes.multi_assets
        if self._usable and not usable:
            self._alerts.critical("account.modes_changed", account_id=self._account_id, modes=modes)
        self._usable = usable

    async def prepare(self, symbol: str, leverage: int) -> None:
        """Look at the account's modes, and set leverage and isolated margin for a symbol where they differ.

        Errors: ExchangeError; CommandRefused in a mode that PATRIOT does not trade in.
        """
        async with self._one_at_a_time:
            await self.check_modes()
            if not self._usable:
                raise CommandRefused("expected an account in one-way mode and single-asset mode, found another mode")
            wanted = SymbolSettings(leverage, isolated=True)
            found = await self._venue.symbol_settings(symbol)
            if found != self._set_here.get(symbol, found):
                self._alerts.critical(
                    "account.settings_changed",
                    account_id=self._account_id,
                    symbol=symbol,
                    expected=self._set_here[symbol],
                    found=found,
                )
            if found != wanted:
                await self._venue.prepare_symbol(symbol, leverage)
            self._set_here[symbol] = wanted
