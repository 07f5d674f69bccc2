"""Trainings that the logger records, as the app and `check` see them: while they are written and afterwards."""

import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gradtop.config import Settings
from gradtop.finding import Finding, FindingState, Severity
from gradtop.logger import Logger, session
from gradtop.monitor import Monitor
from gradtop.report import report
from gradtop.snapshot import RunSnapshot, RunState
from gradtop.wiring import read_paths
from test_following import await_line, following

Change = Callable[[int, Tensor], Tensor]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small are slower with several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def perceptron(depth: int = 3, width: int = 32) -> nn.Sequential:
    torch.manual_seed(0)
    inner = [module for _ in range(depth - 1) for module in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(nn.Linear(8, width), nn.ReLU(), *inner, nn.Linear(width, 2))


class Training:
    """A regression that a perceptron learns in some hundred steps."""

    def __init__(self, rate: float = 1e-3, depth: int = 3) -> None:
        self.model = perceptron(depth)
        self.optimizer = torch.optim.Adam(self.model.parameters(), rate)
        self.inputs = torch.randn(16, 64, 8)
        self.targets = torch.tanh(self.inputs @ torch.randn(8, 2))
        self.losses: list[float] = []

    def batches(self, n: int) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(n):
            i = len(self.losses) % len(self.inputs)
            yield self.inputs[i], self.targets[i]

    def learn(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """One step; the loss and the norm of the gradient."""
        self.optimizer.zero_grad()
        loss = functional.mse_loss(self.model(batch[0]), batch[1])
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1e9)
        self.optimizer.step()
        self.losses.append(loss.item())
        return loss, norm

    def go(self, log: Logger, steps: int, told: Change = lambda _, loss: loss) -> None:
        """Some steps; `told` is what the log is told of a loss at a step."""
        for batch in self.batches(steps):
            loss, norm = self.learn(batch)
            log.step(loss=told(len(self.losses), loss), grad_norm=norm)


def run_of(path: Path) -> RunSnapshot:
    (run,) = read_paths((path,), Settings()).to_end().runs
    return run


def document(path: Path) -> dict[str, Any]:
    (run,) = report(read_paths((path,), Settings()).to_end())["runs"]
    assert isinstance(run, dict)
    return run


def of_kind(path: Path, kind: str) -> list[Finding]:
    return [finding for finding in run_of(path).findings if finding.kind == kind]


def seen_at(monitor: Monitor, step: float) -> RunSnapshot:
    """The run once the newest step has come in; the time limit of the tests ends a wait that is in vain."""
    while True:
        runs = monitor.poll().runs
        if runs and runs[0].view.last_step == step:
            return runs[0]


def test_a_training_is_read_as_it_was_recorded(tmp_path: Path) -> None:
    training = Training()
    with Logger(tmp_path, training.model, training.optimizer, total_steps=40, every=10) as log:
        training.go(log, 40)
    run = document(tmp_path)
    assert (run["state"], run["steps"]) == (
        "finished",
        {"first": 1, "last": 40, "rows": 40, "sessions": 1, "total": 40},
    )
    assert (run["layers"], run["facts"]["model"]["trainable"], run["problems"]) == (4, 2466, [])
    loss = run_of(tmp_path).view.series["loss"]
    assert [float(value) for value in loss.values] == training.losses
    assert run["metrics"]["loss"]["last"] == training.losses[-1]


def test_a_training_is_seen_while_it_goes_on(tmp_path: Path) -> None:
    training, monitor = Training(), Monitor((tmp_path,), Settings())
    with Logger(tmp_path, training.model, training.optimizer, every=1) as log:
        for last in (10, 30):
            training.go(log, last - len(training.losses))
            run = seen_at(monitor, last)
            assert (run.state, run.view.rows) == (RunState.LIVE, last)
        grid = run.view.layers["grad_norm"]
        assert [grid.stats(i).count for i in range(len(grid))] == [30] * 4
    monitor.close()


def test_a_second_launch_is_a_second_session_at_whatever_step_it_goes_on(tmp_path: Path) -> None:
    training = Training()
    for first, steps in ((1, 30), (31, 30), (51, 30)):
        with Logger(tmp_path, training.model, training.optimizer, first_step=first, every=5) as log:
            training.go(log, steps)
    view = run_of(tmp_path).view
    assert [(one.first_step, one.reason) for one in view.sessions] == [
        (1, "start"),
        (31, "relaunched"),
        (51, "relaunched"),
    ]
    assert (view.rows, view.last_step) == (90, 80)


KILLED = """
import sys
from gradtop.logger import Logger
log = Logger(sys.argv[1])
for i in range(20):
    log.step(loss=2.0 - i / 100)
sys.stdin.read()
"""


def test_a_launch_after_a_kill_goes_on_in_the_same_file(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        monitor = Monitor((tmp_path,), Settings())
        seen = 0.0
        while not seen:
            runs = monitor.poll().runs
            seen = runs[0].view.last_step or 0.0 if runs else 0.0
        process.kill()
    with Logger(tmp_path, first_step=21) as log:
        for i in range(20):
            log.step(loss=1.8 - i / 100)
    run = seen_at(monitor, 40)
    monitor.close()
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]
    assert [one.first_step for one in run.view.sessions] == [1, 21]


def test_what_is_told_of_a_training_follows_it(tmp_path: Path) -> None:
    training = Training()
    with (
        Logger(tmp_path, training.model, training.optimizer, every=1) as log,
        following(str(tmp_path)) as process,
    ):
        training.go(log, 40)
        await_line(process, "verdict  keep_training")
        training.go(log, 10, lambda _, loss: loss * math.nan)
        await_line(process, "  nonfinite: ")
        training.go(log, 40)
        await_line(process, "  recovered  ")
        log.close()
        assert process.wait() == 0


def test_an_exception_is_a_crash_with_its_own_words(tmp_path: Path) -> None:
    training = Training()

    def fail() -> None:
        with Logger(tmp_path, training.model, training.optimizer) as log:
            training.go(log, 30)
            raise RuntimeError("device-side assert triggered")

    with pytest.raises(RuntimeError):
        fail()
    run = run_of(tmp_path)
    (finding,) = run.findings
    assert (run.state, finding.kind) == (RunState.CRASHED, "crashed")
    assert finding.message.startswith("The run died after step 30: an exception (line ")
    assert "“RuntimeError: device-side assert triggered”" in finding.message


def test_ctrl_c_is_the_end_that_its_user_wanted(tmp_path: Path) -> None:
    training = Training()

    def stop() -> None:
        with Logger(tmp_path, training.model, training.optimizer) as log:
            training.go(log, 30)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert document(tmp_path)["summary"] == "Stopped by its user at step 30, no problem seen in 30 rows."


def test_gradients_that_are_cleared_before_they_are_read_are_told_with_the_remedy(tmp_path: Path) -> None:
    training = Training()
    with Logger(tmp_path, training.model, every=10) as log:
        for batch in training.batches(40):
            loss, norm = training.learn(batch)
            training.optimizer.zero_grad()
            log.step(loss=loss, grad_norm=norm)
    (finding,) = run_of(tmp_path).findings
    assert (finding.kind, finding.severity, finding.state) == (
        "measurement_suspect",
        Severity.NOTICE,
        FindingState.ACTIVE,
    )
    assert finding.checks[0].startswith("Give the optimizer to gradtop.Logger")


def with_activations(path: Path, rate: float, every: int) -> Path:
    training = Training(rate)
    with Logger(path, training.model, training.optimizer, activations=True, every=every) as log:
        training.go(log, 300)
    return path


@pytest.mark.parametrize("every", [5, 40])
def test_a_rate_that_kills_units_is_told_however_often_layers_are_looked_at(tmp_path: Path, every: int) -> None:
    dying = of_kind(with_activations(tmp_path / "hot", 0.5, every), "dead_units")
    assert dying
    assert all(finding.state is FindingState.ACTIVE and finding.first_step < 100 for finding in dying)
    assert max(finding.severity for finding in dying) is Severity.INTERVENE
    assert not of_kind(with_activations(tmp_path / "healthy", 1e-3, every), "dead_units")


class Attention(nn.Module):
    """One causal layer over its own previous output, without a norm of queries and keys."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(32, 32)
        self.inward, self.out, self.head = nn.Linear(32, 96), nn.Linear(32, 32), nn.Linear(32, 32)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        q, k, v = (part.unflatten(-1, (2, 16)).transpose(1, 2) for part in self.inward(x).chunk(3, -1))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        found = self.head(x + self.out(mixed.transpose(1, 2).flatten(-2)))
        assert isinstance(found, Tensor)
        return found


def attending(path: Path, rate: float) -> Path:
    torch.manual_seed(0)
    model = Attention()
    optimizer = torch.optim.Adam(model.parameters(), rate)
    tokens = torch.randint(0, 32, (8, 4, 17))
    with Logger(path, model, optimizer, activations=True, every=5) as log:
        for i in range(200):
            batch = tokens[i % 8]
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
            loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
            optimizer.step()
            log.step(loss=loss)
    return path


def test_attention_logits_that_grow_without_a_norm_are_told(tmp_path: Path) -> None:
    (finding,) = of_kind(attending(tmp_path / "hot", 0.3), "activation_growth")
    assert (finding.state, finding.severity >= Severity.WATCH) == (FindingState.ACTIVE, True)
    assert finding.message.startswith("Attention logits of ")
    assert not of_kind(attending(tmp_path / "healthy", 3e-3), "activation_growth")


def waiting(path: Path, monkeypatch: pytest.MonkeyPatch, waits: Callable[[int], float]) -> list[Finding]:
    """What is found where the loader takes `waits` seconds before a batch, and the rest of a step 0.1 s."""
    at = 0.0

    def now() -> float:
        return at

    monkeypatch.setattr("gradtop.logger.perf_counter", now)
    monkeypatch.setattr(session, "clock", SimpleNamespace(perf_counter=now, time=now))
    training = Training()

    def loader() -> Iterator[tuple[Tensor, Tensor]]:
        nonlocal at
        for i, batch in enumerate(training.batches(320)):
            at += waits(i)
            yield batch

    with Logger(path, training.model, training.optimizer, every=20) as log:
        for batch in log.batches(loader()):
            loss, norm = training.learn(batch)
            at += 0.1
            log.step(loss=loss, grad_norm=norm)
    return of_kind(path, "gpu_starved")


def test_a_loader_that_becomes_slow_starves_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = waiting(tmp_path / "slow", monkeypatch, lambda i: 0.3 if i >= 160 else 0.005)
    assert (finding.severity, finding.first_step) == (Severity.WATCH, 161)
    assert finding.evidence["share"] == pytest.approx(0.75, abs=1e-3)
    assert finding.message.endswith(" of each step is spent on waiting for data, since step 161.")
    assert not waiting(tmp_path / "fast", monkeypatch, lambda i: 0.005)
    assert not waiting(tmp_path / "epochs", monkeypatch, lambda i: 2.0 if i % 50 == 0 else 0.005)
