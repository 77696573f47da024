"""Binance as services see it: its public side, what a key may do, and the private side of an account."""

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Self

import aiohttp

from patriot.accounts.ports import ApiKey
from patriot.adapters.exchanges.binance.account import BinanceAccount, BinanceKeyProbe
from patriot.adapters.exchanges.binance.budget import RateBudget
from patriot.adapters.exchanges.binance.market import BinanceMarket
from patriot.adapters.exchanges.binance.orders import BinanceOrders
from patriot.adapters.exchanges.binance.private_stream import PrivateStream
from patriot.adapters.exchanges.binance.session import BinanceSession
from patriot.adapters.exchanges.binance.signing import Signer
from patriot.adapters.exchanges.binance.sockets import SILENCE_SECONDS, Backoff
from patriot.adapters.exchanges.binance.stream_wire import PrivateReader
from patriot.adapters.exchanges.binance.venue_time import VenueTime
from patriot.adapters.exchanges.binance.wire import Unknowns
from patriot.adapters.exchanges.binance.working_orders import WorkingOrders
from patriot.kernel.clock import Clock


@dataclass(frozen=True, slots=True)
class BinanceAccountSession:
    """One account's orders and money; both share what they learn about working orders."""

    orders: BinanceOrders
    account: BinanceAccount
    unknown_seen: Unknowns  # what this version did not understand
    counters: Counter[str]

    @classmethod
    def open(
        cls,
        session: BinanceSession,
        unknown_seen: Unknowns | None = None,
        *,
        backoff: Backoff | None = None,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> Self:
        """Return the two sides of an account over one signed session; nothing is sent yet."""
        unknown, working = unknown_seen if unknown_seen is not None else Unknowns(), WorkingOrders()
        reader = PrivateReader(working, unknown)
        stream = PrivateStream(session, reader, backoff or Backoff(), silence_seconds)
        return cls(
            orders=BinanceOrders(session, working, unknown),
            account=BinanceAccount(session, stream, unknown),
            unknown_seen=unknown,
            counters=session.counters,
        )


class BinanceVenue:
    """The exchange behind one egress address: budget and clock correction are shared by all accounts."""

    def __init__(
        self,
        base_url: str,
        ws_url: str,
        http: aiohttp.ClientSession,
        clock: Clock,
        budget: RateBudget,
        *,
        chance: Random | None = None,
    ) -> None:
        self._base_url = base_url
        self._ws_url = ws_url
        self._http = http
        self._clock = clock
        self._budget = budget
        self._time = VenueTime(clock)
        self._chance = chance or Random()  # of how long streams wait before they come back
        self.counters: Counter[str] = Counter()  # bans, lost streams, corrected clocks: by the name of their log line
        self.unknown_seen = Unknowns()  # of its public side and of all accounts
        self.market = BinanceMarket(self._session(None), self.unknown_seen)
        self.probe = BinanceKeyProbe(self._session)

    def session(self, key: ApiKey) -> BinanceAccountSession:
        """Return the private side of the account that a key belongs to; nothing is sent yet."""
        backoff = Backoff(chance=self._chance)
        return BinanceAccountSession.open(self._session(key), self.unknown_seen, backoff=backoff)

    def _session(self, key: ApiKey | None) -> BinanceSession:
        signer = Signer(key) if key is not None else None
        return BinanceSession(
            self._base_url,
            self._ws_url,
            self._http,
            signer,
            clock=self._clock,
            budget=self._budget,
            time=self._time,
            counters=self.counters,
        )
