"""Risk: how long all metrics of 1,000 accounts with 10 positions each take, and the history of their symbols."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from uuid import UUID

import numpy as np

from bench import RUNS, Figure, Server
from patriot.risk.history import LOOKBACK_HOURS, Window, summarize
from patriot.risk.holdings import AccountHoldings, OpenEntry, Position
from patriot.risk.metrics import measure as measure_risk
from patriot.risk.stress import Scenario, Stress, StressSeverity, stress_test
from patriot.trading.terms import AccountId, StrategyId, UserId

ACCOUNTS, POSITIONS, SYMBOLS, STRATEGIES = 1_000, 10, 50, 8
HOURLY_VOLATILITY = 0.006
REACH_SECONDS, STRETCH_SECONDS = 1.0, 0.2


def window(seed: int = 7) -> Window:
    """Return 60 days of returns of symbols that share one market."""
    chance = np.random.default_rng(seed)
    hours = 2 * LOOKBACK_HOURS
    market = chance.standard_normal((hours, 1))
    own = chance.standard_normal((hours, SYMBOLS))
    symbols = tuple(f"COIN{number:02}USDT" for number in range(SYMBOLS))
    return Window(symbols, HOURLY_VOLATILITY * (0.8 * market + 0.6 * own))


def holdings(accounts: int = ACCOUNTS, seed: int = 7) -> list[AccountHoldings]:
    """Return accounts of two a user, each with positions long and short, protected and not, ours and foreign."""
    chance = np.random.default_rng(seed)
    found = []
    for number in range(accounts):
        positions = []
        for symbol in chance.choice(SYMBOLS, POSITIONS, replace=False).tolist():
            mark = Decimal(str(round(float(chance.uniform(1, 60_000)), 2)))
            quantity = Decimal(str(round(float(chance.uniform(-1_000, 1_000)) / float(mark), 6)))
            strategy = StrategyId(UUID(int=1 + symbol % STRATEGIES)) if symbol % 10 else None
            stop = mark * (Decimal("0.98") if quantity > 0 else Decimal("1.02")) if symbol % 3 else None
            positions.append(
                Position(
                    f"COIN{symbol:02}USDT", quantity, mark, mark, stop, abs(quantity * mark) / 100, mark / 2, strategy
                )
            )
        entry = OpenEntry("COIN01USDT", Decimal(100), StrategyId(UUID(int=1)))
        account_id, user_id = AccountId(UUID(int=10_000 + number)), UserId(UUID(int=20_000 + number // 2))
        money = Decimal(5_000)
        found.append(AccountHoldings(account_id, user_id, "USDT", money, money, tuple(positions), (entry,)))
    return found


def seconds(work: Callable[[], object]) -> tuple[float, ...]:
    measured = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        measured.append(time.perf_counter() - start)
    return tuple(measured)


async def measure(server: Server) -> list[Figure]:
    """Measure in memory; no database is used."""
    accounts, prices = holdings(), window()
    history = summarize(prices)
    spike = Scenario(Stress.VOLATILITY_SPIKE, StressSeverity.SEVERE)
    crash = Scenario(Stress.MARKET_CRASH, StressSeverity.SEVERE)
    size = f"{ACCOUNTS:,} accounts x {POSITIONS} positions"
    note = f"{SYMBOLS} symbols, {STRATEGIES} strategies, {ACCOUNTS // 2} users"
    works: dict[str, Callable[[], object]] = {
        f"risk history, {SYMBOLS} symbols, once an hour": lambda: summarize(prices),
        f"stress, crash, {size}": lambda: stress_test(accounts, crash, history),
        f"stress, volatility, {size}": lambda: stress_test(accounts, spike, history),
    }
    runs = seconds(lambda: measure_risk(accounts, history))
    return [
        Figure(f"risk metrics, {size}", "s", runs, REACH_SECONDS, STRETCH_SECONDS, lower_is_better=True, note=note),
        *(Figure(name, "s", seconds(work), lower_is_better=True) for name, work in works.items()),
    ]
