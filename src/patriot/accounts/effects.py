"""Keep an account's books: read what the exchange booked, record what is new."""

import asyncio
from datetime import timedelta

from patriot.accounts.commands import (
    LedgerCommand,
    OpenLedger,
    RecordCharge,
    RecordEquity,
    RecordFunding,
    RecordTransfer,
)
from patriot.accounts.events import PositionSample, SampleReason, ledger_stream
from patriot.accounts.ledger import LEDGER, REMEMBERED, Ledger, missing_equity, read_from
from patriot.accounts.other_trades import MAY_BE_OURS, Found, OtherTrades
from patriot.accounts.ports import AccountVenue, Worth
from patriot.kernel.bus import CommandBus, decode_all
from patriot.kernel.clock import Clock
from patriot.kernel.errors import ExchangeUnavailable
from patriot.kernel.eventstore import Actor, ActorType, Context, EventStore
from patriot.kernel.ids import derived_id
from patriot.trading.reports import AccountSnapshot, IncomeRecord, IncomeType
from patriot.trading.steps import Reached, Step, pass_by
from patriot.trading.terms import AccountId, Urgency, UserId

INCOME_HISTORY = timedelta(days=89)  # the exchange keeps three months
STEADY_READS = 5  # tries to read income and wallet with nothing booked in between
LOOK_AGAIN = timedelta(minutes=1)  # at executions of which it was not known whose they are


class AccountLedger:
    """The books of one account. Every call may be repeated; two at once wait for each other."""

    def __init__(
        self,
        account_id: AccountId,
        user_id: UserId,
        venue: AccountVenue,
        bus: CommandBus,
        clock: Clock,
        store: EventStore,
        others: OtherTrades,
        worth: Worth,
        reached: Reached = pass_by,
    ) -> None:
        self._account_id = account_id
        self._user_id = user_id
        self._venue = venue
        self._bus = bus
        self._clock = clock
        self._store = store
        self._others = others
        self._worth = worth
        self._reached = reached
        self._ledger = LEDGER.initial
        self._version = 0  # of the stream that the ledger is folded from: others write to it too
        self._due_at: float | None = None  # when income is to be read again, whatever the exchange tells
        self._one_at_a_time = asyncio.Lock()

    @property
    def opened(self) -> bool:
        """Tell whether the books are known to be open; nothing is entered before they are."""
        return self._ledger.opened

    def is_due(self, now: float) -> bool:
        """Return whether it is time to read income again by itself: once for each time that it is due."""
        due = self._due_at is not None and now >= self._due_at
        if due:
            self._due_at = None
        return due

    async def sync_income(self, *, urgency: Urgency = Urgency.BACKGROUND) -> None:
        """Record transfers, funding, charges and others' executions that are new, and a sample if money moved.

        History costs much of the request budget and waits for everything else, unless the call says otherwise. The
        first call of an account opens its books: many that are linked at once hold up nobody who trades.
        Errors: ExchangeError; StoreUnavailable. ExchangeRefused also where only executions of one symbol are refused,
        once all else is recorded.
        """
        async with self._one_at_a_time:
            found = Found()
            ledger = await self._load()
            if not ledger.opened:
                await self._open(urgency)
            else:
                begin = read_from(ledger, self._clock.now() - INCOME_HISTORY)
                income = await self._venue.income(begin, urgency=urgency)
                found = await self._book_others(income, urgency)
                since = found.undecided_since
                for record in income:
                    if since is None or record.at < since + REMEMBERED:  # else it is not read again
                        await self._book(record)
            due = missing_equity(await self._load())
            if due is not None:
                await self._sample(due)
            if found.refusal is not None:
                raise found.refusal

    async def sample_equity(self, reason: SampleReason) -> AccountSnapshot | None:
        """Record what the account is worth now, by its exchange: once an hour or per transfer, as the reason says.

        Returns what was read, or None if no sample was due.
        Errors: ExchangeError; StoreUnavailable. ExchangeUnavailable also while the hour, by the exchange's clock, has
        not come: its sample must be tried again.
        """
        async with self._one_at_a_time:
            due = missing_equity(await self._load())
            if due is None and reason in (SampleReason.TRANSFER, SampleReason.LINKED):
                return None
            return await self._sample(reason)

    async def _load(self) -> Ledger:
        new = await self._store.read_stream(ledger_stream(self._account_id), self._version)
        self._ledger = LEDGER.fold(decode_all(new), self._ledger)
        self._version += len(new)
        return self._ledger

    async def _open(self, urgency: Urgency) -> None:
        income, snapshot = await self._read_steadily(urgency)
        await self._record(
            OpenLedger(
                account_id=self._account_id,
                user_id=self._user_id,
                asset=snapshot.asset,
                wallet_balance=snapshot.wallet_balance,
                income=tuple(income),
                at=snapshot.at,
            )
        )

    async def _read_steadily(self, urgency: Urgency) -> tuple[list[IncomeRecord], AccountSnapshot]:
        """Return income and wallet of one instant: nothing was booked between the reads."""
        since = self._clock.now() - INCOME_HISTORY
        income = await self._venue.income(since, urgency=urgency)
        for _ in range(STEADY_READS):
            snapshot = await self._venue.snapshot()
            again = await self._venue.income(since, urgency=urgency)
            if again == income:
                return income, snapshot
            income = again
        raise ExchangeUnavailable(f"the account was never still in {STEADY_READS} reads of its wallet")

    async def _book_others(self, income: list[IncomeRecord], urgency: Urgency) -> Found:
        """Book what others executed; return what was found."""
        others, since = self._others, self._others.unknown(self._ledger, income)
        if not since:
            return Found()
        settled = (await self._venue.snapshot(urgency=urgency)).at - MAY_BE_OURS
        knows_fills = min(since.values()) <= settled and await others.fills_known()
        ledger = await self._load()
        found = await others.find(ledger, others.unknown(ledger, income), settled if knows_fills else None, urgency)
        for command in found.commands:
            await self._record(command)
        if found.undecided_since is not None:
            wait = max(LOOK_AGAIN, found.undecided_since - settled)
            self._due_at = self._clock.monotonic() + wait.total_seconds()
        return found

    async def _book(self, record: IncomeRecord) -> None:
        if self._ledger.knows(record.record_id, record.at):
            return
        match record.income_type:
            case IncomeType.TRANSFER:
                command: LedgerCommand = RecordTransfer(
                    self._account_id, self._user_id, record.record_id, record.asset, record.amount, record.at
                )
            case IncomeType.FUNDING_FEE:
                command = RecordFunding(
                    self._account_id,
                    self._user_id,
                    record.record_id,
                    record.symbol,
                    record.asset,
                    record.amount,
                    record.at,
                )
            case IncomeType.CHARGE:
                asset = self._ledger.asset or ""
                command = RecordCharge(
                    self._account_id,
                    self._user_id,
                    record.record_id,
                    record.raw_type,
                    record.symbol,
                    record.asset,
                    record.amount,
                    await self._worth(record.amount, record.asset, asset, record.at),
                    record.at,
                )
            case _:
                return  # realized PnL and commission come with the executions; anything else stays to be explained
        await self._record(command)

    async def _sample(self, reason: SampleReason) -> AccountSnapshot:
        ledger, asked_at = await self._load(), self._clock.now()
        snapshot = await self._venue.snapshot()
        if ledger.has_hour(reason, snapshot.at) and not ledger.has_hour(reason, asked_at):
            raise ExchangeUnavailable(f"by the exchange's clock it is still {snapshot.at.isoformat()}")
        positions = tuple(
            PositionSample(row.symbol, row.quantity, row.entry_price, row.mark_price, row.unrealized_pnl)
            for row in sorted(snapshot.positions, key=lambda row: row.symbol)
        )
        await self._record(
            RecordEquity(
                account_id=self._account_id,
                user_id=self._user_id,
                reason=reason,
                asset=snapshot.asset,
                wallet_balance=snapshot.wallet_balance,
                equity=snapshot.equity,
                positions=positions,
                at=snapshot.at,
            )
        )
        self._reached(Step.EQUITY_SAMPLED)
        return snapshot

    async def _record(self, command: LedgerCommand) -> None:
        context = Context(
            correlation_id=derived_id("ledger", self._account_id, type(command).__name__, command.at.isoformat()),
            user_id=self._user_id,
            account_id=self._account_id,
            actor=Actor(ActorType.EXCHANGE, "accounts"),
        )
        await self._bus.dispatch(command, context)
        await self._load()
