"""The master key and its file, and the envelope itself."""

import pickle
import stat
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.accounts.ports import ApiKey
from patriot.adapters.vault import MasterKey, SealedKey, load_master_key, seal, unseal
from patriot.kernel.errors import NotFound, StartupError
from tests.accounts.facts import ONE

pytestmark = pytest.mark.integration

KEY = ApiKey("public-part", "secret-part")
MASTER = MasterKey(b"m" * 32)


def test_first_start_makes_a_key_file_that_only_its_owner_can_read(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    sealed = seal(load_master_key(file, None), ONE, 1, KEY)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert unseal(load_master_key(file, None), ONE, 1, sealed) == KEY
    assert [path.name for path in tmp_path.iterdir()] == ["master.key"]


def test_key_file_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    load_master_key(file, None)
    file.chmod(0o640)
    with pytest.raises(StartupError, match=f"mode 0640.*chmod 600 {file}"):
        load_master_key(file, None)


def test_cut_key_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    file.touch(0o600)
    file.write_bytes(b"short")
    with pytest.raises(StartupError, match="5 bytes, expected 32"):
        load_master_key(file, None)


def test_missing_folder_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="check its folder"):
        load_master_key(tmp_path / "nowhere" / "master.key", None)


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    sealed = seal(MasterKey(b"e" * 32), ONE, 1, KEY)
    master = load_master_key(tmp_path / "master.key", b64encode(b"e" * 32).decode())
    assert unseal(master, ONE, 1, sealed) == KEY
    assert not (tmp_path / "master.key").exists()


@pytest.mark.parametrize("text", ["not base64!", b64encode(b"short").decode(), "=", "ä"])
def test_bad_variable_is_named_and_not_shown(text: str, tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="PATRIOT_MASTER_KEY") as problem:
        load_master_key(tmp_path / "master.key", text)
    assert text not in str(problem.value)


def test_master_key_shows_nothing_and_does_not_travel() -> None:
    assert repr(MASTER) == "MasterKey()"
    for secret in (MASTER, KEY):
        with pytest.raises(TypeError):
            pickle.dumps(secret)


def test_same_key_is_sealed_differently_each_time() -> None:
    one, two = seal(MASTER, ONE, 1, KEY), seal(MASTER, ONE, 1, KEY)
    assert one.ciphertext != two.ciphertext
    assert one.wrapped_key != two.wrapped_key


@given(api_key=st.text(max_size=200), api_secret=st.text(max_size=200))
def test_sealed_key_opens_as_it_was(api_key: str, api_secret: str) -> None:
    key = ApiKey(api_key, api_secret)
    assert unseal(MASTER, ONE, 1, seal(MASTER, ONE, 1, key)) == key


@given(place=st.integers(0), flip=st.integers(1, 255), wrapped=st.booleans())
def test_one_changed_byte_is_noticed(place: int, flip: int, wrapped: bool) -> None:
    sealed = seal(MASTER, ONE, 1, KEY)
    part = bytearray(sealed.wrapped_key if wrapped else sealed.ciphertext)
    part[place % len(part)] ^= flip
    changed = SealedKey(bytes(part), sealed.ciphertext) if wrapped else SealedKey(sealed.wrapped_key, bytes(part))
    with pytest.raises(NotFound):
        unseal(MASTER, ONE, 1, changed)


@given(cut=st.integers(0, 40))
def test_cut_row_is_noticed(cut: int) -> None:
    sealed = seal(MASTER, ONE, 1, KEY)
    with pytest.raises(NotFound):
        unseal(MASTER, ONE, 1, SealedKey(sealed.wrapped_key[:cut], sealed.ciphertext))
