"""One account at work: its private stream, its desk, the protection of its positions, its money records.

Started by whoever holds the account's lease, and started over from the log and the exchange when anything in it fails.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import assert_never

from patriot.accounts.events import SampleReason
from patriot.execution.bracket import Bracket
from patriot.execution.commands import RecordAdjustment, RecordRouting, RecordUnexplained, RequestClose
from patriot.execution.effects import BracketKeeper
from patriot.execution.events import unexplained_stream_id
from patriot.execution.keys import KeyState
from patriot.execution.late_legs import LateLegs
from patriot.execution.ports import Alerts, CommandWriter, Desk, Ledger, LoggedBracket, Session
from patriot.execution.position_check import Difference, PositionCheck, differences, unexplained
from patriot.execution.reads import Reads
from patriot.execution.refusals import Refusals
from patriot.execution.stream_watch import StreamWatch
from patriot.execution.symbol_settings import SettingsKeeper
from patriot.execution.turns import Turns
from patriot.execution.unknown_orders import UnknownOrders
from patriot.kernel.bus import Decided
from patriot.kernel.clock import Clock
from patriot.kernel.errors import CommandRefused, LeaseLost, StoreUnavailable
from patriot.kernel.eventstore import SYSTEM, Context
from patriot.kernel.tasks import Background, Repeatable, without_end
from patriot.orders.commands import PlaceOrder
from patriot.orders.events import CancelReason, OrderApproved, OrderCreated, OrderEvent
from patriot.trading.reports import (
    AccountSnapshot,
    MoneyMoved,
    OrderReport,
    PrivateReport,
    SettingsChanged,
    StreamLost,
    StreamResumed,
    TradeReport,
)
from patriot.trading.terms import AccountId, OrderId, StrategyId, Urgency, UserId

Meant = Callable[[OrderCreated], Awaitable[bool]]  # whether the position of an entry is meant

LOOK_SECONDS = 1.0  # between thoughts about whether to ask
STREAM_SECONDS = 1.5  # for the private stream to open at a start; what rests can be asked for without it
ACT_SECONDS = 1.5  # for what rests to be told; then what the log has is all there is


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
        load_open: Callable[[], Awaitable[list[LoggedBracket]]],
        load_bracket: Callable[[OrderId], Awaitable[LoggedBracket]],
        load_traded: Callable[[datetime], Awaitable[list[str]]],
        dispatch: Callable[[PlaceOrder | RecordRouting, Context], Awaitable[Decided]],
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
        self.key = KeyState()
        self.predecessor_ended: float | None = None  # by this process's clock, where it was one of this process
        self.dispatch = dispatch
        self.late_legs = LateLegs(desk, load_traded, clock)
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
        self._began = False
        self._settled_at = 0.0
        self._handling = 0
        self._looked_at = clock.monotonic()
        self._stream, self._turns = StreamWatch(), Turns(account_id)
        self._positions = PositionCheck()
        self._settings = SettingsKeeper(account_id, session, alerts)
        self.reads = Reads(account_id, alerts)
        desk.on_read = self.reads.note
        self._tasks = Background()
        self._recovery = Repeatable(self._tasks, self._recover)
        self._catching_up = Repeatable(self._tasks, self._catch_up)
        self.money = Repeatable(self._tasks, self._read_money)  # until the exchange tells it
        modes = partial(self._settings.check_modes, Urgency.BACKGROUND)
        self._look_at_modes = Repeatable(self._tasks, partial(self.reads.until_read, "its modes", modes))
        self._look_at_orders = Repeatable(self._tasks, self._check_resting)
        self._look_at_positions = Repeatable(self._tasks, self._check_again)
        self.refusals = Refusals(account_id, desk, keeper, alerts, self._check_again)
        self._unknown = UnknownOrders(account_id, desk, keeper, load_bracket, self._adopt, alerts, self._tasks)
        keeper.on_closed = partial(self._tasks.soon, partial(self.refresh, Urgency.NORMAL))
        desk.on_answered = self._expect_event

    @property
    def busy(self) -> dict[str, int]:
        """Return what is under way; empty means that nothing happens until the exchange or a signal speaks."""
        starting, chores, desk, brackets = not self.ready.is_set(), self._tasks, self._desk.tasks, self.keeper.tasks
        work = {"starting": int(starting), "reports": self._handling, "journal": self._writer.pending}
        work |= {"chores": chores.busy, "desk": desk.busy, "brackets": brackets.busy}
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
            self._adopt(bracket)
            if bracket.closed:
                self.keeper.restore(self.keeper.open_brackets[bracket.group_id])
        self._took_over = bool(brackets)
        ended = self._clock.monotonic() if self.predecessor_ended is None else self.predecessor_ended
        self._settled_at = ended + (self._takeover_seconds if brackets else 0.0)
        self._loaded.set()
        unfinished = [bracket.group_id for bracket in brackets if bracket.close_requested]
        if unfinished:
            self._tasks.start(self._close_when_settled(unfinished))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._stop_when_asked())
                group.create_task(without_end(self._writer.run, "the journal"))
                group.create_task(without_end(self._follow, "the private stream"))
                group.create_task(self._begin_without_stream())
                group.create_task(without_end(self._keep_checking, "the look at what rests"))
                for background in (self._desk.tasks, self.keeper.tasks, self._tasks):
                    group.create_task(background.failed())
        finally:
            self.ready.clear()
            self.acting.clear()
            for background in (self._tasks, self.keeper.tasks, self._desk.tasks):
                await background.close()

    def _adopt(self, bracket: LoggedBracket) -> None:
        """Take over a bracket as the log has it, what somebody else closed of it included, before anything is done."""
        self._desk.adopt(bracket.events)
        if bracket.closed_elsewhere:
            self.keeper.adjust(bracket.group_id, bracket.closed_elsewhere)

    def stop(self) -> None:
        """End the work: another owner has the account, or it was unlinked."""
        self._stopping.set()

    async def _stop_when_asked(self) -> None:
        await self._stopping.wait()
        raise LeaseLost(f"account {self.account_id} is no longer ours to work for")

    def _expect_event(self, client_id: str) -> None:
        self._stream.answered(client_id, self._clock.monotonic())

    async def _begin_without_stream(self) -> None:
        await asyncio.sleep(STREAM_SECONDS)
        if not self._began:
            self._stream.lost()
            await self._resync()

    async def _follow(self) -> None:
        async for report in self._session.reports():
            self._handling += 1
            try:
                await self._take(report)
            finally:
                self._handling -= 1

    async def _keep_checking(self) -> None:
        """Look when the stream may be dead, and now and then: the one message that matters may have been lost."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not self.acting.is_set():
                continue
            holding = bool(self.keeper.open_brackets or self._positions.unexplained)
            now = self._clock.monotonic()
            if self.late_legs.is_due(now):
                self._tasks.start(self._look_for_late_legs())
            if self._ledger.is_due(now):
                self.money.ask()
            if self._stream.is_due(now, holding=holding) or self._turns.has_come(self._looked_at, now, holding=holding):
                self._look()

    async def _look_for_late_legs(self) -> None:
        await self.reads.until_read("orders of before", self.late_legs.look)
        self._unknown.look()

    def _look(self) -> None:
        """Ask whether what we believe to rest does, and whether what is held is what we believe."""
        self._looked_at = self._clock.monotonic()
        if self._stream.owes(self._looked_at):
            self._session.reopen_stream("it did not tell of an order that the exchange answered for")
        self._stream.looked(self._looked_at)
        self._look_at_orders.ask()
        self._look_at_positions.ask()  # neither waits for the other's answers

    async def _check_resting(self) -> None:
        owed = self._stream.owes(self._clock.monotonic())  # else nothing says that a stop is gone: not for the reserve
        urgency = Urgency.PROTECTION if owed else Urgency.POSITION
        await self.reads.until_read("what rests", partial(self._desk.check_resting, urgency))
        self._unknown.look()

    async def _take(self, report: PrivateReport) -> None:
        self._venue_said(report.at)
        now = self._clock.monotonic()
        match report:
            case StreamResumed():
                self._stream.resumed(now)
                await self._resync()
            case OrderReport():
                self._stream.heard(now, report.client_order_id)
                self._desk.on_order(report)
            case TradeReport():
                self._stream.heard(now, report.client_order_id)
                self._desk.on_trade(report)
            case MoneyMoved():
                self._stream.heard(now)
                self.money.ask()
            case SettingsChanged():
                self._stream.heard(now)
                self._look_at_modes.ask()  # a symbol's: before its next entry
            case StreamLost():
                self._stream.lost()
                if report.key_refused:
                    self.refusals.on_key_refused()
            case _:
                assert_never(report)
        self._unknown.look()

    async def _resync(self) -> None:
        """Act as soon as it is known what rests, or is not told in time; the stream is not held up for longer."""
        self._began = True
        recovering = self._recovery.ask()
        await asyncio.wait({recovering}, timeout=ACT_SECONDS)
        if not recovering.done():
            self._desk.count_on_nothing()
        self.keeper.resume()
        self.acting.set()

    async def _recover(self) -> None:
        took_over, self._took_over = self._took_over, False
        await self._desk.recover(takeover=took_over)
        self._catching_up.ask()

    async def _catch_up(self) -> None:
        """Be ready as soon as it is known what is held; what is only to be recorded follows."""
        await self.acting.wait()
        await self.refresh(Urgency.POSITION)
        self.ready.set()
        self.money.ask()
        self._look_at_modes.ask()
        await self._desk.catch_up(search=False)
        if self.snapshot is not None:
            await self.check_positions(self.snapshot)

    async def _read_money(self) -> None:
        await self.reads.until_read("income", self._ledger.sync_income)
        sample = partial(self._ledger.sample_equity, SampleReason.TRANSFER)
        await self.reads.until_read("what it is worth", sample)
        await self.refresh(Urgency.NORMAL)

    async def fetch_fills(self) -> bool:
        """Ask for the executions of all that is open; return whether all that is known of them is written."""
        if not self.acting.is_set():
            return False
        await self._desk.catch_up(search=False)
        return not self._writer.pending

    async def refresh(self, urgency: Urgency) -> None:
        """Read balances and positions again."""
        await self.reads.until_read("what it holds", partial(self._read_snapshot, urgency))

    async def read_equity(self) -> Decimal | None:
        """Return what the account is worth: read anew while it holds something. Errors: ExchangeError."""
        if self.keeper.open_brackets:
            await self._read_snapshot(Urgency.POSITION)  # unrealized profit has moved since the last reading
        return self.snapshot.equity if self.snapshot is not None else None

    async def _read_snapshot(self, urgency: Urgency) -> None:
        self.snapshot = await self._session.snapshot(urgency=urgency)

    async def _check_again(self, *, exit_refused: OrderId | None = None) -> None:
        holding = bool(self.keeper.open_brackets or self._positions.unexplained)
        await self.refresh(Urgency.POSITION if holding else Urgency.BACKGROUND)
        if self.snapshot is not None:
            await self.check_positions(self.snapshot, exit_refused=exit_refused)

    def look_at(self, snapshot: AccountSnapshot) -> None:
        """Compare what somebody else read with our brackets, while this worker works."""
        self._tasks.start(self.check_positions(snapshot))

    async def check_positions(self, snapshot: AccountSnapshot, *, exit_refused: OrderId | None = None) -> None:
        """Compare the exchange's positions with our brackets; what somebody else closed is no longer ours to protect.

        A difference is looked into first: an order or an execution may have been missed. `exit_refused`: the bracket
        whose position the exchange refused to reduce, so that its word on this one need not stand for long.
        """
        brackets = self.keeper.open_brackets
        if differences(brackets.values(), snapshot) or unexplained(brackets.values(), snapshot):
            await self._desk.recover(takeover=False)
            await self._desk.catch_up(search=True)
            for symbol in unexplained(brackets.values(), snapshot):
                await self._desk.search(symbol, strays=True)
            await self.refresh(Urgency.POSITION)  # also where no bracket is open: a person may have to be called
            snapshot = self.snapshot or snapshot
        different = differences(brackets.values(), snapshot)
        confirmed = self._positions.confirmed(different, self._clock.monotonic())
        for difference in different:
            if difference in confirmed or difference.entry.order_id == exit_refused:
                self._take_difference(difference)
        for symbol, quantity in self._positions.changed(unexplained(brackets.values(), snapshot)).items():
            self._take_unexplained(symbol, quantity)

    def _take_difference(self, difference: Difference) -> None:
        entry, expected, found = difference.entry, difference.expected, difference.found
        self._alerts.critical(
            "position.differs", account_id=self.account_id, symbol=entry.symbol, expected=expected, found=found
        )
        if found < expected:
            elsewhere = self.keeper.open_brackets[entry.order_id].closed_elsewhere + expected - found
            adjustment = RecordAdjustment(
                entry.order_id, self.account_id, entry.symbol, expected, found, elsewhere, self._clock.now()
            )
            self._writer.put(adjustment, SYSTEM)
            self.keeper.adjust(entry.order_id, elsewhere)

    def _take_unexplained(self, symbol: str, quantity: Decimal) -> None:
        if quantity:
            self._alerts.critical("position.unexplained", account_id=self.account_id, symbol=symbol, quantity=quantity)
        stream_id = unexplained_stream_id(self.account_id, symbol)
        at = self._clock.now()
        noted = RecordUnexplained(stream_id, self.account_id, self.user_id, symbol, quantity, at)
        self._writer.put(noted, SYSTEM)

    async def prepare(self, symbol: str, leverage: int) -> None:
        """See that a symbol is set as an entry needs it.

        Errors: ExchangeError; CommandRefused while somebody else's position stands on the symbol, or in a foreign mode.
        """
        if symbol in self._positions.unexplained:
            raise CommandRefused(f"{symbol}: expected no position, found {self._positions.unexplained[symbol]}")
        await self._settings.prepare(symbol, leverage)

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
                self._desk.adopt(bracket.events)
                if isinstance(created := bracket.events[0], OrderCreated):
                    self._tasks.start(self._desk.resume(created))

    async def close(
        self, symbol: str, strategy_id: StrategyId | None, reason: str, meant: Meant | None = None
    ) -> OrderId | None:
        """Have a strategy's position on a symbol closed; return its bracket, or None if there is nothing to close.

        `meant` tells of its entry whether it is; without, any is.

        The wish is durable when this returns, and is carried out in the background. Errors: StoreUnavailable if this
        worker ends before: ask its successor.
        """
        await self._brackets_known()
        bracket = self.keeper.bracket_on(symbol, strategy_id)
        if bracket is None or bracket.entry is None:
            return None
        if meant is not None and not await meant(bracket.entry):
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
