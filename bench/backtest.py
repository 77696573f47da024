"""Strategies over known bars: how many one-minute bars a second."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from bench import Figure, Server, rates
from patriot.kernel.clock import from_epoch_ms
from patriot.market.events import Bar
from patriot.sim.prices.recorded import load_recorded
from patriot.strategies.backtest import backtest
from patriot.strategies.catalogue import build
from patriot.strategies.interface import StrategySpec
from patriot.trading.terms import Exchange

RECORDING = Path(__file__).parents[1] / "examples" / "data" / "BTCUSDT-1m-3d.csv.gz"
REPEATS = 20  # of three days: 86,400 bars
MINUTE = timedelta(minutes=1)
SYMBOL = "BTCUSDT"


def recorded_bars() -> list[Bar]:
    feed = load_recorded(RECORDING)
    found = [feed.bar(feed.symbols[0], index) for index in range(feed.length or 0)]
    start = from_epoch_ms(feed.start_ms)
    return [
        Bar(
            *(Exchange.BINANCE, SYMBOL, "1m", start + number * MINUTE, start + (number + 1) * MINUTE),
            *(bar.open, bar.high, bar.low, bar.close, bar.volume),
        )
        for number, bar in enumerate(found * REPEATS)
    ]


async def measure(server: Server) -> list[Figure]:
    bars = recorded_bars()
    figures = []
    for kind in ("ema_cross", "donchian"):
        spec = StrategySpec("bench", kind, SYMBOL, "1m", {}, Decimal("0.1"), bars[0].opened_at)

        async def run(spec: StrategySpec = spec) -> int:
            for _ in backtest(build(spec), bars):
                pass
            return len(bars)

        name = f"backtest, {kind}, one-minute bars"
        figures.append(Figure(name, "bars/s", await rates(run), reach=100_000, stretch=500_000))
    return figures
