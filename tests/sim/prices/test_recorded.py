"""Recorded klines: files are checked line by line, joined by time, and walked bar by bar."""

import gzip
import zipfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.kernel.errors import InvalidInput
from patriot.sim.prices.feed import walk
from patriot.sim.prices.recorded import load_recorded
from tests.sim.binance.client import HEADER, START_MS, flat, row, write_dump

pytestmark = pytest.mark.integration

BARS = [("100.0", "110.0", "90.0", "105.0"), ("105.0", "106.0", "104.0", "104.5"), ("104.5", "104.5", "104.5", "104.5")]
EXAMPLE = Path(__file__).parents[3] / "examples" / "data" / "BTCUSDT-1m-3d.csv.gz"


def dump_of(*lines: str) -> str:
    return "\n".join(lines) + "\n"


GOOD = [row(index, bar) for index, bar in enumerate(BARS)]


def test_recorded_bars_come_back_as_they_were_written(tmp_path: Path) -> None:
    feed = load_recorded(write_dump(tmp_path / "BTCUSDT-1m.csv", BARS))

    bar = feed.bar("BTCUSDT", 0)
    assert (feed.symbols, feed.start_ms, feed.length) == (("BTCUSDT",), START_MS, 3)
    assert (bar.open, bar.high, bar.low, bar.close) == (Decimal("100.0"), Decimal(110), Decimal(90), Decimal(105))
    assert (bar.open_ms, bar.volume) == (START_MS, Decimal("10.0"))


def test_gzip_zip_and_missing_header_give_the_same_bars(tmp_path: Path) -> None:
    text = dump_of(*GOOD)
    plain = tmp_path / "BTCUSDT-a.csv"
    plain.write_text(text)
    zipped = tmp_path / "BTCUSDT-b.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("BTCUSDT-1m.csv", dump_of(HEADER, *GOOD))
    packed = tmp_path / "BTCUSDT-c.csv.gz"
    packed.write_bytes(gzip.compress(text.encode()))

    feeds = [load_recorded(path) for path in (plain, zipped, packed)]

    assert [[feed.bar("BTCUSDT", index) for index in range(3)] for feed in feeds] == [
        [feeds[0].bar("BTCUSDT", index) for index in range(3)]
    ] * 3


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([*GOOD[:1], GOOD[1][:40]], r"line 3.*expected 12 columns"),
        ([GOOD[0], GOOD[2]], r"line 3.*gap: expected the bar of 2022-02-01 00:01, found 2022-02-01 00:02"),
        ([GOOD[0], GOOD[0]], r"line 3.*duplicate bar"),
        ([GOOD[1], GOOD[0]], r"line 3.*unsorted bar"),
        ([row(0, ("NaN", "110", "90", "100"))], r"line 2.*open: expected a plain decimal"),
        ([row(0, ("100", "1e400", "90", "100"))], r"line 2.*high: expected a plain decimal"),
        ([row(0, ("100", "110", "-90", "100"))], r"line 2.*low: expected a positive number"),
        ([row(0, ("100", "99", "101", "100"))], r"line 2.*expected low <= open, close <= high"),
        ([row(0, ("0", "0", "0", "0"))], r"line 2.*open: expected a positive number"),
        ([row(0, ("1", "1", "1", "1"), start_ms=START_MS + 1)], r"line 2.*expected open_time in milliseconds"),
        ([row(0, ("1", "1", "1", "1"), start_ms=START_MS // 1000)], r"line 2.*expected open_time in milliseconds"),
        ([], r"expected at least one bar"),
    ],
)
def test_broken_file_is_refused_by_line(tmp_path: Path, lines: list[str], said: str) -> None:
    path = tmp_path / "BTCUSDT-1m.csv"
    path.write_text(dump_of(HEADER, *lines))

    with pytest.raises(InvalidInput, match=said):
        load_recorded(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("BTCUSDT.csv.gz", gzip.compress(dump_of(*GOOD).encode(), mtime=0)[:-20]),
        ("BTCUSDT.zip", b"PK\x03\x04 not a zip"),
        ("BTCUSDT.csv", b"\xff\xfe\x00"),
    ],
)
def test_file_that_cannot_be_unpacked_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(InvalidInput, match=name):
        load_recorded(path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="expected a readable CSV"):
        load_recorded(tmp_path / "BTCUSDT-1m.csv")


@pytest.mark.parametrize(
    ("name", "symbol"), [("ETHUSDT-1m-2022-01.csv", "ETHUSDT"), ("prices.csv", "BTCUSDT"), ("BTCUSDT.csv", "BTCUSDT")]
)
def test_symbol_is_read_from_the_name(tmp_path: Path, name: str, symbol: str) -> None:
    assert load_recorded(write_dump(tmp_path / name, flat("1.0", 1))).symbols == (symbol,)


@given(st.binary(max_size=300))
def test_no_bytes_make_the_loader_raise_anything_but_its_own_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("dump") / "BTCUSDT.csv"
    path.write_bytes(content)

    with pytest.raises(InvalidInput):
        load_recorded(path)


@given(seed=st.integers(0, 1000), index=st.integers(0, 2))
def test_walk_visits_open_both_extremes_and_close(
    tmp_path_factory: pytest.TempPathFactory, seed: int, index: int
) -> None:
    feed = load_recorded(write_dump(tmp_path_factory.mktemp("dump") / "BTCUSDT.csv", BARS))
    bar = feed.bar("BTCUSDT", index)

    path = walk(bar, "BTCUSDT", seed)

    assert (path[0], path[3]) == (bar.open, bar.close)
    assert set(path[1:3]) == {bar.high, bar.low}
    assert path == walk(bar, "BTCUSDT", seed)


def test_walk_takes_both_orders_over_many_seeds(tmp_path: Path) -> None:
    bar = load_recorded(write_dump(tmp_path / "BTCUSDT.csv", BARS)).bar("BTCUSDT", 0)

    assert {walk(bar, "BTCUSDT", seed)[1] for seed in range(20)} == {bar.low, bar.high}


def test_example_recording_loads_and_holds_a_month_end() -> None:
    feed = load_recorded(EXAMPLE)

    assert feed.length == 4_320
    assert feed.start_ms < START_MS < feed.start_ms + 4_320 * 60_000


def files(tmp_path: Path, spans: dict[str, tuple[int, int]]) -> list[Path]:
    """Write one file for each name: so many flat bars from a minute on."""
    return [
        write_dump(tmp_path / name, flat("100.0", count), start_ms=START_MS + first * 60_000)
        for name, (first, count) in spans.items()
    ]


def test_several_symbols_play_the_minutes_that_all_have(tmp_path: Path) -> None:
    feed = load_recorded(*files(tmp_path, {"BTCUSDT-1m.csv": (0, 5), "ETHUSDT-1m.csv": (2, 6)}))

    assert (feed.symbols, feed.start_ms, feed.length) == (("BTCUSDT", "ETHUSDT"), START_MS + 120_000, 3)
    steps = feed.steps(0)
    assert [[move.symbol for move in step.moves] for step in steps] == [["BTCUSDT", "ETHUSDT"]] * 4
    assert [step.due_ms - feed.start_ms for step in steps] == [1_000, 20_000, 40_000, 60_000]
    assert [symbol for symbol, _ in steps[-1].bars] == ["BTCUSDT", "ETHUSDT"]


def test_files_of_one_symbol_are_joined_in_the_order_of_their_times(tmp_path: Path) -> None:
    folder = tmp_path / "dumps"
    folder.mkdir()
    files(folder, {"BTCUSDT-b.csv": (0, 3), "BTCUSDT-a.csv": (3, 2)})
    (folder / "README.txt").write_text("no dump")
    feed = load_recorded(folder)

    assert feed.length == 5
    assert [feed.bar("BTCUSDT", index).open_ms for index in range(5)] == [START_MS + n * 60_000 for n in range(5)]


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        (
            {"BTCUSDT-1m.csv": (0, 2), "ETHUSDT-1m.csv": (2, 2)},
            r"common time, found none: BTCUSDT has 2022-02-01 00:00 to 2022-02-01 00:02; ETHUSDT has 2022-02-01 00:02",
        ),
        ({"BTCUSDT-a.csv": (0, 2), "BTCUSDT-b.csv": (3, 2)}, r"BTCUSDT-b.csv: expected it to begin .* 00:02, found"),
        ({"BTCUSDT-a.csv": (0, 3), "BTCUSDT-b.csv": (2, 2)}, r"BTCUSDT-b.csv: expected it to begin .* 00:03, found"),
    ],
)
def test_recordings_that_do_not_meet_are_refused_by_name(
    tmp_path: Path, spans: dict[str, tuple[int, int]], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        load_recorded(*files(tmp_path, spans))


def test_folder_without_dumps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="expected dumps in this folder"):
        load_recorded(tmp_path)


def test_loop_plays_again_with_times_moved_by_whole_lengths(tmp_path: Path) -> None:
    once = load_recorded(write_dump(tmp_path / "BTCUSDT.csv", BARS))
    looped = load_recorded(tmp_path / "BTCUSDT.csv", loop=True)

    assert (looped.length, looped.identity) == (None, f"{once.identity} looped")
    again = looped.bar("BTCUSDT", 4)
    assert (again.open_ms, again.close) == (START_MS + 4 * 60_000, once.bar("BTCUSDT", 1).close)
    assert [step.due_ms for step in looped.steps(4)] == [step.due_ms + 180_000 for step in once.steps(1)]
    assert looped.steps(3)[0].moves[0].jump
