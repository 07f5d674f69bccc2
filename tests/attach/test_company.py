"""Several optimizers in one process: which of them make a row together, and whose layers and numbers it has."""

import gc
from pathlib import Path

import pytest
import torch
from recording import attached, column, lines
from torch import Tensor, nn

X = torch.linspace(-1, 1, 64).reshape(8, 8)


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))


def loss_of(model: nn.Module) -> Tensor:
    loss: Tensor = model(X).square().mean()
    return loss


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> float:
    """One step that leaves its gradients behind; the norm of them."""
    optimizer.zero_grad()
    loss_of(model).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    squares = [parameter.grad.square().sum() for parameter in model.parameters() if parameter.grad is not None]
    return float(torch.stack(squares).sum().sqrt())


def test_a_training_that_is_over_but_kept_has_no_part_in_the_layers_and_norms_of_the_next(tmp_path: Path) -> None:
    kept, norms = [], []
    with attached(tmp_path):
        for _ in range(3):
            model = net()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            kept.append((model, optimizer))
            norms += [step(model, optimizer) for _ in range(2)]
    assert [run["session"] for run in lines(tmp_path, "run")] == [1, 2, 3]
    assert [names["names"] for names in lines(tmp_path, "layer_names")] == [["0", "2"]] * 3
    assert column(tmp_path, "grad_norm") == pytest.approx(norms)


def test_of_two_optimizers_for_one_model_the_one_that_steps_makes_its_row_at_once(tmp_path: Path) -> None:
    model = net()
    with attached(tmp_path):
        unused = torch.optim.SGD(model.parameters(), lr=0.5)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        for _ in range(3):
            step(model, optimizer)
            schedule.step()
    assert column(tmp_path, "lr") == pytest.approx([0.1, 0.05, 0.025])
    assert unused.param_groups


def test_a_row_that_waits_for_an_optimizer_that_never_steps_has_the_rate_of_its_own_step(tmp_path: Path) -> None:
    model, other = net(), nn.Linear(8, 1)
    with attached(tmp_path):
        unused = torch.optim.SGD(other.parameters(), lr=0.5)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        for _ in range(3):
            step(model, optimizer)
            schedule.step()
    assert column(tmp_path, "lr") == pytest.approx([0.1, 0.05, 0.025])
    assert unused.param_groups


def test_a_row_that_waits_for_an_optimizer_that_never_steps_has_the_scale_of_its_own_step(tmp_path: Path) -> None:
    model, other = net(), nn.Linear(8, 1)
    with attached(tmp_path):
        unused = torch.optim.SGD(other.parameters(), lr=0.5)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, backoff_factor=2.0**-100)
        for _ in range(3):
            scaler.scale(loss_of(model) * 1e4).backward()  # type: ignore[no-untyped-call]
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
    assert column(tmp_path, "loss_scale") == [2.0**127, 2.0**27, 2.0**27]
    assert unused.param_groups


def test_gradients_of_an_optimizer_that_does_not_step_yet_do_not_count(tmp_path: Path) -> None:
    maker, judge = nn.Linear(8, 8), nn.Linear(8, 1)
    norms = []
    with attached(tmp_path):
        makes, judges = (torch.optim.SGD(model.parameters(), lr=0.01) for model in (maker, judge))
        for number in range(5):
            judges.zero_grad()
            judge(maker(X)).square().mean().backward()  # the maker's gradients pile up while it is not trained
            judges.step()
            trained = [*judge.parameters()]
            if number > 2:
                makes.zero_grad()
                (judge(maker(X)) - 1).square().mean().backward()
                makes.step()
                trained += maker.parameters()
            used = [each.grad.square().sum() for each in trained if each.grad is not None]
            norms.append(float(torch.stack(used).sum().sqrt()))
    assert column(tmp_path, "grad_norm")[:3] == pytest.approx(norms[:3])
    assert [each["grad_norm"][0] for each in lines(tmp_path, "layers")][:3] == [None] * 3
    assert None not in [each["grad_norm"][0] for each in lines(tmp_path, "layers")][-1:]


def test_optimizers_that_share_weights_and_take_turns_stay_in_one_session(tmp_path: Path) -> None:
    body, heads = nn.Linear(8, 8), [nn.Linear(8, 1), nn.Linear(8, 1)]
    with attached(tmp_path):
        tasks = [nn.Sequential(body, head) for head in heads]
        optimizers = [torch.optim.SGD(task.parameters(), lr=0.1) for task in tasks]
        for _ in range(4):
            for task, optimizer in zip(tasks, optimizers, strict=True):
                step(task, optimizer)
    assert [run["session"] for run in lines(tmp_path, "run")] == [1]
    assert column(tmp_path, "step") == [1, 2, 3, 4, 5]


def test_an_optimizer_of_another_model_that_appears_late_and_takes_turns_settles_in_one_session(tmp_path: Path) -> None:
    judge, maker = nn.Linear(8, 1), net()
    with attached(tmp_path):
        judges = torch.optim.SGD(judge.parameters(), lr=0.1)
        step(judge, judges)
        makes = torch.optim.SGD(maker.parameters(), lr=0.1)
        for _ in range(6):
            step(judge, judges)
            step(maker, makes)
    sessions = lines(tmp_path, "run")
    assert len(sessions) == 3
    assert set(lines(tmp_path, "layer_names")[-1]["names"]) == {"Sequential.0", "Sequential.2", "Linear"}


def test_a_model_that_the_garbage_collector_has_frozen_is_found(tmp_path: Path) -> None:
    judge, maker = nn.Linear(8, 1), net()
    with attached(tmp_path):
        judges, makes = (torch.optim.SGD(model.parameters(), lr=0.1) for model in (judge, maker))
        gc.collect()
        gc.freeze()
        for _ in range(3):
            step(judge, judges)
            step(maker, makes)
    assert len(lines(tmp_path, "run")) == 1
    assert set(lines(tmp_path, "layer_names")[-1]["names"]) == {"Sequential.0", "Sequential.2", "Linear"}
    assert column(tmp_path, "step") == [1, 2, 3]
