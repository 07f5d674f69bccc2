import pytest
from reading import SHARED, read, rows_of

from gradtop.sources.progress import Bar, BarSteps, split_bar
from gradtop.sources.text import TextReader


def bar(n: int, total: int = 1000) -> str:
    return f"{100 * n // total:3d}%|#####     | {n}/{total} [00:01<00:22,  1.57s/it]"


def steps_of(text: str) -> list[float]:
    return [row["step"] for row in rows_of(read(TextReader(), text))]


def test_a_bar_and_what_is_glued_to_it() -> None:
    assert split_bar("Epoch 1: " + bar(2, 16) + "Traceback") == (Bar("Epoch 1", 2, 16, True), "Traceback")
    files = "Map:  50%|#####     | 5/10 [00:01<00:01, 4.00 examples/s]"
    assert split_bar(files) == (Bar("Map", 5, 10, False), "")
    assert split_bar("loss 5%| done") is None


def test_a_row_takes_the_count_of_the_bar_that_follows_it() -> None:
    text = "".join(f"\r{bar(n)}\r          \r{{'loss': 1.0}}\n" for n in (0, 10, 20)) + f"\r{bar(30)}\n"
    assert steps_of(text) == [10, 20, 30]


def test_rows_of_a_buffered_stream_take_the_counts_at_which_they_were_printed() -> None:
    cleared = "".join(f"\r{bar(n - 5)}\r{bar(n)}\r          \r\r{bar(n)}" for n in (10, 20, 30, 40))
    rows = "{'loss': 1.0, 'epoch': 0.1}\n" * 4
    assert steps_of(cleared + "\n" + rows + f"\r{bar(45)}\n") == [10, 20, 30, 40]


def test_rows_between_two_states_of_a_bar_are_spread_evenly() -> None:
    row = "{'loss': 0.0, 'epoch': 0.0}\n"
    assert steps_of(bar(0) + "\n" + row * 4 + bar(8) + "\n" + row * 4 + bar(17) + "\n") == [2, 4, 6, 8, 10, 12, 14, 16]


def test_an_evaluation_bar_is_not_the_training_bar() -> None:
    before = f"\r{bar(8, 16)}\r{bar(1, 4)}\r{bar(4, 4)}\r     \r"
    text = before + "{'eval_loss': 1.0}\n" + f"\r{bar(8, 16)}\n\r{bar(0, 9)}\r{bar(9, 9)}\n"
    assert steps_of(text) == [8]


def test_rows_that_wait_are_given_out_at_the_end() -> None:
    assert steps_of(f"\r{bar(10)}\r       \r{{'loss': 1.0}}\n") == [10]


def test_a_download_is_no_training() -> None:
    steps = BarSteps()
    steps.see(Bar("Downloading", 5, 10, False))
    steps.see(Bar("Loading weights", 5, 10, True))
    assert steps.total is None


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("hf_v5_stdout_stderr_merged.txt", [2, 4, 6, 8, 8, 10, 12, 14, 16, 16]),
        ("hf_v5_resume_merged.txt", [10, 12, 14, 16, 16]),
        ("tqdm_write_fast_steps.txt", list(range(10, 1001, 10))),
    ],
)
def test_captures_of_a_real_trainer(name: str, steps: list[int]) -> None:
    path = SHARED / "fixtures" / name
    if not path.exists():
        pytest.skip(f"no captures at {path.parent}")
    assert steps_of(path.read_text()) == steps
