"""What the exchange says an account's wallet holds, against what its events give: the rest is money without a record.

Pure: `watch` is the policy's own fold. A sample may be written before the fills of the same moment are; so it is judged
when a later one arrives, by the times of what moved the wallet. Its own time is not exact, since the answer was some
time on its way: what moved the wallet within `UNSURE` of it may be in it or not, in the order in which it happened. If
one such cut explains the wallet, or leaves what was unexplained before, that is the answer; if there are several and
none does, the sample tells nothing and the next one decides.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from itertools import accumulate
from typing import NamedTuple, assert_never

from patriot.accounts.commands import RecordReconciliation
from patriot.accounts.events import (
    ChargeBooked,
    EquitySampled,
    FundingPaid,
    LedgerOpened,
    TradeBooked,
    TradeOrigin,
    TransferRecorded,
)
from patriot.kernel.money import EXACT, ZERO
from patriot.orders.events import OrderFilled
from patriot.trading.terms import AccountId

UNSURE = timedelta(seconds=10)  # at most, between the exchange reading a wallet and the time that we give the sample
SETTLED = timedelta(minutes=5)  # what moved a wallet is written after so long, or the wallet is not explained

MoneyEvent = LedgerOpened | TransferRecorded | FundingPaid | OrderFilled | TradeBooked | ChargeBooked | EquitySampled


class Move(NamedTuple):
    """What an event did to the wallet."""

    at: datetime
    amount: Decimal


class Sample(NamedTuple):
    """A wallet that the exchange showed and that is not judged yet."""

    at: datetime
    wallet: Decimal


@dataclass(slots=True)
class AccountMoney:
    """One account: its wallet as the events give it, and the samples that wait to be judged."""

    asset: str
    settled: Decimal = ZERO  # the sum of all moves that are older than any sample still to come
    moves: list[Move] = field(default_factory=list)  # the others, ascending; in log order within one instant
    samples: list[Sample] = field(default_factory=list)  # ascending
    unexplained: Decimal | None = None  # by the newest judgment

    def move(self, move: Move) -> None:
        """Take in what moved the wallet."""
        insort(self.moves, move, key=_time)

    def sample(self, sample: Sample) -> Sample | None:
        """Take in a sample; return the newest one that it allows to judge."""
        if self.samples and sample.at < self.samples[-1].at:
            return None  # an older answer that arrived after a newer one
        due = [one for one in self.samples if one.at <= sample.at - SETTLED]
        self.samples = [*self.samples[len(due) :], sample]
        return due[-1] if due else None

    def judge(self, sample: Sample) -> Decimal | None:
        """Return what the sample's wallet holds beyond the events, None if it does not tell.

        What no later sample needs is forgotten.
        """
        first = bisect_left(self.moves, sample.at - UNSURE, key=_time)
        last = bisect_left(self.moves, sample.at + UNSURE, key=_time)
        with localcontext(EXACT):
            self.settled += sum((move.amount for move in self.moves[:first]), ZERO)
            wallets = accumulate((move.amount for move in self.moves[first:last]), initial=self.settled)
            rests = [sample.wallet - wallet for wallet in wallets]
        del self.moves[:first]
        known = ZERO if self.unexplained is None else self.unexplained
        likely = next((rest for rest in (known, ZERO) if rest in rests), None)
        if likely is None and len(rests) > 1:
            return None
        self.unexplained = rests[0] if likely is None else likely
        return self.unexplained


@dataclass(slots=True)
class MoneyWatch:
    """The fold behind the policy: every account's money since its books were opened."""

    accounts: dict[AccountId, AccountMoney] = field(default_factory=dict)

    def asset_of(self, account_id: AccountId) -> str:
        """Return the asset that an account is kept in, empty before its books are opened."""
        money = self.accounts.get(account_id)
        return "" if money is None else money.asset


def reconcile(watch: MoneyWatch, event: MoneyEvent) -> list[RecordReconciliation]:
    """Fold an event into the watch and return what became known by it: the first judgment, and each other figure."""
    if isinstance(event, LedgerOpened):
        watch.accounts.setdefault(event.account_id, AccountMoney(event.asset))
        return []
    money = watch.accounts.get(event.account_id)
    if money is None:
        return []
    match event:
        case OrderFilled():
            commission = event.commission if event.commission_asset == money.asset else ZERO
            with localcontext(EXACT):
                money.move(Move(event.filled_at, event.realized_pnl - commission))
        case TransferRecorded():
            if event.asset == money.asset:
                money.move(Move(event.transferred_at, event.amount))
        case FundingPaid():
            if event.asset == money.asset:
                money.move(Move(event.funding_time, event.amount))
        case TradeBooked():
            if event.origin is not TradeOrigin.PATRIOT:  # ours are known from the fills
                commission = event.commission if event.commission_asset == money.asset else ZERO
                with localcontext(EXACT):
                    money.move(Move(event.traded_at, event.realized_pnl - commission))
        case ChargeBooked():
            if event.asset == money.asset:
                money.move(Move(event.booked_at, event.amount))
        case EquitySampled():
            return _compare(money, event)
        case _:
            assert_never(event)
    return []


def _compare(money: AccountMoney, event: EquitySampled) -> list[RecordReconciliation]:
    due = money.sample(Sample(event.sampled_at, event.wallet_balance))
    if due is None:
        return []
    known = money.unexplained
    found = money.judge(due)
    if found is None or found == known:
        return []
    return [RecordReconciliation(event.account_id, event.user_id, found, due.at, event.sampled_at)]


def _time(move: Move) -> datetime:
    return move.at
