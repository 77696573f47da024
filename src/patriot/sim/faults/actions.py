"""Faults that change the venue itself, by operations of its engine where they must survive a restart."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from patriot.kernel.errors import InvalidInput, NotFound
from patriot.kernel.money import parse_decimal
from patriot.sim.engine.operations import ChangeInstrument, FundInsurance, SetFillParts
from patriot.sim.engine.records import Instrument
from patriot.sim.engine.words import InstrumentStatus
from patriot.sim.exchange import Exchange, VenueName
from patriot.sim.faults.wishes import Action, FaultWish
from patriot.sim.keys import ApiKey
from patriot.sim.sockets import Hub
from patriot.sim.world import World

SHOCK_FACTORS = (Decimal("0.01"), Decimal(100))
Undo = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Means:
    """What actions work with."""

    world: World
    hubs: Mapping[VenueName, Hub]
    expire_listen_key: Callable[[int | None, bool], int]  # of an account or of all; with its event; how many

    def exchanges(self, wish: FaultWish) -> list[Exchange]:
        return exchanges_of(wish, self.world)

    def key(self, wish: FaultWish) -> tuple[Exchange, ApiKey]:
        """Return the key that a wish names, or the newest one of its account, and its venue."""
        for exchange in self.exchanges(wish):
            named = exchange.keys.find(wish.api_key) if wish.api_key is not None else None
            key = named if wish.uid is None else next(reversed(tuple(exchange.keys.of(wish.uid))), None)
            if key is not None:
                return exchange, key
        raise NotFound("api_key: no such key")


def exchanges_of(wish: FaultWish, world: World) -> list[Exchange]:
    """Return the venues a wish is about: the named one, or all that run and list its symbol.

    Errors: InvalidInput, NotFound when there is none.
    """
    if wish.venue is None:
        exchanges = list(world.exchanges.values())
    else:
        exchange = world.exchanges.get(wish.venue)
        if exchange is None:
            raise InvalidInput("venue", f"this simulator runs without {wish.venue}")
        exchanges = [exchange]
    if wish.symbol is None:
        return exchanges
    listing = [exchange for exchange in exchanges if wish.symbol in exchange.symbols]
    if not listing:
        raise NotFound(f"symbol: {wish.symbol[:40]} is not listed")
    return listing


def begin(means: Means, wish: FaultWish) -> Undo | None:
    """Carry out an action; return how to take it back, None for what cannot be taken back.

    Errors: InvalidInput, NotFound, VenueRefusal.
    """
    if wish.action is None:
        raise InvalidInput("action", "expected an action")
    return _ACTIONS[wish.action](means, wish)


def _disconnect(means: Means, wish: FaultWish) -> None:
    for exchange in means.exchanges(wish):
        means.hubs[exchange.name].disconnect(wish.uid, abrupt=wish.abrupt)


def _expire_listen_key(means: Means, wish: FaultWish) -> None:
    if wish.venue is VenueName.BYBIT or VenueName.BINANCE not in means.world.exchanges:
        raise InvalidInput("venue", "only binance has listen keys, and it must run")
    if means.expire_listen_key(wish.uid, wish.announced) == 0:
        raise NotFound("uid: no listen key that is alive")


def _skew_clock(means: Means, wish: FaultWish) -> Undo:
    exchanges = means.exchanges(wish)
    for exchange in exchanges:
        exchange.skew_ms = wish.skew_ms

    def undo() -> None:
        for exchange in exchanges:
            exchange.skew_ms = 0

    return undo


def _fill_in_parts(means: Means, wish: FaultWish) -> Undo:
    pairs = [(exchange, symbol) for exchange in means.exchanges(wish) for symbol in _symbols(exchange, wish)]

    def set_parts(parts: int) -> None:
        for exchange, symbol in pairs:
            exchange.apply(SetFillParts(symbol=symbol, parts=parts))

    set_parts(wish.parts)
    return lambda: set_parts(1)


def _shock(means: Means, wish: FaultWish) -> None:
    factor = parse_decimal("factor", wish.factor)
    least, most = SHOCK_FACTORS
    if not least <= factor <= most:
        raise InvalidInput("factor", f"expected {least} to {most}, found {wish.factor}")
    symbols = dict.fromkeys(symbol for exchange in means.exchanges(wish) for symbol in _symbols(exchange, wish))
    for symbol in symbols:
        means.world.shock(symbol, factor, wish.minutes)


def _halt(means: Means, wish: FaultWish) -> Undo:
    return _change(means, wish, InstrumentStatus.HALTED)


def _resume(means: Means, wish: FaultWish) -> None:
    _change(means, wish, InstrumentStatus.TRADING)


def _change(means: Means, wish: FaultWish, status: InstrumentStatus | None = None) -> Undo:
    """Change status or filters of a symbol; taking it back restores what was changed and nothing else."""
    symbol = wish.symbol or ""
    filters = {
        name: parse_decimal(name, value)
        for name in ("tick_size", "step_size", "min_quantity", "max_quantity", "min_notional")
        if (value := getattr(wish, name)) is not None
    }
    before = [(exchange, exchange.venue.instrument(symbol)) for exchange in means.exchanges(wish)]
    for exchange, _ in before:
        exchange.apply(ChangeInstrument(symbol=symbol, status=status, **filters))

    def undo() -> None:
        for exchange, instrument in before:
            old: dict[str, Decimal] = {name: getattr(instrument, name) for name in filters}
            exchange.apply(ChangeInstrument(symbol=symbol, status=_old_status(instrument, status), **old))

    return undo


def _old_status(before: Instrument, changed: InstrumentStatus | None) -> InstrumentStatus | None:
    return None if changed is None else before.status


def _revoke_key(means: Means, wish: FaultWish) -> None:
    exchange, key = means.key(wish)
    exchange.revoke(key)


def _set_permissions(means: Means, wish: FaultWish) -> Undo:
    exchange, key = means.key(wish)
    exchange.set_permissions(key, wish.permissions or ())

    def undo() -> None:
        if exchange.keys.find(key.api_key) is not None:
            exchange.set_permissions(key, key.permissions)

    return undo


def _drain_insurance(means: Means, wish: FaultWish) -> None:
    for exchange in means.exchanges(wish):
        left = exchange.venue.pools().insurance
        if left > 0:
            exchange.apply(FundInsurance(amount=-left))


def _symbols(exchange: Exchange, wish: FaultWish) -> Iterable[str]:
    return exchange.symbols if wish.symbol is None else (wish.symbol,)


_ACTIONS: Mapping[Action, Callable[[Means, FaultWish], Undo | None]] = {
    Action.DISCONNECT: _disconnect,
    Action.EXPIRE_LISTEN_KEY: _expire_listen_key,
    Action.CLOCK_SKEW: _skew_clock,
    Action.PARTIAL_FILLS: _fill_in_parts,
    Action.PRICE_SHOCK: _shock,
    Action.HALT: _halt,
    Action.RESUME: _resume,
    Action.CHANGE_INSTRUMENT: _change,
    Action.REVOKE_KEY: _revoke_key,
    Action.SET_PERMISSIONS: _set_permissions,
    Action.DRAIN_INSURANCE: _drain_insurance,
}
