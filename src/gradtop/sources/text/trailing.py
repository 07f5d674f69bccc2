"""Lines whose names and counters stand behind the values: `2.31 loss, 0.001 LR`, `loss: 2.303494  [   64/60000]`."""

import re

from gradtop.sources.fields.names import meaning_of
from gradtop.sources.fields.number import NON_FINITE, NUMBER, finite, parse
from gradtop.sources.fields.printed import Fields

_COUNTED = re.compile(rf"\s*(?P<step>\d+):?\s+(?P<cells>(?:{NUMBER}|{NON_FINITE})[\s,].*)")
_CELL = re.compile(rf"\s*({NUMBER}|{NON_FINITE})(?:\s+([A-Za-z][\w ]*?))?\s*")
_LEAST = 3
"""Cells of a line with its names behind the values, of which two are of a training."""
_PADDED = 5
"""Digits for which PyTorch's quickstart leaves room where it counts the samples of its data."""
_BEHIND = re.compile(
    rf"\s*(?:train(?:ing)?\s)?loss\s?[:=]\s?(?P<loss>{NUMBER}|{NON_FINITE})\s+\[(?P<at>\s*\d+)/\s*(?P<of>\d+)\]\s*",
    re.IGNORECASE,
)
_PLACED = re.compile(
    r"\W*(?:train(?:ing)?\s)?(?:loss|cost)(?:\s\([\w ]+\))?\s(?:at|after)\s"
    r"(?P<counter>step|iteration|iter|epoch)\s#?(?P<at>\d+)"
    rf"\s?[:=]\s?(?P<loss>{NUMBER}|{NON_FINITE})\s*",
    re.IGNORECASE,
)


def trailing(text: str) -> Fields | None:
    """The fields of a line of this kind; None for any other line."""
    if (match := _BEHIND.fullmatch(text)) is not None:
        what = "sample" if len(match["at"]) >= _PADDED else "step"
        loss = parse(match["loss"])
        counters = [(f"epoch_{what}", finite(match["at"].strip())), (f"epoch_{what}s", finite(match["of"]))]
        return [*counters, ("loss", loss)] if loss is not None else None
    if (match := _PLACED.fullmatch(text)) is not None:
        loss = parse(match["loss"])
        return [(match["counter"], finite(match["at"])), ("loss", loss)] if loss is not None else None
    return _cells(match) if (match := _COUNTED.fullmatch(text)) is not None else None


def _cells(match: re.Match[str]) -> Fields | None:
    """Step and cells of a line where every cell is a value and its name, and one of them is the loss."""
    cells = [_CELL.fullmatch(cell) for cell in match["cells"].rstrip(" ,").split(",")]
    found = [(cell[2], parse(cell[1])) for cell in cells if cell is not None]
    fields: Fields = [(name, number) for name, number in found if number is not None and _is_known(name)]
    if len(found) != len(cells) or len(cells) < _LEAST:
        return None
    if len(fields) < 2 or not any(_is_loss(name) for name, _ in fields):
        return None
    first_name, first = found[0]
    if first_name is None and first is not None and fields[0][0] == "avg loss":
        # Darknet's own loss has no name, only its average has.
        fields[0] = ("loss", first)
    return [("step", finite(match["step"])), *(("lr" if name == "rate" else name, number) for name, number in fields)]


def _is_known(name: str | None) -> bool:
    return name is not None and (name == "rate" or meaning_of(name).known)


def _is_loss(name: str) -> bool:
    return meaning_of(name).canonical == "loss"
