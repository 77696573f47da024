"""What closed positions tell: how often and how much they won, how long they were held, what they cost. Pure, exact.

The result of a position is its price result (`realized_pnl`) less commission plus funding. A winner has a result above
zero, a loser below; what ended at exactly zero is neither. Positions count in the order in which they closed, those of
one moment by their id, so the order in which they arrive changes nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from itertools import groupby

from patriot.accounts.events import FundingPaid
from patriot.execution.events import PositionClosed
from patriot.kernel.money import EXACT, ZERO
from patriot.portfolio.figure import PLACES, Figure, ratio, rounded
from patriot.trading.terms import AccountId, OrderId, Side, StrategyId

BPS = 10_000  # basis points of 1
UNKNOWN_REGIME = "UNKNOWN"  # of a day that nobody classified
NO_STRATEGY = "NONE"  # a person opened it
SMALLEST_SHARE = Decimal(f"1E-{PLACES}")


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """One closed position. Units: base asset, quote per base, quote; commission is positive when paid.

    `side` is that of the entry. `commission` and `funding` are in the quote asset; the caller converts what was paid in
    another one. `reference_price` is that of the signal, None without one.
    """

    group_id: OrderId
    account_id: AccountId
    strategy_id: StrategyId | None
    symbol: str
    side: Side
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    realized_pnl: Decimal
    commission: Decimal
    opened_at: datetime
    closed_at: datetime
    funding: Decimal = ZERO
    reference_price: Decimal | None = None

    @property
    def result(self) -> Decimal:
        """Return what the position brought after commission and funding."""
        return total((self.realized_pnl, -self.commission, self.funding))

    @property
    def slippage_bps(self) -> Decimal | None:
        """Return how much worse (positive) or better the entry was than the signal's price; None without a signal.

        Source: Perold, The Implementation Shortfall, Journal of Portfolio Management 14 (1988): sign x (average fill -
        reference) / reference x 10,000.
        """
        if self.reference_price is None:
            return None
        drift = Fraction(self.entry_price) / Fraction(self.reference_price) - 1
        return rounded(self.side.sign * drift * BPS)


@dataclass(frozen=True, slots=True)
class TradeFigures:
    """The figures of some closed positions over a period. Units: quote asset, fractions, basis points."""

    closed: int
    winners: int
    losers: int
    realized_pnl: Decimal
    commission: Decimal
    funding: Decimal
    result: Decimal
    gross_profit: Decimal  # price results above zero, before costs: what fees and funding are a share of
    profit_factor: Figure[Decimal]
    win_rate: Figure[Decimal]
    expectancy: Figure[Decimal]  # per closed position
    average_win: Figure[Decimal]
    average_loss: Figure[Decimal]  # negative
    average_hold: timedelta | None
    exposure: Figure[Decimal]  # share of the period in which something was held
    turnover: Figure[Decimal]  # traded notional in units of the average equity
    fee_share: Figure[Decimal]
    funding_share: Figure[Decimal]  # positive when paid
    average_slippage_bps: Figure[Decimal]
    longest_win_streak: int
    longest_loss_streak: int
    loss_streak: int  # of the newest positions


def trade_of(
    position: PositionClosed,
    side: Side,
    quote_asset: str,
    prices: Mapping[str, Decimal],
    reference_price: Decimal | None = None,
) -> ClosedTrade | None:
    """Return a closed position with its commissions in the quote asset, or None if nothing was ever held.

    Units: prices in quote per unit of each asset that a commission was paid in, at the time of it.
    Errors: KeyError for a commission in an asset without a price.
    """
    if position.entry_price is None or position.exit_price is None or position.opened_at is None:
        return None
    with localcontext(EXACT):
        paid = total(
            money.amount * (Decimal(1) if money.asset == quote_asset else prices[money.asset])
            for money in position.commissions
        )
    return ClosedTrade(
        position.group_id,
        position.account_id,
        position.strategy_id,
        position.symbol,
        side,
        position.quantity,
        position.entry_price,
        position.exit_price,
        position.realized_pnl,
        paid,
        position.opened_at,
        position.closed_at,
        reference_price=reference_price,
    )


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Return the exact sum of amounts of one asset."""
    with localcontext(EXACT):
        return sum(amounts, ZERO)


def in_order(trades: Iterable[ClosedTrade]) -> list[ClosedTrade]:
    """Return positions in the order in which they closed."""
    return sorted(trades, key=lambda trade: (trade.closed_at, trade.group_id))


def trade_figures(
    trades: Sequence[ClosedTrade], since: datetime, until: datetime, average_equity: Decimal | None = None
) -> TradeFigures:
    """Return the figures of closed positions.

    Shapes: the positions that closed in [since, until], in any order. Each quotient is rounded once, to 18 decimals.
    Source: profit factor = sum of wins / -sum of losses, Pardo, The Evaluation and Optimization of Trading Strategies,
    2nd ed. (2008). Expectancy = mean result, Tharp, Trade Your Way to Financial Freedom, 2nd ed. (2007), here in money.
    Turnover = entry and exit notional / average equity. Fee and funding shares are of the gross profit.
    """
    ordered = in_order(trades)
    results = [trade.result for trade in ordered]
    wins = [result for result in results if result > 0]
    losses = [result for result in results if result < 0]
    realized = total(trade.realized_pnl for trade in ordered)
    commission, funding = total(trade.commission for trade in ordered), total(trade.funding for trade in ordered)
    gross_profit = total(trade.realized_pnl for trade in ordered if trade.realized_pnl > 0)
    slippage = [trade.slippage_bps for trade in ordered if trade.slippage_bps is not None]
    longest_win, longest_loss, newest_loss = _streaks(results)
    return TradeFigures(
        closed=len(ordered),
        winners=len(wins),
        losers=len(losses),
        realized_pnl=realized,
        commission=commission,
        funding=funding,
        result=total(results),
        gross_profit=gross_profit,
        profit_factor=_share(total(wins), -total(losses), "a losing position"),
        win_rate=_share(Decimal(len(wins)), Decimal(len(ordered)), "a closed position"),
        expectancy=_mean(results, "a closed position"),
        average_win=_mean(wins, "a winning position"),
        average_loss=_mean(losses, "a losing position"),
        average_hold=_average_hold(ordered),
        exposure=_exposure(ordered, since, until),
        turnover=_share(total(map(_traded, ordered)), average_equity or ZERO, "an average equity above zero"),
        fee_share=_share(commission, gross_profit, "a gross profit"),
        funding_share=_share(-funding, gross_profit, "a gross profit"),
        average_slippage_bps=_mean(slippage, "a position that a signal opened"),
        longest_win_streak=longest_win,
        longest_loss_streak=longest_loss,
        loss_streak=newest_loss,
    )


def _share(part: Decimal, whole: Decimal, missing: str) -> Figure[Decimal]:
    return Figure(ratio(part, whole)) if whole > 0 else Figure(None, missing)


def _mean(amounts: Sequence[Decimal], missing: str) -> Figure[Decimal]:
    return _share(total(amounts), Decimal(len(amounts)), missing)


def _traded(trade: ClosedTrade) -> Decimal:
    with localcontext(EXACT):
        return trade.quantity * (trade.entry_price + trade.exit_price)


def _average_hold(trades: Sequence[ClosedTrade]) -> timedelta | None:
    if not trades:
        return None
    return sum((trade.closed_at - trade.opened_at for trade in trades), timedelta()) / len(trades)


def _exposure(trades: Sequence[ClosedTrade], since: datetime, until: datetime) -> Figure[Decimal]:
    """Return the share of the period that the union of all holding times covers."""
    if until <= since:
        return Figure(None, "a period that lasts")
    held, covered_until = timedelta(), since
    for trade in sorted(trades, key=lambda trade: trade.opened_at):
        begin, end = max(trade.opened_at, covered_until), trade.closed_at
        if end > begin:
            held, covered_until = held + (end - begin), end
    return Figure(rounded(Fraction(held // timedelta(microseconds=1), (until - since) // timedelta(microseconds=1))))


def _streaks(results: Sequence[Decimal]) -> tuple[int, int, int]:
    """Return the longest runs of wins and of losses, and the run of losses at the end; a zero ends both."""
    longest, newest = {1: 0, -1: 0, 0: 0}, (0, 0)
    for sign, group in groupby(results, key=lambda result: (result > 0) - (result < 0)):
        newest = (sign, len(list(group)))
        longest[sign] = max(longest[sign], newest[1])
    return longest[1], longest[-1], newest[1] if newest[0] < 0 else 0


@dataclass(frozen=True, slots=True)
class Attribution:
    """What the closed positions of one name brought, in the quote asset."""

    name: str
    closed: int
    winners: int
    realized_pnl: Decimal
    commission: Decimal
    funding: Decimal
    result: Decimal


def attribute(trades: Iterable[ClosedTrade], name_of: Callable[[ClosedTrade], str]) -> tuple[Attribution, ...]:
    """Return what each name brought, by name; the lines add up to the whole."""
    lines = []
    for name, group in groupby(sorted(trades, key=name_of), key=name_of):
        of_name = list(group)
        lines.append(
            Attribution(
                name,
                len(of_name),
                sum(trade.result > 0 for trade in of_name),
                total(trade.realized_pnl for trade in of_name),
                total(trade.commission for trade in of_name),
                total(trade.funding for trade in of_name),
                total(trade.result for trade in of_name),
            )
        )
    return tuple(lines)


def by_strategy(trade: ClosedTrade) -> str:
    """Return the strategy of a position."""
    return str(trade.strategy_id or NO_STRATEGY)


def by_symbol(trade: ClosedTrade) -> str:
    """Return the symbol of a position."""
    return trade.symbol


def by_side(trade: ClosedTrade) -> str:
    """Return the side that opened a position."""
    return trade.side.value


def by_regime(regimes: Mapping[date, str]) -> Callable[[ClosedTrade], str]:
    """Return what names the regime of the UTC day on which a position was opened: the one its strategy traded in."""
    return lambda trade: regimes.get(trade.opened_at.astimezone(UTC).date(), UNKNOWN_REGIME)


def with_funding(
    trades: Iterable[ClosedTrade], payments: Iterable[FundingPaid], asset: str
) -> tuple[list[ClosedTrade], list[FundingPaid]]:
    """Return positions with the funding in `asset` that they paid or received, and the payments that are of none.

    A payment belongs to what its account held in its symbol: opened before its moment and closed at it or later, so it
    goes to one of two positions that follow each other. Several that were held together share it by quantity; parts are
    rounded half to even to 18 decimals, the last one takes the rest, and all of them are the payment.
    """
    ordered = in_order(trades)
    funding = dict.fromkeys((trade.group_id for trade in ordered), ZERO)
    left: list[FundingPaid] = []
    for payment in payments:
        held = [trade for trade in ordered if payment.asset == asset and _was_held(trade, payment)]
        if not held:
            left.append(payment)
        for trade, part in zip(held, shares(payment.amount, [trade.quantity for trade in held]), strict=True):
            funding[trade.group_id] = total((funding[trade.group_id], part))
    return [replace(trade, funding=funding[trade.group_id]) for trade in ordered], left


def _was_held(trade: ClosedTrade, payment: FundingPaid) -> bool:
    where = (trade.account_id, trade.symbol) == (payment.account_id, payment.symbol)
    return where and trade.opened_at < payment.funding_time <= trade.closed_at


def shares(amount: Decimal, quantities: Sequence[Decimal]) -> list[Decimal]:
    """Return an amount divided by quantities above zero, so that the parts add up to it.

    Units: an amount of at most 18 decimals; each part is rounded half to even to as many, the last one takes the rest.

    >>> [str(part) for part in shares(Decimal("1"), [Decimal(1), Decimal(2)])]
    ['0.333333333333333333', '0.666666666666666667']
    """
    parts: list[Decimal] = []
    counted, whole = ZERO, total(quantities)
    given = ZERO
    for quantity in quantities:
        counted = total((counted, quantity))
        with localcontext(EXACT):
            upto = (amount * counted / whole).quantize(SMALLEST_SHARE, ROUND_HALF_EVEN)
        parts.append(total((upto, -given)))
        given = upto
    return parts
