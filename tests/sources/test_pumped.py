"""Lines that repeat a part without end are read like any others."""

from itertools import product

import pytest
from reading import read

from gradtop.sources.text.reader import TextReader

LENGTHS = (1_900, 16_000)
"""Below and above what a bar, a block or a setting may be long."""
STARTS = (
    "",
    "loss: ",
    "step 5 loss ",
    "it [ loss",
    "1it [1, loss",
    "1/2 loss - ",
    "1/2 loss [==>",
    " • 1/2 loss",
    "1/2 0:00 • loss",
    "|  | 1/2 [0:01<loss",
    "Progress on:loss ",
    "Progress on: loss 1it/2 rate:",
    "Epoch: [0][1/2] loss ",
    "Episode 3 loss ",
    "{'loss': ",
    '{"loss": ',
    "Overflow! loss ",
    "nan gradients resumed from checkpoint saved loss ",
    "segmentation fault: loss ",
    "grad norm > threshold loss ",
    "max_epochs total batch accum loss ",
)
UNITS = ("1", "1,", " ", "a", "a ", "nan ", "step ", "[", "[]", "=", "1/", ":", "|g|", ".", "(1", "'", "━", "\t", "no ")


@pytest.mark.parametrize("units", [UNITS[::3], *(pytest.param(UNITS[i::3], marks=pytest.mark.soak) for i in (1, 2))])
@pytest.mark.parametrize("start", STARTS)
def test_a_line_that_goes_on_and_on_is_read_to_its_end(start: str, units: tuple[str, ...]) -> None:
    """A pattern that goes back over all it has seen would take minutes here, and every test has seconds."""
    for unit, length in product(units, LENGTHS):
        reader = TextReader()
        read(reader, start + unit * (length // len(unit)))
        told = sum(tally.count for tally in (*reader.account.rules.values(), *reader.account.rejected.values()))
        assert told + reader.account.skipped.count == 1
