"""Events of orders and money as tests need them: short to write, every field real."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from patriot.accounts.events import (
    LEDGER_STREAM_TYPE,
    AccountLinked,
    AccountStatusChanged,
    ChargeBooked,
    EquitySampled,
    FundingPaid,
    PositionMode,
    SampleReason,
    TradeBooked,
    TradeOrigin,
    TransferRecorded,
)
from patriot.execution.events import PROTECTION_STREAM_TYPE, PositionClosed, PositionProtected, SignalRouted
from patriot.kernel.codec import EVENTS, encode
from patriot.kernel.eventstore import Context, Envelope, EventStore, NewEvent, Place, StreamAppend, StreamKey
from patriot.kernel.ids import derived_id
from patriot.kernel.money import Money
from patriot.kernel.projection import Projection, Recorded
from patriot.kernel.sql import Sql
from patriot.orders.events import STREAM_TYPE as ORDER_STREAM_TYPE
from patriot.orders.events import OrderCreated, OrderFilled
from patriot.trading.terms import (
    AccountId,
    Environment,
    Exchange,
    Leg,
    OrderId,
    OrderType,
    Side,
    StrategyId,
    UserId,
)

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
ALICE, BOB = UserId(UUID(int=0xA)), UserId(UUID(int=0xB))
ALICES, BOBS = AccountId(UUID(int=0xA1)), AccountId(UUID(int=0xB1))
OWNER = {ALICES: ALICE, BOBS: BOB}
TREND, BREAKOUT = StrategyId(UUID(int=0x51)), StrategyId(UUID(int=0x52))


def group(number: int) -> OrderId:
    return OrderId(derived_id("group", number))


def order_id(number: int, leg: Leg = Leg.ENTRY, sequence: int = 1) -> OrderId:
    return group(number) if leg is Leg.ENTRY else OrderId(derived_id("leg", number, leg, sequence))


def linked(account: AccountId = ALICES, asset: str = "USDT") -> AccountLinked:
    return AccountLinked(
        account, OWNER[account], Exchange.BINANCE, Environment.SIM, PositionMode.ONE_WAY, asset, 1, NOON
    )


def created(
    number: int,
    leg: Leg = Leg.ENTRY,
    *,
    account: AccountId = ALICES,
    symbol: str = "BTCUSDT",
    side: Side = Side.BUY,
    quantity: str = "2",
    strategy: StrategyId | None = TREND,
    sequence: int = 1,
    at: datetime = NOON,
) -> OrderCreated:
    return OrderCreated(
        order_id=order_id(number, leg, sequence),
        group_id=group(number),
        leg=leg,
        sequence=sequence,
        user_id=OWNER[account],
        account_id=account,
        strategy_id=strategy,
        signal_id=None,
        exchange=Exchange.BINANCE,
        symbol=symbol,
        side=side,
        order_type=OrderType.MARKET if leg is Leg.ENTRY else OrderType.STOP_MARKET,
        quantity=Decimal(quantity),
        price=None,
        trigger_price=None if leg is Leg.ENTRY else Decimal("90.5"),
        time_in_force=None,
        reduce_only=leg is not Leg.ENTRY,
        client_order_id=f"p{number}{leg[0]}{sequence}",
        client_id_prefix=f"p{number}",
        stop_price=Decimal("90.5") if leg is Leg.ENTRY else None,
        take_profit_price=None,
        reference_price=Decimal(100),
        valid_until=None,
        created_at=at,
    )


def filled(
    number: int,
    quantity: str | Decimal,
    price: str | Decimal,
    realized: str | Decimal = "0",
    *,
    leg: Leg = Leg.ENTRY,
    account: AccountId = ALICES,
    symbol: str = "BTCUSDT",
    side: Side = Side.BUY,
    strategy: StrategyId | None = TREND,
    sequence: int = 1,
    trade: str = "t-1",
    commission: str | Decimal = "0.05",
    commission_asset: str = "USDT",
    at: datetime = NOON,
) -> OrderFilled:
    return OrderFilled(
        order_id=order_id(number, leg, sequence),
        group_id=group(number),
        leg=leg,
        user_id=OWNER[account],
        account_id=account,
        strategy_id=strategy,
        exchange=Exchange.BINANCE,
        symbol=symbol,
        side=side,
        trade_id=trade,
        venue_order_id=f"v{number}",
        quantity=Decimal(quantity),
        price=Decimal(price),
        commission=Decimal(commission),
        commission_asset=commission_asset,
        realized_pnl=Decimal(realized),
        is_maker=False,
        cumulative_quantity=Decimal(quantity),
        filled_at=at,
    )


def booked(fill: OrderFilled, origin: TradeOrigin) -> TradeBooked:
    """Return an execution like a fill, as the account's own books have it."""
    return TradeBooked(
        account_id=fill.account_id,
        user_id=fill.user_id,
        symbol=fill.symbol,
        trade_id=f"{fill.order_id}",
        origin=origin,
        side=fill.side,
        quantity=fill.quantity,
        price=fill.price,
        realized_pnl=fill.realized_pnl,
        commission=fill.commission,
        commission_asset=fill.commission_asset,
        commission_value=fill.commission,
        traded_at=fill.filled_at,
    )


def charged(amount: str | Decimal, record: str, *, account: AccountId = ALICES, at: datetime = NOON) -> ChargeBooked:
    value = Decimal(amount)
    return ChargeBooked(account, OWNER[account], record, "API_REBATE", "", "USDT", value, value, at)


def transfer(
    amount: str | Decimal,
    record: str = "in-1",
    *,
    account: AccountId = ALICES,
    asset: str = "USDT",
    at: datetime = NOON,
) -> TransferRecorded:
    return TransferRecorded(account, OWNER[account], record, asset, Decimal(amount), at)


def funding(
    amount: str | Decimal,
    record: str = "f-1",
    *,
    account: AccountId = ALICES,
    symbol: str = "BTCUSDT",
    asset: str = "USDT",
    at: datetime = NOON,
) -> FundingPaid:
    return FundingPaid(account, OWNER[account], record, symbol, asset, Decimal(amount), at)


def sampled(equity: str, *, account: AccountId = ALICES, at: datetime = NOON) -> EquitySampled:
    worth = Decimal(equity)
    return EquitySampled(account, OWNER[account], SampleReason.HOURLY, "USDT", worth, worth, (), at)


def closed(number: int, *, account: AccountId = ALICES, reason: str = "STOP") -> PositionClosed:
    return PositionClosed(
        group_id=group(number),
        user_id=OWNER[account],
        account_id=account,
        strategy_id=TREND,
        symbol="BTCUSDT",
        quantity=Decimal(2),
        entry_price=Decimal(100),
        exit_price=Decimal(110),
        realized_pnl=Decimal(20),
        commissions=(Money(Decimal("0.001"), "BNB"), Money(Decimal("0.1"), "USDT")),
        close_reason=reason,
        opened_at=NOON,
        closed_at=NOON + timedelta(hours=1),
    )


def stream_of(event: Any) -> StreamKey:
    match event:
        case PositionClosed() | PositionProtected():
            return StreamKey(PROTECTION_STREAM_TYPE, event.group_id)
        case SignalRouted():
            return StreamKey("ROUTING", event.signal_id)
        case AccountLinked() | AccountStatusChanged():
            return StreamKey("ACCOUNT", event.account_id)
        case TransferRecorded() | FundingPaid() | TradeBooked() | ChargeBooked() | EquitySampled():
            return StreamKey(LEDGER_STREAM_TYPE, derived_id("balance", event.account_id))
        case _:
            return StreamKey(ORDER_STREAM_TYPE, event.order_id)


@dataclass(slots=True)
class History:
    """Events in the order of the log, each with the version of its stream."""

    events: list[Any] = field(default_factory=list)

    def recorded(self) -> list[Recorded]:
        versions: Counter[StreamKey] = Counter()
        made = []
        for number, event in enumerate(self.events, 1):
            stream = stream_of(event)
            versions[stream] += 1
            made.append(Recorded(envelope(event, stream, versions[stream], number), event))
        return made

    async def append_to(self, store: EventStore) -> None:
        versions: Counter[StreamKey] = Counter()
        for recorded in self.recorded():
            stream, one = recorded.envelope.stream, recorded.envelope
            new = NewEvent(one.event_id, one.event_type, one.schema_version, one.occurred_at, one.data, one.context)
            await store.append([StreamAppend(stream, versions[stream], (new,))])
            versions[stream] += 1


def envelope(event: Any, stream: StreamKey, version: int, number: int) -> Envelope:
    name, schema = EVENTS.name_of(event)
    context = Context(derived_id("correlation", number))
    event_id = derived_id("event", number)
    place = Place(str(number))
    at = NOON + timedelta(seconds=number)
    data = encode(event)
    return Envelope(event_id, name, schema, stream, version, at, at, data, context, bytes(32), bytes(32), place)


async def apply(sql: Sql, projection: Projection, batches: Iterable[Sequence[Recorded]]) -> None:
    for batch in batches:
        wanted = [recorded for recorded in batch if recorded.envelope.event_type in projection.event_types]
        if wanted:
            await projection.apply(sql, wanted)


async def rows(sql: Sql, projection: Projection) -> dict[str, list[str]]:
    """Return every row of a projection's tables as text, so that not even the scale of a number may differ."""
    return {
        table: sorted(row["line"] for row in await sql.fetch(f"SELECT t::text AS line FROM read.{table} t"))
        for table in projection.tables
    }


async def empty(sql: Sql, projection: Projection) -> None:
    for table in projection.tables:
        await sql.execute(f"TRUNCATE read.{table}")
