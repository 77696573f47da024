"""Linking over the real adapter and a real simulator: the order of its steps, and that no secret gets out."""

import asyncio
import json
import logging
import traceback
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import aiohttp
import pytest

from patriot.accounts import streams
from patriot.accounts.events import (
    AccountLinked,
    AccountStatusChanged,
    AccountUnlinked,
    CredentialProblem,
    CredentialsRejected,
    account_stream,
)
from patriot.accounts.linking import AccountLinking, LinkWish
from patriot.accounts.ports import ApiKey
from patriot.adapters.exchanges.binance.account import BinanceKeyProbe
from patriot.adapters.exchanges.binance.venue import BinanceAccountSession
from patriot.adapters.vault import MasterKey, MemoryShelf, Vault
from patriot.kernel.bus import CommandBus, decode_all
from patriot.kernel.clock import ReplayClock, from_epoch_ms
from patriot.kernel.errors import CommandRefused, ExchangeUnavailable, InvalidInput, NotFound, PatriotError
from patriot.kernel.eventstore import START, Context
from patriot.kernel.ids import Ids
from patriot.kernel.memory import MemoryEventStore
from patriot.trading.terms import AccountId, Environment, Exchange, UserId
from tests.accounts.facts import ONE, OWNER, TWO
from tests.adapters.exchanges.binance.venue_kit import bars_at, session_of
from tests.sim.binance.client import START_MS, Sim, Trader, running_sim, write_dump

pytestmark = pytest.mark.integration

WISH = LinkWish(ONE, OWNER, Exchange.BINANCE, Environment.SIM, "USDT", accounts_of_user=0)
CONTEXT = Context(correlation_id=ONE, user_id=OWNER, account_id=ONE)
STRANGER, THREE = UserId(UUID(int=10)), AccountId(UUID(int=3))
UNKNOWN = ApiKey("k" * 64, "s" * 64)


class Office:
    """Everything that linking needs, on one simulator."""

    def __init__(self, sim: Sim, http: aiohttp.ClientSession) -> None:
        clock = ReplayClock(from_epoch_ms(START_MS + 1_000))
        self.sim, self.store = sim, MemoryEventStore(clock)
        bus = CommandBus(self.store, clock, Ids(clock))
        streams.register(bus)
        self.vault = Vault(MemoryShelf(), MasterKey(b"m" * 32))
        self.linking = AccountLinking(
            bus,
            self.store,
            self.vault,
            BinanceKeyProbe(lambda key: session_of(sim, http, clock, key)),
            lambda key: BinanceAccountSession.open(session_of(sim, http, clock, key)).account,
            clock,
        )

    async def key(self, *permissions: str) -> tuple[Trader, ApiKey]:
        trader = await self.sim.trader(permissions=permissions or ("read", "trade"))
        return trader, ApiKey(trader.api_key, trader.api_secret)

    async def events(self) -> list[object]:
        return decode_all(await self.store.read_stream(account_stream(ONE)))

    async def log_text(self) -> str:
        return "".join(json.dumps(str(envelope)) for envelope in (await self.store.feed.read(START)).events)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    dump = write_dump(tmp_path / "BTCUSDT-1m-2022-02.csv", bars_at(*["40000"] * 3))
    async with running_sim(dump) as sim, aiohttp.ClientSession() as http:
        yield Office(sim, http)


async def test_good_key_is_sealed_and_the_account_linked(office: Office) -> None:
    _, key = await office.key()
    await office.linking.link(WISH, key, CONTEXT)

    (event,) = await office.events()
    assert isinstance(event, AccountLinked)
    assert await office.vault.open(ONE) == key


async def test_link_repeated_after_a_lost_answer_changes_nothing(office: Office) -> None:
    _, key = await office.key()
    for _ in range(2):
        await office.linking.link(WISH, key, CONTEXT)
    assert len(await office.events()) == 1


@pytest.mark.parametrize(
    ("permissions", "reason"),
    [
        (("read", "trade", "withdraw"), "WITHDRAW_ENABLED"),
        (("read", "trade", "transfer"), "TRANSFER_ENABLED"),
        (("read",), "NO_TRADE_PERMISSION"),
    ],
)
async def test_key_with_the_wrong_rights_is_refused_recorded_and_not_kept(
    office: Office, permissions: tuple[str, ...], reason: str
) -> None:
    _, key = await office.key(*permissions)
    with pytest.raises(CommandRefused, match=reason):
        await office.linking.link(WISH, key, CONTEXT)

    (event,) = await office.events()
    assert isinstance(event, CredentialsRejected)
    assert event.reason_code == reason
    with pytest.raises(NotFound):
        await office.vault.open(ONE)


async def test_key_that_the_exchange_does_not_know_is_refused(office: Office) -> None:
    with pytest.raises(CommandRefused, match="INVALID"):
        await office.linking.link(WISH, UNKNOWN, CONTEXT)


async def test_exchange_that_does_not_answer_changes_nothing(office: Office) -> None:
    _, key = await office.key()
    fault = {"fault": "503_before", "match": {"method": "GET", "path": "/sapi/v1/account/apiRestrictions"}}
    await office.sim.control("POST", "/faults", fault)

    with pytest.raises(ExchangeUnavailable):
        await office.linking.link(WISH, key, CONTEXT)

    assert await office.events() == []


async def test_key_of_impossible_length_is_named_by_its_field(office: Office) -> None:
    with pytest.raises(InvalidInput) as problem:
        await office.linking.link(WISH, ApiKey("k" * 64, "short"), CONTEXT)
    assert problem.value.field == "api_secret"
    assert "short" not in str(problem.value)


async def test_another_key_cannot_take_the_place_of_a_linked_one(office: Office) -> None:
    _, key = await office.key()
    _, other = await office.key()
    await office.linking.link(WISH, key, CONTEXT)

    with pytest.raises(CommandRefused):
        await office.linking.link(WISH, other, CONTEXT)

    assert await office.vault.open(ONE) == key


async def test_key_that_gains_the_right_to_withdraw_suspends_the_account_until_it_lost_it(office: Office) -> None:
    trader, key = await office.key()
    await office.linking.link(WISH, key, CONTEXT)
    assert await office.linking.check_key(ONE, CONTEXT) is None

    rights = {"api_key": trader.api_key, "permissions": ["read", "trade", "withdraw"]}
    await office.sim.control("POST", "/permissions", rights)
    assert await office.linking.check_key(ONE, CONTEXT) is CredentialProblem.WITHDRAW_ENABLED
    with pytest.raises(CommandRefused, match="may withdraw"):
        await office.linking.resume(ONE, "ASKED", CONTEXT)

    await office.sim.control("POST", "/permissions", {**rights, "permissions": ["read", "trade"]})
    await office.linking.resume(ONE, "ASKED", CONTEXT)
    changes = [event.new_status for event in await office.events() if isinstance(event, AccountStatusChanged)]
    assert changes == ["SUSPENDED", "ACTIVE"]


async def test_unlinked_account_has_no_key(office: Office) -> None:
    _, key = await office.key()
    await office.linking.link(WISH, key, CONTEXT)

    with pytest.raises(CommandRefused):
        await office.linking.unlink(ONE, open_positions=1, open_orders=0, reason_code="CLIENT", context=CONTEXT)
    assert await office.vault.open(ONE) == key

    await office.linking.unlink(ONE, open_positions=0, open_orders=0, reason_code="CLIENT", context=CONTEXT)
    assert isinstance((await office.events())[-1], AccountUnlinked)
    with pytest.raises(NotFound):
        await office.vault.open(ONE)


async def unlink(office: Office, account_id: AccountId) -> None:
    await office.linking.unlink(account_id, open_positions=0, open_orders=0, reason_code="CLIENT", context=CONTEXT)


async def another_key(office: Office, trader: Trader) -> ApiKey:
    answer = await office.sim.control("POST", f"/accounts/{trader.uid}/keys", {"permissions": ["read", "trade"]})
    return ApiKey(answer.body["api_key"], answer.body["api_secret"])


async def test_account_that_comes_back_is_the_one_that_it_was_whatever_key_and_id_are_offered(office: Office) -> None:
    trader, first = await office.key()
    assert await office.linking.link(WISH, first, CONTEXT) == ONE
    await unlink(office, ONE)
    again = await another_key(office, trader)
    assert again != first
    for _ in range(2):
        assert await office.linking.link(replace(WISH, account_id=TWO), again, CONTEXT) == ONE

    linked = [event for event in await office.events() if isinstance(event, AccountLinked)]
    assert [event.credential_version for event in linked] == [1, 2]
    assert len({event.venue_account_id for event in linked}) == 1
    assert await office.vault.open(ONE) == again
    assert await office.store.read_stream(account_stream(TWO)) == []
    with pytest.raises(NotFound):
        await office.vault.open(TWO)


async def test_key_that_was_left_by_a_try_that_was_not_recorded_is_not_taken_for_the_new_one(office: Office) -> None:
    trader, first = await office.key()
    await office.vault.store(ONE, 1, first)
    again = await another_key(office, trader)
    await office.linking.link(WISH, again, CONTEXT)
    assert await office.vault.open(ONE) == again


async def test_two_accounts_of_one_user_are_two(office: Office) -> None:
    for account_id in (ONE, TWO):
        _, key = await office.key()
        assert await office.linking.link(replace(WISH, account_id=account_id), key, CONTEXT) == account_id


async def test_account_that_somebody_else_has_linked_is_refused_recorded_and_its_key_not_kept(office: Office) -> None:
    trader, key = await office.key()
    stranger = replace(WISH, account_id=TWO, user_id=STRANGER)
    await office.linking.link(WISH, key, CONTEXT)
    with pytest.raises(CommandRefused, match="LINKED_ELSEWHERE: this account of the exchange is linked") as refusal:
        await office.linking.link(stranger, await another_key(office, trader), CONTEXT)

    assert str(OWNER) not in str(refusal.value)
    assert str(ONE) not in str(refusal.value)
    (rejected,) = decode_all(await office.store.read_stream(account_stream(TWO)))
    assert isinstance(rejected, CredentialsRejected)
    assert (rejected.user_id, rejected.reason_code) == (STRANGER, CredentialProblem.LINKED_ELSEWHERE)
    with pytest.raises(NotFound):
        await office.vault.open(TWO)
    assert await office.vault.open(ONE) == key

    await unlink(office, ONE)
    assert await office.linking.link(stranger, key, CONTEXT) == TWO
    with pytest.raises(CommandRefused, match="LINKED_ELSEWHERE"):
        await office.linking.link(WISH, key, CONTEXT)
    await unlink(office, TWO)
    assert await office.linking.link(replace(WISH, account_id=THREE), key, CONTEXT) == ONE


async def test_of_two_who_link_one_account_at_once_one_is_refused(office: Office) -> None:
    _, key = await office.key()
    wishes = (WISH, replace(WISH, account_id=TWO, user_id=STRANGER))
    ends = await asyncio.gather(*(office.linking.link(one, key, CONTEXT) for one in wishes), return_exceptions=True)
    assert [type(end) for end in ends if isinstance(end, Exception)] == [CommandRefused]
    assert len({ONE, TWO}.intersection(end for end in ends if not isinstance(end, BaseException))) == 1


async def test_no_secret_gets_out_on_any_way_through_linking(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    secrets: list[str] = []
    for permissions in (("read", "trade"), ("read", "trade", "withdraw"), ("read",)):
        _, key = await office.key(*permissions)
        secrets += [key.api_secret, key.api_key]
        shown += [repr(key), str(key), f"{key!r}"]
        for wish in (WISH, replace(WISH, account_id=TWO, accounts_of_user=5)):
            try:
                await office.linking.link(wish, key, CONTEXT)
            except PatriotError as problem:
                shown += ["".join(traceback.format_exception(problem)), repr(problem), repr(problem.args)]
    shown += [await office.log_text(), caplog.text, repr(office.vault), repr(vars(office.vault))]

    assert len(shown) > 10
    for secret in secrets:
        assert all(secret not in text for text in shown)
