import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.cli.kit import copy_of, patriot


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Undo what a command in this process did to the logs: the standard error that it was given is closed by now."""
    yield
    structlog.reset_defaults()
    for handler in [one for one in logging.getLogger().handlers if type(one) is logging.StreamHandler]:
        logging.getLogger().removeHandler(handler)


@pytest.fixture(scope="session")
def kept_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the data folder of a small demo that ended with every law kept."""
    home = tmp_path_factory.mktemp("home")
    done = patriot("demo", "--accounts", "3", "--days", "1", "--keep", home=home)
    assert done.returncode == 0, done.stdout + done.stderr
    yield home / "demo"
    shutil.rmtree(home)


@pytest.fixture
def demo_folder(kept_demo: Path, tmp_path: Path) -> Path:
    """Give a copy of it to change."""
    return copy_of(kept_demo, tmp_path / "demo")
