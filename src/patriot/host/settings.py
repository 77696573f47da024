"""Settings from the environment: `PATRIOT_*`, and `DATABASE_URL`. A bad one is named in one sentence."""

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from patriot.adapters.vault import MasterKey
from patriot.kernel.errors import StartupError


class Settings(BaseSettings):
    """What a process is told from outside. The exchange is the simulator unless `PATRIOT_BINANCE_URL` names another."""

    model_config = SettingsConfigDict(env_prefix="PATRIOT_", extra="ignore", hide_input_in_errors=True)

    home: Path = Field(default=Path("~/.local/share/patriot"), validate_default=True)
    database_url: str | None = Field(default=None, validation_alias=AliasChoices("DATABASE_URL", "database_url"))
    binance_url: str | None = None
    binance_ws_url: str | None = None
    master_key: SecretStr | None = None
    sim_token: SecretStr | None = None
    live: bool = False
    port: int = Field(default=8000, ge=1, le=65_535)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("*", mode="before")
    @classmethod
    def _says_something(cls, given: object) -> object:
        """Refuse an empty variable: an empty folder would be the working one, an empty key another key."""
        if given == "":
            raise ValueError("it is empty: give it a value, or leave it unset")
        return given

    @field_validator("home")
    @classmethod
    def _is_a_folder(cls, home: Path) -> Path:
        try:
            found = home.expanduser().absolute()
        except RuntimeError:  # ~somebody
            raise ValueError(f"nobody has the home {home.parts[0]}") from None
        if found.exists() and not found.is_dir():
            raise ValueError(f"expected a folder, and {found} is a file")
        return found

    @field_validator("live", mode="before")
    @classmethod
    def _one_or_zero(cls, given: object) -> object:
        """Take one spelling: whether real money moves is no place for near misses."""
        if given not in ("0", "1", False, True):
            raise ValueError("expected 1, which allows real money, or 0")
        return given

    @field_validator("database_url")
    @classmethod
    def _leads_to_postgresql(cls, url: str | None) -> str | None:
        """Refuse what the driver would trip over: its complaint may show a part of the password."""
        try:
            sound = url is None or (urlsplit(url).scheme in ("postgres", "postgresql") and urlsplit(url).port != 0)
        except ValueError:  # a port that is no number
            sound = False
        if not sound:
            raise ValueError("expected postgresql://user:password@host:port/name")
        return url

    @property
    def given_master_key(self) -> str | None:
        """Return the master key in the clear, None if the folder's file has it."""
        return self.master_key.get_secret_value() if self.master_key else None

    @classmethod
    def read(cls, **given: object) -> Self:
        """Return the settings. Errors: StartupError naming the variable and what is wrong with it."""
        try:
            settings = cls(**given)  # type: ignore[arg-type]  # values are validated by pydantic
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else "settings"
            shown = name if name.isupper() else f"PATRIOT_{name.upper()}"
            raise StartupError(f"{shown}: {first['msg'].removeprefix('Value error, ')}") from None
        if settings.master_key is not None:
            MasterKey.from_base64(settings.master_key.get_secret_value())
        return settings
