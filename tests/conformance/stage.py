"""What the suites stand on: a running simulator, accounts on it, and what a call finds when it is made.

Blocking, with the standard library alone: most of the clients under test block, and none of them is used to arrange.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any, ClassVar
from urllib.parse import urlencode

from tests.conformance.server import TOKEN

SYMBOL = "BTCUSDT"
_NUMBERS = count(1)
MS_PER_DAY = 86_400_000
AGAIN_SECONDS = 0.3


def ask(method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> Any:
    """Send one request and return what the answer's JSON says, also of a refusal."""
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


@dataclass(frozen=True, slots=True)
class Stage:
    """A running simulator of both venues."""

    binance_port: int
    bybit_port: int
    control_port: int

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Ask the control API."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        text = None if body is None else json.dumps(body).encode()
        return ask(method, f"http://127.0.0.1:{self.control_port}{path}", headers, text)

    def binance(self, **more: object) -> BinanceAccount:
        """Open an account on the Binance face."""
        made = self.control("POST", "/accounts", {"venue": "binance", "balance": "100000", **more})
        return BinanceAccount(self, made["uid"], made["api_key"], made["api_secret"])

    def bybit(self, **more: object) -> BybitAccount:
        """Open an account on the Bybit face."""
        made = self.control("POST", "/accounts", {"venue": "bybit", "balance": "100000", **more})
        return BybitAccount(self, made["uid"], made["api_key"], made["api_secret"])


@dataclass(frozen=True)
class Account(ABC):
    """One account. arrange(name) makes true what the name says and returns what a call needs of it."""

    venue: ClassVar[str]
    stage: Stage
    uid: int
    api_key: str
    api_secret: str

    def arrange(self, name: str) -> Any:
        """Return what stands behind a word of the table: `order`, `position`, `now`, `day_ago` ..."""
        plain = {"now": 0, "hour_ago": 3_600_000, "day_ago": MS_PER_DAY, "in_a_day": -MS_PER_DAY}
        if name in plain:
            return self.venue_ms() - plain[name]
        if name == "name":
            return f"t{next(_NUMBERS)}"
        return getattr(self, name)() if callable(getattr(type(self), name, None)) else getattr(self, name)

    def shock(self) -> None:
        """A fall of the price, for a minute of the venue: deeper each second time, since the last may still hold."""
        factor = "0.95" if next(_NUMBERS) % 2 else "0.9"
        wish = {"action": "price_shock", "symbol": SYMBOL, "factor": factor, "minutes": 1}
        self.stage.control("POST", "/faults", wish)

    def liquidation(self) -> None:
        """The liquidation of somebody else's position."""
        other = self.stage.binance() if isinstance(self, BinanceAccount) else self.stage.bybit()
        other.arrange("own_liquidation")

    @property
    @abstractmethod
    def base(self) -> str:
        """The address of the venue."""

    @abstractmethod
    def venue_ms(self) -> int: ...

    @cached_property
    @abstractmethod
    def last(self) -> float: ...

    @property
    def low(self) -> float:
        """A price that a buy order rests at."""
        return round(self.last * 0.97, 1)

    @property
    def lower(self) -> float:
        return round(self.last * 0.965, 1)

    @property
    def low_text(self) -> str:
        return str(self.low)

    @property
    def lower_text(self) -> str:
        return str(self.lower)

    @property
    def high(self) -> float:
        """A price that a sell order rests at."""
        return round(self.last * 1.03, 1)


@dataclass(frozen=True)
class BinanceAccount(Account):
    venue: ClassVar[str] = "binance"

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.stage.binance_port}"

    def venue_ms(self) -> int:
        return int(ask("GET", f"{self.base}/fapi/v1/time", {})["serverTime"])

    @cached_property
    def last(self) -> float:
        return float(ask("GET", f"{self.base}/fapi/v1/ticker/price?symbol={SYMBOL}", {})["price"])

    def signed(self, method: str, path: str, **parameters: object) -> Any:
        """Send a signed request; a refusal fails the test that arranged it."""
        text = urlencode({**parameters, "timestamp": self.venue_ms(), "recvWindow": 60_000})
        signature = hmac.new(self.api_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        url = f"{self.base}{path}?{text}&signature={signature}"
        answer = ask(method, url, {"X-MBX-APIKEY": self.api_key})
        assert not (isinstance(answer, dict) and answer.get("code", 200) not in (200, "200")), answer
        return answer

    def _limit(self) -> Any:
        wish = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": "0.01", "timeInForce": "GTC"}
        return self.signed("POST", "/fapi/v1/order", **wish, price=self.low)

    def order(self) -> int:
        """A resting buy order; its number."""
        return int(self._limit()["orderId"])

    def order_list(self) -> str:
        """The number of a resting buy order, as a list in text."""
        return f"[{self.order()}]"

    def order_text(self) -> str:
        """A resting buy order; its number as text."""
        return str(self.order())

    def order_name(self) -> str:
        """A resting buy order; its client id."""
        return str(self._limit()["clientOrderId"])

    def _stop(self) -> Any:
        wish = {"symbol": SYMBOL, "side": "SELL", "type": "STOP_MARKET", "quantity": "0.01", "algoType": "CONDITIONAL"}
        return self.signed("POST", "/fapi/v1/algoOrder", **wish, triggerPrice=self.low)

    def stop(self) -> int:
        """A resting conditional order; its number."""
        return int(self._stop()["algoId"])

    def stop_name(self) -> str:
        """A resting conditional order; its client id."""
        return str(self._stop()["clientAlgoId"])

    def position(self) -> None:
        """A long position of 0.01."""
        wish = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.01"}
        self.signed("POST", "/fapi/v1/order", **wish)

    def isolated(self) -> None:
        """Isolated margin."""
        self.signed("POST", "/fapi/v1/marginType", symbol=SYMBOL, marginType="ISOLATED")

    def own_liquidation(self) -> None:
        """A position that does not survive what the price does next."""
        self.signed("POST", "/fapi/v1/leverage", symbol=SYMBOL, leverage=75)
        if not self.signed("GET", "/fapi/v3/positionRisk"):
            self.isolated()
        self.position()
        self.shock()

    def more_margin(self) -> None:
        """A long position with more isolated margin than it needs."""
        self.position()
        self.signed("POST", "/fapi/v1/positionMargin", symbol=SYMBOL, amount="50", type=1)

    def _export(self, kind: str) -> str:
        span = {"startTime": self.arrange("day_ago"), "endTime": self.arrange("now")}
        return str(self.signed("GET", f"/fapi/v1/{kind}/asyn", **span)["downloadId"])

    def order_export(self) -> str:
        """The id of a file of orders for download."""
        return self._export("order")

    def trade_export(self) -> str:
        """The id of a file of trades for download."""
        return self._export("trade")

    def income_export(self) -> str:
        """The id of a file of income for download."""
        return self._export("income")

    def listen_key(self) -> str:
        """An open listen key."""
        return str(ask("POST", f"{self.base}/fapi/v1/listenKey", {"X-MBX-APIKEY": self.api_key})["listenKey"])


@dataclass(frozen=True)
class BybitAccount(Account):
    venue: ClassVar[str] = "bybit"

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.stage.bybit_port}"

    def venue_ms(self) -> int:
        return int(ask("GET", f"{self.base}/v5/market/time", {})["time"])

    @cached_property
    def last(self) -> float:
        url = f"{self.base}/v5/market/tickers?category=linear&symbol={SYMBOL}"
        return float(ask("GET", url, {})["result"]["list"][0]["lastPrice"])

    def signed(self, path: str, **body: object) -> Any:
        """Send a signed POST; a refusal fails the test that arranged it."""
        text, stamp = json.dumps({"category": "linear", "symbol": SYMBOL, **body}), str(self.venue_ms())
        signed = f"{stamp}{self.api_key}60000{text}"
        headers = {
            "X-BAPI-API-KEY": self.api_key,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": "60000",
            "X-BAPI-SIGN": hmac.new(self.api_secret.encode(), signed.encode(), hashlib.sha256).hexdigest(),
            "Content-Type": "application/json",
        }
        answer = ask("POST", f"{self.base}{path}", headers, text.encode())
        assert answer["retCode"] == 0, answer
        return answer["result"]

    def _limit(self) -> Any:
        name = self.arrange("name")
        self.signed(
            "/v5/order/create", side="Buy", orderType="Limit", qty="0.01", price=str(self.low), orderLinkId=name
        )
        return name

    def order(self) -> str:
        """A resting buy order; its number."""
        wish = {"side": "Buy", "orderType": "Limit", "qty": "0.01", "price": str(self.low)}
        return str(self.signed("/v5/order/create", **wish)["orderId"])

    def order_name(self) -> str:
        """A resting buy order; its orderLinkId."""
        return str(self._limit())

    def stop(self) -> str:
        """A resting conditional order; its number."""
        wish = {"side": "Sell", "orderType": "Market", "qty": "0.01", "triggerPrice": str(self.low)}
        return str(self.signed("/v5/order/create", **wish, triggerDirection=2)["orderId"])

    def position(self) -> None:
        """A long position of 0.01."""
        self.filled()

    def filled(self) -> str:
        """A market order that opened a position; its number."""
        return str(self.signed("/v5/order/create", side="Buy", orderType="Market", qty="0.01")["orderId"])

    def own_liquidation(self) -> None:
        """A position that does not survive what the price does next."""
        self.isolated()
        self.signed("/v5/position/set-leverage", buyLeverage="75", sellLeverage="75")
        self.position()
        self.shock()

    def isolated(self) -> None:
        """Isolated margin, for the whole account."""
        self.signed("/v5/account/set-margin-mode", setMarginMode="ISOLATED_MARGIN")


@contextlib.asynccontextmanager
async def meanwhile(account: Account, words: list[str]) -> AsyncIterator[None]:
    """Arrange what the words say again and again: a subscription may not be there the first time."""

    async def arrange() -> None:
        while True:
            for word in words:
                await asyncio.to_thread(account.arrange, word)
            await asyncio.sleep(AGAIN_SECONDS)

    task = asyncio.create_task(arrange()) if words else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
