"""Lines as the projects print them, each from the format string of the project, and the rows that are in them."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import read, rows_of

from gradtop.record import Rows
from gradtop.sources.text.reader import TextReader

SAMPLES = Path(__file__).parents[1] / "data" / "projects.txt"
ESCAPES = {"\\r": "\r", "\\x1b": "\x1b"}


def cases() -> list[tuple[str, str, list[dict[str, float]]]]:
    """(project, lines, rows) of the file of samples: a title, lines, an arrow, rows as JSON objects."""
    found = []
    for block in re.split(r"^### ", SAMPLES.read_text(), flags=re.MULTILINE)[1:]:
        title, _, rest = block.partition("\n")
        lines, _, rows = rest.partition("=>\n")
        for written, meant in ESCAPES.items():
            lines = lines.replace(written, meant)
        found.append((title, lines, [json.loads(row) for row in rows.split("\n") if row]))
    return found


CASES = cases()


def without_time(rows: list[dict[str, float]]) -> list[dict[str, float]]:
    """The rows without the clock of their prefixes."""
    return [{name: value for name, value in row.items() if name != "time"} for row in rows]


@pytest.mark.parametrize(("lines", "rows"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_lines_of_a_project(lines: str, rows: list[dict[str, float]]) -> None:
    reader = TextReader()
    found = without_time(rows_of(read(reader, lines)))
    assert found == [pytest.approx(row, rel=1e-9, nan_ok=True) for row in rows]
    assert reader.account.rejected == {}


@pytest.mark.parametrize("lines", [case[1] for case in CASES], ids=[case[0] for case in CASES])
def test_portions_of_a_project_change_nothing(lines: str) -> None:
    at_once, singly = rows_of(read(TextReader(), lines)), rows_of(read(TextReader(), lines, portion=1))
    assert repr(at_once) == repr(singly)


NAMES = {name for _, _, rows in CASES for row in rows for name in row}


def test_no_row_has_a_name_that_is_not_a_metric() -> None:
    """Of prose, only known names are kept: multipliers, counts of files and times to go are none."""
    assert NAMES.isdisjoint({"lrm", "eta", "pq", "rg", "v_num", "max mem", "memory", "mem", "hellaswag", "wd"})


@given(
    picked=st.lists(st.integers(0, len(CASES) - 1), min_size=1, max_size=4),
    portion=st.integers(1, 7),
)
def test_portions_of_logs_in_one_file_change_nothing(picked: list[int], portion: int) -> None:
    text = "".join(CASES[i][1] for i in picked)
    at_once, in_portions = read(TextReader(), text), read(TextReader(), text, portion)
    assert repr(rows_of(at_once)) == repr(rows_of(in_portions))
    others = [[record for record in found if not isinstance(record, Rows)] for found in (at_once, in_portions)]
    assert others[0] == others[1]
