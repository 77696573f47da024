"""Run PostgreSQL as somebody who is not root, because it refuses to run as root.

Three ways, tried in this order: as ourselves; in a user namespace that shows us to the server under another id, so
that every file stays ours; and, where namespaces are refused, as `nobody` with the data in a folder of `nobody`.
No permission outside the server's own folder is ever changed.

This file is also a program: started with `python -I -S`, it enters the namespace and becomes the command it was given.
It must therefore import nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CLONE_NEWUSER = 0x10000000  # Source: linux/sched.h, see unshare(2)
NAMESPACE_REFUSED = 77  # exit status of this program when the kernel says no; sysexits.h EX_NOPERM
NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Identity:
    """Under which identity, and by which first words of a command, the server's programs run."""

    launcher: tuple[str, ...] = ()  # words put before every command
    user: int | None = None  # the id to switch to before the command; None: stay who we are
    group: int | None = None

    @property
    def changes_owner(self) -> bool:
        """Whether the server's folder must belong to somebody else than us."""
        return self.user is not None


OURSELVES = Identity()


def choose_identity() -> Identity:
    """Return the first identity under which PostgreSQL agrees to run on this machine."""
    if os.geteuid() != 0 and _has_name(os.geteuid()):
        return OURSELVES
    namespace = namespace_identity()
    if sys.platform == "linux" and subprocess.run([*namespace.launcher, "true"], check=False).returncode == 0:
        return namespace
    return nobody_identity() if os.geteuid() == 0 else OURSELVES


def namespace_identity() -> Identity:
    """Return the identity of a user namespace in which we are an ordinary user; files stay ours outside it."""
    return Identity(launcher=(sys.executable, "-I", "-S", str(Path(__file__).resolve())))


def nobody_identity() -> Identity:
    """Return the identity of the user that owns nothing; only root can take it."""
    user = _ordinary_user()
    return Identity(user=user.pw_uid, group=user.pw_gid)


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _ordinary_user() -> pwd.struct_passwd:
    # initdb looks its own user up by id, so it must be one that this machine knows
    users = sorted((user for user in pwd.getpwall() if user.pw_uid != 0), key=lambda user: user.pw_uid != NOBODY)
    if not users:
        raise LookupError("this machine knows no user but root")
    return users[0]


def _enter_namespace() -> None:
    inside, outside, group = _ordinary_user().pw_uid, os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare was refused")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{inside} {outside} 1")
    Path("/proc/self/gid_map").write_text(f"{inside} {group} 1")


def main(command: list[str]) -> None:
    """Enter the namespace and become the command; exit with NAMESPACE_REFUSED when the kernel says no."""
    try:
        _enter_namespace()
    except (OSError, LookupError):
        sys.exit(NAMESPACE_REFUSED)
    os.execvp(command[0], command)  # noqa: S606 - the whole purpose of this program


if __name__ == "__main__":
    main(sys.argv[1:])
