"""What a demo says when it is interrupted: the command that goes on with it, options and all."""

import asyncio
from typing import Any

import pytest
from typer.testing import CliRunner

from patriot.cli import demo
from patriot.cli.main import app

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("given", "again"),
    [
        ([], "--accounts 20 --data examples/data/BTCUSDT-1m-3d.csv.gz --seed 7 --resume"),
        (
            ["--accounts", "3", "--data", "my prices.csv", "--days", "1", "--seed", "9", "--json", "o.json", "--keep"],
            "--accounts 3 --data 'my prices.csv' --seed 9 --days 1 --json o.json --keep --resume",
        ),
        (["--resume", "--data", "model"], "--accounts 20 --data model --seed 7 --resume"),
    ],
)
def test_interrupted_demo_prints_the_command_that_goes_on_with_it(
    given: list[str], again: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted(*_: Any, **__: Any) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(demo, "_demo", interrupted)
    shown = CliRunner().invoke(app, ["demo", *given])
    assert shown.exit_code == 130
    assert f"interrupted. Go on with `patriot demo {again}`." in shown.output
