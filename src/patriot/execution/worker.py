"""One account at work: its private stream, its desk, the protection of its positions, its money records.

Started by whoever holds the account's lease, and started over from the log and the exchange when anything in it fails.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Protocol

from patriot.accounts.events import SampleReason
from patriot.execution.bracket import Bracket
from patriot.execution.commands import RecordAdjustment, RequestClose
from patriot.execution.effects import BracketKeeper
from patriot.execution.ports import Alerts, CommandWriter, Desk, Ledger
from patriot.kernel.bus import Decided
from patriot.kernel.clock import Clock
from patriot.kernel.errors import ExchangeError, ExchangeRefused, LeaseLost, StoreUnavailable
from patriot.kernel.eventstore import SYSTEM, Context
from patriot.kernel.money import ZERO
from patriot.kernel.patience import patiently
from patriot.kernel.tasks import Background, without_end
from patriot.orders.commands import PlaceOrder
from patriot.orders.events import CancelReason, OrderApproved, OrderCreated, OrderEvent
from patriot.trading.reports import AccountSnapshot, MoneyMoved, OrderReport, PrivateReport, StreamResumed, TradeReport
from patriot.trading.terms import AccountId, OrderId, StrategyId, UserId

CHECK_SECONDS = 30.0
RETRY_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)


class Session(Protocol):
    """The account's private side of the exchange."""

    async def snapshot(self) -> AccountSnapshot:
        """Return balances and positions of this moment."""
        ...

    async def prepare_symbol(self, symbol: str, leverage: int) -> None:
        """Set leverage and isolated margin for a symbol; already so is success."""
        ...

    def reports(self) -> AsyncIterator[PrivateReport]:
        """Yield private reports for ever."""
        ...


@dataclass(frozen=True, slots=True)
class OpenBracket:
    """A bracket that was not over when the log was last written."""

    group_id: OrderId
    events: list[OrderEvent]
    close_requested: bool
    closed_elsewhere: Decimal


class AccountWorker:
    """Everything that trades for one account, in one place."""

    def __init__(
        self,
        account_id: AccountId,
        user_id: UserId,
        *,
        session: Session,
        ledger: Ledger,
        desk: Desk,
        keeper: BracketKeeper,
        writer: CommandWriter,
        load_open: Callable[[], Awaitable[list[OpenBracket]]],
        dispatch: Callable[[PlaceOrder, Context], Awaitable[Decided]],
        venue_said: Callable[[datetime], None],
        clock: Clock,
        alerts: Alerts,
        takeover_seconds: float,
    ) -> None:
        self.account_id = account_id
        self.user_id = user_id
        self.keeper = keeper
        self.snapshot: AccountSnapshot | None = None
        self.ready = asyncio.Event()
        self.acting = asyncio.Event()  # brackets are compared and looked after; money records may still be missing
        self.dispatch = dispatch
        self._venue_said = venue_said
        self._stopping = asyncio.Event()
        self._loaded = asyncio.Event()  # the brackets of the log are known here, or the work ended before
        self._ended = False
        self._session = session
        self._ledger = ledger
        self._desk = desk
        self._writer = writer
        self._load_open = load_open
        self._clock = clock
        self._alerts = alerts
        self._takeover_seconds = takeover_seconds
        self._took_over = False
        self._settled_at = 0.0
        self._handling = 0
        self._told_of: set[str] = set()  # client ids of orders that are not ours
        self._prepared: dict[str, int] = {}
        self._preparing = asyncio.Lock()
        self._tasks = Background()
        keeper.on_closed = partial(self._tasks.soon, self.refresh)
        keeper.on_exit_refused = partial(self._tasks.soon, self._check_again)

    @property
    def busy(self) -> dict[str, int]:
        """Return what is under way; empty means that nothing happens until the exchange or a signal speaks."""
        work = {
            "starting": 0 if self.ready.is_set() else 1,
            "reports": self._handling,
            "chores": self._tasks.busy,
            "desk": self._desk.tasks.busy,
            "brackets": self.keeper.tasks.busy,
            "journal": self._writer.pending,
        }
        return {name: count for name, count in work.items() if count}

    async def run(self) -> None:
        """Work until cancelled; raises what this worker cannot mend by itself."""
        try:
            await self._run()
        finally:
            self._ended = True
            self._loaded.set()

    async def _run(self) -> None:
        brackets = await self._load_open()
        for bracket in brackets:
            self._desk.adopt(bracket.events)
            if bracket.closed_elsewhere:
                self.keeper.adjust(bracket.group_id, bracket.closed_elsewhere)
        self._took_over = bool(brackets)
        self._settled_at = self._clock.monotonic() + (self._takeover_seconds if brackets else 0.0)
        self._loaded.set()
        unfinished = [bracket.group_id for bracket in brackets if bracket.close_requested]
        if unfinished:
            self._tasks.start(self._close_when_settled(unfinished))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._stop_when_asked())
                group.create_task(without_end(self._writer.run(), "the journal"))
                group.create_task(without_end(self._follow(), "the private stream"))
                group.create_task(without_end(self._keep_checking(), "the look at what rests"))
                for background in (self._desk.tasks, self.keeper.tasks, self._tasks):
                    group.create_task(background.failed())
        finally:
            self.ready.clear()
            self.acting.clear()
            for background in (self._tasks, self.keeper.tasks, self._desk.tasks):
                await background.close()

    def stop(self) -> None:
        """End the work: another owner has the account, or it was unlinked."""
        self._stopping.set()

    async def _stop_when_asked(self) -> None:
        await self._stopping.wait()
        raise LeaseLost(f"account {self.account_id} is no longer ours to work for")

    async def _follow(self) -> None:
        async for report in self._session.reports():
            self._handling += 1
            try:
                await self._take(report)
            finally:
                self._handling -= 1

    async def _keep_checking(self) -> None:
        """Look now and then whether protection still rests: the one message that says otherwise may have been lost."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            if self.acting.is_set() and self.keeper.open_brackets:
                await self._patiently(self._desk.check_resting)
                self._alert_of_unknown_orders()

    async def _take(self, report: PrivateReport) -> None:
        self._venue_said(report.at)
        match report:
            case StreamResumed():
                await self._resync()
            case OrderReport():
                self._desk.on_order(report)
            case TradeReport():
                self._desk.on_trade(report)
            case MoneyMoved():
                self._tasks.start(self._take_money())
        self._alert_of_unknown_orders()

    def _alert_of_unknown_orders(self) -> None:
        if self._desk.strays:
            self._alerts.critical("order.stray_report", account_id=self.account_id, client_ids=list(self._desk.strays))
            self._desk.strays.clear()
        foreign = self._desk.foreign - self._told_of
        self._told_of = set(self._desk.foreign)  # as bounded as the desk's
        if foreign:
            self._alerts.critical("order.foreign", account_id=self.account_id, client_ids=sorted(foreign))

    async def _resync(self) -> None:
        await self._patiently(self._recover)
        self._took_over = False
        self.keeper.resume()
        self.acting.set()
        await self._patiently(self._ledger.sync_income)
        await self.refresh()
        self.ready.set()

    async def _recover(self) -> None:
        await self._desk.recover(takeover=self._took_over)

    async def _take_money(self) -> None:
        await self._patiently(self._ledger.sync_income)
        await self._patiently(partial(self._ledger.sample_equity, SampleReason.TRANSFER))
        await self.refresh()

    async def refresh(self) -> None:
        """Read balances and positions again."""
        await self._patiently(self._read_snapshot)

    async def read_equity(self) -> Decimal | None:
        """Return what the account is worth: read anew while it holds something. Errors: ExchangeError."""
        if self.keeper.open_brackets:
            await self._read_snapshot()  # unrealized profit has moved since the last reading
        return self.snapshot.equity if self.snapshot is not None else None

    async def _read_snapshot(self) -> None:
        self.snapshot = await self._session.snapshot()

    async def _check_again(self) -> None:
        await self.refresh()
        if self.snapshot is not None:
            await self.check_positions(self.snapshot)

    async def check_positions(self, snapshot: AccountSnapshot) -> None:
        """Compare the exchange's positions with our brackets; what somebody else closed is no longer ours to protect.

        A difference is looked into first: an execution may have been missed. Only a quiet bracket is judged.
        """
        if not self._differences(snapshot):
            return
        await self._patiently(self._recover)
        await self.refresh()
        if self.snapshot is None or self._desk.tasks.busy or self._writer.pending:
            return  # something is under way: the next look decides
        for entry, expected, found in self._differences(self.snapshot):
            self._alerts.critical(
                "position.differs", account_id=self.account_id, symbol=entry.symbol, expected=expected, found=found
            )
            if found < expected:
                at = self._clock.now()
                elsewhere = self.keeper.open_brackets[entry.order_id].closed_elsewhere + expected - found
                command = RecordAdjustment(
                    entry.order_id, self.account_id, entry.symbol, expected, found, elsewhere, at
                )
                self._writer.put(command, SYSTEM)
                self.keeper.adjust(entry.order_id, elsewhere)

    def _differences(self, snapshot: AccountSnapshot) -> list[tuple[OrderCreated, Decimal, Decimal]]:
        """Return entry, expected and found position, unsigned, of each bracket that the exchange sees otherwise."""
        held = {position.symbol: position.quantity for position in snapshot.positions}
        different = []
        for bracket in self.keeper.open_brackets.values():
            if bracket.entry is not None and bracket.entry_over:
                found = max(ZERO, held.get(bracket.entry.symbol, ZERO) * bracket.entry.side.sign)
                if found != bracket.position:
                    different.append((bracket.entry, bracket.position, found))
        return different

    async def prepare(self, symbol: str, leverage: int) -> None:
        """Set leverage and isolated margin for a symbol, once. Errors: ExchangeError."""
        async with self._preparing:
            if self._prepared.get(symbol) != leverage:
                await self._session.prepare_symbol(symbol, leverage)
                self._prepared[symbol] = leverage

    async def _patiently(self, step: Callable[[], Awaitable[object]]) -> None:
        """Repeat a step until it succeeds.

        Asking again after a refusal gives the same answer: the account must be started over, and a person told.
        """
        errors = (ExchangeError, StoreUnavailable)
        await patiently(step, pauses=RETRY_SECONDS, errors=errors, final=(ExchangeRefused,))

    # What others ask of it

    async def is_ready(self, within_seconds: float) -> bool:
        """Wait for the account to be in step with its exchange; False if it is not in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                await self.ready.wait()
        return self.ready.is_set()

    def enter(self, events: tuple[OrderEvent, ...]) -> None:
        """Send an entry that was just created and approved."""
        created = events[0]
        if isinstance(created, OrderCreated) and isinstance(events[-1], OrderApproved):
            self._desk.adopt(events)
            self._tasks.start(self._desk.submit(created))

    async def enter_again(self, order_id: OrderId) -> None:
        """Take up an entry that was placed before and that nobody here knows: it is sent, or ended if it is too old."""
        for bracket in await self._load_open():
            if bracket.group_id == order_id and order_id not in self.keeper.open_brackets and len(bracket.events) == 2:
                self.enter(tuple(bracket.events))

    async def close(
        self, symbol: str, strategy_id: StrategyId | None, reason: str, opened_by: datetime | None = None
    ) -> OrderId | None:
        """Have a strategy's position on a symbol closed; return its bracket, or None if there is nothing to close.

        One that was opened after `opened_by` is not meant.

        The wish is durable when this returns, and is carried out in the background. Errors: StoreUnavailable if this
        worker ends before: ask its successor.
        """
        await self._brackets_known()
        bracket = self.keeper.bracket_on(symbol, strategy_id)
        if bracket is None or bracket.entry is None:
            return None
        if opened_by is not None and bracket.entry.created_at > opened_by:
            return None
        await self._request_close([bracket.entry.order_id], reason)
        return bracket.entry.order_id

    async def flatten(self, reason: str, strategy_id: StrategyId | None = None) -> None:
        """Have every position of the account, or of one strategy on it, closed: the largest notional first.

        Errors: StoreUnavailable as `close`.
        """
        await self._brackets_known()
        entries = [bracket.entry for bracket in self._largest_first() if bracket.entry is not None]
        await self._request_close(
            [entry.order_id for entry in entries if strategy_id in (None, entry.strategy_id)], reason
        )

    def cancel_entries(self, strategy_id: StrategyId | None = None) -> None:
        """Cancel every entry that still works on the exchange, of all strategies or of one."""
        for bracket in self.keeper.open_brackets.values():
            entry = bracket.entry
            if entry is not None and not bracket.entry_over and strategy_id in (None, entry.strategy_id):
                self._tasks.start(self._desk.cancel(entry, CancelReason.RISK))

    async def _brackets_known(self) -> None:
        await self._loaded.wait()
        if self._ended:
            raise StoreUnavailable(f"the worker of account {self.account_id} has ended")

    def _largest_first(self) -> list[Bracket]:
        return sorted(self.keeper.open_brackets.values(), key=lambda b: b.entered_notional, reverse=True)

    async def _request_close(self, groups: list[OrderId], reason: str) -> None:
        self._tasks.start(self._close_when_settled(groups))  # a lost database does not hold the way out
        for group_id in groups:
            await self._writer.written(RequestClose(group_id, self.account_id, reason, self._clock.now()), SYSTEM)

    async def _close_when_settled(self, groups: list[OrderId]) -> None:
        """Close once nothing that a dead predecessor sent can still arrive."""
        await self.acting.wait()
        await asyncio.sleep(max(0.0, self._settled_at - self._clock.monotonic()))
        self.keeper.want_out(groups)
