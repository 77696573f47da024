"""Signatures: what each kind of key signs is accepted, over the text exactly as sent, and nothing else is."""

from base64 import b64encode
from urllib.parse import quote, urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from patriot.sim.binance.signatures import is_signed_by, open_public_key
from patriot.sim.engine.words import Permission
from patriot.sim.keys import ApiKey
from tests.sim.binance.client import Sim, Trader

pytestmark = pytest.mark.integration

ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RSA = generate_private_key(65_537, 2_048)


def pem_of(key: Ed25519PrivateKey | RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def key_with(public_key: bytes | None) -> ApiKey:
    return ApiKey("k" * 64, 1, (Permission.READ,), public_key or b"secret", 0, public_key)


def signed(key: Ed25519PrivateKey | RSAPrivateKey, text: bytes) -> str:
    raw = key.sign(text, PKCS1v15(), SHA256()) if isinstance(key, RSAPrivateKey) else key.sign(text)
    return b64encode(raw).decode()


@pytest.mark.parametrize("private", [ED25519, RSA], ids=["ed25519", "rsa"])
def test_own_signature_is_accepted_and_any_other_is_not(private: Ed25519PrivateKey | RSAPrivateKey) -> None:
    key, text = key_with(pem_of(private)), b"symbol=BTCUSDT&timestamp=1"
    signature = signed(private, text)

    assert is_signed_by(key, text, signature)
    assert not is_signed_by(key, text + b"0", signature)
    assert not is_signed_by(key_with(pem_of(Ed25519PrivateKey.generate())), text, signature)
    assert not is_signed_by(key_with(None), text, signature)


@given(signature=st.text(max_size=100))
def test_no_text_in_place_of_a_signature_is_accepted_or_fails(signature: str) -> None:
    for key in (key_with(None), key_with(pem_of(ED25519)), key_with(pem_of(RSA))):
        assert not is_signed_by(key, b"timestamp=1", signature)


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"secret",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        pem_of(generate_private_key(65_537, 1_024)),
    ],
    ids=["nothing", "no-pem", "no-key", "short-rsa"],
)
def test_public_key_that_is_none_is_refused(pem: bytes) -> None:
    with pytest.raises(ValueError, match="expected"):
        open_public_key(pem)


@pytest.mark.parametrize("private", [ED25519, RSA], ids=["ed25519", "rsa"])
async def test_account_with_a_public_key_trades_with_the_private_one(
    sim: Sim, private: Ed25519PrivateKey | RSAPrivateKey
) -> None:
    body = {"venue": "binance", "balance": "10000", "public_key": pem_of(private).decode()}
    made = (await sim.control("POST", "/accounts", body)).body
    trader = Trader(sim.http, sim.rest, made["uid"], made["api_key"], "")
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.010"}
    text = urlencode({**order, "timestamp": await trader.venue_time()})
    signature = quote(signed(private, text.encode()), safe="")

    in_query = await trader.send("POST", "/fapi/v1/order", f"{text}&signature={signature}")
    in_body = await trader.send("POST", "/fapi/v1/order", "", f"{text}&signature={signature}")
    changed = await trader.send("POST", "/fapi/v1/order", f"{text}&quantity2=1&signature={signature}")

    assert (in_query.status, in_body.status) == (200, 200)
    assert (changed.status, changed.body["code"]) == (400, -1022)


async def test_text_is_verified_as_it_was_sent_and_not_as_it_is_read(trader: Trader) -> None:
    stamp = await trader.venue_time()
    encoded, plain = f"symbol=BTC%55SDT&timestamp={stamp}", f"symbol=BTCUSDT&timestamp={stamp}"

    as_sent = await trader.send("GET", "/fapi/v1/openOrders", f"{encoded}&signature={trader.signature(encoded)}")
    as_read = await trader.send("GET", "/fapi/v1/openOrders", f"{encoded}&signature={trader.signature(plain)}")
    in_front = await trader.send("GET", "/fapi/v1/openOrders", f"signature={trader.signature(plain)}&{plain}")

    assert (as_sent.status, in_front.status) == (200, 200)
    assert as_read.body["code"] == -1022
