"""Which exchange a process trades on: the simulator unless told otherwise; real money only when that was asked for."""

from urllib.parse import urlsplit

from patriot.host.settings import Settings
from patriot.kernel.errors import StartupError
from patriot.services.plugged_in import ExchangeAddress

SIM_ADDRESS = ExchangeAddress("http://127.0.0.1:9101", "ws://127.0.0.1:9101")  # where `patriot sim` listens
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
TESTNET = "binancefuture.com"  # and below it


def named_exchange(settings: Settings) -> ExchangeAddress | None:
    """Return the exchange that the settings name, None if they name none.

    Errors: StartupError for half an address, and for one that moves real money without PATRIOT_LIVE=1.
    """
    if settings.binance_url is None and settings.binance_ws_url is None:
        return None
    if settings.binance_url is None or settings.binance_ws_url is None:
        raise StartupError("set PATRIOT_BINANCE_URL and PATRIOT_BINANCE_WS_URL together, or neither")
    for name, url, schemes in (
        ("PATRIOT_BINANCE_URL", settings.binance_url, ("http", "https")),
        ("PATRIOT_BINANCE_WS_URL", settings.binance_ws_url, ("ws", "wss")),
    ):
        host = _host_of(url, schemes)
        if not host:
            raise StartupError(f"{name}: expected an address such as {schemes[1]}://host:443, found {url!r}")
        if not settings.live and not _is_harmless(host):
            raise StartupError(f"{name}: {host} trades real money: set PATRIOT_LIVE=1 if that is what you want")
    return ExchangeAddress(settings.binance_url.rstrip("/"), settings.binance_ws_url.rstrip("/"))


def _host_of(url: str, schemes: tuple[str, str]) -> str:
    """Return the host of a sound address, nothing for any other."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in schemes and parts.port != 0
    except ValueError:  # brackets that do not close, a port that is no number or none that there is
        return ""
    return (parts.hostname or "") if sound else ""


def _is_harmless(host: str) -> bool:
    return host in LOOPBACK or host == TESTNET or host.endswith("." + TESTNET)
