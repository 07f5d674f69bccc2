"""Which calls are steps and which are micro-batches, in loops of many kinds."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from test_harm import small, steps
from test_logger import exact_norms, loss_of, net, of
from test_pending import HostReads
from torch import Tensor, nn

import gradtop


def test_an_optimizer_that_takes_the_place_of_another_does_not_end_the_rows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Layers are thawed with a new optimizer, and nobody tells the logger: its weights move all the same."""
    model, optimizer = small()
    with gradtop.Logger(tmp_path, model, optimizer) as log:
        steps(model, optimizer, log, range(5))
        steps(model, torch.optim.SGD(model.parameters(), lr=0.1), log, range(5, 20))
    assert len(of(tmp_path, "metrics")) == 5 + 15 - 4
    assert caplog.text.count("has not been heard to step") == 1


def test_steps_that_no_hook_can_hear_are_told_after_a_while(tmp_path: Path) -> None:
    """As those of a CUDA graph: the optimizer was heard while it was captured, and never again."""
    model, optimizer = small()
    with gradtop.Logger(tmp_path, model, optimizer) as log:
        steps(model, optimizer, log, range(3))
        for step in range(100):
            log.step(loss=float(step))
    rows = of(tmp_path, "metrics")
    assert len(rows) == 3 + 100 - 64
    assert rows[-1]["loss"] == 99


def test_many_micro_batches_are_learned(tmp_path: Path) -> None:
    """Their number was not stated: the first step is told in parts, those after it are whole."""
    model, optimizer = small()
    with gradtop.Logger(tmp_path, model, optimizer) as log:
        for micro in range(400):
            loss_of(model, micro % 5).backward()  # type: ignore[no-untyped-call]
            if micro % 100 == 99:
                optimizer.step()
            log.step(loss=float(micro))
    assert [row["loss"] for row in of(tmp_path, "metrics")][-3:] == [149.5, 249.5, 349.5]


@pytest.mark.parametrize("order", ["update before log", "log before update"])
@pytest.mark.parametrize("enabled", [True, False])
def test_a_scaler_and_micro_batches_go_together(tmp_path: Path, order: str, enabled: bool) -> None:
    model, optimizer = small()
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, enabled=enabled)
    with gradtop.Logger(tmp_path, model, optimizer, scaler=scaler, every=1) as log:
        for micro in range(12):
            loss = loss_of(model, micro)
            scaler.scale(loss / 2).backward()  # type: ignore[no-untyped-call]
            last = micro % 2 == 1
            if micro == 3 and enabled:
                model[0].weight.grad.fill_(math.inf)  # type: ignore[operator, union-attr]
            if last:
                scaler.step(optimizer)
            if last and order == "update before log":
                scaler.update()
            log.step(loss=float(micro))
            if last and order == "log before update":
                scaler.update()
            if last:
                optimizer.zero_grad()
    rows = of(tmp_path, "metrics")
    assert [row["loss"] for row in rows] == [0.5, 2.5, 4.5, 6.5, 8.5, 10.5]
    assert [row.get("skipped") for row in rows] == [None, 1 if enabled else None, None, None, None, None]


def test_the_first_step_of_all_may_be_skipped(tmp_path: Path) -> None:
    """As fp16 trainings begin: the scale is too large until it has been halved a few times."""
    model, optimizer = small()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)
    with gradtop.Logger(tmp_path, model, optimizer, scaler=scaler) as log:
        for step in range(3):
            optimizer.zero_grad()
            scaler.scale(loss_of(model, step) * (1e30 if step < 2 else 1e-30)).backward()  # type: ignore[no-untyped-call]
            scaler.step(optimizer)
            scaler.update()
            with HostReads() as reads:
                log.step(loss=1.0)
            assert reads.count == 0
    assert [row.get("skipped") for row in of(tmp_path, "metrics")] == [1, 1, None]


def test_a_loop_that_logs_now_and_then_counts_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its times are those of one step, and a norm of the last step says nothing of what was read at the first."""
    ticks = iter(range(1000))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(ticks)))
    model, optimizer = small()
    norms = []
    with gradtop.Logger(tmp_path, model, optimizer, every=1) as log:
        for step in range(12):
            optimizer.zero_grad()
            loss = loss_of(model, step)
            loss.backward()  # type: ignore[no-untyped-call]
            if step % 4 == 0:
                norms.append(list(exact_norms(model).values()))
            optimizer.step()
            if step % 4 == 3:
                log.step(loss=loss, grad_norm=1e3)
    rows = of(tmp_path, "metrics")
    assert [row["step"] for row in rows] == [4, 8, 12]
    assert [row.get("step_time_s") for row in rows] == [None, 0.25, 0.25]
    assert [row["grad_norm"] for row in of(tmp_path, "layers")] == [pytest.approx(read, rel=1e-4) for read in norms]


def test_the_wait_of_all_micro_batches_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(1000))
    monkeypatch.setattr("gradtop.logger.perf_counter", lambda: float(next(ticks)))
    model, optimizer = small()
    with gradtop.Logger(tmp_path, model, optimizer) as log:
        for micro in log.batches(range(8)):
            loss_of(model, micro).backward()  # type: ignore[no-untyped-call]
            if micro % 4 == 3:
                optimizer.step()
            log.step(loss=1.0)
    assert [row["data_time_s"] for row in of(tmp_path, "metrics")] == [4, 4]


def test_the_mean_of_losses_in_16_bits_keeps_their_digits(tmp_path: Path) -> None:
    model, optimizer = small()
    losses = [torch.tensor(2.3 + i / 100, dtype=torch.bfloat16) for i in range(16)]
    with gradtop.Logger(tmp_path, model, optimizer) as log:
        for number, loss in enumerate(losses):
            if number == 15:
                optimizer.step()
            log.step(loss=loss)
    (row,) = of(tmp_path, "metrics")
    assert row["loss"] == pytest.approx(sum(loss.item() for loss in losses) / 16, rel=1e-6)


def test_gradients_that_are_used_up_in_the_backward_pass_are_read_there(tmp_path: Path) -> None:
    """One optimizer per parameter steps as soon as its gradient is there, and frees it."""
    model = net()
    each = {p: torch.optim.SGD([p], lr=0.1) for p in model.parameters()}

    def use(parameter: Tensor) -> None:
        each[parameter].step()  # type: ignore[index]
        each[parameter].zero_grad()  # type: ignore[index]

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(use)  # type: ignore[no-untyped-call]
    reference = net()
    with gradtop.Logger(tmp_path, model, list(each.values()), every=1) as log:
        loss_of(reference, 0).backward()  # type: ignore[no-untyped-call]
        loss = loss_of(model, 0)
        loss.backward()  # type: ignore[no-untyped-call]
        log.step(loss=loss)
    (row,) = of(tmp_path, "layers")
    assert row["grad_norm"] == pytest.approx(list(exact_norms(reference).values()), rel=1e-4)
    assert all(ratio > 0 for ratio in row["update_ratio"])


def test_two_networks_that_step_in_turns_share_a_round(tmp_path: Path) -> None:
    generator, critic = net(0), net(1)
    first, second = (torch.optim.SGD(one.parameters(), lr=0.01) for one in (generator, critic))
    both = nn.ModuleDict({"generator": generator, "critic": critic})
    with gradtop.Logger(tmp_path, both, [first, second], every=1) as log:
        for step in range(3):
            for turn in range(5):
                second.zero_grad()
                loss_of(critic, step * 5 + turn).backward()  # type: ignore[no-untyped-call]
                second.step()
            first.zero_grad()
            loss = loss_of(generator, step)
            loss.backward()  # type: ignore[no-untyped-call]
            first.step()
            log.step(loss=loss)
    assert [row["step"] for row in of(tmp_path, "metrics")] == [1, 2, 3]
    assert len(of(tmp_path, "layers")) == 3


def test_a_second_order_step_of_its_own_is_heard_by_its_weights(tmp_path: Path) -> None:
    """Sharpness-aware steps go by `first_step` and `second_step`: no hook hears them."""

    class Aware(torch.optim.Optimizer):
        def __init__(self, parameters: Iterator[nn.Parameter]) -> None:
            super().__init__(parameters, {"lr": 0.1})

        @torch.no_grad()
        def second_step(self) -> None:
            for weight in self.param_groups[0]["params"]:
                weight.sub_(0.1 * weight.grad)

    model = net()
    optimizer = Aware(model.parameters())
    with gradtop.Logger(tmp_path, model, optimizer) as log:
        for step in range(20):
            optimizer.zero_grad()
            loss = loss_of(model, step)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.second_step()
            log.step(loss=loss)
    assert len(of(tmp_path, "metrics")) == 16
