from base64 import b64encode
from pathlib import Path

import pytest

from patriot.host.exchange import named_exchange
from patriot.host.settings import Settings
from patriot.kernel.errors import StartupError

pytestmark = pytest.mark.integration

LIVE = {"binance_url": "https://fapi.binance.com", "binance_ws_url": "wss://fstream.binance.com"}
TESTNET = {"binance_url": "https://testnet.binancefuture.com/", "binance_ws_url": "wss://fstream.binancefuture.com"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "PORT", "LIVE", "LOG_LEVEL", "BINANCE_URL", "BINANCE_WS_URL", "MASTER_KEY", "SIM_TOKEN"):
        monkeypatch.delenv(f"PATRIOT_{name}", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)


def test_settings_of_an_empty_environment_are_the_simulator_on_this_machine() -> None:
    settings = Settings.read()
    assert settings.home == Path.home() / ".local" / "share" / "patriot"
    assert (settings.port, settings.live, settings.database_url) == (8000, False, None)
    assert named_exchange(settings) is None


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATRIOT_HOME", str(tmp_path))
    monkeypatch.setenv("PATRIOT_PORT", "18000")
    monkeypatch.setenv("DATABASE_URL", "postgresql://nowhere/patriot")
    settings = Settings.read()
    assert (settings.home, settings.port) == (tmp_path, 18000)
    assert settings.database_url == "postgresql://nowhere/patriot"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATRIOT_PORT", "0"),
        ("PATRIOT_PORT", "many"),
        ("PATRIOT_LIVE", "perhaps"),
        ("PATRIOT_LIVE", "yes"),
        ("PATRIOT_LIVE", "true"),
        *((f"PATRIOT_{name}", "") for name in ("HOME", "PORT", "LIVE", "LOG_LEVEL", "BINANCE_URL", "SIM_TOKEN")),
        ("PATRIOT_MASTER_KEY", ""),
        ("DATABASE_URL", ""),
        ("PATRIOT_HOME", __file__),
        ("PATRIOT_HOME", "~nobody-of-that-name/patriot"),
        ("PATRIOT_LOG_LEVEL", "LOUD"),
        ("DATABASE_URL", "nonsense-hush"),
        ("DATABASE_URL", "mysql://u:hush@nowhere/patriot"),
        ("DATABASE_URL", "postgresql://u:x@nowhere:hush/patriot"),
    ],
)
def test_bad_setting_is_named_and_not_shown(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(StartupError, match=f"^{name}: ") as refused:
        Settings.read()
    assert "hush" not in str(refused.value)


def test_log_level_that_there_is_not_is_told_those_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATRIOT_LOG_LEVEL", "debug")
    with pytest.raises(StartupError, match=r"^PATRIOT_LOG_LEVEL: .* be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"):
        Settings.read()


@pytest.mark.parametrize(("given", "live"), [("1", True), ("0", False)])
def test_real_money_has_one_spelling(given: str, live: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATRIOT_LIVE", given)
    assert Settings.read().live is live


def test_bad_setting_does_not_show_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATRIOT_MASTER_KEY", "hush")
    with pytest.raises(StartupError, match=r"^PATRIOT_MASTER_KEY has 3 bytes") as refused:
        Settings.read()
    assert "hush" not in str(refused.value)


def test_settings_do_not_show_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = b64encode(b"h" * 32).decode()
    monkeypatch.setenv("PATRIOT_MASTER_KEY", secret)
    assert secret not in repr(Settings.read())


def test_exchange_with_real_money_is_refused_unless_it_was_asked_for() -> None:
    with pytest.raises(StartupError, match=r"fapi\.binance\.com trades real money: set PATRIOT_LIVE=1"):
        named_exchange(Settings.read(**LIVE))
    address = named_exchange(Settings.read(**LIVE, live=True))
    assert address is not None
    assert address.base_url == "https://fapi.binance.com"


@pytest.mark.parametrize(
    "urls", [TESTNET, {"binance_url": "http://127.0.0.1:9101", "binance_ws_url": "ws://[::1]:9101"}]
)
def test_exchange_without_real_money_needs_no_leave(urls: dict[str, str]) -> None:
    address = named_exchange(Settings.read(**urls))
    assert address is not None
    assert not address.base_url.endswith("/")


@pytest.mark.parametrize(
    "host", ["evilbinancefuture.com", "binancefuture.com.example.org", "127.0.0.1.example.org", "localhost.example.org"]
)
def test_exchange_that_only_looks_harmless_is_refused(host: str) -> None:
    with pytest.raises(StartupError, match="trades real money"):
        named_exchange(Settings.read(binance_url=f"https://{host}", binance_ws_url=f"wss://{host}"))


@pytest.mark.parametrize(
    ("urls", "said"),
    [
        ({"binance_url": "http://127.0.0.1:9101"}, "together"),
        ({"binance_ws_url": "ws://127.0.0.1:9101"}, "together"),
        ({"binance_url": "127.0.0.1:9101", "binance_ws_url": "ws://127.0.0.1:9101"}, "PATRIOT_BINANCE_URL: expected"),
        (
            {"binance_url": "http://127.0.0.1:99999", "binance_ws_url": "ws://127.0.0.1"},
            "PATRIOT_BINANCE_URL: expected",
        ),
        ({"binance_url": "http://127.0.0.1", "binance_ws_url": "ws://[::1"}, "PATRIOT_BINANCE_WS_URL: expected"),
        ({"binance_url": "http://127.0.0.1", "binance_ws_url": "http://127.0.0.1"}, "PATRIOT_BINANCE_WS_URL: expected"),
    ],
)
def test_half_an_exchange_is_refused(urls: dict[str, str], said: str) -> None:
    with pytest.raises(StartupError, match=said):
        named_exchange(Settings.read(**urls))
