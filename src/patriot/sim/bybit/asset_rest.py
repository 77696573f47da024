"""Coins, balances and transfers, as far as a trading client asks for them; nothing can leave by a key of this venue.

Source: bybit-exchange.github.io/docs/v5/asset, read 2026-11-22.
"""

from __future__ import annotations

from typing import Any, Final

from patriot.sim.bybit import refusals
from patriot.sim.bybit.context import FaceContext
from patriot.sim.bybit.endpoints import ENDPOINTS
from patriot.sim.bybit.refusals import Refused
from patriot.sim.bybit.requests import Call, Security
from patriot.sim.bybit.text import money
from patriot.sim.engine.words import QUOTE_ASSET, ZERO

Json = dict[str, Any]

_ACCOUNTS: Final = {"UNIFIED": True, "FUND": False}
_CHAIN: Final = {
    "chain": "ETH",
    "chainType": "ERC20",
    "confirmation": "6",
    "withdrawFee": "3",
    "depositMin": "0",
    "withdrawMin": "3",
    "minAccuracy": "6",
    "chainDeposit": "0",
    "chainWithdraw": "0",
    "withdrawPercentageFee": "0",
    "contractAddress": "",
    "safeConfirmNumber": "65",
}


@ENDPOINTS.add("GET", "/v5/asset/coin/query-info", Security.READ, per_second=5)
def coin_info(_face: FaceContext, call: Call) -> Json:
    """Answer the coins: USDT, which can neither be deposited nor withdrawn here."""
    row = {"name": QUOTE_ASSET, "coin": QUOTE_ASSET, "remainAmount": "0", "chains": [_CHAIN]}
    return {"rows": [row] if call.text("coin") in (None, QUOTE_ASSET) else []}


@ENDPOINTS.add("GET", "/v5/asset/transfer/query-account-coins-balance", Security.READ, per_second=5)
def coins_balance(face: FaceContext, call: Call) -> Json:
    """Answer the balances of one wallet; the funding wallet is empty."""
    unified = call.required_choice("accountType", _ACCOUNTS)
    asked = call.text("coin")
    coins = [QUOTE_ASSET] if asked is None else asked.split(",")
    name = call.required_text("accountType")
    rows = [_balance(face, call.uid, coin, unified=unified) for coin in coins]
    return {"memberId": str(call.uid), "accountType": name, "balance": rows}


@ENDPOINTS.add("GET", "/v5/asset/transfer/query-account-coin-balance", Security.READ, per_second=5)
def coin_balance(face: FaceContext, call: Call) -> Json:
    """Answer the balance of one coin."""
    unified = call.required_choice("accountType", _ACCOUNTS)
    row = _balance(face, call.uid, call.required_text("coin"), unified=unified)
    name = call.required_text("accountType")
    return {"accountId": str(call.uid), "memberId": str(call.uid), "accountType": name, "bizType": 1, "balance": row}


def _balance(face: FaceContext, uid: int, coin: str, *, unified: bool) -> Json:
    view = face.exchange.venue.account(uid)
    there = unified and coin == QUOTE_ASSET
    return {
        "coin": coin,
        "transferBalance": money(view.max_withdraw if there else ZERO),
        "walletBalance": money(view.wallet if there else ZERO),
        "bonus": "0",
        "transferSafeAmount": "",
        "ltvTransferSafeAmount": "",
    }


@ENDPOINTS.add("GET", "/v5/asset/transfer/query-asset-info", Security.READ)
def spot_assets(_face: FaceContext, _call: Call) -> Json:
    """Answer the spot wallet of a classic account: there is none."""
    return {"spot": {"status": "ACCOUNT_STATUS_NORMAL", "assets": []}}


@ENDPOINTS.add("GET", "/v5/asset/transfer/query-transfer-coin-list", Security.READ)
def transferable_coins(_face: FaceContext, call: Call) -> Json:
    """Answer which coins could move between two wallets."""
    call.required_choice("fromAccountType", _ACCOUNTS)
    call.required_choice("toAccountType", _ACCOUNTS)
    return {"list": [QUOTE_ASSET]}


@ENDPOINTS.add("GET", "/v5/asset/transfer/query-inter-transfer-list", Security.READ)
@ENDPOINTS.add("GET", "/v5/asset/transfer/query-universal-transfer-list", Security.READ)
@ENDPOINTS.add("GET", "/v5/asset/delivery-record", Security.READ)
@ENDPOINTS.add("GET", "/v5/asset/settlement-record", Security.READ)
def nothing_listed(_face: FaceContext, _call: Call) -> Json:
    """Answer nothing: none of it ever happened here."""
    return {"list": [], "nextPageCursor": ""}


@ENDPOINTS.add("GET", "/v5/asset/deposit/query-record", Security.READ)
@ENDPOINTS.add("GET", "/v5/asset/deposit/query-internal-record", Security.READ)
@ENDPOINTS.add("GET", "/v5/asset/withdraw/query-record", Security.READ)
def no_rows(_face: FaceContext, _call: Call) -> Json:
    """Answer nothing: money comes and goes only by the simulator's control."""
    return {"rows": [], "nextPageCursor": ""}


@ENDPOINTS.add("GET", "/v5/asset/exchange/order-record", Security.READ)
def exchanges(_face: FaceContext, _call: Call) -> Json:
    """Answer nothing: coins are never exchanged here."""
    return {"orderBody": [], "nextPageCursor": ""}


@ENDPOINTS.add("GET", "/v5/asset/withdraw/withdrawable-amount", Security.READ)
def withdrawable(face: FaceContext, call: Call) -> Json:
    """Answer how much of a coin could be withdrawn from which wallet."""
    coin = call.required_text("coin")
    free = money(face.exchange.venue.account(call.uid).max_withdraw if coin == QUOTE_ASSET else ZERO)
    wallets = {
        "UTA": {"coin": coin, "withdrawableAmount": free, "availableBalance": free},
        "FUND": {"coin": coin, "withdrawableAmount": "0", "availableBalance": "0"},
    }
    return {"limitAmountUsd": "0", "withdrawableAmount": wallets}


@ENDPOINTS.add("POST", "/v5/asset/transfer/inter-transfer", Security.TRANSFER, per_second=1)
@ENDPOINTS.add("POST", "/v5/asset/transfer/universal-transfer", Security.TRANSFER, per_second=5)
@ENDPOINTS.add("POST", "/v5/asset/withdraw/create", Security.WITHDRAW, per_second=5)
def move_money(_face: FaceContext, _call: Call) -> Json:
    """Refuse even a key that may: there is nowhere that money could go."""
    raise Refused(*refusals.NO_FUNDS)
