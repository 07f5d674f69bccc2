"""Names and counters behind the values."""

import pytest

from gradtop.sources.text.trailing import trailing


def read(text: str) -> dict[str, float] | None:
    fields = trailing(text)
    return None if fields is None else {name: number.value for name, number in fields}


def test_a_counter_behind_the_loss_counts_samples_where_it_is_padded_for_them() -> None:
    assert read("loss: 2.303494  [   64/60000]") == {"epoch_sample": 64, "epoch_samples": 60000, "loss": 2.303494}
    assert read("loss: 2.3 [10/100]") == {"epoch_step": 10, "epoch_steps": 100, "loss": 2.3}


def test_names_behind_the_values() -> None:
    assert read(" 7 12.5 ms run, 2.31 loss, 0.001 LR") == {"step": 7, "loss": 2.31, "LR": 0.001}


def test_a_loss_without_a_name_beside_its_average() -> None:
    assert read("100: 2.5, 3.5 avg loss, 0.001 rate, 6400 images") == {"step": 100, "loss": 2.5, "lr": 0.001}


def test_where_the_loss_was_taken() -> None:
    assert read("Loss at step 20: 0.5") == {"step": 20, "loss": 0.5}
    assert read("Cost after epoch 3 = nan") == pytest.approx({"epoch": 3, "loss": float("nan")}, nan_ok=True)


@pytest.mark.parametrize(
    "text",
    ["3 5 losses, 4 wins, 2 draws", "10 20, 30 loss, 40 foo", "loss: 2.3 [GB]", "loss at step 3: 2.5 or so", "1 2 3"],
)
def test_other_lines_are_none(text: str) -> None:
    assert trailing(text) is None
