"""What cannot be told is put together by its reason."""

from gradtop.coverage import Blindness, blindness
from gradtop.finding import Coverage


def test_kinds_with_one_reason_come_together_and_what_could_be_logged_comes_first() -> None:
    found = blindness(
        [
            Coverage("no_learning", "only 9 steps, 200 needed", "the loss"),
            Coverage("loss_plateau", "only 9 steps, 200 needed", "the loss"),
            Coverage("overfitting", "no validation loss in this log", "the validation loss"),
            Coverage("loss_spike", "", "the loss"),
            Coverage("dead_layer", "no grad norm per layer in this log", "the grad norm of every layer"),
            Coverage("frozen_layer", "no grad norm per layer in this log", "the grad norm of every layer"),
        ]
    )
    assert found == (
        Blindness(
            "no grad norm per layer in this log", ("dead_layer", "frozen_layer"), ("the grad norm of every layer",)
        ),
        Blindness("no validation loss in this log", ("overfitting",), ("the validation loss",)),
        Blindness("only 9 steps, 200 needed", ("no_learning", "loss_plateau"), ("the loss",)),
    )


def test_a_log_that_has_everything_leaves_nothing_untold() -> None:
    assert blindness([Coverage("loss_spike", "", "the loss")]) == ()
