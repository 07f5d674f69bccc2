import pytest
from reading import read, rows_of

from gradtop.sources.text.rank import PATIENCE
from gradtop.sources.text.reader import TextReader

LABELS = ("[rank{}]: ", "[default{}]:", "[Rank {}] ", "{}: ", "[1,{}]<stdout>:", "(w, rank={}, pid=7) ")


def losses(text: str, portion: int = 1000) -> list[tuple[float, float]]:
    return [(row["step"], row["loss"]) for row in rows_of(read(TextReader(), text, portion)) if "loss" in row]


@pytest.mark.parametrize("label", LABELS)
def test_of_ranks_with_their_own_losses_one_is_the_runs(label: str) -> None:
    text = "".join(f"{label.format(r)}step: {s} loss: {s}.{r + 1}\n" for s in range(1, 9) for r in (2, 0, 1))
    assert losses(text) == [(s, s + 0.3) for s in range(1, 9)]


def test_the_rank_that_logs_losses_is_heard_whichever_it_is() -> None:
    text = "".join(f"[rank0]: step: {s} lr: 1e-4\n[rank7]: step: {s} loss: {s} lr: 1e-4\n" for s in range(1, 9))
    assert losses(text) == [(s, s) for s in range(1, 9)]


@pytest.mark.parametrize("portion", [1, 3, 1000])
def test_another_rank_is_heard_when_the_first_falls_silent_and_nothing_is_lost(portion: int) -> None:
    text = "[rank0]: step 1 loss 9\n" + "".join(f"[rank3]: step {s} loss {s}\n" for s in range(1, PATIENCE + 3))
    assert losses(text, portion) == [(1, 9), *((s, s) for s in range(2, PATIENCE + 3))]


def test_the_same_rows_of_processes_without_a_label_are_one_each() -> None:
    rows = [f"step {s} loss {3 - s / 10}\n" for s in range(1, 5)]
    mixed = "".join(rows[i] for i in (0, 0, 1, 0, 1, 2, 1, 3, 2, 2, 3, 3))
    assert [step for step, _ in losses(mixed)] == [1, 2, 3, 4]


def test_a_restart_at_other_values_is_no_copy_of_another_process() -> None:
    assert [s for s, _ in losses("step 1 loss 3\nstep 2 loss 2\nstep 1 loss 2.5\nstep 2 loss 2\n")] == [1, 2, 1, 2]
