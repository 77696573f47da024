import pytest

from patriot.kernel.errors import CommandRefused
from patriot.kernel.two_persons import require_two_persons

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("requested_by", "approved_by"),
    [
        ("anna", "anna"),
        ("Anna", "aNNA"),
        (" anna", "anna\t"),
        ("STRASSE", "straße"),
        ("\N{FULLWIDTH LATIN SMALL LETTER A}nna", "anna"),
        ("", "ben"),
        ("anna", ""),
        (" ", "ben"),
        ("anna", "\u3000"),
    ],
)
def test_one_person_is_not_two(requested_by: str, approved_by: str) -> None:
    with pytest.raises(CommandRefused, match="two persons are needed"):
        require_two_persons(requested_by, approved_by)


def test_two_persons_are() -> None:
    require_two_persons("anna", "Ben")
