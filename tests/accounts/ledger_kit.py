"""An account's books as tests open them: venues that change or forget, and a ledger over them."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from patriot.accounts import streams
from patriot.accounts.effects import AccountLedger
from patriot.accounts.events import (
    EquitySampled,
    ledger_stream,
)
from patriot.accounts.other_trades import OtherTrades
from patriot.accounts.ports import TradeVenue
from patriot.adapters.exchanges.binance.orders import BinanceOrders
from patriot.kernel.bus import CommandBus, decode_all
from patriot.kernel.clock import FakeClock
from patriot.kernel.errors import ExchangeRefused, StoreUnavailable
from patriot.kernel.eventstore import Appended
from patriot.kernel.ids import Ids
from patriot.kernel.memory import MemoryEventStore
from patriot.trading.reports import (
    AccountSnapshot,
    IncomeRecord,
    IncomeType,
    OrderSender,
    PositionReport,
    TradeReport,
)
from patriot.trading.terms import Side, Urgency
from tests.accounts.facts import NOON, ONE, OWNER
from tests.adapters.exchanges.binance.venue_kit import (
    Connection,
)

EIGHT_HOURS = 8 * 60


async def worth(amount: Decimal, asset: str, in_asset: str, at: datetime) -> Decimal:
    """Ten of the quote asset for one of any other."""
    return amount if asset == in_asset else 10 * amount


def others_on(venue: TradeVenue, fills_known: Callable[[], Awaitable[bool]] | None = None) -> OtherTrades:
    async def yes() -> bool:
        return True

    async def is_ours(client_id: str) -> bool:
        return client_id.startswith("ours")

    return OtherTrades(ONE, OWNER, venue, worth, is_ours, fills_known or yes)


class NoTrades:
    """An account on which nobody trades."""

    async def trades(self, symbol: str, since: datetime, *, urgency: Urgency = Urgency.NORMAL) -> list[TradeReport]:
        return []

    async def sender_of(
        self, symbol: str, venue_order_id: str, *, urgency: Urgency = Urgency.NORMAL
    ) -> OrderSender | None:
        return None

    async def fired_orders(self, symbol: str, *, urgency: Urgency = Urgency.NORMAL) -> dict[str, str]:
        return {}


class ForgetfulOrders:
    """The order side of an account, which does not tell what some orders became or who sent them."""

    def __init__(self, orders: BinanceOrders) -> None:
        self.lags = False
        self.refuses: str | None = None  # the symbol of which nothing is told
        self._orders = orders

    async def trades(self, symbol: str, since: datetime, *, urgency: Urgency = Urgency.NORMAL) -> list[TradeReport]:
        if symbol == self.refuses:
            raise ExchangeRefused(-1121, "Invalid symbol.")
        return await self._orders.trades(symbol, since, urgency=urgency)

    async def sender_of(
        self, symbol: str, venue_order_id: str, *, urgency: Urgency = Urgency.NORMAL
    ) -> OrderSender | None:
        return None if self.lags else await self._orders.sender_of(symbol, venue_order_id)

    async def fired_orders(self, symbol: str, *, urgency: Urgency = Urgency.NORMAL) -> dict[str, str]:
        return {} if self.lags else await self._orders.fired_orders(symbol)


class Books:
    """One account's ledger over an in-memory log, and what it wrote."""

    def __init__(self, exchange: Connection, store: MemoryEventStore | None = None) -> None:
        self.store = store or MemoryEventStore(exchange.clock)
        self._bus = CommandBus(self.store, exchange.clock, Ids(exchange.clock))
        streams.register(self._bus)
        self.fills_known = True
        self.orders = ForgetfulOrders(exchange.venue.orders)
        venue, others = exchange.venue, others_on(self.orders, self._fills_known)
        self.ledger = AccountLedger(ONE, OWNER, venue.account, self._bus, exchange.clock, self.store, others, worth)

    async def _fills_known(self) -> bool:
        return self.fills_known

    async def events(self, kind: type) -> list[object]:
        history = decode_all(await self.store.read_stream(ledger_stream(ONE)))
        return [event for event in history if isinstance(event, kind)]

    async def amounts(self, kind: type) -> list[Decimal]:
        return [event.amount for event in await self.events(kind)]  # type: ignore[attr-defined]


async def deposit(exchange: Connection, amount: str) -> None:
    answer = await exchange.sim.control("POST", "/transfers", {"uid": exchange.trader.uid, "amount": amount})
    assert answer.status == 200


class RestlessVenue:
    """An account that somebody else trades on: its wallet changes while we read."""

    def __init__(self, changes: int) -> None:
        self._changes = changes
        self._income: list[IncomeRecord] = []
        self.urgencies: set[Urgency] = set()

    def _move(self) -> None:
        if self._changes:
            self._changes -= 1
            number = len(self._income)
            record = IncomeRecord(f"T:{number}", IncomeType.TRANSFER, "TRANSFER", "", "USDT", Decimal(10), NOON)
            self._income.append(record)

    async def income(self, since: datetime, *, urgency: Urgency = Urgency.NORMAL) -> list[IncomeRecord]:
        self.urgencies.add(urgency)
        return list(self._income)

    async def snapshot(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSnapshot:
        self._move()
        wallet = Decimal(10 * len(self._income))
        return AccountSnapshot("USDT", wallet, wallet, Decimal(0), (), NOON)


class DepositedVenue(RestlessVenue):
    """An account at rest with one deposit; counts how often its wallet is read, at a time of its own."""

    def __init__(self) -> None:
        super().__init__(0)
        self._income = [IncomeRecord("T:0", IncomeType.TRANSFER, "TRANSFER", "", "USDT", Decimal(10), NOON)]
        self.read = 0
        self.at = NOON
        self.held: tuple[PositionReport, ...] = ()

    async def snapshot(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSnapshot:
        self.read += 1
        unrealized = sum((row.unrealized_pnl for row in self.held), Decimal(0))
        return replace(await super().snapshot(), at=self.at, positions=self.held, unrealized_pnl=unrealized)


class OneTrade(NoTrades):
    """An account with one execution of an order that the exchange knows no more."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self.income = IncomeRecord("C:1", IncomeType.COMMISSION, "COMMISSION", "B", "USDT", Decimal(-1), at, "1")

    async def trades(self, symbol: str, since: datetime, *, urgency: Urgency = Urgency.NORMAL) -> list[TradeReport]:
        one = Decimal(1)
        trade = TradeReport("1", "7", "", "B", Side.BUY, one, one, one, "USDT", Decimal(0), False, self.at)
        return [trade] if since <= self.at else []


class ForgetfulStore(MemoryEventStore):
    """Commits, and loses the answer as often as it is told to."""

    answers_to_lose = 0

    async def append(self, *arguments: Any, **named: Any) -> Appended:
        appended = await super().append(*arguments, **named)
        if self.answers_to_lose:
            self.answers_to_lose -= 1
            raise StoreUnavailable("the answer was lost")
        return appended


def ledger_over(
    venue: RestlessVenue, store: MemoryEventStore, clock: FakeClock, others: OtherTrades | None = None
) -> AccountLedger:
    bus = CommandBus(store, clock, Ids(clock))
    streams.register(bus)
    others = others or others_on(NoTrades())
    return AccountLedger(ONE, OWNER, venue, bus, clock, store, others, worth)  # type: ignore[arg-type]


async def kinds_in(store: MemoryEventStore, kind: type) -> int:
    history = decode_all(await store.read_stream(ledger_stream(ONE)))
    return sum(isinstance(event, kind) for event in history)


async def samples_in(store: MemoryEventStore) -> list[EquitySampled]:
    history = decode_all(await store.read_stream(ledger_stream(ONE)))
    return [event for event in history if isinstance(event, EquitySampled)]
