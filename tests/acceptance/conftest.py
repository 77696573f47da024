"""What acceptance tests share: one short recording, and one demo over it that nobody disturbs."""

import pytest

from tests.acceptance.demo_runs import DemoFolder, Story, cut_recording
from tests.conftest import WORKER, dsn_of, execute, run


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the path of a short recording."""
    return str(cut_recording(tmp_path_factory.mktemp("recording")))


@pytest.fixture(scope="session")
def undisturbed(
    recording: str, tmp_path_factory: pytest.TempPathFactory, postgres_server: str, migrated_template: str
) -> Story:
    """Give what happens when nothing goes wrong."""
    database = f"patriot_undisturbed_{WORKER}"
    run(execute(postgres_server, f"CREATE DATABASE {database} TEMPLATE {migrated_template}"))
    folder = DemoFolder(tmp_path_factory.mktemp("undisturbed"), recording, dsn_of(postgres_server, database))
    run(folder.run()).require_green()
    story = run(folder.story())
    assert len(story.fills) > 30, "the recording is too quiet to prove anything"
    return story
