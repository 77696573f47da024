import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from patriot.kernel.bus import CommandBus, decode_all
from patriot.kernel.clock import FakeClock
from patriot.kernel.eventstore import START, Context
from patriot.kernel.ids import Ids, derived_id
from patriot.kernel.memory import MemoryEventStore
from patriot.risk.commands import AccountRisk, HaltTrading, ReleaseExposure, ReserveExposure, ResumeTrading
from patriot.risk.decider import RISK
from patriot.risk.events import HaltLevel, Scope, TradingHalted, risk_stream
from patriot.risk.limits import GLOBAL_DEFAULTS, set_limit
from patriot.risk.streams import register
from patriot.trading.terms import AccountId, OrderId

pytestmark = pytest.mark.unit

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
ACCOUNT = AccountId(UUID(int=1))
CONTEXT = Context(correlation_id=UUID(int=5))
WORTH = AccountRisk(Decimal(1000), Decimal(1000), Decimal(1000))


def two_buses() -> tuple[CommandBus, CommandBus, MemoryEventStore]:
    clock = FakeClock()
    store = MemoryEventStore(clock)
    buses = (CommandBus(store, clock, Ids(clock)), CommandBus(store, clock, Ids(clock)))
    for bus in buses:
        register(bus)
    return *buses, store


def entry(number: int) -> ReserveExposure:
    order_id = OrderId(derived_id("order", number))
    return ReserveExposure(
        ACCOUNT, order_id, None, f"S{number}USDT", Decimal(6_000), WORTH, GLOBAL_DEFAULTS, None, NOON
    )


async def test_entries_that_race_through_two_processes_cannot_both_pass() -> None:
    first, second, store = two_buses()
    await asyncio.gather(*(bus.dispatch(entry(n), CONTEXT) for n, bus in enumerate((first, second) * 4)))
    state = RISK.fold(decode_all(await store.read_stream(risk_stream(ACCOUNT))))
    assert state.exposure == 6_000
    assert len(state.settled) == 7


async def test_release_after_another_process_reserved_is_seen() -> None:
    first, second, _ = two_buses()
    await first.dispatch(entry(1), CONTEXT)
    released = await second.dispatch(ReleaseExposure(ACCOUNT, entry(1).order_id, NOON), CONTEXT)
    assert len(released.events) == 1
    assert (await first.dispatch(entry(2), CONTEXT)).version == 3


async def test_halts_and_limits_reach_their_own_streams() -> None:
    bus, _, store = two_buses()
    raised = await bus.dispatch(HaltTrading(Scope.GLOBAL, "", HaltLevel.H1, "OPERATOR", NOON), CONTEXT)
    assert raised.events == (TradingHalted(Scope.GLOBAL, "", HaltLevel.H1, "OPERATOR", NOON),)
    lifted = await bus.dispatch(ResumeTrading(Scope.GLOBAL, "", "OPERATOR", NOON), CONTEXT)
    assert lifted.version == 2
    limited = await bus.dispatch(set_limit(Scope.GLOBAL, "", "max_leverage", Decimal(5), NOON), CONTEXT)
    assert limited.version == 1
    assert {envelope.occurred_at for envelope in (await store.feed.read(START)).events} == {NOON}
