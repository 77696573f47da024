"""Keep an account's books: read what the exchange booked, record what is new."""

import asyncio
from datetime import timedelta

from patriot.accounts.commands import LedgerCommand, OpenLedger, RecordEquity, RecordFunding, RecordTransfer
from patriot.accounts.events import PositionSample, SampleReason, ledger_stream
from patriot.accounts.ledger import LEDGER, Ledger, missing_equity, read_from
from patriot.accounts.ports import AccountVenue
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
        reached: Reached = pass_by,
    ) -> None:
        self._account_id = account_id
        self._user_id = user_id
        self._venue = venue
        self._bus = bus
        self._clock = clock
        self._store = store
        self._reached = reached
        self._ledger: Ledger | None = None
        self._opened = False
        self._one_at_a_time = asyncio.Lock()

    @property
    def opened(self) -> bool:
        """Tell whether the books are known to be open; nothing is entered before they are."""
        return self._opened

    async def sync_income(self, *, urgency: Urgency = Urgency.BACKGROUND) -> None:
        """Record transfers and funding that are new, and what the account is worth if money moved in or out.

        History costs much of the request budget and waits for everything else, unless the call says otherwise. The
        first call of an account opens its books: many that are linked at once hold up nobody who trades.
        Errors: ExchangeError; StoreUnavailable.
        """
        async with self._one_at_a_time:
            ledger = await self._load()
            if not ledger.opened:
                await self._open(urgency)
            else:
                since = read_from(ledger, self._clock.now() - INCOME_HISTORY)
                for record in await self._venue.income(since, urgency=urgency):
                    await self._book(record)
            due = missing_equity(await self._load())
            if due is not None:
                await self._sample(due)

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
        if self._ledger is None:
            history = await self._store.read_stream(ledger_stream(self._account_id))
            self._ledger = LEDGER.fold(decode_all(history))
        self._opened = self._ledger.opened
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

    async def _book(self, record: IncomeRecord) -> None:
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
            case _:
                return  # realized PnL and commission come with the fills; anything else stays to be explained
        if not (await self._load()).knows(record.record_id, record.at):
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
        ledger, self._ledger = await self._load(), None  # if the answer is lost, the log tells what was written
        decided = await self._bus.dispatch(command, context)
        self._ledger = LEDGER.fold(decided.events, ledger)
