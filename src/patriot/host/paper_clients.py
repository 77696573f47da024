"""What the demo sets up: who the clients are, what they bring, which strategies they follow. The same for one seed."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from patriot.kernel.ids import derived_id
from patriot.trading.terms import StrategyId, UserId

SYMBOL = "BTCUSDT"
FEE_RATE = Decimal("0.30")
REFUSED_CLIENTS = 2  # offer a key with withdraw right first
FORTUNE_TELLER = "hindsight"
OTHER_SYMBOL = "ETHUSDT"
# Short periods: some stops and targets are met within minutes, other positions are left by a signal.
LIVELY_TREND = {"fast_period": "2", "slow_period": "3", "rsi_period": "2", "rsi_ceiling": "100", "atr_period": "3"}
LIVELY_BREAKOUT = {"entry_bars": "2", "exit_bars": "2", "atr_period": "2", "stop_atr": "4"}
LIVELY_RISK = Decimal("0.0005")  # of equity: a day's commissions stay below the limit of a day's loss

Allocations = tuple[tuple[StrategyId, Decimal], ...]


@dataclass(frozen=True, slots=True)
class PlannedStrategy:
    """One strategy of the demo; `parameters` beyond its defaults."""

    strategy_id: StrategyId
    name: str
    kind: str
    parameters: dict[str, str]
    risk_per_trade_fraction: Decimal
    symbol: str = SYMBOL
    interval: str = "15m"


@dataclass(frozen=True, slots=True)
class PlannedClient:
    """One client with one account. Units: quote asset."""

    number: int
    user_id: UserId
    balance: Decimal
    offers_withdraw_key: bool
    allocations: Allocations


@dataclass(frozen=True, slots=True)
class PlannedTransfer:
    """Money that moves on the way; `info` tells it from every other, so that a resumed demo does not repeat it."""

    client: int
    amount: Decimal
    at: datetime
    info: str


@dataclass(frozen=True, slots=True)
class DemoPlan:
    strategies: tuple[PlannedStrategy, ...]
    clients: tuple[PlannedClient, ...]


def make_plan(accounts: int, seed: int, recording: Path | None, *, lively: bool = False) -> DemoPlan:
    """Return who trades what. The last client follows a strategy that knows the recording, so that a fee is shown.

    With `lively` strategies look at minutes, on two symbols, and trade every few of them.
    """
    trend = _strategy(seed, "EMA cross", "ema_cross", {})
    breakout = _strategy(seed, "Donchian breakout", "donchian", {})
    if lively:
        trend, breakout = _lively(trend, LIVELY_TREND, SYMBOL), _lively(breakout, LIVELY_BREAKOUT, OTHER_SYMBOL)
    strategies = [trend, breakout]
    if recording is not None:
        label = "Hindsight (knows the future; shows the fee)"
        strategies.append(_strategy(seed, label, FORTUNE_TELLER, {"data_file": str(recording)}))
    half: Allocations = ((trend.strategy_id, Decimal("0.5")), (breakout.strategy_id, Decimal("0.5")))
    clients = []
    for number in range(accounts):
        follows = half
        if recording is not None and number == accounts - 1:
            follows = ((strategies[-1].strategy_id, Decimal(1)),)
        elif number % 5 == 1:
            follows = ((trend.strategy_id, Decimal(1)),)
        elif number % 5 == 3:
            follows = ((breakout.strategy_id, Decimal("0.8")),)
        client = PlannedClient(
            number=number,
            user_id=UserId(derived_id("demo-user", seed, number)),
            balance=_balance(seed, number),
            offers_withdraw_key=number < min(REFUSED_CLIENTS, accounts),
            allocations=follows,
        )
        clients.append(client)
    return DemoPlan(tuple(strategies), tuple(clients))


def planned_transfers(plan: DemoPlan, start: datetime, end: datetime) -> Iterator[PlannedTransfer]:
    """Yield a deposit after a third of the time and a withdrawal after two thirds, on full minutes."""
    third = (end - start) / 3
    depositor, leaver = plan.clients[0], plan.clients[-1 if len(plan.clients) == 1 else 1]
    yield PlannedTransfer(depositor.number, Decimal(1000), _minute(start + third), "demo deposit")
    amount = -(leaver.balance / 10).quantize(Decimal("0.01"))
    yield PlannedTransfer(leaver.number, amount, _minute(start + 2 * third), "demo withdrawal")


def _strategy(seed: int, name: str, kind: str, parameters: dict[str, str]) -> PlannedStrategy:
    return PlannedStrategy(StrategyId(derived_id("demo-strategy", seed, kind)), name, kind, parameters, Decimal("0.02"))


def _lively(strategy: PlannedStrategy, parameters: dict[str, str], symbol: str) -> PlannedStrategy:
    return replace(strategy, parameters=parameters, risk_per_trade_fraction=LIVELY_RISK, symbol=symbol, interval="1m")


def _balance(seed: int, number: int) -> Decimal:
    """Return an uneven balance between 3,000.00 and 60,000.00."""
    noise = int.from_bytes(hashlib.blake2b(f"{seed}:{number}".encode(), digest_size=4).digest(), "big")
    return Decimal(300_000 + noise % 5_700_000) / 100


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
