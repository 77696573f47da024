"""Put the parts of one account's connection together: orders and account share what they learn about working orders."""

from dataclasses import dataclass
from typing import Self

from patriot.adapters.exchanges.binance.account import BinanceAccount
from patriot.adapters.exchanges.binance.orders import BinanceOrders
from patriot.adapters.exchanges.binance.private_stream import PrivateStream
from patriot.adapters.exchanges.binance.session import BinanceSession
from patriot.adapters.exchanges.binance.sockets import SILENCE_SECONDS, Backoff
from patriot.adapters.exchanges.binance.stream_wire import PrivateReader
from patriot.adapters.exchanges.binance.wire import Unknowns
from patriot.adapters.exchanges.binance.working_orders import WorkingOrders


@dataclass(frozen=True, slots=True)
class BinanceVenue:
    """One account on Binance: its orders, its money, and the count of what this version did not understand."""

    orders: BinanceOrders
    account: BinanceAccount
    unknown_seen: Unknowns

    @classmethod
    def open(
        cls, session: BinanceSession, *, backoff: Backoff | None = None, silence_seconds: float = SILENCE_SECONDS
    ) -> Self:
        """Return the two sides of an account over one signed session; nothing is sent yet."""
        unknown, working = Unknowns(), WorkingOrders()
        reader = PrivateReader(working, unknown)
        stream = PrivateStream(session, reader, backoff or Backoff(), silence_seconds)
        return cls(
            orders=BinanceOrders(session, working, unknown),
            account=BinanceAccount(session, stream, unknown),
            unknown_seen=unknown,
        )
