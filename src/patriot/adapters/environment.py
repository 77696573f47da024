"""What a child process may see of our environment: enough to find Python and its packages, never a key or an address.

Whatever else a child needs is named at the call.
"""

import os
from collections.abc import Mapping

PASSED_ON = (
    *("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "SYSTEMROOT"),
    *("HOME", "TMPDIR"),
)


def environment_of_child(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a child: what every child may see, and what this one was given."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ} | dict(given or {})
