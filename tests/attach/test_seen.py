"""What is seen on the way to a step becomes the values of that step."""

import pytest
import torch
from torch import Tensor

from gradtop.attach.seen import Seen


def scalar(value: float) -> Tensor:
    return torch.tensor(value, requires_grad=True)


def loss_of(seen: Seen) -> float | None:
    loss = seen.take(skipped=False).loss
    return None if loss is None else loss.item()


def test_losses_add_up_until_they_are_taken() -> None:
    seen = Seen()
    seen.backward([scalar(0.25)])
    seen.backward([scalar(0.5), scalar(1.0)])
    assert loss_of(seen) == 1.75
    assert loss_of(seen) is None


def test_a_loss_that_changes_in_place_later_is_kept_as_it_was() -> None:
    seen, loss = Seen(), torch.tensor(2.0)
    seen.backward([loss])
    loss.mul_(3)
    assert loss_of(seen) == 2.0


def test_micro_batches_before_a_closure_count_with_the_first_one_inside() -> None:
    seen = Seen()
    seen.backward([scalar(1.0)])
    seen.entered()
    for value in (2.0, 4.0, 8.0):
        seen.backward([scalar(value)])
    assert loss_of(seen) == 3.0


def test_half_precision_is_added_up_in_single() -> None:
    seen = Seen()
    for _ in range(2):
        seen.backward([torch.tensor(40000.0, dtype=torch.float16)])
    assert loss_of(seen) == 80000.0


def test_a_scaled_loss_is_recorded_as_it_was_before() -> None:
    seen, scaler = Seen(), torch.amp.GradScaler("cpu", init_scale=4.0)
    loss = torch.tensor(3.0)
    scaled = scaler.scale(loss)
    seen.scaled(scaler, loss, scaled)
    seen.backward([scaled])
    assert loss_of(seen) == 3.0


def test_what_was_made_of_a_scaled_loss_is_divided_by_the_scale() -> None:
    seen, scaler = Seen(), torch.amp.GradScaler("cpu", init_scale=4.0)
    loss = torch.tensor(3.0)
    scaled = scaler.scale(loss)
    seen.scaled(scaler, loss, scaled)
    seen.backward([scaled / 2])
    assert loss_of(seen) == 1.5


def test_the_norm_of_the_same_parameters_is_the_first_that_was_read() -> None:
    seen = Seen()
    seen.clipped((1, 4), torch.tensor(5.0), float("inf"))
    seen.clipped((1, 4), torch.tensor(1.0), 1.0)
    seen.clipped((2, 3), torch.tensor(2.0), 0.5)
    values = seen.take(skipped=False)
    assert [norm.item() for norm in values.norms] == [5.0, 2.0]
    assert values.clipped == 7
    assert seen.clip_norm == 1.0


@pytest.mark.parametrize("max_norm", [float("inf"), float("nan"), 0.0, None, torch.tensor(1.0)])
def test_a_bound_that_bounds_nothing_or_lives_on_a_device_is_not_told(max_norm: object) -> None:
    seen = Seen()
    seen.clipped((1, 4), torch.tensor(5.0), max_norm)
    assert seen.clip_norm is None


def test_waiting_counts_for_the_backward_pass_that_follows() -> None:
    seen = Seen()
    seen.waited(1, 0.5)
    seen.waited(1, 0.25)
    seen.waited(2, 1.0)
    assert seen.take(skipped=False).wait_s is None
    seen.backward([scalar(1.0)])
    assert seen.take(skipped=False).wait_s == 1.25
