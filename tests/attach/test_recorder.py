"""Scripts that know nothing of gradtop, beside its onlookers: what is recorded, and that nothing else changes."""

import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from recording import attached, column, lines
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

import gradtop.logger

X = torch.linspace(-1, 1, 64).reshape(8, 8)


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 1))


def squared(model: nn.Module) -> Tensor:
    loss: Tensor = model(X).square().mean()
    return loss


def step(model: nn.Module, *optimizers: torch.optim.Optimizer) -> float:
    """One plain step of all optimizers on one loss."""
    loss = squared(model)
    loss.backward()  # type: ignore[no-untyped-call]
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()
    return loss.item()


def classifier(scaled: bool) -> tuple[list[float], list[float], list[Tensor]]:
    """Dropout, shuffled batches, micro-batches, clipping: losses, norms, and weights and noise at the end."""
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", enabled=scaled, init_scale=2.0**20)
    data = TensorDataset(torch.randn(48, 8), torch.randn(48, 1))
    losses, norms = [0.0], []
    for number, (x, y) in enumerate(DataLoader(data, batch_size=4, shuffle=True), start=1):
        loss = nn.functional.mse_loss(model(x), y) / 2
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        losses[-1] += loss.item()
        if number % 2 == 0:
            scaler.unscale_(optimizer)
            norms.append(nn.utils.clip_grad_norm_(model.parameters(), 0.5).item())
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            losses.append(0.0)
    return losses[:-1], norms, [*(parameter.detach() for parameter in model.parameters()), torch.rand(4)]


@pytest.mark.parametrize("scaled", [False, True])
def test_an_attached_training_is_the_same_bit_for_bit_and_its_numbers_are_recorded(
    tmp_path: Path, scaled: bool
) -> None:
    losses, norms, plain = classifier(scaled)
    with attached(tmp_path) as said:
        _, _, watched = classifier(scaled)
    assert all(torch.equal(one, other) for one, other in zip(plain, watched, strict=True))
    assert column(tmp_path, "step") == [1, 2, 3, 4, 5, 6]
    assert column(tmp_path, "loss") == pytest.approx(losses)
    assert column(tmp_path, "grad_norm") == pytest.approx(norms)
    assert all(wait > 0 for wait in column(tmp_path, "data_time_s"))
    assert column(tmp_path, "loss_scale") == [2.0**20 if scaled else None] * 6
    (run,) = lines(tmp_path, "run")
    assert run["train"]["clip_norm"] == 0.5
    assert lines(tmp_path, "layer_names")[0]["names"] == ["0", "3"]
    assert len(lines(tmp_path, "layers")) == 6
    assert "problem" not in str(said)


def test_steps_that_a_scaler_skips_are_rows(tmp_path: Path) -> None:
    with attached(tmp_path):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, backoff_factor=2.0**-100)
        for _ in range(3):
            scaler.scale(squared(model) * 1e4).backward()  # type: ignore[no-untyped-call]
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
    assert column(tmp_path, "skipped")[0] == 1.0
    assert 1.0 not in column(tmp_path, "skipped")[1:]
    assert column(tmp_path, "loss_scale") == [2.0**127, 2.0**27, 2.0**27]
    assert all(loss < 1e6 for loss in column(tmp_path, "loss"))


def test_two_optimizers_on_one_loss_make_one_row_a_round(tmp_path: Path) -> None:
    with attached(tmp_path):
        model = net()
        first = torch.optim.Adam(model[0].parameters())
        second = torch.optim.SGD(model[3].parameters(), lr=0.1)
        losses = [step(model, first, second) for _ in range(3)]
    assert column(tmp_path, "loss") == pytest.approx(losses)


def test_an_optimizer_that_appears_later_joins_the_rounds(tmp_path: Path) -> None:
    with attached(tmp_path):
        model = net()
        first = torch.optim.Adam(model[3].parameters())
        losses = [step(model, first) for _ in range(2)]
        second = torch.optim.SGD(model[0].parameters(), lr=0.1)
        losses += [step(model, first, second) for _ in range(3)]
    assert column(tmp_path, "step") == [1, 2, 3, 4, 5]
    assert column(tmp_path, "loss") == pytest.approx(losses)


def test_adversaries_share_rows_and_both_have_layers(tmp_path: Path) -> None:
    totals = []
    with attached(tmp_path):
        maker, judge = net(), nn.Linear(8, 1)
        makes, judges = torch.optim.Adam(maker.parameters()), torch.optim.Adam(judge.parameters())
        for _ in range(3):
            totals.append(step(judge, judges) + step(maker, makes))
    assert column(tmp_path, "loss") == pytest.approx(totals)
    assert set(lines(tmp_path, "layer_names")[-1]["names"]) == {"Sequential.0", "Sequential.3", "Linear"}


def test_a_critic_that_steps_more_often_ends_a_row_each_time(tmp_path: Path) -> None:
    with attached(tmp_path):
        maker, judge = net(), nn.Linear(8, 1)
        makes, judges = torch.optim.Adam(maker.parameters()), torch.optim.Adam(judge.parameters())
        for _ in range(2):
            for _ in range(3):
                step(judge, judges)
            step(maker, makes)
    assert len(lines(tmp_path)) == 7
    assert None not in column(tmp_path, "loss")


class Wrapping(torch.optim.Optimizer):
    """Passes its steps on to an optimizer of its own, as sharded and sharpness-aware ones do."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, {"lr": 0.1})
        self.base = torch.optim.SGD(self.param_groups, lr=0.1)

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.base.step()


def test_an_optimizer_inside_another_does_not_count_twice(tmp_path: Path) -> None:
    with attached(tmp_path):
        model = net()
        optimizer = Wrapping(model.parameters())
        losses = [step(model, optimizer) for _ in range(3)]
    assert column(tmp_path, "loss") == pytest.approx(losses)


class Failing(torch.optim.SGD):
    """Its second step raises."""

    calls = 0

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.calls += 1
        if self.calls == 2:
            raise ValueError("not this time")
        super().step()


def test_a_step_that_raises_does_not_end_the_recording(tmp_path: Path) -> None:
    with attached(tmp_path):
        model = net()
        optimizer = Failing(model.parameters(), lr=0.1)
        step(model, optimizer)
        with pytest.raises(ValueError, match="not this time"):
            step(model, optimizer)
        step(model, optimizer)
    assert column(tmp_path, "step") == [1, 2]


def test_of_a_closure_the_first_loss_is_the_loss_of_the_step(tmp_path: Path) -> None:
    seen: list[list[float]] = []
    with attached(tmp_path):
        model = net().eval()
        optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4)

        def closure() -> float:
            optimizer.zero_grad()
            loss = squared(model)
            loss.backward()  # type: ignore[no-untyped-call]
            seen[-1].append(loss.item())
            return loss.item()

        for _ in range(3):
            seen.append([])
            optimizer.step(closure)  # type: ignore[no-untyped-call]
    assert len(seen[0]) > 1
    assert column(tmp_path, "step") == [1, 2, 3]
    assert column(tmp_path, "loss") == pytest.approx([losses[0] for losses in seen])


def test_clipping_inside_a_closure_is_known_from_the_first_row(tmp_path: Path) -> None:
    norms = []
    with attached(tmp_path):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        def closure() -> float:
            optimizer.zero_grad()
            loss = squared(model)
            loss.backward()  # type: ignore[no-untyped-call]
            norms.append(nn.utils.clip_grad_norm_(model.parameters(), 0.01).item())
            return loss.item()

        for _ in range(3):
            optimizer.step(closure)
    assert lines(tmp_path, "run")[0]["train"]["clip_norm"] == 0.01
    assert column(tmp_path, "grad_norm") == pytest.approx(norms)


def test_a_new_training_in_the_same_process_is_a_new_session(tmp_path: Path) -> None:
    with attached(tmp_path):
        for _ in range(2):
            model = net()
            optimizer = torch.optim.Adam(model.parameters())
            for _ in range(2):
                step(model, optimizer)
    assert [run["session"] for run in lines(tmp_path, "run")] == [1, 2]
    assert column(tmp_path, "step") == [1, 2, 1, 2]


def test_a_new_optimizer_for_the_same_model_goes_on_counting(tmp_path: Path) -> None:
    with attached(tmp_path):
        model = net()
        for _ in range(2):
            optimizer = torch.optim.Adam(model.parameters())
            for _ in range(2):
                step(model, optimizer)
    assert column(tmp_path, "step") == [1, 2, 3, 4]


@pytest.mark.parametrize(("momentum", "loaded", "first"), [(0.0, True, 61), (0.9, True, 61), (0.9, False, 1)])
def test_a_resumed_optimizer_that_does_not_count_goes_on_behind_what_was_recorded(
    tmp_path: Path, momentum: float, loaded: bool, first: int
) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=momentum)
    step(model, optimizer)
    saved = optimizer.state_dict()
    with attached(tmp_path, behind=60):
        again = torch.optim.SGD(model.parameters(), lr=0.1, momentum=momentum)
        if loaded:
            again.load_state_dict(saved)
        for _ in range(2):
            step(model, again)
    assert column(tmp_path, "step") == [first, first + 1]


def test_a_logger_of_the_script_ends_the_recording_for_good(tmp_path: Path) -> None:
    with attached(tmp_path / "run"):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        own = gradtop.logger.Logger(tmp_path / "own", model, optimizer)
        own.step(loss=step(model, optimizer))
        own.close()
        step(model, optimizer)
    assert lines(tmp_path / "own")
    assert not (tmp_path / "run").exists()


def test_steps_on_other_threads_are_not_counted(tmp_path: Path) -> None:
    with attached(tmp_path):
        model, other = net(), net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        step(model, optimizer)
        thread = threading.Thread(target=lambda: step(other, torch.optim.SGD(other.parameters(), lr=0.1)))
        thread.start()
        thread.join()
        step(model, optimizer)
    assert column(tmp_path, "step") == [1, 2]


def test_recomputed_activations_are_no_losses(tmp_path: Path) -> None:
    losses = []
    with attached(tmp_path):
        model = net().eval()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        x = X.clone().requires_grad_()
        for _ in range(2):
            loss = checkpoint(lambda data: model(data).square().mean(), x, use_reentrant=True)
            assert isinstance(loss, Tensor)
            losses.append(loss.item())
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
    assert column(tmp_path, "loss") == pytest.approx(losses)


def test_nothing_of_gradtop_goes_into_a_checkpoint(tmp_path: Path) -> None:
    with attached(tmp_path):
        model = net()
        optimizer = torch.optim.Adam(model.parameters())
        step(model, optimizer)
        saved = pickle.dumps((model, optimizer, optimizer.state_dict(), nn.utils.clip_grad_norm_))
    assert b"gradtop" not in saved


def test_a_compiled_model_has_no_break_and_a_compiled_clip_stays_whole(tmp_path: Path) -> None:
    from torch._dynamo.utils import counters

    with attached(tmp_path):
        counters.clear()
        model = net()
        compiled = torch.compile(model, backend="eager", fullgraph=True)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        weights = list(model.parameters())
        clip = torch.compile(lambda: nn.utils.clip_grad_norm_(weights, 1.0), backend="eager", fullgraph=True)
        for _ in range(2):
            compiled(X).square().mean().backward()
            clip()
            optimizer.step()
        assert not counters["graph_break"]
        torch.compiler.reset()
    assert column(tmp_path, "step") == [1, 2]
