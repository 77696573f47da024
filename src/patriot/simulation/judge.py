"""Judges a run by the laws: from the exchange's own books, the wire and the log, never from PATRIOT's memory."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from math import inf

from patriot.kernel.errors import ExchangeError, LeaseLost, StoreUnavailable, in_words
from patriot.kernel.money import ZERO
from patriot.orders.client_ids import client_id_prefix, parse_client_order_id
from patriot.orders.events import STREAM_TYPE, entry_order_id
from patriot.sim.engine.events import Result
from patriot.sim.engine.operations import MovePrice, Operation, PlaceAlgoOrder, PlaceOrder
from patriot.sim.engine.venue import Venue
from patriot.sim.engine.words import MarginType, OrderType
from patriot.simulation.faults import ENDS_WORK, HOLDS_UP_SIGNALS, RESTART, Dice, Fault, Injection
from patriot.simulation.loop import Life
from patriot.simulation.tap import ORDER_PATHS, client_id_of
from patriot.simulation.way_out import WayOut
from patriot.simulation.wire import Request
from patriot.trading.terms import AccountId, Leg, SignalId

MAX_LEVERAGE = 5  # of every strategy of a run
PROTECTED_WITHIN_SECONDS = 2.0
LOOK_SECONDS = 0.1
DEAF_SECONDS = 6.0  # more: an own order of which nothing is heard for 5 s is looked into, at a look each second
UNTOLD_SECONDS = 31.0  # more: a silent stream is looked into after 30 s, and nothing else tells what a person did
WORKING_WITHIN_SECONDS = 40.0  # a lease runs out, another process takes it, reads its log and the exchange
NOTICED_WITHIN_SECONDS = 15.0  # a lost lease, by its owner: its time to live and a little
LOOKED_WITHIN_SECONDS = 30.0  # before an entry: what its settings are on the exchange
UNSEEN_SECONDS = 0.1  # a request on its way to the exchange
# laxer than the desk: an id that PATRIOT should not have written counts too
_OURS = re.compile("(?P<prefix>p[a-z2-7]{26})(?P<leg>[estcx])(?P<sequence>[0-9]+)")
MADE_BY_FAULTS = (ExchangeError, LeaseLost, StoreUnavailable)  # all that trouble of a run makes a worker end with
Halts = list[tuple[datetime, datetime]]
AtWork = Mapping[tuple[str, AccountId], float]  # which process looks after which account, and since when


@dataclass(slots=True)
class Attempt:
    """One order request on the wire."""

    life: str
    at: float
    deposed: bool  # another had the lease by then, and the sender was bound to hear of it soon
    proven_idle: bool = False  # its answer proved that nothing was done


@dataclass(slots=True)
class Client:
    """One account, here and on the exchange."""

    account_id: AccountId
    uid: int


@dataclass(slots=True)
class Judge:
    """Collects what broke a law; `violations` stays empty in a good run."""

    engine: Venue
    clients: list[Client]
    dice: Dice
    now: Callable[[], float]
    note: Callable[[str], None]
    leases: Mapping[str, tuple[str, float]]  # name -> who got it last, and when
    hears: Callable[[int], bool] = lambda _uid: True  # whether the exchange tells an account anything
    signals: list[SignalId] = field(default_factory=list)
    meant: dict[SignalId, datetime] = field(default_factory=dict)  # when each was generated, by a true clock
    violations: list[str] = field(default_factory=list)
    attempts: dict[str, list[Attempt]] = field(default_factory=lambda: defaultdict(list))
    looked: dict[tuple[int, str], float] = field(default_factory=dict)  # (uid, symbol): its settings asked for at
    placed: Counter[str] = field(default_factory=Counter)
    entered_by: dict[tuple[int, str], str] = field(default_factory=dict)  # (uid, symbol): who sent the newest entry
    naked_since: dict[tuple[int, str], float] = field(default_factory=dict)
    steady_since: dict[AccountId, float] = field(default_factory=dict)  # at work, but for faults that end it
    seen_at_work: dict[AccountId, float] = field(default_factory=dict)
    untold_until: dict[int, float] = field(default_factory=dict)  # uid: when it last could neither hear nor ask
    deaf_until: dict[int, float] = field(default_factory=dict)  # uid: when it last could not hear, and was naked
    longest_naked: float = 0.0
    overloaded: Callable[[], bool] = lambda: False  # whether the exchange answers no question
    listens: Callable[[int], bool] = lambda _uid: True  # whether an account has a stream that tells it something
    stirred: bool = True  # something happened on the exchange since the last look
    way_out: WayOut = field(init=False)

    def __post_init__(self) -> None:
        self.way_out = WayOut(self.engine, self._way_out_excused_until, self.blame)

    def stir(self) -> None:
        """Take note that something happened."""
        self.stirred = True

    def blame(self, law: int, text: str) -> None:
        """Record what broke a law, once."""
        entry = f"law {law}: {text}"
        if entry not in self.violations:
            self.violations.append(entry)

    def crashed(self, whose: str, error: BaseException) -> None:
        """Let nothing end by an error that no fault makes, although whoever keeps it starts it again (law 2)."""
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                self.crashed(whose, one)
        elif not isinstance(error, MADE_BY_FAULTS):
            self.blame(2, f"{whose} ended by itself: {in_words(error)}")

    # At every step of the exchange ------------------------------------------------------------------------------------

    def applied(self, operation: Operation, _result: Result) -> None:
        """Count the orders of one intent (law 1)."""
        self.way_out.settle()
        if not isinstance(operation, MovePrice):
            self.note(f"exchange: {operation}")
        match operation:
            case PlaceOrder(client_order_id=client_id) | PlaceAlgoOrder(client_algo_id=client_id):
                named = _OURS.fullmatch(client_id)
            case _:
                return
        if named is None:
            return
        is_entry = named["leg"] == "e"
        if is_entry:
            self._see_settings(operation.uid, operation.symbol, client_id)
        intent = f"{named['prefix']} {named['leg']} {1 if is_entry else named['sequence']}"
        self.placed[intent] += 1
        if self.placed[intent] > 1 and not self._could_not_know(client_id, named["leg"], self.placed[intent]):
            self.blame(1, f"{self.placed[intent]} orders for the intent {intent}")
        if named["prefix"] not in self._prefixes():
            self.blame(1, f"order {client_id} belongs to no signal")

    def _see_settings(self, uid: int, symbol: str, client_id: str) -> None:
        """Let no entry go in under a leverage or margin type that the operator did not choose (law 11).

        No look can exclude what a person changes between it and the order, so long as it was a moment before.
        """
        settings = self.engine.symbol_settings(uid, symbol)
        if settings.leverage <= MAX_LEVERAGE and settings.margin_type is MarginType.ISOLATED:
            return
        looked = self.looked.get((uid, symbol), -inf)
        acts = (one for one in self.dice.injections if one.fault is Fault.SETTINGS_CHANGED and one.uid == uid)
        if not any(one.at >= looked for one in acts) or self.now() - looked > LOOKED_WITHIN_SECONDS:
            self.blame(11, f"entry {client_id} went in {settings.margin_type} at {settings.leverage}x")

    def _prefixes(self) -> set[str]:
        return {
            client_id_prefix(entry_order_id(signal_id, client.account_id))
            for signal_id in self.signals
            for client in self.clients
        }

    # At every step of the wire ----------------------------------------------------------------------------------------

    def sent(self, life: Life | None, uid: int | None, request: Request) -> None:
        """Let no entry be sent again unless nothing was done (law 3), and nothing be canceled that is not ours."""
        client_id = client_id_of(request)
        who = life.name if life is not None else "nobody"
        self.note(f"{who}, account {uid}: {request.name} {client_id} {request.parameters.get('quantity', '')}")
        if uid is not None and request.path == "/fapi/v1/symbolConfig":
            self.looked[uid, request.parameters["symbol"]] = self.now()
        if request.path not in ORDER_PATHS or request.method == "GET":
            return
        named = parse_client_order_id(client_id)
        if named is None:
            self.blame(4, f"{request.name} for {client_id or 'an order'} that is not ours, of account {uid}")
            return
        deposed = self._see_owner(life, uid, request)
        if request.method != "POST":
            return
        if named.leg is Leg.ENTRY:
            self.entered_by[uid or 0, request.parameters["symbol"]] = who
            earlier = [one for one in self.attempts[client_id] if not one.proven_idle]
            if earlier:
                first = earlier[0]
                self.blame(
                    3, f"entry {client_id} was sent again, {self.now() - first.at:.2f} s after a request unproven"
                )
        self.attempts[client_id].append(Attempt(life.name if life else "", self.now(), deposed))

    def _could_not_know(self, client_id: str, leg: str, placed: int) -> bool:
        """Tell whether a protective leg came twice because its new owner sent one, and so did an unaware old one.

        Who does not reach the store cannot know of it, and must not leave a position naked: one each, and no way out.
        The new owner cannot know of what the old one sends in the same moment.
        """
        *before, last = self.attempts[client_id]
        if placed != 2 or leg not in "st" or last.life in [one.life for one in before]:
            return False
        return last.deposed or (before[-1].deposed and last.at - before[-1].at <= UNSEEN_SECONDS)

    def _see_owner(self, life: Life | None, uid: int | None, request: Request) -> bool:
        """Let nobody send orders of an account long after another has got its lease (law 1); tell whether one has."""
        account_id = next((client.account_id for client in self.clients if client.uid == uid), None)
        holder, since = self._owner_of(account_id)
        deposed = life is not None and holder not in ("", life.name)
        if life is not None and deposed and self.now() - since > NOTICED_WITHIN_SECONDS:
            seconds = self.now() - since
            self.blame(
                1, f"{request.name} of account {uid} by {life.name}, {seconds:.0f} s after {holder} got its lease"
            )
        return deposed

    def _owner_of(self, account_id: AccountId | None) -> tuple[str, float]:
        return self.leases.get(f"account:{account_id}", ("", 0.0))

    def wrote_unfenced(self, stream_types: set[str]) -> None:
        """Let no event of an order be written without the fence of its account's lease (law 1)."""
        if STREAM_TYPE in stream_types:
            self.blame(1, "events of an order were written without a fence")

    def answered(self, uid: int | None, request: Request, *, proves_inaction: bool) -> None:
        """Take down whether an answer proves that nothing was done."""
        if request.method == "POST" and request.path in ORDER_PATHS and self.attempts[client_id_of(request)]:
            self.attempts[client_id_of(request)][-1].proven_idle |= proves_inaction

    # In between -------------------------------------------------------------------------------------------------------

    def acting_since(self, account_id: AccountId, at_work: AtWork, sender: str = "") -> float | None:
        """Return since when an account is looked after by whoever got its lease last, or by who sent an entry, or None.

        Who was deposed and does not know it still protects what it sent; it cannot know what its successor has sent.
        """
        owner, _ = self._owner_of(account_id)
        begun = (since for (life, of), since in at_work.items() if of == account_id and life in (owner or life, sender))
        return min(begun, default=None)

    def look(self, at_work: AtWork, working_since: float | None) -> None:
        """Measure how long each position has been without its stop (law 2). working_since: any process lives."""
        now = self.now()
        self._follow_work(at_work, now)
        self.way_out.look(now)
        if not self.stirred and not self.naked_since:
            return
        self.stirred = False
        for client in self.clients:
            for symbol in [instrument.symbol for instrument in self.engine.instruments]:
                key = (client.uid, symbol)
                if not self.is_naked(client.uid, symbol):
                    self.naked_since.pop(key, None)
                    continue
                acting = self.acting_since(client.account_id, at_work, self.entered_by.get(key, ""))
                if (steady := self.steady_since.get(client.account_id)) is not None:
                    acting = steady if acting is None else min(acting, steady)
                if self.overloaded() and (acting is None or not self.listens(client.uid)):
                    self.untold_until[client.uid] = now
                since = max(self.naked_since.setdefault(key, now), self._excused_until(client.uid, symbol))
                if self.hears(client.uid):
                    since = max(since, self.deaf_until.get(client.uid, 0.0))
                else:
                    self.deaf_until[client.uid] = now
                if working_since is None:
                    continue
                seconds = now - max(since, acting if acting is not None else working_since)
                allowed = self._allowed_seconds(key, acting=acting is not None)
                self.longest_naked = max(self.longest_naked, seconds)
                if seconds > allowed:
                    whom = "by its worker" if acting is not None else "and nobody worked for it"
                    self.blame(
                        2, f"account {client.uid} {symbol} was without its stop for more than {allowed} s {whom}"
                    )

    def _follow_work(self, at_work: AtWork, now: float) -> None:
        """Note since when each account is looked after: who left it without a fault that ends work is no excuse."""
        for account_id in [client.account_id for client in self.clients]:
            acting, known = self.acting_since(account_id, at_work), self.steady_since.get(account_id)
            if known is None or (acting != known and self._may_end_work(self.seen_at_work[account_id])):
                self.steady_since.pop(account_id, None)
                if acting is not None:
                    self.steady_since[account_id] = acting
            if acting is not None:
                self.seen_at_work[account_id] = now

    def _may_end_work(self, at: float) -> bool:
        """Tell whether a fault explains that work for an account ended at a time."""
        return any(_ends_work(one) and one.at >= at - NOTICED_WITHIN_SECONDS for one in self.dice.injections)

    def _excused_until(self, uid: int, symbol: str = "") -> float:
        faults = (one.until for one in self.dice.injections if one.uid in (None, uid) and one.symbol in ("", symbol))
        return max(*faults, self.untold_until.get(uid, 0.0), 0.0)

    def holders(self, symbol: str) -> list[int]:
        """Return the accounts that hold a position of ours."""
        held = (one.uid for one in self.clients if self.engine.positions(one.uid, symbol)[0].position.quantity)
        return [uid for uid in held if self.ours(uid, symbol)]

    def told_to_close(self, symbols: Iterable[str], why: str) -> None:
        """Take down a wish to close what accounts hold of symbols; what holds them from then on is for `way_out`."""
        self.way_out.wish([(uid, symbol) for symbol in symbols for uid in self.holders(symbol)], self.now(), why)

    def _way_out_excused_until(self, uid: int) -> float:
        """Return until when another fault than a refused read may hold up the way out of an account."""
        causes = (one.at for one in self.dice.injections if _ends_work(one) or one.fault in HOLDS_UP_SIGNALS)
        return max(self._excused_until(uid), max(causes, default=-WORKING_WITHIN_SECONDS) + WORKING_WITHIN_SECONDS)

    def _allowed_seconds(self, key: tuple[int, str], *, acting: bool) -> float:
        """Return how long a position may be without its stop: longer where only asking tells that it is."""
        allowed = PROTECTED_WITHIN_SECONDS if acting else WORKING_WITHIN_SECONDS
        uid, naked_since = key[0], self.naked_since[key]
        if self.hears(uid):
            return allowed
        canceled = (one.at for one in self.dice.injections if one.fault is Fault.STOP_CANCELED and one.uid == uid)
        by_person = any(naked_since - LOOK_SECONDS <= at <= naked_since for at in canceled)
        return allowed + (UNTOLD_SECONDS if acting and by_person else DEAF_SECONDS)

    def is_naked(self, uid: int, symbol: str) -> bool:
        """Tell whether our part of a position is larger than what our stops on the exchange cover."""
        held = self.engine.positions(uid, symbol)[0].position.quantity
        if not held:
            return False
        ours = self.ours(uid, symbol)
        exposed = min(abs(held), abs(ours)) if held * ours > 0 else ZERO
        closing = "SELL" if held > 0 else "BUY"
        covered = sum(
            (
                algo.quantity
                for algo in self.engine.open_algo_orders(uid, symbol)
                if algo.order_type is OrderType.STOP_MARKET
                and algo.reduce_only
                and algo.side == closing
                and parse_client_order_id(algo.client_algo_id)
            ),
            ZERO,
        )
        return covered < exposed

    def ours(self, uid: int, symbol: str) -> Decimal:
        """Return the position that executions of our orders add up to, signed."""
        return sum(
            (
                trade.quantity if trade.side == "BUY" else -trade.quantity
                for trade in self.engine.trades(uid, symbol)
                if parse_client_order_id(trade.client_order_id)
            ),
            ZERO,
        )


def _ends_work(injection: Injection) -> bool:
    return injection.fault in ENDS_WORK or injection.step == RESTART
