"""Calls that the venue offers for what the simulator has no part in: refused as for an account that may not.

Convert, referral and agreements for equity perpetuals. Source: USD-M Futures, read 2026-11-22; which code the venue
gives an ordinary account is not published, the ones here are the nearest of its list.
"""

from typing import Any

from patriot.sim.binance import refusals
from patriot.sim.binance.context import FaceContext
from patriot.sim.binance.endpoints import ENDPOINTS
from patriot.sim.binance.requests import Call, Security
from patriot.sim.engine.events import VenueRefusal

Json = dict[str, Any]


@ENDPOINTS.add("GET", "/fapi/v1/convert/exchangeInfo", weight=20)
def convertible_pairs(_face: FaceContext, _call: Call) -> list[Json]:
    """Answer the pairs that can be converted: there is one asset, so none."""
    return []


@ENDPOINTS.add("POST", "/fapi/v1/convert/getQuote", Security.TRADE, weight=50)
@ENDPOINTS.add("POST", "/fapi/v1/convert/acceptQuote", Security.TRADE, weight=200)
@ENDPOINTS.add("GET", "/fapi/v1/convert/orderStatus", Security.READ, weight=50)
@ENDPOINTS.add("POST", "/fapi/v1/stock/contract", Security.READ, weight=50)
@ENDPOINTS.add("GET", "/fapi/v1/stock/contract", Security.READ, weight=50)
def not_offered(_face: FaceContext, _call: Call) -> Json:
    """Refuse: not on this venue."""
    raise VenueRefusal(*refusals.NOT_OFFERED)


def _no_broker(_face: FaceContext, _call: Call) -> Json:
    """Refuse: no account of this venue is a broker's."""
    raise VenueRefusal(*refusals.BAD_ACCOUNT)


for _method, _names in {
    "GET": (
        "ifNewUser",
        "customization",
        "userCustomization",
        "traderNum",
        "overview",
        "tradeVol",
        "rebateVol",
        "traderSummary",
    ),
    "POST": ("customization", "userCustomization"),
}.items():
    for _name in _names:
        ENDPOINTS.add(_method, f"/fapi/v1/apiReferral/{_name}", Security.READ)(_no_broker)
