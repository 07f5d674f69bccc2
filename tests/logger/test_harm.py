"""Trainings that are not as expected: the logger neither disturbs them nor tells them wrong."""

import copy
import gc
import io
import logging
import math
import pickle
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_logger import batch, exact_norms, lines, loss_of, net, of, train
from torch import Tensor, nn
from torch._dynamo.utils import counters

import gradtop
from gradtop.logger import LIVE, session


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, log: gradtop.Logger, numbers: range) -> None:
    train(model, optimizer, numbers, lambda loss: log.step(loss=loss))


def small() -> tuple[nn.Sequential, torch.optim.SGD]:
    model = net()
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def test_the_number_of_a_step_is_taken_by_keyword_and_from_numpy(tmp_path: Path) -> None:
    with gradtop.Logger(tmp_path) as log:
        log.step(step=10, loss=1.0)
        for number in (np.int64(20), torch.tensor(30)):
            log.step(step=number, loss=1.0)
        log.metrics(step=40, val_loss=1.0)
    assert [row["step"] for row in of(tmp_path, "metrics")] == [10, 20, 30, 40]


@pytest.mark.parametrize("number", ["7", math.nan, {"loss": 1.0}, torch.ones(2), torch.ones((), device="meta"), 1j])
def test_what_is_no_number_of_a_step_is_said_and_steps_are_counted(
    tmp_path: Path, number: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with gradtop.Logger(tmp_path) as log:
        for _ in range(3):
            log.step(number, loss=1.0)
        log.step(loss=1.0)
    assert [row["step"] for row in of(tmp_path, "metrics")] == [1, 2, 3, 4]
    assert caplog.text.count("steps are counted instead") == 1


class Spiteful:
    """Cannot be looked at without harm."""

    def __float__(self) -> float:
        raise RuntimeError("no")

    def __str__(self) -> str:
        raise RuntimeError("no")


def test_a_value_that_cannot_be_read_costs_only_itself(tmp_path: Path) -> None:
    model, optimizer = small()
    with gradtop.Logger(tmp_path, model, optimizer, every=1) as log:
        train(model, optimizer, range(3), lambda loss: log.step(loss=loss, odd=Spiteful(), even=2.0))
    assert [(row["step"], row["even"]) for row in of(tmp_path, "metrics")] == [(1, 2), (2, 2), (3, 2)]
    assert len(of(tmp_path, "layers")) == 3


def test_a_metric_may_log_itself(tmp_path: Path) -> None:
    class Chatty:
        def __float__(self) -> float:
            log.step(loss=2.0)
            return 1.0

    with gradtop.Logger(tmp_path) as log:
        log.step(loss=1.0, chatty=Chatty())
    assert len(of(tmp_path, "metrics")) == 2


def test_an_array_of_one_number_is_one_without_a_warning(tmp_path: Path) -> None:
    with gradtop.Logger(tmp_path) as log:
        log.step(loss=np.array([1.5]), other=np.float32(2.5), many=np.ones(2))
    (row,) = of(tmp_path, "metrics")
    assert (row["loss"], row["other"], row.get("many")) == (1.5, 2.5, None)


def test_losses_with_classes_of_their_own_go_out_together(tmp_path: Path) -> None:
    """fastai and MONAI have them; torch does not stack one with another."""

    class One(Tensor):
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if not all(issubclass(cls, kind) for kind in types):
                return NotImplemented
            return super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]

    class Other(One):
        pass

    with gradtop.Logger(tmp_path) as log:
        log.step(loss=torch.tensor(1.0).as_subclass(One), aux=torch.tensor(2.0).as_subclass(Other))
        log.step(loss=torch.tensor(3.0))
    assert [row["loss"] for row in of(tmp_path, "metrics")] == [1, 3]


def test_the_graph_of_a_loss_is_not_kept(tmp_path: Path) -> None:
    model, _ = small()
    with gradtop.Logger(tmp_path) as log:
        big = torch.ones(1000)
        kept = weakref.ref(big)
        loss = (model(torch.ones(1, 4)) * big * torch.ones(1, requires_grad=True)).sum()
        log.step(loss=loss, other=loss * 2)
        del loss, big
        assert kept() is None


def test_facts_of_numpy_are_numbers_and_a_lazy_layer_has_no_size(tmp_path: Path) -> None:
    model = nn.ModuleList([nn.Linear(2, 2), nn.LazyLinear(3)])
    with gradtop.Logger(tmp_path, model, total_steps=np.int64(5), batch_size=np.int32(4)) as log:  # type: ignore[arg-type]
        log.step(loss=1.0)
    (facts,) = of(tmp_path, "run")
    assert (facts["train"]["total_steps"], facts["train"]["batch_size"]) == (5, 4)
    assert facts["model"]["params"] == 6


def test_an_event_is_told_as_it_was(tmp_path: Path) -> None:
    found: dict[str, Any] = {"scores": [1.0, math.nan, (math.inf,)], "count": np.int64(3), "weight": torch.tensor(2.0)}
    with gradtop.Logger(tmp_path) as log:
        log.event("validation", **found)
        found["scores"].append(7.0)
    (event,) = of(tmp_path, "event")
    assert event["data"] == {"scores": [1, "NaN", ["Infinity"]], "count": 3, "weight": 2}


def test_an_optimizer_unlike_torchs_costs_the_layers_and_not_the_run(tmp_path: Path) -> None:
    class Bare:
        def step(self) -> None: ...

    class Stateless(Bare):
        def __init__(self) -> None:
            self.param_groups = [{"params": list(net().parameters()), "lr": 0.5}]

    for number, optimizer in enumerate((Bare(), Stateless())):
        odd: Any = optimizer
        with gradtop.Logger(tmp_path / str(number), net(), odd) as log:
            log.step(loss=1.0)
            log.step(loss=2.0)
        assert [row["loss"] for row in of(tmp_path / str(number), "metrics")] == [1, 2]
    assert of(tmp_path / "1", "metrics")[0]["lr"] == 0.5


def test_a_cell_that_is_run_again_goes_on_in_the_same_file(tmp_path: Path) -> None:
    """The first Logger is over, lets go of its model, and says so when it is used again."""
    model, optimizer = small()
    first = gradtop.Logger(tmp_path, model, optimizer)
    steps(model, optimizer, first, range(2))
    second = gradtop.Logger(tmp_path / ".", model, optimizer)
    steps(model, optimizer, second, range(3))
    second.close()
    assert [found.name for found in tmp_path.iterdir()] == ["metrics.jsonl"]
    assert [(facts["session"], facts["type"]) for facts in of(tmp_path, "run")] == [(1, "run"), (2, "run")]
    assert [end["status"] for end in of(tmp_path, "end")] == ["finished", "finished"]
    assert len(of(tmp_path, "metrics")) == 5


def test_a_logger_that_was_replaced_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = gradtop.Logger(tmp_path)
    first.step(loss=1.0)
    with gradtop.Logger(tmp_path) as second:
        second.step(loss=2.0)
        first.step(loss=3.0)
        first.step(loss=3.0)
    assert caplog.text.count("give it a directory of its own") == 1
    assert [row["loss"] for row in of(tmp_path, "metrics")] == [1, 2]


def test_two_loggers_that_begin_side_by_side_are_both_recorded(tmp_path: Path) -> None:
    with gradtop.Logger(tmp_path) as first, gradtop.Logger(tmp_path) as second:
        for step in range(3):
            first.step(loss=float(step))
            second.step(loss=float(step))
    files = [path.read_bytes().splitlines() for path in tmp_path.glob("metrics*.jsonl")]
    assert sum(b'"type":"metrics"' in line for file in files for line in file) == 6


def test_a_logger_that_nothing_refers_to_is_closed_and_lets_go_of_the_model(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """At once: its memory on a device does not wait for the garbage collector."""
    model, optimizer = small()
    log = gradtop.Logger(tmp_path, model, optimizer, every=1)
    steps(model, optimizer, log, range(3))
    threads = [thread for thread in threading.enumerate() if thread.name == "gradtop-writer"]
    seen = weakref.ref(model)
    gc.disable()
    request.addfinalizer(gc.enable)
    del log
    for thread in threads:
        thread.join(5)
    assert not LIVE
    assert lines(tmp_path)[-1]["status"] == "finished"
    assert len(of(tmp_path, "metrics")) == 3
    assert not optimizer._optimizer_step_pre_hooks
    del model, optimizer, thread, threads
    assert seen() is None


def test_a_model_may_hold_its_logger_and_be_copied_and_saved(tmp_path: Path) -> None:
    model: Any
    model, optimizer = small()
    with gradtop.Logger(tmp_path, model, optimizer) as log:
        model.log = log
        steps(model, optimizer, log, range(2))
        average = copy.deepcopy(model)
        assert average.log is log
        saved = io.BytesIO()
        torch.save(model, saved)
        assert b"gradtop" not in saved.getvalue()
        assert pickle.loads(pickle.dumps(model)).log is None
        steps(model, optimizer, log, range(2, 4))
    assert len(of(tmp_path, "metrics")) == 4


def test_a_log_handler_that_raises_reaches_neither_the_loop_nor_the_writer(tmp_path: Path) -> None:
    class Breaking(logging.Filter):
        def filter(self, _: logging.LogRecord) -> bool:
            raise RuntimeError("a handler of the program")

    breaking = Breaking()
    logging.getLogger("gradtop").addFilter(breaking)
    try:
        model, optimizer = small()
        with gradtop.Logger(tmp_path, model, optimizer) as log:
            optimizer.step()
            optimizer.step()
            log.step(step="x", loss=object())
            log.step(loss=1.0)
    finally:
        logging.getLogger("gradtop").removeFilter(breaking)
    assert lines(tmp_path)[-1]["status"] == "finished"


def test_what_is_said_cannot_drive_a_terminal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with gradtop.Logger(tmp_path) as log:
        log.step(**{"\x1b]0;title\x07" + "n" * 100_000: object()})
    assert "\x1b" not in caplog.text
    assert len(caplog.text) < 1000


def test_threads_that_log_lose_nothing(tmp_path: Path) -> None:
    with gradtop.Logger(tmp_path) as log:

        def work() -> None:
            for _ in range(500):
                log.step(loss=1.0)
                log.metrics(val_loss=2.0)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    rows = of(tmp_path, "metrics")
    assert len(rows) == 4000
    assert sorted(row["step"] for row in rows if "loss" in row) == list(range(1, 2001))


def test_a_failure_at_a_sample_does_not_make_every_step_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, optimizer = small()
    with gradtop.Logger(tmp_path, model, optimizer, every=100) as log:
        inner: Any = log._session
        failing = iter([True])
        send = inner._outbox.send

        def sent(*args: Any) -> None:
            if next(failing, False):
                raise RuntimeError("the device is lost")
            send(*args)

        monkeypatch.setattr(inner._outbox, "send", sent)
        steps(model, optimizer, log, range(10))
        assert inner._rounds.count == 10
        assert inner._rounds._began is not None
    assert {row["step"] for row in of(tmp_path, "metrics")} >= set(range(2, 11))


def test_an_interrupt_before_the_writer_is_rung_for_holds_nothing_up_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradtop.logger.writer.LISTEN_S", 0.02)
    log = gradtop.Logger(tmp_path)
    log.metrics(1, val_loss=1.0)
    inner: Any = log._session
    inner._writer._rung = True  # as if Ctrl-C had come between this and the ring
    log.metrics(2, val_loss=1.0)
    deadline = threading.Event()
    for _ in range(500):
        if (tmp_path / "metrics.jsonl").exists() and len(of(tmp_path, "metrics")) == 2:
            break
        deadline.wait(0.01)
    assert len(of(tmp_path, "metrics")) == 2
    log.close()


def compiled(folder: Path | None) -> tuple[int, bool, list[Tensor]]:
    """Graphs, whether the last steps were compiled no more, and the weights, of a training with a compiled step."""
    torch._dynamo.reset()
    counters.clear()
    model = net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=torch.tensor(0.01))
    log = gradtop.Logger(folder, model, optimizer, every=2) if folder else None
    step = torch.compile(optimizer.step, backend="eager")
    frames = []
    for number in range(12):
        optimizer.zero_grad()
        loss = loss_of(model, number)
        loss.backward()  # type: ignore[no-untyped-call]
        step()
        if log is not None:
            log.step(loss=loss)
        frames.append(counters["frames"]["total"])
    if log is not None:
        log.close()
    return counters["stats"]["unique_graphs"], frames[-1] == frames[5], [*model.parameters()]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_step_is_compiled_once(tmp_path: Path) -> None:
    """As many graphs as without the logger, none after the first steps, the same weights, and values per layer."""
    plain, logged = compiled(None), compiled(tmp_path)
    assert plain[:2] == logged[:2]
    assert logged[1]
    assert all(torch.equal(a, b) for a, b in zip(plain[2], logged[2], strict=True))
    assert len(of(tmp_path, "layers")) == 6


@pytest.mark.parametrize("capturing", [True, False])
def test_nothing_is_read_while_a_cuda_graph_is_captured(
    tmp_path: Path, capturing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, optimizer = small()
    with gradtop.Logger(tmp_path, model, optimizer, every=1) as log:
        with monkeypatch.context() as patched:
            patched.setattr("gradtop.logger.rounds._capturing", lambda: capturing)
            steps(model, optimizer, log, range(1))
        steps(model, optimizer, log, range(1, 2))
    assert len(of(tmp_path, "layers")) == (1 if capturing else 2)


def test_rows_that_come_too_fast_for_the_writer_are_counted(tmp_path: Path) -> None:
    with gradtop.Logger(tmp_path) as log:
        for step in range(20_000):
            log.step(loss=float(step))
    missing = sum(event["data"]["records"] for event in of(tmp_path, "event"))
    assert len(of(tmp_path, "metrics")) + missing == 20_000


def test_rows_leave_before_there_are_more_than_the_writer_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "FLUSH_S", 1e9)
    with gradtop.Logger(tmp_path) as log:
        for step in range(session.MOST_ROWS + 10):
            log.step(loss=float(step))
        inner: Any = log._session
        assert len(inner._rows) < 20


def clipped(folder: Path, stated: float | None, worst: float | None = None) -> list[float]:
    """One step, clipped to a norm of 1e-3, with the norms per layer that it should have."""
    model, optimizer = small()
    with gradtop.Logger(folder, model, optimizer, clip_norm=stated, every=1) as log:
        loss_of(model, 0).backward()  # type: ignore[no-untyped-call]
        exact = list(exact_norms(model).values())
        if worst is not None:
            model[0].weight.grad[0, 0] = worst  # type: ignore[index, operator]
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
        optimizer.step()
        log.step(grad_norm=norm)
    return exact


@pytest.mark.parametrize("stated", [1e-3, None, 0, math.inf])
def test_norms_are_those_before_clipping_whether_or_not_it_was_stated(tmp_path: Path, stated: float | None) -> None:
    exact = clipped(tmp_path, stated)
    assert of(tmp_path, "layers")[0]["grad_norm"] == pytest.approx(exact, rel=1e-4)
    assert of(tmp_path, "run")[0]["train"].get("clip_norm") == (1e-3 if stated == 1e-3 else None)


def test_a_clipping_that_was_stated_wrong_is_told(tmp_path: Path) -> None:
    exact = clipped(tmp_path, 1e-5)
    (event,) = of(tmp_path, "event")
    assert event["event"] == "measurement_suspect"
    assert "norm of 0.001, and clipping to 1e-05 does not explain that" in event["message"]
    assert math.hypot(*of(tmp_path, "layers")[0]["grad_norm"]) == pytest.approx(1e-3, rel=1e-3)
    assert math.hypot(*exact) == pytest.approx(of(tmp_path, "metrics")[0]["grad_norm"], rel=1e-4)


def test_an_infinite_gradient_does_not_make_zeros_of_the_others(tmp_path: Path) -> None:
    clipped(tmp_path, 1e-3, worst=math.inf)
    assert of(tmp_path, "layers")[0]["grad_norm"] == ["NaN", None, None]
    assert of(tmp_path, "metrics")[0]["grad_norm"] == "Infinity"


class Rare(nn.Module):
    """Recurrent, with a normalised weight, an embedding with sparse gradients, and a weight of complex numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 4, sparse=True)
        self.lstm = nn.LSTM(4, 4, batch_first=True)
        self.out = nn.utils.parametrizations.weight_norm(nn.Linear(4, 1))
        self.phase = nn.Parameter(torch.ones(4, dtype=torch.complex64))
        self.empty = nn.Parameter(torch.empty(0, 4))
        self.frozen = nn.Parameter(torch.ones(4), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        hidden, _ = self.lstm(self.embedding(x))
        turned = (hidden * self.phase).real + self.empty.sum() + self.frozen
        out: Tensor = self.out(turned)
        return out


@pytest.mark.parametrize("activations", [False, True])
def test_unusual_parameters_are_trained_alike_with_and_without(tmp_path: Path, activations: bool) -> None:
    ended = []
    for logged in (False, True):
        torch.manual_seed(0)
        model = Rare()
        dense = [p for name, p in model.named_parameters() if name != "embedding.weight"]
        both: list[torch.optim.Optimizer] = [
            torch.optim.SparseAdam(model.embedding.parameters()), torch.optim.AdamW(dense)
        ]  # fmt: skip
        log = gradtop.Logger(tmp_path, model, both, every=1, activations=activations) if logged else None
        for step in range(4):
            if step == 2:
                model.frozen.requires_grad_(True)
            loss = model(torch.arange(6).view(2, 3) + step).square().mean()
            loss.backward()
            for optimizer in both:
                optimizer.step()
                optimizer.zero_grad()
            if log is not None:
                log.step(loss=loss)
        if log is not None:
            log.close()
        ended.append([weight.detach().clone() for weight in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ended, strict=True))
    names = of(tmp_path, "layer_names")[0]["names"]
    first = dict(zip(names, of(tmp_path, "layers")[0]["grad_norm"], strict=False))
    assert first["embedding"] > 0
    assert first["phase"] > 0


def test_batches_are_the_loaders_own(tmp_path: Path) -> None:
    data = [batch(step)[0] for step in range(3)]
    with gradtop.Logger(tmp_path) as log:
        assert all(a is b for a, b in zip(log.batches(data), data, strict=True))
