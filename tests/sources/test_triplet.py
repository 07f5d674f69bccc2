import pytest
from reading import read, rows_of

from gradtop.sources.text.reader import TextReader
from gradtop.sources.text.triplet import SURE

LOG = "".join(
    f"{s} train {10 - s / 10}\n" + (f"{s} val 11.5\n{s} hella 0.25\n" if s % 5 == 0 else "") for s in range(12)
)


@pytest.mark.parametrize("portion", [1, 3, 1000])
def test_a_log_of_nothing_but_steps_names_and_values_is_read(portion: int) -> None:
    rows = rows_of(read(TextReader(), LOG, portion))
    assert [row["step"] for row in rows if "loss" in row] == list(range(12))
    assert [row["step"] for row in rows if "val_loss" in row] == [0, 5, 10]
    assert [row["hella"] for row in rows if "hella" in row] == [0.25] * 3


def test_a_short_log_is_read_at_its_end() -> None:
    assert rows_of(read(TextReader(), "0 train 3.5\n1 train 3.25\n2 train nan\n"))[:2] == [
        {"step": 0, "loss": 3.5},
        {"step": 1, "loss": 3.25},
    ]


@pytest.mark.parametrize(
    "text",
    [
        "0 train 3.5\n",
        "0 train 3.5\n1 train 3.25\nand more\n2 train 3.0\n",
        "2 train 3.5\n1 train 3.25\n0 train 3.0\n",
        "".join(f"{i} apples {i}.5\n" for i in range(SURE + 5)),
        "1 2 3\n" * 20,
    ],
)
def test_any_exception_makes_it_another_log(text: str) -> None:
    assert rows_of(read(TextReader(), text)) == []


def test_lines_that_waited_are_read_as_what_they_are() -> None:
    text = "5 loss 3\nstep 6 loss 2.5\n"
    assert rows_of(read(TextReader(), text)) == [{"step": 6, "loss": 2.5}]


def test_other_lines_in_such_a_log_are_read_by_the_other_rules() -> None:
    rows = rows_of(read(TextReader(), LOG + "step 20 loss 2.5\n"))
    assert rows[-1] == {"step": 20, "loss": 2.5}
