import pytest
from reading import SHARED, lines_of, read, rows_of

from gradtop.sources.text.bar import Bar, split_bar
from gradtop.sources.text.progress import BarSteps
from gradtop.sources.text.reader import TextReader


def bar(n: int, total: int = 1000) -> str:
    return f"{100 * n // total:3d}%|#####     | {n}/{total} [00:01<00:22,  1.57s/it]"


def steps_of(text: str) -> list[float]:
    return [row["step"] for row in rows_of(read(TextReader(), text))]


def test_a_bar_and_what_is_glued_to_it() -> None:
    assert split_bar("Epoch 1: " + bar(2, 16) + "Traceback") == (
        Bar("Epoch 1", 2, 16, epoch=1, elapsed_s=1),
        "Traceback",
    )
    files = "Map:  50%|#####     | 5/10 [00:01<00:01, 4.00 examples/s]"
    assert split_bar(files) == (Bar("Map", 5, 10, "samples", elapsed_s=1), "")
    assert split_bar("loss 5%| done") is None


def test_a_row_takes_the_count_of_the_bar_that_follows_it() -> None:
    text = "".join(f"\r{bar(n)}\r          \r{{'loss': 1.0}}\n" for n in (0, 10, 20)) + f"\r{bar(30)}\n"
    assert steps_of(text) == [10, 20, 30]


def test_a_row_takes_the_time_of_the_bar_that_gives_it_its_step() -> None:
    shown = [(0, "00:00"), (10, "00:59"), (20, "1:01:00")]
    bars = [f"\r {n}%|##   | {n}/100 [{at}<?,  1.57s/it]" for n, at in shown]
    text = "".join(f"\r{b}\r          \r{{'loss': 1.0}}\n" for b in bars) + f"{bars[-1]}\n"
    assert [row["bar_elapsed_s"] for row in rows_of(read(TextReader(), text))] == [59, 3660, 3660]


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
    steps.see(Bar("Downloading", 5, 10, ""))
    steps.see(Bar("Loading weights", 5, 10))
    assert steps.total is None


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("hf_v5_stdout_stderr_merged.txt", [2, 4, 6, 8, 8, 10, 12, 14, 16, 16]),
        ("hf_v5_resume_merged.txt", [10, 12, 14, 16, 16]),
        ("tqdm_write_fast_steps.txt", list(range(10, 1001, 10))),
        ("hf_v5_stderr_only.txt", []),
        ("keras_progbar.txt", [1, 6, 7, 8, 11, 14, 14]),
        ("lightning_tqdm_stdout.txt", list(range(1, 17))),
    ],
)
def test_captures_of_a_real_trainer(name: str, steps: list[int]) -> None:
    path = SHARED / "fixtures" / name
    if not path.exists():
        pytest.skip(f"no captures at {path.parent}")
    assert steps_of(path.read_text()) == steps


def test_rows_without_their_bar_count_by_epochs() -> None:
    path = SHARED / "fixtures" / "hf_v5_stdout_only.txt"
    if not path.exists():
        pytest.skip(f"no captures at {path.parent}")
    rows = rows_of(read(TextReader(), path.read_text()))
    assert [row["epoch"] for row in rows] == [0.25, 0.5, 0.75, 1, 1, 1.25, 1.5, 1.75, 2, 2]


def test_a_redraw_completes_the_row_of_its_count() -> None:
    """The validation's values are drawn into the bar at the end of the epoch, behind the validation's own bar."""
    bars = [
        "Epoch 0:  50%|##   | 4/8 [00:00<00:00, 20.37it/s, v_num=0, train_loss=0.5]",
        "Epoch 0: 100%|#####| 8/8 [00:00<00:00, 20.37it/s, v_num=0, train_loss=0.385]",
        "Validation DataLoader 0:  12%|#2  | 1/8 [00:00<00:00, 73.04it/s, loss=9]\x1b[A",
        "Epoch 0: 100%|#####| 8/8 [00:00<00:00, 20.34it/s, v_num=0, train_loss=0.385, val_loss=0.4]",
        "Epoch 1:   0%|     | 0/8 [00:00<?, ?it/s, v_num=0, train_loss=0.385, val_loss=0.4]",
        "Epoch 1:  12%|#    | 1/8 [00:00<00:00, 34.18it/s, v_num=0, train_loss=0.3, val_loss=0.4]",
    ]
    assert rows_of(read(TextReader(), "\r" + "\r".join(bars))) == [
        {"step": 4, "epoch": 0, "loss": 0.5},
        {"step": 8, "epoch": 0, "loss": 0.385, "val_loss": 0.4},
        {"step": 9, "epoch": 1, "loss": 0.3, "val_loss": 0.4},
    ]


def test_once_lines_give_the_loss_the_bar_does_not_give_it_again() -> None:
    bars = "\r".join(f" 50%|#####     | {n}/10 [00:01<00:01,  5.00it/s, loss=2.3]" for n in (1, 2))
    text = f"{bars}\rstep 3 loss 2.2512\n{bars.replace('2/10', '4/10')}\n"
    assert [(row["step"], row["loss"]) for row in rows_of(read(TextReader(), text))] == [
        (1, 2.3),
        (2, 2.3),
        (3, 2.2512),
    ]


def test_a_bar_that_waits_is_given_out_when_nothing_comes() -> None:
    reader = TextReader()
    assert reader.feed(lines_of(" 50%|#####     | 5/10 [00:01<00:01,  5.00it/s, loss=2.5]\n")) == []
    assert rows_of(reader.idle()) == [{"step": 5, "loss": 2.5}]


@pytest.mark.parametrize(
    "line",
    [
        "Validating:  50%|#####     | 5/10 [00:01<00:01,  5.00it/s, loss=2.5]",
        "Evaluating:  50%|#####     | 5/10 [00:01<00:01,  5.00it/s, loss=2.5]",
        "Epoch 1 [val]:  50%|#####     | 5/10 [00:01<00:01,  5.00it/s, loss=2.5]",
        "Downloading model.bin:  10%|#  | 12.1M/120M [00:33<05:01,  2.79MB/s]",
        "Steps:   0%|     | 0/10 [00:00<?, ?it/s, loss=2.5]",
        "8/8 [==============================] - 0s 9ms/step - loss: 1.9 - mae: 1.2",
    ],
)
def test_bars_that_give_no_row(line: str) -> None:
    assert rows_of(read(TextReader(), line)) == []


def test_averages_since_an_epoch_began_are_the_loss_in_the_first_epoch_and_at_the_end_of_each() -> None:
    """An average that begins anew is noisy, and would be a spike at the beginning of every epoch."""
    bars = "".join(
        f"Epoch {e}/2\n" + "".join(f"\r{n}/9 ━━━━ 0s 20ms/step - loss: {e}.{n} - mae: {e}.0" for n in (1, 9)) + "\n"
        for e in (1, 2)
    )
    rows = [{k: v for k, v in row.items() if k != "step_time_s"} for row in rows_of(read(TextReader(), bars))]
    assert rows == [
        {"step": 1, "loss": 1.1, "mae": 1},
        {"step": 9, "loss": 1.9, "mae": 1},
        {"step": 10, "loss_in_epoch": 2.1, "mae_in_epoch": 2},
        {"step": 18, "loss": 2.9, "mae": 2},
    ]


def test_a_bar_that_is_only_seen_at_its_ends_counts_on_from_epoch_to_epoch() -> None:
    end = "\r100%|##########| 100/100 [00:12<00:00,  8.1it/s, loss={loss}]\n"
    epochs = [f"\r  0%|          | 0/100 [00:00<?, ?it/s]{end.format(loss=loss)}" for loss in (2.5, 2.0, 1.5)]
    rows = rows_of(read(TextReader(), "".join(epochs)))
    assert [(row["step"], row["loss"]) for row in rows] == [(100, 2.5), (200, 2.0), (300, 1.5)]


def test_the_average_of_an_epoch_does_not_end_the_rows_of_bars() -> None:
    text = ""
    for epoch in (1, 2, 3):
        for n in (0, 25, 50, 75, 100):
            post = f", loss={3 - epoch / 4 - n / 400:.3f}" if n else ""
            text += f"\rEpoch {epoch}/3: {n:3d}%|##   | {n}/100 [00:0{epoch}<00:09,  8.1it/s{post}]"
        text += f"\nEpoch {epoch}/3 - train_loss: {3 - epoch / 4:.3f} - val_loss: {3 - epoch / 5:.3f}\n"
    rows = rows_of(read(TextReader(), text))
    assert [row["step"] for row in rows if "loss" in row] == list(range(25, 301, 25))
    assert [(row["step"], row["val_loss"]) for row in rows if "val_loss" in row] == [(100, 2.8), (200, 2.6), (300, 2.4)]


def test_a_bar_that_begins_again_takes_no_row_of_the_launch_before() -> None:
    text = f"\r{bar(100)}\n{{'eval_loss': 1.5}}\n\r{bar(0)}\r{bar(10)}\r          \r{{'loss': 1.0}}\n\r{bar(10)}\n"
    assert steps_of(text) == [100, 10]
