"""The import contracts hold, and each can fail: one forbidden import per arrow is planted and must be refused."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = ROOT / ".importlinter"
DOMAINS = ["users", "accounts", "strategies", "execution", "orders", "risk", "portfolio", "billing", "market", "audit"]
IMPURE = {
    "os",
    "subprocess",
    "urllib",
    "socket",
    "sqlite3",
    "threading",
    "random",
    "time",
}  # what a pure room never sees
OPENERS = {"socket", "ssl", "http", "subprocess", "multiprocessing", "threading", "sqlite3",
           "aiohttp", "asyncpg", "websockets", "httpx", "requests"}  # fmt: skip
OPENING_CALLS = {"create_subprocess_exec", "create_subprocess_shell", "open_connection", "start_server", "fork",
                 "popen", "execv", "execvp", "execve", "posix_spawn", "system"}  # fmt: skip
OPENING_ROOMS = ("adapters/", "host/", "sim/", "simulation/")  # the last one a network that is simulated
OPENING_FILES = {"services/plugged_in.py", "demo/demo.py"}
PURE_ROOMS = [f"patriot.orders.{room}" for room in ("events", "commands", "decider", "policies")]


@dataclass(frozen=True, slots=True)
class Plant:
    """One forbidden import: the contract that must refuse it, who imports, and what."""

    contract: str
    importer: str
    imported: str


def configuration() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(CONTRACTS)
    return parser


def words(contract: str, option: str) -> list[str]:
    return configuration()[f"importlinter:contract:{contract}"][option].split()


def planted(package: str) -> str:
    return f"patriot.{package}.planted"


def layer_plants() -> list[Plant]:
    above = ["adapters", "services", "judge", "simulation", "host", "demo", "cli"]
    arrows = {
        "kernel": ["trading", *DOMAINS, "sim", *above],
        "trading": [*DOMAINS, "sim", *above],
        "sim": above,
        **dict.fromkeys(DOMAINS, above),
        **{low: above[number + 1 :] for number, low in enumerate(above[:-1])},
    }
    return [Plant("layers", planted(low), planted(high)) for low, highs in arrows.items() for high in highs]


def sim_plants() -> list[Plant]:
    outsiders = ["kernel", "trading", *DOMAINS, "adapters.postgres", "services", "judge", "demo"]
    return [
        *(Plant("sim-sees-kernel", planted("sim"), planted(other)) for other in ("trading", *DOMAINS)),
        *(Plant("sim-seen", planted(outsider), planted("sim.binance")) for outsider in outsiders),
        *(Plant("sim-engine-seen", planted(who), planted("sim.engine")) for who in ("services", "cli", "adapters")),
    ]


def pure_plants() -> list[Plant]:
    forbidden = words("pure-rooms", "forbidden_modules")
    rooms = [*PURE_ROOMS, planted("sim.engine")]
    each_module = [Plant("pure-rooms", rooms[number % len(rooms)], name) for number, name in enumerate(forbidden)]
    each_room = [Plant("pure-rooms", room, "asyncio") for room in rooms]
    each_domain = [Plant("pure-rooms", f"patriot.{domain}.decider", "random") for domain in DOMAINS]
    return [*each_module, *each_room, *each_domain]


def library_plants() -> list[Plant]:
    rooms = [name.replace("*", "orders") for name in words("http-room", "source_modules")]
    rooms = [planted("kernel") if room == "patriot.kernel" else room for room in rooms]
    return [
        *(Plant("sockets", planted("kernel"), name) for name in words("sockets", "forbidden_modules")),
        *(Plant("sockets", planted(domain), "socket") for domain in DOMAINS),
        *(Plant("sockets", planted("judge"), name) for name in ("socket", "subprocess", "asyncpg", "aiohttp")),
        *(Plant("http-room", room, name) for room in rooms for name in ("fastapi", "starlette")),
    ]


def service_plants() -> list[Plant]:
    names = words("services-open-nothing", "forbidden_modules")
    return [
        *(Plant("services-open-nothing", planted("services"), name) for name in names),
        *(Plant("services-open-nothing", planted(room), "aiohttp") for room in ("judge", "demo")),
        *(Plant("adapters-seen", planted("services"), f"patriot.adapters.{one}") for one in ("postgres", "exchanges")),
    ]


def domain_plants() -> list[Plant]:
    rooms = ("decider", "policies", "ports", "effects", "projections", "queries", "api")
    pairs = [(DOMAINS[number - 1], domain) for number, domain in enumerate(DOMAINS)]
    return [Plant(f"{seen}-seen", planted(seer), f"patriot.{seen}.{room}") for seer, seen in pairs for room in rooms]


PLANTS = [*layer_plants(), *sim_plants(), *pure_plants(), *library_plants(), *service_plants(), *domain_plants()]
ALLOWED = [
    ("patriot.risk.policies", "patriot.orders.events"),
    ("patriot.risk.policies", "patriot.orders.commands"),
    ("patriot.simulation.planted", "patriot.sim.engine.planted"),
    ("patriot.host.planted", "patriot.sim.binance.planted"),
    ("patriot.simulation.planted", "patriot.sim.bybit.planted"),
    ("patriot.cli.planted", "patriot.demo.planted"),
    ("patriot.demo.planted", "patriot.host.planted"),
    ("patriot.host.planted", "patriot.judge.planted"),
    ("patriot.judge.planted", "patriot.services.planted"),
    ("patriot.orders.planted", "patriot.trading.planted"),
    ("patriot.services.plugged_in", "patriot.adapters.planted"),
    ("patriot.adapters.planted", "patriot.orders.ports"),
    ("patriot.orders.api", "fastapi"),
]


def plant(source: Path, importer: str, line: str) -> None:
    """Append a line to a module of the copy; make the module, and its packages, when they do not exist."""
    file = source.joinpath(*importer.split(".")).with_suffix(".py")
    file.parent.mkdir(parents=True, exist_ok=True)
    for package in [file.parent, *file.parent.parents]:
        if package == source:
            break
        (package / "__init__.py").touch()
    with file.open("a") as module:
        module.write(f"\n{line}\n")


def lint(folder: Path) -> str:
    """Run the linter on the copy in this folder, which comes before the installed one on its path."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo", "--config", "contracts"]
    environment = os.environ | {"PYTHONPATH": str(folder / "src"), "COLUMNS": "300", "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def copy_of_source(folder: Path) -> Path:
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "versions"))
    shutil.copy(CONTRACTS, folder / "contracts")
    return folder / "src"


def refusals(report: str) -> dict[str, str]:
    """Return what the report says of each broken contract, by the contract's id."""
    _, _, broken = report.partition("Broken contracts")
    names = {str(body["name"]): key.rpartition(":")[2] for key, body in configuration().items() if "name" in body}
    parts = re.split(rf"^({'|'.join(re.escape(name) for name in names)})\n-+$", broken, flags=re.MULTILINE)
    return {names[name]: text for name, text in zip(parts[1::2], parts[2::2], strict=True)}


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give the refusals of one linter run over a copy in which everything forbidden is planted at once."""
    folder = tmp_path_factory.mktemp("planted")
    source = copy_of_source(folder)
    for each in PLANTS:
        if each.imported.startswith("patriot."):
            plant(source, each.imported, "")
        plant(source, each.importer, f"import {each.imported}")
    plant(source, "patriot.smuggled.planted", "")
    return refusals(lint(folder))


def is_refused(text: str, importer: str, imported: str) -> bool:
    return re.search(rf"{re.escape(importer)} -> {re.escape(imported)}\b", text) is not None


def test_contracts_hold_on_the_source_as_it_is(tmp_path: Path) -> None:
    copy_of_source(tmp_path)
    report = lint(tmp_path)
    assert " 0 broken." in report, report


def test_every_contract_is_broken_by_some_plant(refused: dict[str, str]) -> None:
    contracts = {key.rpartition(":")[2] for key in configuration().sections() if ":contract:" in key}
    assert set(refused) == contracts


def test_every_planted_import_is_refused_by_its_contract(refused: dict[str, str]) -> None:
    missed = [each for each in PLANTS if not is_refused(refused[each.contract], each.importer, each.imported)]
    assert missed == []


def test_package_outside_the_layers_is_refused(refused: dict[str, str]) -> None:
    assert "smuggled" in refused["layers"]


def test_allowed_imports_are_not_refused(tmp_path: Path) -> None:
    source = copy_of_source(tmp_path)
    for importer, imported in ALLOWED:
        if imported.startswith("patriot."):
            plant(source, imported, "")
        plant(source, importer, f"import {imported}")
    report = lint(tmp_path)
    assert " 0 broken." in report, report


def test_io_behind_one_more_module_is_refused(tmp_path: Path) -> None:
    source = copy_of_source(tmp_path)
    plant(source, planted("kernel"), "import time")
    plant(source, "patriot.orders.policies", f"import {planted('kernel')}")
    assert is_refused(refusals(lint(tmp_path))["pure-rooms"], planted("kernel"), "time")


def test_contracts_name_what_no_pure_room_sees_and_what_opens_the_outside() -> None:
    assert set(words("pure-rooms", "forbidden_modules")) >= IMPURE
    assert set(words("sockets", "forbidden_modules")) >= OPENERS
    assert set(words("services-open-nothing", "forbidden_modules")) >= OPENERS
    assert set(words("sockets", "source_modules")) == {
        f"patriot.{room}" for room in ("kernel", "trading", "judge", *DOMAINS)
    }
    assert set(words("services-open-nothing", "source_modules")) == {
        f"patriot.{room}" for room in ("services", "judge", "demo")
    }


def test_outside_is_opened_by_adapters_host_and_the_faces_of_sim_alone() -> None:
    package = ROOT / "src" / "patriot"
    opening = {name for file in package.rglob("*.py") if opens(file) for name in [file.relative_to(package).as_posix()]}
    assert {name for name in opening if not name.startswith(OPENING_ROOMS)} == OPENING_FILES
    assert {name for name in opening if name.startswith("sim/engine/")} == set()


def opens(file: Path) -> bool:
    """Tell whether a file imports what opens a socket, a database, a process or a thread, or calls asyncio for one."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Import(names=names) if OPENERS & {one.name.partition(".")[0] for one in names}:
                return True
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in OPENERS:
                return True
            case ast.Attribute(attr=name) if name in OPENING_CALLS:
                return True
    return False
