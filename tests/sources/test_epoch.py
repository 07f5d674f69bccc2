import pytest
from reading import read, rows_of

from gradtop.record import RunFacts
from gradtop.sources.fields.epoch import EpochSteps
from gradtop.sources.text.reader import TextReader


def steps_of(text: str) -> list[float]:
    return [row["step"] for row in rows_of(read(TextReader(), text))]


def totals_of(text: str) -> list[int | None]:
    return [record.train.total_steps for record in read(TextReader(), text) if isinstance(record, RunFacts)]


@pytest.mark.parametrize(
    ("rows", "steps"),
    [
        ([(1, 10, 100), (2, 10, 100)], [10, 110]),
        ([(0, 10, 100), (1, 10, 100)], [10, 110]),
        ([(5, 10, 100), (6, 0, 100)], [410, 500]),
        ([(1, 10, 100), (2, 10, 90), (3, 10, 90)], [10, 110, 200]),
        ([(1, 50, None), (1, 100, None), (2, 50, None), (3, 50, None)], [50, 100, 150, 200]),
        ([(1, 0, None), (1, 50, None), (2, 0, None), (2, 50, None)], [0, 50, 100, 150]),
        ([(1, 90, 100), (2, 90, 100), (2, 10, 100), (3, 10, 100)], [90, 190, 110, 210]),
    ],
)
def test_steps_of_epochs_are_steps_of_the_run(
    rows: list[tuple[float, float, float | None]], steps: list[float]
) -> None:
    epochs = EpochSteps()
    assert [epochs.of(*row) for row in rows] == steps


def test_a_step_that_falls_back_while_the_epoch_rises_counts_within_it() -> None:
    assert steps_of("".join(f"Epoch {e}, step {s}: loss 1.{e}{s}\n" for e in (1, 2, 3) for s in (0, 40, 80))) == [
        *(0, 40, 80),
        *(120, 160, 200),
        *(240, 280, 320),
    ]


def test_a_step_that_falls_back_within_its_epoch_is_a_restart() -> None:
    assert steps_of("step 10 epoch 1 loss 3\nstep 20 epoch 2 loss 2\nstep 15 epoch 2 loss 1\n") == [10, 20, 15]


def test_steps_that_go_on_over_epochs_stay_as_they_are() -> None:
    text = "".join(f"Epoch {1 + s // 100} step {s}/300 loss 1.{s}\n" for s in (50, 99, 150, 250))
    assert steps_of(text) == [50, 99, 150, 250]
    assert totals_of(text) == [300]


def test_the_total_of_an_epoch_is_not_the_runs() -> None:
    text = "".join(f"Epoch [{e}/3], Step [{s}/100], Loss: 1.{e}{s}\n" for e in (1, 2) for s in (50, 100))
    assert steps_of(text) == [50, 100, 150, 200]
    assert totals_of(text) == [300]
    assert totals_of(text[: text.index("Epoch [2")]) == []


def test_headings_tell_the_epoch_of_lines_without_one() -> None:
    text = "".join(f"Epoch {e}/2\nstep 5/10 loss 1.{e}\nstep 10/10 loss 0.{e}\n" for e in (1, 2))
    assert steps_of(text) == [5, 10, 15, 20]


def test_a_setting_that_looks_like_a_heading_does_not_move_the_steps() -> None:
    assert steps_of("epoch: 0\nEpoch:[1/2](10/100) loss:2.5\nEpoch:[2/2](10/100) loss:2.4\n") == [10, 110]


def test_rows_under_a_heading_without_a_step_are_the_epochs_and_a_second_one_is_not() -> None:
    text = "Epoch 3/9\nTrain loss: 0.5\nEpoch 4/9\nTrain loss: 0.4\n"
    assert [row["epoch"] for row in rows_of(read(TextReader(), text))] == [3, 4]
    assert [row.get("row") for row in rows_of(read(TextReader(), text.replace("Epoch 4/9\n", "")))] == [None, 4]


def test_an_epochs_average_among_steps_is_not_the_steps_loss() -> None:
    rows = rows_of(read(TextReader(), "step 5 | loss 3\nEpoch 1 done: train loss 2.5, val loss 2.25\n"))
    assert rows == [
        {"step": 5, "loss": 3},
        {"step": 5, "epoch": 1, "train_loss_epoch": 2.5, "val_loss": 2.25},
    ]


@pytest.mark.parametrize(("last", "found"), [(96, [7.5]), (97, [7.5]), (50, [])])
def test_the_last_line_of_a_validation_has_its_result(last: int, found: list[float]) -> None:
    text = f"Epoch: [0][  10/100]\tLoss 9 (9)\nTest: [ 0/97]\tLoss 8 (8)\nTest: [{last}/97]\tLoss 7 (7.5)\n"
    assert [row["val_loss"] for row in rows_of(read(TextReader(), text)) if "val_loss" in row] == found


def test_samples_are_no_steps() -> None:
    rows = rows_of(read(TextReader(), "Train Epoch: 2 [640/60000 (1%)]\tLoss: 2.25\nval loss 2.5, acc: 0.5\n"))
    assert rows == [
        {"samples": 60640, "epoch": 2, "loss": 2.25},
        {"samples": 60640, "val_loss": 2.5, "val_accuracy": 0.5},
    ]


def test_a_log_with_two_losses_in_an_epoch_does_not_count_by_epochs() -> None:
    rows = rows_of(read(TextReader(), "Epoch 7 | loss 3 | lr 1\nEpoch 7 | loss 2 | lr 1\nEpoch 8 | loss 1 | lr 1\n"))
    assert [row.get("epoch") for row in rows] == [7, 7, 8]
    assert [row.get("row") for row in rows] == [None, 8, 9]


def test_the_same_epoch_of_several_processes_is_one_row() -> None:
    text = "".join(f"Epoch {e} | loss {3 - e} | lr 1\n" * 4 for e in (1, 2))
    assert [row["epoch"] for row in rows_of(read(TextReader(), text))] == [1, 2]


def test_a_plan_of_epochs_in_the_settings_gives_the_steps_of_the_run() -> None:
    settings = "train_cfg = dict(by_epoch=True, max_epochs=12, val_interval=1)\n"
    rows = "Epoch(train)  [1][ 50/500]  lr: 1.0e-03  loss: 2.3\nEpoch(train)  [1][100/500]  lr: 1.0e-03  loss: 2.2\n"
    assert totals_of(settings + rows) == [None, 6000]
    assert totals_of(rows) == []
