"""The cells of a line of a table, however its columns are told apart."""

import re

from gradtop.sources.fields.number import Number, is_missing, parse
from gradtop.sources.text.layouts.pair import is_counter, is_measured

MAX_LINE = 1000
"""Characters of a line beyond which it is no line of a table."""
MAX_COLUMNS = 60
"""Columns of a table."""
BORDERS = "|│┃║╎┆"
"""What stands between the columns of a table with borders."""

_BORDER = re.compile(rf"[{BORDERS}]")
_RULE = re.compile(r"[-=+|:~*_\s─━═┄┌┬┐├┼┤└┴┘┏┳┓┡╇┩┣╋┫┗┻┛╞╪╡╭╮╰╯╔╦╗╠╬╣╚╩╝│┃║╟╫╢]{3,}\Z")
_WIDE = re.compile(r"\t+\s*|\s{2,}")
_OF_TOTAL = re.compile(r"(\d+)/\d+\Z")
_NO_VALUE = frozenset(("no log", "#na#", "–", "—"))


def is_rule(text: str) -> bool:
    """The line is drawn, not written: `-----`, `+---+---+`, `|:---|---:|`, `┏━━┳━━┓`."""
    text = text.strip()
    return len(text) <= MAX_LINE and _RULE.match(text) is not None and any(ch not in "|│┃║ :" for ch in text)


def bordered(text: str) -> list[str] | None:
    """The cells between borders, blanks kept; None where the line has none around it."""
    text = text.strip()
    if len(text) > MAX_LINE or len(text) < 5 or text[0] not in BORDERS or text[-1] not in BORDERS:
        return None
    return _BORDER.split(text[1:-1])


def wide(text: str) -> list[str]:
    """The cells of a line whose columns stand two and more blanks or a tab apart."""
    return _WIDE.split(text.strip())


def value_in(cell: str) -> Number | None:
    """The number in a cell (of `3/10` the first); None where there is none."""
    cell = cell.strip().rstrip("*")
    match = _OF_TOTAL.match(cell)
    return parse(match[1] if match else cell)


def is_blank(cell: str) -> bool:
    """The cell says that there is no value."""
    return is_missing(cell) or cell.strip().lower() in _NO_VALUE


def is_header(names: list[str]) -> bool:
    """Column names: a counter and a metric of a training are among them, and no number."""
    return (
        2 <= len(names) <= MAX_COLUMNS
        and any(is_counter(name) for name in names)
        and any(is_measured(name) or "loss" in name.lower().split() for name in names)
        and not any(":" in name or "=" in name or not name or name[0].isdigit() or len(name) > 40 for name in names)
    )
