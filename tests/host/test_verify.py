"""What `patriot verify` judges beside the log: files that clients were given."""

import base64
import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from patriot.host.data_folder import DataFolder
from patriot.host.settings import Settings
from patriot.host.verify import verify_folder

pytestmark = pytest.mark.integration


async def test_invoice_that_a_client_was_given_is_verified_as_it_lies(database: str, tmp_path: Path) -> None:
    invoices = tmp_path / "invoices"
    invoices.mkdir()
    (invoices / "2030-01-A.json").write_text(json.dumps({"fee": "1"}))
    settings = Settings(database_url=database, master_key=SecretStr(base64.b64encode(bytes(32)).decode()))

    summary = await verify_folder(DataFolder(tmp_path), settings, lambda _phase: None)

    law = summary.laws["9"]
    assert law.checked == 1
    assert [problem.partition(":")[0] for problem in law.problems] == ["2030-01-A.json"]
