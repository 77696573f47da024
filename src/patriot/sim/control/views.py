"""What the control API shows: the whole state for a judge, and a small view for a page that asks every second."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from aiohttp import web

from patriot.kernel.errors import InvalidInput, NotFound
from patriot.sim.control.answers import json_answer, whole_number
from patriot.sim.engine import statement
from patriot.sim.engine.events import AccountUpdated, AlgoOrderUpdated, OrderUpdated, VenueEvent
from patriot.sim.engine.klines import INTERVAL_MINUTES
from patriot.sim.engine.records import AlgoOrder, Bar, Order, PositionView, Trade
from patriot.sim.engine.statement import plain
from patriot.sim.exchange import Exchange, VenueName
from patriot.sim.faults.desk import FaultDesk
from patriot.sim.world import World

MAX_BARS = 500
MAX_LEVELS = 50
FILLS_KEPT = 200  # per symbol
ACCOUNTS_SHOWN = 50  # those that something happened to last
ORDERS_SHOWN = 200

Row = dict[str, Any]


class Board:
    """What happened last on one venue: the newest fills of each symbol, and the accounts in the order of their news."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._fills: dict[str, deque[Trade]] = {}
        self._newest: dict[int, None] = dict.fromkeys(exchange.venue.uids)
        trades = (trade for uid in exchange.venue.uids for trade in exchange.venue.trades(uid))
        for trade in sorted(trades, key=lambda trade: (trade.at_ms, trade.trade_id)):
            self._add_fill(trade)
        exchange.subscribe(self._take)

    def _take(self, events: Sequence[VenueEvent]) -> None:
        for event in events:
            if isinstance(event, OrderUpdated | AccountUpdated | AlgoOrderUpdated):
                self._newest.pop(event.uid, None)
                self._newest[event.uid] = None
            if isinstance(event, OrderUpdated) and event.trade is not None:
                self._add_fill(event.trade)

    def _add_fill(self, trade: Trade) -> None:
        fills = self._fills.get(trade.symbol)
        if fills is None:
            fills = self._fills[trade.symbol] = deque(maxlen=FILLS_KEPT)
        fills.append(trade)

    def fills(self, symbol: str) -> Iterable[Trade]:
        return self._fills.get(symbol, ())

    def newest(self) -> list[int]:
        """Return the accounts to show, the newest first."""
        known = self.exchange.venue.uids
        if len(self._newest) < len(known):
            self._newest = dict.fromkeys(uid for uid in known if uid not in self._newest) | self._newest
        newest: list[int] = []
        for uid in reversed(self._newest):
            if len(newest) == ACCOUNTS_SHOWN:
                break
            newest.append(uid)
        return newest


class Views:
    """GET /view, /state and /health."""

    def __init__(self, world: World, desk: FaultDesk, *, stepped: bool) -> None:
        self._world = world
        self._desk = desk
        self._stepped = stepped
        self._boards = {name: Board(exchange) for name, exchange in world.exchanges.items()}

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/view", self._view)
        app.router.add_get("/state", self._state)

    async def _view(self, request: web.Request) -> web.Response:
        """Answer ?venue=&symbol=&interval=&bars=&levels=&uid=; each has a default."""
        board = self._board(request.query.get("venue", ""))
        venue = board.exchange.venue
        symbol = request.query.get("symbol") or board.exchange.symbols[0]
        interval = request.query.get("interval") or "1m"
        if symbol not in board.exchange.symbols:
            raise NotFound(f"symbol: {symbol[:40]} is not listed")
        if interval not in INTERVAL_MINUTES:
            raise InvalidInput("interval", f"expected one of {', '.join(INTERVAL_MINUTES)}, found {interval[:40]!r}")
        bars = _between("bars", whole_number(request, "bars", 120), MAX_BARS)
        levels = _between("levels", whole_number(request, "levels", 15), MAX_LEVELS)
        only = whole_number(request, "uid")
        if only is not None and only not in venue.uids:
            raise NotFound(f"uid: no account {only} on {board.exchange.name}")
        shown = board.newest() if only is None else [only]
        return json_answer(
            {
                "venue": board.exchange.name,
                "venues": list(self._boards),
                "symbol": symbol,
                "symbols": board.exchange.symbols,
                "intervals": list(INTERVAL_MINUTES),
                "interval": interval,
                "now_ms": board.exchange.now_ms,
                "stepped": self._stepped,
                **_market(board.exchange, symbol, levels),
                "bars": [_bar(bar) for bar in venue.klines(symbol, interval, limit=bars)],
                "fills": [_fill(trade) for trade in board.fills(symbol) if only in (None, trade.uid)],
                "accounts_in_all": len(venue.uids),
                "accounts": [self._account(board.exchange, uid) for uid in shown],
                **self._orders(board.exchange, symbol, shown),
                "faults": self._desk.listed(),
            }
        )

    def _board(self, name: str) -> Board:
        if not name:
            return next(iter(self._boards.values()))
        if name not in self._boards:
            raise NotFound(f"venue: this simulator runs without {name[:40]}")
        return self._boards[VenueName(name)]

    def _account(self, exchange: Exchange, uid: int) -> Row:
        view = exchange.venue.account(uid)
        return {
            "uid": uid,
            "wallet": plain(view.wallet),
            "equity": plain(view.equity),
            "available": plain(view.available),
            "maintenance_margin": plain(view.maintenance_margin),
            "positions": [_position(row) for row in exchange.venue.positions(uid)],
            "keys": _keys(exchange, uid),
        }

    def _orders(self, exchange: Exchange, symbol: str, uids: Iterable[int]) -> Row:
        orders: list[Row] = []
        algo_orders: list[Row] = []
        for uid in uids:
            orders += (_order(order) for order in exchange.venue.open_orders(uid, symbol))
            algo_orders += (_algo_order(order) for order in exchange.venue.open_algo_orders(uid, symbol))
        return {"orders": orders[:ORDERS_SHOWN], "algo_orders": algo_orders[:ORDERS_SHOWN]}

    async def _state(self, _request: web.Request) -> web.Response:
        """Answer everything there is, of all venues, as it was at one moment; others are served meanwhile."""
        world = self._world
        answer: Row = {
            "keys": {str(uid): _keys(e, uid) for e in world.exchanges.values() for uid in e.venue.uids},
            "wire_ms": world.wire.state(),
            "closed_ms": {uid: spans for e in world.exchanges.values() for uid, spans in e.closed.state().items()},
            "now_ms": world.now_ms,
            "bars_played": world.bars_played,
            "bars_left": world.bars_left,
            "activity": world.activity,
        }
        noted: dict[int, Row] = {}
        tickers: Row = {}
        pools: Row = {}
        for exchange in world.exchanges.values():
            head, accounts = exchange.venue.noted_state()
            noted |= accounts
            tickers |= head["tickers"]  # all venues follow the same prices
            pools[exchange.name] = head["pools"]
        told: Row = {}
        for uid, account in noted.items():
            told[str(uid)] = statement.told(account)
            await asyncio.sleep(0)
        return json_answer({"tickers": tickers, "accounts": told, "pools": pools, **answer})


def _between(name: str, number: int | None, most: int) -> int:
    if number is None or not 1 <= number <= most:
        raise InvalidInput(name, f"expected 1 to {most}, found {number}")
    return number


def _market(exchange: Exchange, symbol: str, levels: int) -> Row:
    """Return prices, filters and book of a symbol."""
    ticker, instrument = exchange.venue.ticker(symbol), exchange.venue.instrument(symbol)
    depth = exchange.venue.depth(symbol, levels)
    row: Row = {
        "status": instrument.status,
        "tick_size": plain(instrument.tick_size),
        "ticker": None,
        "funding": None,
        "bids": [[plain(price), plain(quantity)] for price, quantity in depth.bids],
        "asks": [[plain(price), plain(quantity)] for price, quantity in depth.asks],
    }
    if ticker is not None:
        row["ticker"] = {"last": plain(ticker.last), "mark": plain(ticker.mark), "index": plain(ticker.index)}
        row["funding"] = {"rate": plain(ticker.funding_rate), "at_ms": ticker.next_funding_ms}
    return row


def _keys(exchange: Exchange, uid: int) -> list[Row]:
    return [
        {"api_key": key.api_key, "permissions": [permission.value for permission in key.permissions]}
        for key in exchange.keys.of(uid)
    ]


def _bar(bar: Bar) -> list[object]:
    return [bar.open_ms, plain(bar.open), plain(bar.high), plain(bar.low), plain(bar.close), plain(bar.volume)]


def _fill(trade: Trade) -> Row:
    return {
        "uid": trade.uid,
        "id": trade.trade_id,
        "at_ms": trade.at_ms,
        "side": trade.side.value,
        "price": plain(trade.price),
        "quantity": plain(trade.quantity),
        "client_order_id": trade.client_order_id,
        "maker": trade.maker,
    }


def _order(order: Order) -> Row:
    return {
        "uid": order.uid,
        "id": order.order_id,
        "client_order_id": order.client_order_id,
        "side": order.side.value,
        "type": order.order_type.value,
        "price": plain(order.price),
        "quantity": plain(order.quantity),
        "filled": plain(order.filled_quantity),
        "status": order.status.value,
        "at_ms": order.created_ms,
    }


def _algo_order(order: AlgoOrder) -> Row:
    return {
        "uid": order.uid,
        "id": order.algo_id,
        "client_order_id": order.client_algo_id,
        "side": order.side.value,
        "type": order.order_type.value,
        "price": plain(order.price),
        "trigger_price": plain(order.trigger_price),
        "quantity": plain(order.quantity),
        "close_position": order.close_position,
        "at_ms": order.created_ms,
    }


def _position(row: PositionView) -> Row:
    position = row.position
    return {
        "symbol": position.symbol,
        "position_side": position.position_side.value,
        "quantity": plain(position.quantity),
        "entry_price": plain(position.entry_price),
        "mark_price": plain(row.mark_price),
        "unrealized_pnl": plain(row.unrealized_pnl),
        "liquidation_price": plain(row.liquidation_price),
        "leverage": row.leverage,
        "margin_type": row.margin_type.value,
    }
