"""The logger in real loops: what it writes, that the numbers are right, and that it does no harm."""

import copy
import io
import json
import math
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_pending import HostReads
from torch import Tensor, nn

import gradtop
from gradtop import record
from gradtop.logger import pending

Optimizers = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))


def batch(step: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
    return x, x.sum(1, keepdim=True)


def loss_of(model: nn.Module, step: int) -> Tensor:
    x, y = batch(step)
    loss: Tensor = nn.functional.mse_loss(model(x), y)
    return loss


def lines(folder: Path) -> list[dict[str, Any]]:
    """What was written, by the names of the types."""
    return [record.decode_object(line) for line in (folder / "metrics.jsonl").read_bytes().splitlines()]


def of(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [found for found in lines(folder) if found["type"] == kind]


def exact_norms(model: nn.Module) -> dict[str, float]:
    """The gradient norm of each module that owns parameters, in double precision."""
    squares: dict[str, float] = {}
    for name, parameter in model.named_parameters():
        layer = name.rpartition(".")[0]
        assert parameter.grad is not None
        squares[layer] = squares.get(layer, 0.0) + float(parameter.grad.double().square().sum())
    return {name: math.sqrt(square) for name, square in squares.items()}


def test_three_lines_give_rows_layers_facts_and_an_end(tmp_path: Path) -> None:
    model = net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    log = gradtop.Logger(tmp_path, model, optimizer, warmup_steps=3, total_steps=6, clip_norm=1.0, every=2)
    losses, norms, layers = [], [], []
    for step in range(6):
        loss = loss_of(model, step)
        loss.backward()  # type: ignore[no-untyped-call]
        layers.append(exact_norms(model))
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        log.step(loss=loss, grad_norm=norm)
        optimizer.zero_grad()
        losses.append(loss.item())
        norms.append(norm.item())
    log.close()
    rows = of(tmp_path, "metrics")
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["loss"] for row in rows] == pytest.approx(losses)
    assert [row["grad_norm"] for row in rows] == pytest.approx(norms)
    assert {row["lr"] for row in rows} == {0.01}
    assert all(row["step_time_s"] > 0 for row in rows[1:])
    (names,) = of(tmp_path, "layer_names")
    assert names["names"] == ["0", "2", "4"]
    assert names["numel"] == [40, 72, 9]
    sampled = of(tmp_path, "layers")
    assert [row["step"] for row in sampled] == [1, 3, 5]
    for row in sampled:
        assert row["grad_norm"] == pytest.approx(list(layers[row["step"] - 1].values()), rel=1e-4)
        assert all(0 < ratio < 1 for ratio in row["update_ratio"])
    assert "weight_norm" in sampled[0]
    (facts,) = of(tmp_path, "run")
    assert (facts["session"], facts["model"]) == (1, {"params": 121, "trainable": 121, "layers": 3})
    assert facts["train"] == {"total_steps": 6, "warmup_steps": 3, "clip_norm": 1.0, "optimizer": "AdamW"}
    assert facts["semantics"]["grad_norm"] == "pre_clip"
    assert lines(tmp_path)[-1]["status"] == "finished"


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range, after: Callable[[Tensor], object]) -> None:
    for step in steps:
        optimizer.zero_grad()
        loss = loss_of(model, step)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        after(loss)


def test_without_an_optimizer_gradients_are_read_where_the_loop_says(tmp_path: Path) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradtop.Logger(tmp_path, model, every=1) as log:
        train(model, optimizer, range(3), lambda loss: log.step(loss=loss))
        read = of_last_step = exact_norms(model)
    assert read is of_last_step
    last = of(tmp_path, "layers")[-1]
    assert last["grad_norm"] == pytest.approx(list(read.values()), rel=1e-4)
    total = math.sqrt(sum(norm**2 for norm in read.values()))
    assert of(tmp_path, "metrics")[-1]["grad_norm"] == pytest.approx(total, rel=1e-4)


def test_gradients_that_are_gone_before_they_are_read_are_told_as_such(tmp_path: Path) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    with gradtop.Logger(tmp_path, model, every=1) as log:

        def after(loss: Tensor) -> None:
            optimizer.zero_grad(set_to_none=True)
            log.step(loss=loss)

        train(model, optimizer, range(3), after)
    assert of(tmp_path, "layers") == []
    assert all("grad_norm" not in row for row in of(tmp_path, "metrics"))
    assert {event["event"] for event in of(tmp_path, "event")} == {"measurement_suspect"}


def test_with_an_optimizer_it_does_not_matter_where_zero_grad_stands(tmp_path: Path) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradtop.Logger(tmp_path, model, optimizer, every=1) as log:

        def after(loss: Tensor) -> None:
            optimizer.zero_grad(set_to_none=True)
            log.step(loss=loss)

        train(model, optimizer, range(3), after)
    assert all(norm > 0 for row in of(tmp_path, "layers") for norm in row["grad_norm"])


def test_norms_per_layer_are_those_before_clipping_by_hand_or_by_the_logger(tmp_path: Path) -> None:
    folders = {}
    for way in ("torch", "logger"):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        folders[way] = tmp_path / way
        with gradtop.Logger(folders[way], model, optimizer, clip_norm=1e-3, every=1) as log:
            loss_of(model, 0).backward()  # type: ignore[no-untyped-call]
            exact = exact_norms(model)
            if way == "torch":
                norm = nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
                optimizer.step()
                log.step(grad_norm=norm)
            else:
                log.clip_grad_norm_(1e-3)
                optimizer.step()
                log.step()
        (row,) = of(folders[way], "layers")
        assert row["grad_norm"] == pytest.approx(list(exact.values()), rel=1e-4)
        (metrics,) = of(folders[way], "metrics")
        assert metrics["grad_norm"] == pytest.approx(math.sqrt(sum(n * n for n in exact.values())), rel=1e-4)


def test_clipping_by_the_logger_is_torchs_to_the_last_bit(tmp_path: Path) -> None:
    grads = []
    for way in ("torch", "logger"):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loss_of(model, 0).backward()  # type: ignore[no-untyped-call]
        if way == "torch":
            norm = nn.utils.clip_grad_norm_(model.parameters(), 0.01)
        else:
            with gradtop.Logger(tmp_path, model, optimizer) as log:
                norm = log.clip_grad_norm_(0.01)
        grads.append([norm, *(p.grad for p in model.parameters() if p.grad is not None)])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_a_loss_scale_is_taken_out_and_skipped_steps_are_told(tmp_path: Path) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=1000)
    exact = []
    with gradtop.Logger(tmp_path, model, optimizer, scaler=scaler, every=1) as log:
        for step in range(4):
            optimizer.zero_grad()
            loss = loss_of(model, step)
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            if step == 2:
                next(model.parameters()).grad.fill_(math.inf)  # type: ignore[union-attr]
            if step % 2:
                scaler.unscale_(optimizer)
            scaler.step(optimizer)
            exact.append(exact_norms(model))
            scaler.update()
            log.step(loss=loss)
    rows = of(tmp_path, "metrics")
    assert [row["loss_scale"] for row in rows] == [1024, 1024, 512, 512]
    assert [row.get("skipped") for row in rows] == [None, None, 1, None]
    read = {row["step"]: row["grad_norm"] for row in of(tmp_path, "layers")}
    assert set(read) >= {1, 2, 4}
    for step in (1, 2, 4):
        assert read[step] == pytest.approx(list(exact[step - 1].values()), rel=1e-4)
    assert of(tmp_path, "run")[0]["train"]["precision"] == "fp16"


def test_micro_batches_are_one_step_with_their_mean_loss(tmp_path: Path) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    losses = []
    with gradtop.Logger(tmp_path, model, optimizer, accumulation=3) as log:
        for micro in range(9):
            loss = loss_of(model, micro)
            (loss / 3).backward()  # type: ignore[no-untyped-call]
            losses.append(loss.item())
            if micro % 3 == 2:
                optimizer.step()
                optimizer.zero_grad()
            log.step(loss=loss)
    rows = of(tmp_path, "metrics")
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert [row["loss"] for row in rows] == pytest.approx([sum(losses[i : i + 3]) / 3 for i in (0, 3, 6)])


def test_every_group_of_every_optimizer_has_its_rate(tmp_path: Path) -> None:
    model = net()
    layers = list(model)
    first = torch.optim.SGD(
        [{"params": layers[0].parameters(), "lr": 0.1}, {"params": layers[2].parameters(), "lr": 0.2}]
    )
    second = torch.optim.Adam(layers[4].parameters(), lr=torch.tensor(0.3))
    with gradtop.Logger(tmp_path, model, [first, second], every=1) as log:
        for step in range(2):
            loss_of(model, step).backward()  # type: ignore[no-untyped-call]
            first.step()
            second.step()
            log.step()
    row = of(tmp_path, "metrics")[0]
    assert (row["lr"], row["lr/1"], row["lr/2"]) == pytest.approx((0.1, 0.2, 0.3))
    assert all(ratio > 0 for ratio in of(tmp_path, "layers")[0]["update_ratio"])


@pytest.mark.parametrize("at_hand", [True, False])
def test_an_ordinary_step_reads_nothing_from_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_hand: bool
) -> None:
    """Neither on the CPU nor where numbers are far away."""
    if not at_hand:
        monkeypatch.setattr(pending, "at_hand", lambda _: False)
    model = net()
    optimizer = torch.optim.AdamW(model.parameters())
    with gradtop.Logger(tmp_path, model, optimizer, every=100) as log:
        train(model, optimizer, range(1), lambda loss: log.step(loss=loss))
        for step in range(1, 60):
            loss = loss_of(model, step)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            with HostReads() as reads:
                log.step(loss=loss, grad_norm=norm)
            assert reads.count == 0
    assert [row["loss"] > 0 and row["grad_norm"] > 0 for row in of(tmp_path, "metrics")][1:] == [True] * 59


@pytest.mark.parametrize("make", [lambda p: torch.optim.AdamW(p, lr=0.01), lambda p: torch.optim.SGD(p, lr=0.1)])
def test_the_training_is_the_same_to_the_last_bit(tmp_path: Path, make: Optimizers) -> None:
    ended = []
    for logged in (False, True):
        model = net()
        model.insert(2, nn.Dropout(0.3))
        optimizer = make(list(model.parameters()))
        log = gradtop.Logger(tmp_path, model, optimizer, every=1, activations=True) if logged else None
        train(model, optimizer, range(12), lambda loss, log=log: log and log.step(loss=loss))  # type: ignore[misc]
        ended.append([*model.parameters(), torch.get_rng_state()])
    assert all(torch.equal(a, b) for a, b in zip(*ended, strict=True))


def test_models_and_optimizers_can_be_copied_and_saved_while_they_are_watched(tmp_path: Path) -> None:
    model = net()
    optimizer = torch.optim.AdamW(model.parameters())
    with gradtop.Logger(tmp_path, model, optimizer, every=1, activations=True) as log:
        train(model, optimizer, range(2), lambda loss: log.step(loss=loss))
        saved = io.BytesIO()
        torch.save((copy.deepcopy(model), optimizer.state_dict(), model), saved)
        torch.save(optimizer, saved)
    assert b"gradtop" not in saved.getvalue()


def test_a_restart_goes_on_with_the_steps_of_the_checkpoint_in_a_new_session(tmp_path: Path) -> None:
    model = net()
    optimizer = torch.optim.AdamW(model.parameters())
    with gradtop.Logger(tmp_path, model, optimizer) as log:
        train(model, optimizer, range(3), lambda loss: log.step(loss=loss))
    state = optimizer.state_dict()
    again = torch.optim.AdamW(model.parameters())
    again.load_state_dict(state)
    with gradtop.Logger(tmp_path, model, again) as log:
        train(model, again, range(3, 5), lambda loss: log.step(loss=loss))
    assert [facts["session"] for facts in of(tmp_path, "run")] == [1, 2]
    assert [row["step"] for row in of(tmp_path, "metrics")] == [1, 2, 3, 4, 5]


def test_a_parameter_that_comes_later_gets_a_place(tmp_path: Path) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradtop.Logger(tmp_path, model, optimizer, every=1) as log:
        train(model, optimizer, range(2), lambda loss: log.step(loss=loss))
        model.append(nn.Linear(1, 1))
        optimizer.add_param_group({"params": model[5].parameters()})
        train(model, optimizer, range(2, 4), lambda loss: log.step(loss=loss))
    assert [names["names"] for names in of(tmp_path, "layer_names")] == [["0", "2", "4"], ["0", "2", "4", "5"]]
    assert len(of(tmp_path, "layers")[-1]["grad_norm"]) == 4


def test_the_wait_for_data_is_told_apart(tmp_path: Path) -> None:
    with gradtop.Logger(tmp_path) as log:
        for number in log.batches(range(3)):
            log.step(loss=float(number))
    rows = of(tmp_path, "metrics")
    assert all(row["data_time_s"] >= 0 for row in rows)
    assert [row["loss"] for row in rows] == [0, 1, 2]


def test_values_beside_the_steps_and_events(tmp_path: Path) -> None:
    with gradtop.Logger(tmp_path) as log:
        log.step(10, loss=1.0)
        log.metrics(val_loss=torch.tensor(1.5))
        log.event("checkpoint", "saved", path="x.pt")
    assert [(row["step"], row.get("val_loss")) for row in of(tmp_path, "metrics")] == [(10, None), (10, 1.5)]
    assert of(tmp_path, "event")[0]["data"] == {"path": "x.pt"}


def test_the_numbers_of_steps_can_be_given(tmp_path: Path) -> None:
    with gradtop.Logger(tmp_path, first_step=500) as log:
        log.step(loss=1.0)
        log.step(700, loss=1.0)
        log.step(loss=1.0)
    assert [row["step"] for row in of(tmp_path, "metrics")] == [500, 700, 701]


def test_an_optimizer_that_steps_twice_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradtop.Logger(tmp_path, model, optimizer, every=1) as log:
        for step in range(3):
            loss = loss_of(model, step)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.step()
            log.step(loss=loss)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "stepped twice" in caplog.text
    assert [row["step"] for row in of(tmp_path, "metrics")] == [2, 4, 6]


def test_a_wrapper_around_an_optimizer_is_looked_into(tmp_path: Path) -> None:
    class Wrapper:
        def __init__(self, optimizer: torch.optim.Optimizer) -> None:
            self.optimizer = optimizer
            self.param_groups, self.state = optimizer.param_groups, optimizer.state

    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    wrapped: Any = Wrapper(optimizer)
    with gradtop.Logger(tmp_path, model, wrapped, every=1) as log:
        train(model, optimizer, range(2), lambda loss: log.step(loss=loss))
    assert len(of(tmp_path, "layers")[1]["update_ratio"]) == 3


def test_hooks_that_never_fire_do_not_silence_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = net()
    idle = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradtop.Logger(tmp_path, model, idle, every=1) as log:
        for step in range(80):
            log.step(loss=float(step))
    assert caplog.text.count("has not been heard to step") == 1
    assert of(tmp_path, "metrics")[-1]["loss"] == 79


def test_gradients_that_a_closure_makes_are_those_of_this_step(tmp_path: Path) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    exact = []

    def closure(step: int) -> Callable[[], float]:
        def evaluated() -> float:
            optimizer.zero_grad()
            loss = loss_of(model, step)
            loss.backward()  # type: ignore[no-untyped-call]
            exact.append(exact_norms(model))
            return loss.item()

        return evaluated

    with gradtop.Logger(tmp_path, model, optimizer, every=1) as log:
        for step in range(3):
            log.step(loss=optimizer.step(closure(step)))
    read = [row["grad_norm"] for row in of(tmp_path, "layers")]
    assert read == [pytest.approx(list(norms.values()), rel=1e-4) for norms in exact]


HOSTILE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.lists(st.integers(), max_size=3),
    st.sampled_from(
        [10**400, object(), 1j, torch.ones(2), torch.empty(0), torch.ones((), device="meta"), nn.Linear(1, 1)]
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(loss=HOSTILE, norm=HOSTILE, number=HOSTILE, metrics=st.dictionaries(st.text(max_size=8), HOSTILE, max_size=3))
def test_nothing_that_is_handed_in_raises_or_breaks_the_stream(
    tmp_path: Path, loss: object, norm: object, number: Any, metrics: dict[str, object]
) -> None:
    folder = tmp_path / "hostile"
    log = gradtop.Logger(folder)
    metrics.pop("loss", None)
    metrics.pop("grad_norm", None)
    log.step(number, loss=loss, grad_norm=norm, **metrics)
    log.metrics(number, **metrics)
    log.event(str(loss), str(norm), step=number, data=metrics)
    log.close()

    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    written = sorted(folder.glob("*.jsonl"))[-1].read_bytes().splitlines()
    assert all(isinstance(json.loads(line, parse_constant=refuse), dict) for line in written)


def test_hostile_models_and_optimizers_leave_a_logger_that_does_nothing(tmp_path: Path) -> None:
    class Odd:
        param_groups = None

    for model, optimizer in ((nn.ReLU(), None), (None, Odd()), (Odd(), Odd()), (nn.Linear(2, 2, device="meta"), None)):
        log: Any = gradtop.Logger(tmp_path / "a", model, optimizer, every=1)  # type: ignore[arg-type]
        log.step(loss=1.0)
        log.add_optimizer(Odd())
        log.step(loss=1.0)
        log.close()
        log.step(loss=1.0)
        log.close()


def ended(folder: Path, tail: str) -> tuple[int, list[dict[str, Any]]]:
    """A script that takes two steps and ends in some way."""
    script = f"""
import gradtop, sys
log = gradtop.Logger({str(folder)!r})
log.step(loss=1.0)
log.step(loss=2.0)
{tail}
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=False)
    return done.returncode, lines(folder)


@pytest.mark.parametrize(
    ("tail", "code", "status"),
    [
        ("pass", 0, "finished"),
        ("sys.exit(3)", 3, "finished"),
        ("raise ValueError('bad batch')", 1, "crashed"),
        ("raise KeyboardInterrupt", -2, "aborted"),
        ("try:\n    1 / 0\nexcept ZeroDivisionError:\n    pass", 0, "finished"),
        ("with log:\n    raise ValueError('bad batch')", 1, "crashed"),
    ],
)
def test_the_end_says_how_the_training_ended(tmp_path: Path, tail: str, code: int, status: str) -> None:
    returned, found = ended(tmp_path, tail)
    assert returned == code
    assert (found[-1]["type"], found[-1]["status"], found[-1]["step"]) == ("end", status, 2)
    crashes = [line for line in found if line.get("event") == "crash"]
    assert [crash["message"] for crash in crashes] == (["ValueError: bad batch"] if status == "crashed" else [])


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize(("tail", "status"), [("pass", "finished"), ("raise ValueError('bad batch')", "crashed")])
def test_a_training_in_a_process_of_multiprocessing_has_an_end(
    tmp_path: Path, method: str, tail: str, status: str
) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"""
import multiprocessing, gradtop
def main():
    log = gradtop.Logger({str(tmp_path / "run")!r})
    log.step(loss=1.0)
    {tail}
if __name__ == "__main__":
    child = multiprocessing.get_context({method!r}).Process(target=main)
    child.start()
    child.join()
""")
    subprocess.run([sys.executable, script], capture_output=True, timeout=60, check=True)
    found = lines(tmp_path / "run")
    assert [row["loss"] for row in found if row["type"] == "metrics"] == [1.0]
    assert found[-1]["status"] == status


def test_it_costs_no_import_beyond_the_standard_library(tmp_path: Path) -> None:
    script = f"""
import sys
before = set(sys.modules)
import gradtop
gradtop.Logger({str(tmp_path)!r}).step(loss=1.0)
print(sorted({{name.partition('.')[0] for name in set(sys.modules) - before}} - set(sys.stdlib_module_names)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "['gradtop']"


def test_a_training_under_strict_warnings_is_not_disturbed(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        log = gradtop.Logger(tmp_path)
        log.step(loss=torch.ones(2, requires_grad=True))
        log.step(loss=torch.ones(1, requires_grad=True))
        log.close()
    assert [row.get("loss") for row in of(tmp_path, "metrics")] == [None, 1.0]
