"""Whatever the venue sends, a reader gives a record or fails in one of the ways the session expects."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from patriot.adapters.exchanges.binance.account_wire import (
    AccountReader,
    read_account_settings,
    read_alias,
    read_listen_key,
    read_permissions,
    read_symbol_settings,
)
from patriot.adapters.exchanges.binance.market_wire import (
    read_bars,
    read_instruments,
    read_mark_price,
    read_market_message,
)
from patriot.adapters.exchanges.binance.order_wire import OrderReader
from patriot.adapters.exchanges.binance.stream_wire import ListenKeyExpired, PrivateReader
from patriot.adapters.exchanges.binance.wire import UNREADABLE, Unknowns, read_server_time
from patriot.adapters.exchanges.binance.working_orders import REMEMBERED, WorkingOrders
from patriot.kernel.clock import from_epoch_ms
from patriot.trading.reports import AccountSnapshot, AssetBalance, IncomeType, OrderReport, TradeReport, VenueStatus
from patriot.trading.terms import Side

pytestmark = pytest.mark.integration

GOLDEN = Path(__file__).parents[3] / "golden" / "binance"
NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
Payload = Any  # a parse boundary: what the wire carries

READERS: dict[str, Callable[[bytes], object]] = {
    "order": OrderReader(Unknowns()).order,
    "orders": OrderReader(Unknowns()).orders,
    "algo_order": OrderReader(Unknowns()).algo,
    "algo_orders": OrderReader(Unknowns()).algos,
    "trades": OrderReader(Unknowns()).trades,
    "account": lambda body: AccountReader(Unknowns()).snapshot(body, NOON),
    "income": AccountReader(Unknowns()).income,
    "permissions": read_permissions,
    "balance": read_alias,
    "account_settings": read_account_settings,
    "symbol_settings": lambda body: read_symbol_settings(body, "BTCUSDT"),
    "listen_key": read_listen_key,
    "server_time": read_server_time,
    "exchange_info": lambda body: read_instruments(body, Unknowns()),
    "klines": lambda body: read_bars(body, "BTCUSDT", "15m", NOON),
    "premium_index": read_mark_price,
    "market_kline": read_market_message,
    "market_mark_price": read_market_message,
}


def golden(name: str) -> Payload:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def raw(payload: Payload) -> bytes:
    return json.dumps(payload).encode()


def changed(payload: Payload, path: tuple[str | int, ...], value: Payload) -> Payload:
    """Return a copy with one value replaced."""
    copy = json.loads(json.dumps(payload))
    inner = copy
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return copy


def paths_of(payload: Payload, prefix: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the place of every value inside a payload."""
    items: list[tuple[str | int, Payload]] = []
    if isinstance(payload, dict):
        items = list(payload.items())
    elif isinstance(payload, list):
        items = list(enumerate(payload))
    return [place for key, value in items for place in [(*prefix, key), *paths_of(value, (*prefix, key))]]


ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from(["NaN", "Infinity", "1e400", "-", "", "SOMETHING_NEW", "0" * 60, "\x00"]),
    st.text(max_size=10),
    st.just([]),
    st.just({}),
    st.floats(allow_nan=False, allow_infinity=False),
)


@pytest.mark.parametrize("name", READERS)
def test_golden_payload_is_read(name: str) -> None:
    READERS[name](raw(golden(name)))


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=40)
@given(data=st.data())
def test_payload_with_an_odd_value_is_read_or_unreadable(name: str, data: st.DataObject) -> None:
    payload = golden(name)
    place = data.draw(st.sampled_from(paths_of(payload)))
    odd = changed(payload, place, data.draw(ODD_VALUES))
    with suppress(*UNREADABLE):
        READERS[name](raw(odd))


@given(
    name=st.sampled_from(sorted(READERS)),
    body=st.one_of(st.binary(max_size=60), st.recursive(st.none(), st.lists, max_leaves=30).map(raw)),
)
def test_any_bytes_are_read_or_unreadable(name: str, body: bytes) -> None:
    with suppress(*UNREADABLE):
        READERS[name](body)


STREAM = ("order_trade_update", "algo_update", "account_update")


@pytest.mark.parametrize("name", STREAM)
@given(data=st.data())
def test_private_message_never_stops_the_stream(name: str, data: st.DataObject) -> None:
    payload = golden(name)
    message = raw(changed(payload, data.draw(st.sampled_from(paths_of(payload))), data.draw(ODD_VALUES)))
    PrivateReader(WorkingOrders(), Unknowns()).read(message)


@given(message=st.binary(max_size=60))
def test_any_private_message_is_read_or_counted(message: bytes) -> None:
    unknown = Unknowns()
    reports = PrivateReader(WorkingOrders(), unknown).read(message)
    assert not reports
    assert unknown.total() == 1


def test_deep_nonsense_is_counted() -> None:
    unknown = Unknowns()
    assert PrivateReader(WorkingOrders(), unknown).read(b'{"x":' + b"[" * 100_000) is None
    assert unknown.total() == 1


def test_unknown_status_is_reported_as_unknown_and_counted() -> None:
    unknown = Unknowns()
    reports = PrivateReader(WorkingOrders(), unknown).read(
        raw(changed(golden("order_trade_update"), ("o", "X"), "PARTLY_CLOUDY"))
    )

    assert reports is not None
    assert [report.status for report in reports if isinstance(report, OrderReport)] == [VenueStatus.UNKNOWN]
    assert unknown == {"order status PARTLY_CLOUDY": 1}


def test_unknown_event_gives_nothing_is_counted_and_told_of_once() -> None:
    unknown = Unknowns()
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            assert PrivateReader(WorkingOrders(), unknown).read(b'{"e":"NEXT_YEARS_EVENT","E":1}') == []
    assert unknown == {"event NEXT_YEARS_EVENT": 2}
    assert [(line["event"], line["thing"]) for line in lines] == [("exchange.unknown_seen", "event NEXT_YEARS_EVENT")]


def test_counter_of_unknowns_is_bounded() -> None:
    unknown = Unknowns()
    for number in range(1_000):
        unknown.seen(f"event {number}")
    assert len(unknown) <= Unknowns.MOST + 1
    assert unknown.total() == 1_000


def test_expired_listen_key_is_raised() -> None:
    with pytest.raises(ListenKeyExpired):
        PrivateReader(WorkingOrders(), Unknowns()).read(b'{"e":"listenKeyExpired","E":1,"listenKey":"x"}')


@pytest.mark.parametrize(
    ("text", "executed", "status"),
    [
        ("NEW", "0", VenueStatus.NEW),
        ("TRIGGERING", "0", VenueStatus.NEW),
        ("TRIGGERED", "0", VenueStatus.TRIGGERED),
        ("FINISHED", "0.010", VenueStatus.FILLED),
        ("FINISHED", "0.004", VenueStatus.CANCELED),
        ("REJECTED", "0", VenueStatus.REJECTED),
        ("EXPIRED", "0", VenueStatus.EXPIRED),
        ("CANCELED", "0", VenueStatus.CANCELED),
    ],
)
def test_status_of_a_conditional_order(text: str, executed: str, status: VenueStatus) -> None:
    payload = changed(changed(golden("algo_order"), ("algoStatus",), text), ("actualQty",), executed)
    assert OrderReader(Unknowns()).algo(raw(payload)).status is status


def fill_of(order_id: int, client_order_id: str) -> bytes:
    payload = changed(golden("order_trade_update"), ("o", "i"), order_id)
    return raw(changed(payload, ("o", "c"), client_order_id))


def fired(algo_client_id: str, working_order_id: int) -> bytes:
    payload = changed(golden("algo_update"), ("o", "caid"), algo_client_id)
    payload = changed(payload, ("o", "X"), "TRIGGERED")
    return raw(changed(payload, ("o", "ai"), str(working_order_id)))


def trades_in(reader: PrivateReader, *messages: bytes) -> list[tuple[str, str]]:
    reports = [report for message in messages for report in reader.read(message) or ()]
    return [(report.venue_order_id, report.client_order_id) for report in reports if isinstance(report, TradeReport)]


class TestWorkingOrderOfAFiredStop:
    def test_is_ours_when_the_trigger_is_told_first(self) -> None:
        reader = PrivateReader(WorkingOrders(), Unknowns())
        assert trades_in(reader, fired("stop-1", 77), fill_of(77, "venue-made")) == [("77", "stop-1")]

    def test_is_told_again_as_ours_when_the_fill_came_first(self) -> None:
        reader = PrivateReader(WorkingOrders(), Unknowns())
        heard = trades_in(reader, fill_of(77, "venue-made"), fired("stop-1", 77), fired("stop-1", 77))
        assert heard == [("77", "venue-made"), ("77", "stop-1")]

    def test_is_told_once_when_the_venue_repeats_our_client_id(self) -> None:
        reader = PrivateReader(WorkingOrders(), Unknowns())
        assert trades_in(reader, fill_of(77, "stop-1"), fired("stop-1", 77)) == [("77", "stop-1")]

    def test_does_not_claim_the_fills_of_others(self) -> None:
        reader = PrivateReader(WorkingOrders(), Unknowns())
        assert trades_in(reader, fill_of(78, "theirs"), fired("stop-1", 77)) == [("78", "theirs")]


def test_right_that_is_not_named_makes_the_answer_unreadable() -> None:
    payload = golden("permissions")
    del payload["enableWithdrawals"]
    with pytest.raises(UNREADABLE):
        read_permissions(raw(payload))


@pytest.mark.parametrize("payload", [[], [{"accountAlias": ""}], [{"accountAlias": "a"}, {"accountAlias": "b"}], [{}]])
def test_account_whose_alias_is_not_told_cannot_be_read(payload: Payload) -> None:
    assert read_alias(raw(golden("balance"))) == "QmZt"
    with pytest.raises(UNREADABLE):
        read_alias(raw(payload))


def test_universal_transfer_counts_as_transfer() -> None:
    assert read_permissions(raw(changed(golden("permissions"), ("permitsUniversalTransfer",), True))).transfer


@pytest.mark.parametrize(
    ("raw_type", "kind"),
    [
        ("REALIZED_PNL", IncomeType.REALIZED_PNL),
        ("COMMISSION", IncomeType.COMMISSION),
        ("FUNDING_FEE", IncomeType.FUNDING_FEE),
        ("INSURANCE_CLEAR", IncomeType.CHARGE),
        ("API_REBATE", IncomeType.CHARGE),
        ("COMMISSION_REBATE", IncomeType.CHARGE),
        ("TRANSFER", IncomeType.TRANSFER),
        ("COIN_SWAP_DEPOSIT", IncomeType.TRANSFER),
        ("COIN_SWAP_WITHDRAW", IncomeType.TRANSFER),
        ("AUTO_EXCHANGE", IncomeType.TRANSFER),
        ("WELCOME_BONUS", IncomeType.TRANSFER),
    ],
)
def test_income_is_the_result_of_trading_or_money_that_moves(raw_type: str, kind: IncomeType) -> None:
    unknown = Unknowns()
    (record, *_) = AccountReader(unknown).income(raw(changed(golden("income"), (0, "incomeType"), raw_type)))
    assert (record.income_type, record.raw_type, dict(unknown)) == (kind, raw_type, {})


def test_income_of_an_unknown_type_is_other_and_counted() -> None:
    unknown = Unknowns()
    (record, *_) = AccountReader(unknown).income(raw(changed(golden("income"), (0, "incomeType"), "MOON_BONUS")))
    assert record.income_type is IncomeType.OTHER
    assert unknown == {"income type MOON_BONUS": 1}


def test_mark_price_of_a_position_is_its_notional_per_unit() -> None:
    snapshot = AccountReader(Unknowns()).snapshot(raw(golden("account")), NOON)
    (position,) = snapshot.positions
    assert (position.quantity, position.mark_price) == (Decimal("-0.010"), Decimal("40100.00000000"))


def test_symbol_with_filters_of_another_kind_is_left_out_and_counted() -> None:
    unknown = Unknowns()
    payload = changed(golden("exchange_info"), ("symbols", 1, "status"), "TRADING")
    assert [instrument.symbol for instrument in read_instruments(raw(payload), unknown)] == ["BTCUSDT"]
    assert unknown == {"filters of OLDUSDT": 1}


def test_bar_is_closed_when_its_last_instant_has_passed() -> None:
    (opened_ms, *_), *_ = golden("klines")
    opened = datetime.fromtimestamp(opened_ms / 1000, UTC)
    bars = read_bars(raw(golden("klines")), "BTCUSDT", "15m", opened + timedelta(minutes=15))
    assert [(bar.opened_at, bar.closed_at) for bar in bars] == [(opened, opened + timedelta(minutes=15))]


def test_money_in_other_assets_is_shown_beside_the_wallet_and_not_added() -> None:
    body = json.loads((GOLDEN / "account.json").read_bytes())
    assert read_snapshot(body).other_assets == ()

    body["assets"][0]["walletBalance"] = "0.25000000"

    snapshot = read_snapshot(body)
    assert snapshot.other_assets == (AssetBalance("BNB", Decimal("0.25")),)
    assert snapshot.equity == Decimal(9_999)


def read_snapshot(body: Any) -> AccountSnapshot:
    return AccountReader(Unknowns()).snapshot(json.dumps(body).encode(), NOON)


def test_working_orders_are_known_by_our_ids_the_newest_of_them() -> None:
    working = WorkingOrders()
    for number in range(REMEMBERED + 1):
        working.learn(order_report(f"s-{number}", "algo", triggered_order_id=str(number)))

    def known_as(number: int) -> str:
        return working.own_order(order_report("theirs", str(number))).client_order_id

    assert (known_as(1), known_as(REMEMBERED)) == ("s-1", f"s-{REMEMBERED}")
    assert known_as(0) == "theirs"


def order_report(client_id: str, venue_id: str, triggered_order_id: str | None = None) -> OrderReport:
    return OrderReport(
        client_id, venue_id, "BTCUSDT", Side.SELL, VenueStatus.FILLED, Decimal(1), Decimal(1), from_epoch_ms(1),
        triggered_order_id is not None, triggered_order_id=triggered_order_id,
    )  # fmt: skip
