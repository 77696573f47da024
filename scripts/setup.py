"""Make `.venv` from the hashed lock. `make setup` calls it; it needs nothing but Python 3.11 and a package index.

Everything it writes lies inside the repository: uv in `.uv`, the environment in `.venv`. It is not a build script:
the editable install runs offline, from what the lock brought.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV_FOLDER = ROOT / ".uv"
ENVIRONMENT = ROOT / ".venv"
LOCK = ROOT / "requirements-dev.lock"
UV_REQUIREMENT = "uv>=0.9,<1"

# pip's own option -> the variable uv reads; a machine set up for pip needs no second set-up for uv
PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}
NETWORK_WORDS = (
    "dns error", "error sending request", "failed to fetch", "connection refused", "network is unreachable",
    "temporary failure in name resolution", "name or service not known", "newconnectionerror", "connecttimeout",
    "could not find a version", "no matching distribution", "operation timed out", "tcp connect error",
)  # fmt: skip


def main() -> int:
    """Build the environment; on failure print one sentence that says what to do."""
    problem = unsupported_platform()
    if problem:
        return fail(problem)
    try:
        build_environment()
    except StepFailed as failure:
        return fail(failure.advice)
    return 0


class StepFailed(Exception):
    """A step ended with an error; `advice` is the sentence for the user."""

    def __init__(self, step: str, output: str) -> None:
        super().__init__(step)
        if any(word in output.lower() for word in NETWORK_WORDS):
            self.advice = (
                f"{step} could not reach the package index: connect this machine to the network, "
                "or name your mirror with `pip config set global.index-url URL`, and run `make setup` again."
            )
        elif "no space left" in output.lower():
            self.advice = f"{step} found the disk full: free about 1 GB under {ROOT} and run `make setup` again."
        else:
            self.advice = f"{step} failed; the lines above say why. Mend that and run `make setup` again."
            sys.stderr.write(output.rstrip() + "\n")


def unsupported_platform() -> str | None:
    """Return why this machine cannot run the embedded PostgreSQL, or None."""
    if sys.platform == "win32":
        return "PATRIOT runs on Linux and macOS; on Windows, clone it inside WSL 2 and run `make setup` there."
    if sys.version_info < (3, 11):  # noqa: UP036 - this file runs before anything has checked the version
        return f"Python 3.11 or newer is needed and this is {sys.version.split()[0]}: set PYTHON=/path/to/python3.11."
    if sys.platform == "linux" and is_musl():
        return "There is no PostgreSQL wheel for musl (Alpine): use a glibc system such as Debian, Ubuntu or Fedora."
    return None


def is_musl() -> bool:
    """Tell musl by its loader, which every musl system has."""
    return bool(list(Path("/lib").glob("ld-musl-*"))) and not Path("/etc/debian_version").exists()


def build_environment() -> None:
    """Install uv when it is missing, create the environment, fill it from the lock, install the project."""
    settings = uv_settings()
    uv = find_uv(settings)
    python = str(ENVIRONMENT / "bin" / "python")
    if not is_usable(Path(python)):
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        base = os.path.realpath(sys.executable)  # a pyenv or asdf shim would vanish with its shell
        run("Creating .venv", [uv, "venv", "--quiet", "--no-project", "--python", base, str(ENVIRONMENT)], settings)
    say(f"Installing the locked packages into {ENVIRONMENT.name} (about a minute the first time) ...")
    sync = [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", python, str(LOCK)]
    run("Installing the locked packages", sync, settings)
    editable = [uv, "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--offline", "--python", python]
    run("Installing PATRIOT", [*editable, "--editable", str(ROOT)], settings)
    say("Set-up is complete. Next: make demo, or make test.")


def is_usable(python: Path) -> bool:
    """Tell whether an environment left by an earlier run still starts and is new enough."""
    return works([str(python), "-c", "import sys; sys.exit(sys.version_info < (3, 11))"])


def find_uv(settings: dict[str, str]) -> str:
    """Return a uv that works: ours, the machine's, or one installed into the repository."""
    ours = UV_FOLDER / "bin" / "uv"
    for candidate in (str(ours), shutil.which("uv")):
        if candidate and works([candidate, "pip", "--help"]):
            return candidate
    say("Installing uv into .uv ...")
    shutil.rmtree(UV_FOLDER, ignore_errors=True)
    if importlib.util.find_spec("pip"):
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(UV_FOLDER)]
    else:
        step = "This Python has neither pip nor venv (on Debian and Ubuntu: apt install python3-venv), so uv"
        run(step, [sys.executable, "-m", "venv", str(UV_FOLDER)], settings)
        pip = [str(UV_FOLDER / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    run("Installing uv", [*pip, "--no-cache-dir", "--disable-pip-version-check", UV_REQUIREMENT], settings)
    return str(ours)


def uv_settings() -> dict[str, str]:
    """Return the environment for uv: the caller's, with pip's configured index, certificates and proxy added."""
    settings = dict(os.environ)
    settings.setdefault("UV_PYTHON_DOWNLOADS", "never")
    settings.setdefault("UV_SYSTEM_CERTS", "true")
    settings.setdefault("UV_HTTP_TIMEOUT", "180")
    settings["PIP_ROOT_USER_ACTION"] = "ignore"
    settings.pop("VIRTUAL_ENV", None)
    for option, value in pip_configuration().items():
        variable = PIP_TO_UV.get(option)
        if variable:
            settings.setdefault(variable, " ".join(value.split()))
        elif option == "find-links":
            places = [place for place in value.split() if "://" in place or Path(place).is_dir()]
            settings.setdefault("UV_FIND_LINKS", ",".join(places))
    return settings


def pip_configuration() -> dict[str, str]:
    """Return pip's configuration of this machine (files and environment), option -> value; later ones win."""
    if not importlib.util.find_spec("pip"):
        return {}
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    found: dict[str, str] = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.rpartition(".")
        if section in {"global", "install", ":env:"}:
            found[option] = value.strip().strip("'\"").replace("\\n", " ")
    return found


def works(command: list[str]) -> bool:
    """Tell whether a command exists and ends well."""
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def run(step: str, command: list[str], environment: dict[str, str]) -> None:
    """Run one step; raise StepFailed with its output when it fails."""
    done = subprocess.run(command, check=False, env=environment, cwd=ROOT, text=True, capture_output=True)
    if done.returncode != 0:
        raise StepFailed(step, done.stdout + done.stderr)


def say(line: str) -> None:
    """Print one line at once, also through a pipe."""
    print(line, flush=True)


def fail(sentence: str) -> int:
    """Print what to do and return the exit status."""
    sys.stderr.write(f"patriot set-up: {sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
