"""One signal becomes one intent per follower: rotated, own size, own risk, own answer. A replay repeats nothing.

Signals are served side by side, those of one strategy in log order: an entry that waits for its exchange holds up no
halt and no other strategy's close.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Protocol

from patriot.accounts.events import AccountStatus
from patriot.execution.commands import RecordRouting
from patriot.execution.events import RoutedAccount, Routing
from patriot.execution.followers import FollowedStrategy, Follower, FollowerBook
from patriot.execution.newest_signals import NewestSignals
from patriot.execution.ports import RiskFacts
from patriot.execution.sizing import SizingInput, entry_quantity
from patriot.execution.worker import AccountWorker
from patriot.kernel.bus import CommandBus
from patriot.kernel.clock import Clock
from patriot.kernel.errors import CommandRefused, ExchangeError, ExchangeRefused, LeaseLost, StoreUnavailable
from patriot.kernel.eventstore import Actor, ActorType, Context
from patriot.kernel.money import ZERO, round_to_tick
from patriot.kernel.tasks import Lanes, when_stored
from patriot.orders.commands import PlaceOrder
from patriot.orders.events import OrderCreated, OrderDenied, entry_order_id
from patriot.risk.commands import EffectiveLimits
from patriot.risk.events import HaltLevel, ReasonCode
from patriot.strategies.events import SignalAction, SignalGenerated, StrategyStatus
from patriot.trading.steps import Reached, Step, pass_by
from patriot.trading.terms import (
    AccountId,
    Instrument,
    OrderId,
    OrderType,
    Side,
    SignalId,
    StrategyId,
    UserId,
    VenueId,
)

MAX_SIGNAL_AGE = timedelta(seconds=10)
LATE = timedelta(seconds=1)  # of a signal; what was halted before it is known in any case
NOBODY_SECONDS = 3.0  # whoever begins to work for an account later looks, before it enters, whether that was told
OWNER_SECONDS = 30.0  # no owner enters on a signal for as long
ASK_OWNER_SECONDS = 0.5
READY_SECONDS = 2.0  # an account that is not in step with its exchange by then is left out
ANSWER_SECONDS = 8.0  # one account whose exchange does not answer does not hold up the others for longer
MAX_AT_ONCE = 50  # accounts served side by side; the exchange's rate budget is the narrower limit


@dataclass(frozen=True, slots=True)
class RoutingNeeds:
    """What the router needs of the world: accounts at work here, filters, risk."""

    workers: Mapping[AccountId, AccountWorker]
    instruments: Mapping[tuple[VenueId, str], Instrument]
    risk: RiskFacts
    opened_after: Callable[[OrderCreated, SignalGenerated], Awaitable[bool]]  # whether the log has an entry's signal so
    request_close: Callable[[AccountId, SignalGenerated], Awaitable[OrderId | None]]  # where nobody works just now
    was_placed: Callable[[OrderId], Awaitable[bool]]  # whether the log has the order
    was_routed: Callable[[SignalId, AccountId], Awaitable[bool]]  # whether the log says what became of a signal
    is_owned: Callable[[AccountId], Awaitable[bool]]  # whether any process works for an account
    later: Callable[[Callable[[], Awaitable[None]]], None]  # do something in the background
    halt_in_log: Callable[[UserId, AccountId, StrategyId], Awaitable[HaltLevel | None]]  # ahead of the tail
    overtaken: Callable[[SignalGenerated], bool]  # whether its strategy has spoken since


class Share(Protocol):
    """One account's share of a signal."""

    def __call__(self, *, late: bool, alone: bool) -> Awaitable[RoutedAccount]:
        """Do it. Errors: LeaseLost where another process may do it, unless `alone`."""
        ...


class SignalRouter:
    """Fans signals out.

    What became of a signal on an account is told by whoever works for it; by another only where that cannot be.
    """

    def __init__(
        self, book: FollowerBook, needs: RoutingNeeds, bus: CommandBus, clock: Clock, reached: Reached = pass_by
    ) -> None:
        self._book = book
        self._needs = needs
        self._bus = bus
        self._clock = clock
        self._reached = reached
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)
        self._lanes = Lanes()

    def route(self, signal: SignalGenerated, *, late: bool = False) -> Coroutine[Any, Any, None]:
        """Serve who follows now, until each has its order, or a reason why not. What exchanges say comes later.

        `late`: the signal has stood in the log for a while, whatever a clock says.
        """
        return self._route(signal, self._followers(signal), late)

    async def _route(self, signal: SignalGenerated, followers: list[AccountId], late: bool) -> None:
        async with self._lanes.turn(signal.strategy_id):
            await self._do_all(signal, followers, late=late)
        self._reached(Step.SIGNAL_ROUTED)

    def go_on(self, newest: NewestSignals) -> None:
        """See, at a start, that shares are told of that an earlier process had left to others, and none has told of."""
        for signal in newest.signals.values():
            for account_id in newest.unanswered[signal.signal_id]:
                share = self._share_of(signal, account_id)
                self._needs.later(partial(self._leave_to_owner, signal, account_id, share))

    def _followers(self, signal: SignalGenerated) -> list[AccountId]:
        return [follower.account_id for follower in self._book.in_turn(signal.strategy_id, signal.signal_id)]

    def _share_of(self, signal: SignalGenerated, account_id: AccountId) -> Share:
        return partial(self._close if signal.action is SignalAction.CLOSE else self._serve, signal, account_id)

    async def _do_all(self, signal: SignalGenerated, accounts: list[AccountId], *, late: bool) -> None:
        await asyncio.gather(*(self._do(signal, one, self._share_of(signal, one), late) for one in accounts))

    async def _do(self, signal: SignalGenerated, account_id: AccountId, share: Share, late: bool) -> None:
        async def serve() -> None:
            await self._record(signal, await share(late=late, alone=False), alone=False)

        try:
            await when_stored(serve)
        except LeaseLost:
            self._needs.later(partial(self._leave_to_owner, signal, account_id, share))

    async def _leave_to_owner(self, signal: SignalGenerated, account_id: AccountId, share: Share) -> None:
        """See that a share is told of that another process may do: by that one, or here when it cannot be any more."""
        began = owned_at = self._clock.monotonic()
        while True:
            await asyncio.sleep(ASK_OWNER_SECONDS)
            now = self._clock.monotonic()
            with suppress(LeaseLost, StoreUnavailable):
                if await self._needs.was_routed(signal.signal_id, account_id):
                    return
                if await self._needs.is_owned(account_id):
                    owned_at = now
                alone = now - began > OWNER_SECONDS or now - owned_at > NOBODY_SECONDS
                if alone or account_id in self._needs.workers:
                    await self._record(signal, await share(late=True, alone=alone), alone=alone)
                    return

    async def _record(self, signal: SignalGenerated, routed: RoutedAccount, *, alone: bool) -> None:
        """Note what became of the signal on one account, in a record that is that account's own.

        Errors: LeaseLost where nothing came of it by us, and another process has the account.
        """
        worker = self._needs.workers.get(routed.account_id)
        owner = worker.user_id if worker is not None else None
        context = Context(correlation_id=signal.signal_id, user_id=owner, account_id=routed.account_id)
        routing = RecordRouting(signal.signal_id, signal.strategy_id, routed, self._clock.now())
        if worker is not None and routed.routing is Routing.SKIPPED and not alone:
            await worker.dispatch(routing, context)
        else:
            await self._bus.dispatch(routing, context)

    async def _serve(self, signal: SignalGenerated, account_id: AccountId, *, late: bool, alone: bool) -> RoutedAccount:
        async with self._slots:
            order_id = entry_order_id(signal.signal_id, account_id)
            worker = self._needs.workers.get(account_id)
            served, ours = RoutedAccount(account_id, Routing.SKIPPED, None, ReasonCode.ACCOUNT_NOT_ACTIVE, None), True
            strategy = self._book.strategies[signal.strategy_id]  # as it is now: a share may have waited
            follower = strategy.followers.get(account_id)
            if follower is not None and self._book.accounts.get(account_id) is AccountStatus.ACTIVE:
                try:
                    if ours := worker is not None:
                        async with self._lanes.turn((account_id, signal.symbol)):  # it is set for one entry at a time
                            served = await self._enter(signal, strategy, follower, worker, order_id, late)
                except LeaseLost:
                    ours = False
            if served.routing is Routing.SKIPPED and await self._needs.was_placed(order_id):
                # The signal comes again: its order was placed, and what the store answered was lost.
                if worker is not None:
                    await worker.enter_again(order_id)
                return RoutedAccount(account_id, Routing.SENT, order_id, None, None)
            if not ours and not alone:
                raise LeaseLost(f"account {account_id}: another process works for it, or may")
            return served

    async def close_left_behind(self, signal: SignalGenerated) -> None:
        """Have positions closed of accounts that left the strategy: a start does not find that they owe an answer."""
        if signal.action is SignalAction.CLOSE:
            others = sorted(self._book.accounts.keys() - set(self._followers(signal)))
            await asyncio.gather(*(when_stored(partial(self._close_left, signal, one)) for one in others))

    async def _close_left(self, signal: SignalGenerated, account_id: AccountId) -> None:
        group_id = await self._request_close(signal, account_id)
        if group_id is not None:
            routed = RoutedAccount(account_id, Routing.SENT, group_id, None, None)
            await self._record(signal, routed, alone=False)

    async def _close(self, signal: SignalGenerated, account_id: AccountId, *, late: bool, alone: bool) -> RoutedAccount:
        """Have the position of one account closed, whatever its status: the way out is always open."""
        group_id = await self._request_close(signal, account_id)
        if group_id is None:
            if account_id not in self._needs.workers and not alone:
                raise LeaseLost(f"account {account_id}: its owner may be about to open what is to be closed")
            return RoutedAccount(account_id, Routing.SKIPPED, None, ReasonCode.NO_POSITION, None)
        return RoutedAccount(account_id, Routing.SENT, group_id, None, None)

    async def _request_close(self, signal: SignalGenerated, account_id: AccountId) -> OrderId | None:
        worker = self._needs.workers.get(account_id)
        if worker is not None:
            with suppress(LeaseLost):  # then another process works for it, or will
                return await worker.close(signal.symbol, signal.strategy_id, "SIGNAL", partial(self._is_meant, signal))
        return await self._needs.request_close(account_id, signal)

    async def _is_meant(self, signal: SignalGenerated, entry: OrderCreated) -> bool:
        return not await self._needs.opened_after(entry, signal)

    async def _enter(
        self,
        signal: SignalGenerated,
        strategy: FollowedStrategy,
        follower: Follower,
        worker: AccountWorker,
        order_id: OrderId,
        late: bool,
    ) -> RoutedAccount:
        if worker.keeper.knows(order_id):
            return RoutedAccount(follower.account_id, Routing.SENT, order_id, None, None)
        if strategy.status is not StrategyStatus.ACTIVE:
            return _skipped(follower, ReasonCode.HALTED)
        venue_id = self._book.venues[follower.account_id]
        instrument = self._needs.instruments.get((venue_id, signal.symbol))
        if instrument is None:
            told = any(known is venue_id for known, _ in self._needs.instruments)
            return _skipped(follower, ReasonCode.SYMBOL_NOT_TRADED if told else ReasonCode.EXCHANGE_UNAVAILABLE)
        if self._clock.now() > min(signal.valid_until, signal.generated_at + MAX_SIGNAL_AGE):
            return _skipped(follower, ReasonCode.SIGNAL_EXPIRED)
        asked_at = self._clock.monotonic()
        if not await worker.is_ready(READY_SECONDS):
            return _skipped(follower, ReasonCode.EQUITY_UNKNOWN)
        if not await worker.key.known(READY_SECONDS - (self._clock.monotonic() - asked_at)):
            return _skipped(follower, ReasonCode.EXCHANGE_UNAVAILABLE)
        if worker.key.problem is not None:
            return _skipped(follower, ReasonCode.ACCOUNT_NOT_ACTIVE)  # the tail has yet to fold that it is suspended
        leverage = min(strategy.max_leverage, self._limits(follower, signal).max_leverage)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await worker.prepare(signal.symbol, int(leverage))
                equity = await worker.read_equity()
        except (CommandRefused, ExchangeRefused):
            return _skipped(follower, ReasonCode.SYMBOL_IN_USE)
        except (ExchangeError, TimeoutError):
            return _skipped(follower, ReasonCode.EXCHANGE_UNAVAILABLE)
        if equity is None:
            return _skipped(follower, ReasonCode.EQUITY_UNKNOWN)
        strategy, prepared = self._book.strategies[signal.strategy_id], follower
        follower = strategy.followers.get(prepared.account_id, prepared)  # as it is now: preparing took its time
        if not self._may_still_enter(prepared, strategy):
            return _skipped(follower, ReasonCode.HALTED)
        if late and self._needs.overtaken(signal):
            return _skipped(follower, ReasonCode.SIGNAL_EXPIRED)
        signal = _on_ticks(signal, instrument)
        quantity = self._quantity(signal, strategy, follower, equity, instrument)
        if quantity == ZERO:
            return _skipped(follower, ReasonCode.BELOW_MIN_NOTIONAL)
        command = self._order(signal, follower, order_id, quantity, equity)
        owner = (follower.user_id, follower.account_id, signal.strategy_id)
        if late or abs(self._clock.now() - signal.generated_at) > LATE:  # before its time: by a clock that is wrong
            if await self._needs.was_routed(signal.signal_id, follower.account_id):
                return _skipped(follower, ReasonCode.SIGNAL_EXPIRED)  # it was told for another reason, or sent
            halt = await self._needs.halt_in_log(*owner)
            command = replace(command, halt=halt)  # the tail has yet to fold what came after the signal
        context = Context(
            correlation_id=signal.signal_id,
            user_id=follower.user_id,
            account_id=follower.account_id,
            actor=Actor(ActorType.STRATEGY, str(signal.strategy_id)),
        )
        decided = await worker.dispatch(command, context)
        self._reached(Step.ORDER_CREATED)
        denied = next((event for event in decided.events if isinstance(event, OrderDenied)), None)
        if denied is not None:
            return RoutedAccount(follower.account_id, Routing.DENIED, order_id, denied.reason_code, quantity)
        if decided.events:
            worker.enter(decided.events)
        else:
            await worker.enter_again(order_id)
        await self._catch_up_on_halts(signal, worker, owner, late)
        return RoutedAccount(follower.account_id, Routing.SENT, order_id, None, quantity)

    async def _catch_up_on_halts(
        self, signal: SignalGenerated, worker: AccountWorker, owner: tuple[UserId, AccountId, StrategyId], late: bool
    ) -> None:
        """Carry out on an entry what was carried out just before it was there."""
        halts = [self._needs.risk.halt_for(*owner), await self._needs.halt_in_log(*owner) if late else None]
        stopped = self._book.strategies[signal.strategy_id].status is StrategyStatus.STOPPED
        if HaltLevel.H2 in halts or HaltLevel.H3 in halts:
            worker.cancel_entries(signal.strategy_id)
        if HaltLevel.H3 in halts or stopped:
            await worker.close(signal.symbol, signal.strategy_id, ReasonCode.HALTED)

    def _may_still_enter(self, follower: Follower, strategy: FollowedStrategy) -> bool:
        """Tell whether nothing came while the entry was prepared that would have had it skipped."""
        now, status = strategy.followers.get(follower.account_id), self._book.accounts.get(follower.account_id)
        follows = now is not None and now.assignment_id == follower.assignment_id
        return follows and strategy.status is StrategyStatus.ACTIVE and status is AccountStatus.ACTIVE

    def _limits(self, follower: Follower, signal: SignalGenerated) -> EffectiveLimits:
        return self._needs.risk.limits_for(follower.user_id, follower.account_id, signal.strategy_id)

    def _quantity(
        self,
        signal: SignalGenerated,
        strategy: FollowedStrategy,
        follower: Follower,
        equity: Decimal,
        instrument: Instrument,
    ) -> Decimal:
        if signal.stop_price is None:
            return ZERO
        limits = self._limits(follower, signal)
        given = SizingInput(
            equity=equity,
            allocation_fraction=follower.allocation_fraction,
            risk_multiplier=follower.risk_multiplier,
            risk_per_trade_fraction=strategy.risk_per_trade_fraction,
            max_leverage=min(strategy.max_leverage, limits.max_leverage),
            entry_price=signal.reference_price,
            stop_price=signal.stop_price,
            notional_headroom=min(limits.max_position_notional, limits.max_total_exposure),
        )
        return entry_quantity(given, instrument)

    def _order(
        self, signal: SignalGenerated, follower: Follower, order_id: OrderId, quantity: Decimal, equity: Decimal
    ) -> PlaceOrder:
        risk = self._needs.risk
        owner = (follower.user_id, follower.account_id, signal.strategy_id)
        return PlaceOrder(
            order_id=order_id,
            user_id=follower.user_id,
            account_id=follower.account_id,
            strategy_id=signal.strategy_id,
            signal_id=signal.signal_id,
            exchange=self._book.venues[follower.account_id],
            symbol=signal.symbol,
            side=Side.BUY if signal.action is SignalAction.BUY else Side.SELL,
            order_type=OrderType.MARKET,
            quantity=quantity,
            price=None,
            stop_price=signal.stop_price or ZERO,
            take_profit_price=signal.take_profit_price,
            reference_price=signal.reference_price,
            valid_until=min(signal.valid_until, signal.generated_at + MAX_SIGNAL_AGE),
            risk=risk.risk_of(follower.account_id, equity),
            limits=risk.limits_for(*owner),
            halt=risk.halt_for(*owner),
            at=self._clock.now(),
        )


def _on_ticks(signal: SignalGenerated, instrument: Instrument) -> SignalGenerated:
    """Return the signal with prices that the follower's exchange takes, which may not be where the strategy looks."""
    stop, target, tick = signal.stop_price, signal.take_profit_price, instrument.tick_size
    return replace(
        signal,
        stop_price=None if stop is None else round_to_tick(stop, tick),
        take_profit_price=None if target is None else round_to_tick(target, tick),
    )


def _skipped(follower: Follower, reason: ReasonCode) -> RoutedAccount:
    return RoutedAccount(follower.account_id, Routing.SKIPPED, None, reason, None)
