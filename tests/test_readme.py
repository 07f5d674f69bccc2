"""The README says what the code says."""

import re
from pathlib import Path

import pytest

from gradtop.catalogue import CATALOGUE
from gradtop.ui import keys

README = Path(__file__).parents[1] / "README.md"


def kinds() -> str:
    rows = [f"| `{kind.id}` | {kind.meaning} | {kind.severity} |" for kind in CATALOGUE]
    return "\n".join(["| kind | what it means | how much it matters |", "|---|---|---|", *rows])


def between(marker: str) -> str:
    found = re.search(rf"<!-- {marker} -->\n(.*?)<!-- /{marker} -->", README.read_text(), re.DOTALL)
    assert found is not None
    return found[1].strip()


@pytest.mark.parametrize(("marker", "expected"), [("kinds", kinds()), ("keys", keys.markdown())])
def test_tables_are_those_of_the_code(marker: str, expected: str) -> None:
    assert between(marker) == expected.strip()


@pytest.mark.parametrize("marker", ["quickstart", "tests"])
def test_each_command_is_one_marked_block(marker: str) -> None:
    blocks = re.findall(rf"<!-- {marker} -->\n```bash\n(.+)\n```\n", README.read_text())
    assert len(blocks) == 1


def test_pictures_are_there() -> None:
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", README.read_text())
    assert pictures
    assert all((README.parent / picture).is_file() for picture in pictures)
