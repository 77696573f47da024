"""Files for download: an id for what is asked for, then the link. Weights read 2026-11-22.

How many files the venue makes in a month (5, of orders 10) is not counted here, since what it answers to more is not
published; nor is its code for an id that is not the account's, which is ours.
Source: USD-M Futures, "Get Download Id For Futures Order / Trade / Transaction History", read 2026-11-22.
"""

from typing import Any

from patriot.sim.binance import refusals
from patriot.sim.binance.context import FaceContext
from patriot.sim.binance.endpoints import ENDPOINTS, Answer
from patriot.sim.binance.exports import EXPORT_PATH
from patriot.sim.binance.requests import DAY_MS, Call, Security

Json = dict[str, Any]
LONGEST_EXPORT_MS = 366 * DAY_MS  # a year


def _begin(kind: str) -> Answer:
    def begin(face: FaceContext, call: Call) -> Json:
        """Answer an id for the file of a span."""
        span = call.required_integer("startTime"), call.required_integer("endTime")
        call.time_range(LONGEST_EXPORT_MS)
        return {"avgCostTimestampOfLast30d": 0, "downloadId": face.exports.add(kind, call.uid, span, face.now_ms)}

    return begin


def _link(kind: str) -> Answer:
    def link(face: FaceContext, call: Call) -> Json:
        """Answer where the file of an id is."""
        download_id = call.required_text("downloadId")
        export = face.exports.find(download_id)
        if export is None or (export.kind, export.uid) != (kind, call.uid):
            raise refusals.invalid_data("downloadId")
        is_expired = face.now_ms >= export.expires_ms
        return {
            "downloadId": download_id,
            "status": "completed",
            "url": f"http://{call.host}{EXPORT_PATH.format(name=export.name)}",
            "notified": True,
            "expirationTimestamp": export.expires_ms,
            "isExpired": is_expired or None,
        }

    return link


for _kind in ("order", "trade", "income"):
    ENDPOINTS.add("GET", f"/fapi/v1/{_kind}/asyn", Security.READ, weight=1_000)(_begin(_kind))
    ENDPOINTS.add("GET", f"/fapi/v1/{_kind}/asyn/id", Security.READ, weight=10)(_link(_kind))
