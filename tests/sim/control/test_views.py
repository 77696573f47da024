"""What the control API shows: the page, the small view that it asks for, keys, and who may see it."""

import re
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from patriot.sim.control.views import ACCOUNTS_SHOWN
from patriot.sim.engine import statement
from patriot.sim.engine.instruments import LISTED
from patriot.sim.engine.operations import CreateAccount, MovePrice, PlaceOrder
from patriot.sim.engine.venue import Venue
from patriot.sim.engine.words import OrderType, Side
from tests.sim.binance.client import Sim, flat, running_sim, write_dump
from tests.sim.faults.clients import SYMBOL, client_on, fault

pytestmark = pytest.mark.integration

PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----"""


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write_dump(tmp_path / "BTCUSDT-1m.csv", flat("40000.0", 60))


@pytest.fixture
async def sim(recording: Path) -> AsyncIterator[Sim]:
    async with running_sim(recording) as running:
        yield running


async def view(sim: Sim, query: str = "") -> Any:
    answer = await sim.control("GET", f"/view{query}")
    assert answer.status == 200, answer.body
    return answer.body


# ---------------------------------------------------------------------------------------------------- the view


async def test_empty_venue_has_a_view(sim: Sim) -> None:
    seen = await view(sim)

    assert (seen["venue"], seen["symbol"], seen["venues"]) == ("binance", SYMBOL, ["binance", "bybit"])
    assert (seen["accounts"], seen["orders"], seen["fills"], seen["faults"]) == ([], [], [], [])
    assert seen["ticker"]["last"] == "40000"
    assert seen["status"] == "TRADING"


@pytest.mark.parametrize("venue", ["binance", "bybit"])
async def test_view_shows_orders_fills_positions_and_money(sim: Sim, venue: str) -> None:
    client = await client_on(sim, venue)
    await client.place("filled")
    await client.place("resting", price="39000")
    await sim.step(3)
    seen = await view(sim, f"?venue={venue}&symbol={SYMBOL}&bars=2&levels=3")

    assert [(order["client_order_id"], order["price"]) for order in seen["orders"]] == [("resting", "39000")]
    assert {fill["client_order_id"] for fill in seen["fills"]} == {"filled"}
    assert sum(Decimal(fill["quantity"]) for fill in seen["fills"]) == Decimal("0.01")
    (account,) = seen["accounts"]
    assert account["uid"] == client.uid
    assert [position["quantity"] for position in account["positions"]] == ["0.01"]
    assert (len(seen["bars"]), len(seen["bids"]), len(seen["asks"])) == (2, 3, 3)


async def test_view_is_about_one_venue(sim: Sim) -> None:
    client = await client_on(sim, "bybit")
    await client.place("theirs")

    assert (await view(sim, "?venue=binance"))["fills"] == []
    assert (await view(sim, "?venue=bybit"))["fills"] != []


async def test_view_tells_halts_and_faults(sim: Sim) -> None:
    row = await fault(sim, action="halt", symbol=SYMBOL)
    seen = await view(sim)

    assert seen["status"] == "HALTED"
    assert [(told["id"], told["state"]) for told in seen["faults"]] == [(row["id"], "in_force")]


async def test_view_shows_the_accounts_with_the_newest_news(sim: Sim) -> None:
    clients = [await client_on(sim, "binance") for _ in range(ACCOUNTS_SHOWN + 5)]
    await clients[2].place("news")
    seen = await view(sim)

    uids = [account["uid"] for account in seen["accounts"]]
    assert seen["accounts_in_all"] == ACCOUNTS_SHOWN + 5
    assert (uids[0], len(uids)) == (clients[2].uid, ACCOUNTS_SHOWN)
    assert clients[0].uid not in uids
    only = await view(sim, f"?uid={clients[0].uid}")
    assert [account["uid"] for account in only["accounts"]] == [clients[0].uid]


async def test_fills_of_before_a_restart_are_shown_after_it(recording: Path, tmp_path: Path) -> None:
    async with running_sim(recording, journal=tmp_path / "journal") as sim:
        client = await client_on(sim, "binance")
        await client.place("old")
        before = await view(sim)
    async with running_sim(recording, journal=tmp_path / "journal") as sim:
        after = await view(sim)

    assert after["fills"] == before["fills"] != []
    assert after["accounts"] == before["accounts"]


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("?venue=nasdaq", 404, "venue"),
        ("?symbol=DOGEBTC", 404, "symbol"),
        ("?interval=7m", 422, "interval"),
        ("?bars=0", 422, "bars"),
        ("?bars=100000", 422, "bars"),
        ("?levels=x", 422, "levels"),
        ("?uid=999", 404, "uid"),
    ],
)
async def test_view_of_what_is_not_there_is_refused(sim: Sim, query: str, status: int, field: str) -> None:
    answer = await sim.control("GET", f"/view{query}")

    assert answer.status == status
    assert answer.body["detail"].startswith(field)


async def test_view_needs_the_token(sim: Sim) -> None:
    assert (await sim.control("GET", "/view", token="guess")).status == 401
    assert (await sim.control("GET", "/faults", token="guess")).status == 401


async def test_state_tells_the_pools_of_each_venue(sim: Sim) -> None:
    client = await client_on(sim, "bybit")
    await client.place("a")
    pools = (await sim.control("GET", "/state")).body["pools"]

    assert Decimal(pools["bybit"]["fees"]) > 0
    assert pools["binance"]["fees"] == "0"


# ---------------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize("venue", ["binance", "bybit"])
async def test_account_gets_a_second_key_with_rights_of_its_own(sim: Sim, venue: str) -> None:
    client = await client_on(sim, venue)
    made = (await sim.control("POST", f"/accounts/{client.uid}/keys", {"permissions": ["read"]})).body
    reader = type(client)(sim, client.uid, made["api_key"], made["api_secret"])

    assert (await client.place("a")).code == 0
    assert (await reader.place("b")).code in (-2015, 10005)
    assert await reader.placed() == ["a"]


async def test_key_is_revoked_over_the_control_api(sim: Sim) -> None:
    client = await client_on(sim, "binance")

    assert (await sim.control("DELETE", f"/keys/{client.api_key}")).body == {"uid": client.uid}
    assert (await client.place("a")).code == -2015
    assert (await sim.control("DELETE", f"/keys/{client.api_key}")).status == 404


async def test_public_key_is_taken_in_place_of_a_secret(sim: Sim) -> None:
    body = {"venue": "binance", "balance": "1", "public_key": PUBLIC_KEY}
    made = (await sim.control("POST", "/accounts", body)).body
    refused = await sim.control("POST", "/accounts", {**body, "public_key": "ssh-ed25519 AAAA"})

    assert made["api_secret"] is None
    assert refused.status == 422
    assert refused.body["detail"].startswith("public_key")


async def test_account_may_begin_in_hedge_mode(sim: Sim) -> None:
    body = {"venue": "binance", "balance": "1000", "hedge_mode": True}
    uid = (await sim.control("POST", "/accounts", body)).body["uid"]

    assert (await sim.control("GET", "/state")).body["accounts"][str(uid)]["hedge_mode"] is True


async def test_unknown_account_gets_no_key(sim: Sim) -> None:
    for uid in ("99", "x", "9" * 40):
        assert (await sim.control("POST", f"/accounts/{uid}/keys", {})).status == 404


# ---------------------------------------------------------------------------------------------------- the page


async def test_page_is_served_to_anyone_and_loads_nothing_from_elsewhere(sim: Sim) -> None:
    async with sim.http.get(f"http://127.0.0.1:{sim.server.control_port}/ui") as answer:
        page, policy = await answer.text(), answer.headers["Content-Security-Policy"]
        assert (answer.status, answer.content_type) == (200, "text/html")

    assert not re.findall(r"(?:https?:)?//[\w.-]+\.\w+", page)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert policy.count("'sha256-") == 2


async def test_page_sets_what_it_shows_as_text_only(sim: Sim) -> None:
    async with sim.http.get(f"http://127.0.0.1:{sim.server.control_port}/ui") as answer:
        page = await answer.text()

    assert not [
        way for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(") if way in page
    ]
    assert not re.search(r"\son\w+=", page)


def test_state_that_was_noted_is_told_as_it_was() -> None:
    venue = Venue(seed=7, instruments=LISTED)
    venue.apply(MovePrice(symbol=SYMBOL, last=Decimal(40_000)), 1)
    venue.apply(CreateAccount(balance=Decimal(1_000)), 1)
    order = PlaceOrder(uid=1, symbol=SYMBOL, side=Side.BUY, order_type=OrderType.MARKET, quantity=Decimal("0.010"))
    venue.apply(order, 2)
    before = venue.state()
    head, accounts = venue.noted_state()
    venue.apply(order, 3)

    told = {str(uid): statement.told(account) for uid, account in accounts.items()}
    assert {**head, "accounts": told} == before != venue.state()
