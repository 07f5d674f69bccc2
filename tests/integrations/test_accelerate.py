"""`AccelerateTracker` under the real Accelerator, on a model of a hundred parameters."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from trained import QUIET, Gradients, Stream, by_module, doubled, same, total, weights

pytestmark = QUIET

CLIP = 0.01


@pytest.fixture(autouse=True)
def _one_accelerator() -> Iterator[None]:
    from accelerate.state import AcceleratorState, GradientState

    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


@dataclass
class Loop:
    """A training with Accelerate, as its users write it."""

    tracker: Any
    options: dict[str, Any] = field(default_factory=dict)
    watched: bool = True
    log_every: int = 1
    first: int = 1
    """The number that is logged with the first step."""
    losses: list[float] = field(default_factory=list)
    gradients: list[Gradients] = field(default_factory=list)

    def __post_init__(self) -> None:
        from accelerate import Accelerator

        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        inputs = torch.randn(24, 4)
        loader = DataLoader(TensorDataset(inputs, inputs.sum(1, keepdim=True)), batch_size=4)
        trackers = [self.tracker] if self.tracker is not None else None
        self.accelerator = Accelerator(cpu=True, log_with=trackers, **self.options)
        self.model, self.optimizer, self.scheduler, self.loader = self.accelerator.prepare(
            model, optimizer, scheduler, loader
        )
        self.accelerator.init_trackers("run", config={"max_train_steps": 6, "lr_warmup_steps": 0, "note": "text"})
        if self.tracker is not None and self.watched:
            self.tracker.watch(self.model, self.optimizer)

    def run(self) -> "Loop":
        step = self.first
        for inputs, targets in self.loader:
            with self.accelerator.accumulate(self.model):
                loss = nn.functional.mse_loss(self.model(inputs), targets)
                self.accelerator.backward(loss)
                self.losses.append(float(loss.detach()))
                if self.accelerator.sync_gradients:
                    self.gradients.append(doubled(self.model))
                    self.accelerator.clip_grad_norm_(self.model.parameters(), CLIP)
                self.optimizer.step()
                self.scheduler.step()
                self.optimizer.zero_grad()
            if self.accelerator.sync_gradients:
                if (step - self.first + 1) % self.log_every == 0:
                    self.accelerator.log({"loss": loss}, step=step)
                step += 1
        return self

    def finish(self) -> None:
        self.accelerator.end_training()


def tracker(directory: Path, **options: Any) -> Any:
    from gradtop.integrations import AccelerateTracker

    return AccelerateTracker(directory, every=1, **options)


def test_what_is_logged_is_recorded_with_nothing_else(tmp_path: Path) -> None:
    loop = Loop(tracker(tmp_path), watched=False).run()
    loop.finish()
    stream = Stream.of(tmp_path)
    assert stream.column("loss") == dict(enumerate(loop.losses, 1))
    assert stream.records[-1]["status"] == "finished"


def test_a_watched_step_is_one_row(tmp_path: Path) -> None:
    loop = Loop(tracker(tmp_path)).run()
    loop.finish()
    stream = Stream.of(tmp_path)
    assert stream.column("loss") == dict(enumerate(loop.losses, 1))
    assert stream.column("lr") == {step: 0.1 * 0.5 ** (step - 1) for step in range(1, 7)}
    norms = {step: total(gradients) for step, gradients in enumerate(loop.gradients, 1)}
    assert stream.column("grad_norm") == pytest.approx(norms, rel=1e-5)
    assert len(stream.only("metrics")) == 6
    assert torch.nn.utils.clip_grad_norm_.__module__ == "torch.nn.utils.clip_grad"


def test_norms_per_layer_are_those_before_clipping(tmp_path: Path) -> None:
    loop = Loop(tracker(tmp_path)).run()
    loop.finish()
    assert total(loop.gradients[2]) > CLIP
    assert Stream.of(tmp_path).layers(3, "grad_norm") == pytest.approx(by_module(loop.gradients[2]), rel=1e-4)


def test_steps_that_are_not_logged_are_rows_too(tmp_path: Path) -> None:
    Loop(tracker(tmp_path), log_every=2, first=101).run().finish()
    stream = Stream.of(tmp_path)
    assert list(stream.column("loss")) == [102, 104, 106]
    assert [row["step"] for row in stream.only("metrics")] == [1, 102, 103, 104, 105, 106]


def test_facts_are_those_of_settings_and_accelerator(tmp_path: Path) -> None:
    options = {"mixed_precision": "bf16", "gradient_accumulation_steps": 2}
    Loop(tracker(tmp_path, clip_norm=CLIP), options).run().finish()
    (facts,) = Stream.of(tmp_path).only("run")
    stated = {"total_steps": 6, "warmup_steps": 0, "clip_norm": CLIP, "precision": "bf16", "accumulation": 2}
    assert facts["train"].items() >= {**stated, "optimizer": "Adam", "lr_max": 0.1}.items()


def test_accumulated_micro_batches_are_one_step(tmp_path: Path) -> None:
    loop = Loop(tracker(tmp_path), {"gradient_accumulation_steps": 3}).run()
    loop.finish()
    stream = Stream.of(tmp_path)
    assert list(stream.column("lr")) == [1, 2]
    assert stream.layers(2, "grad_norm") == pytest.approx(by_module(loop.gradients[1]), rel=1e-4)


def test_values_counted_in_epochs_do_not_turn_the_steps_back(tmp_path: Path) -> None:
    loop = Loop(tracker(tmp_path)).run()
    loop.accelerator.log({"eval_loss": 0.5, "learning_rate": 0.1}, step=0)
    loop.finish()
    assert Stream.of(tmp_path).column("val_loss") == {6: 0.5}


def test_the_weights_are_the_same_without_it(tmp_path: Path) -> None:
    bare = Loop(None).run()
    recorded = Loop(tracker(tmp_path)).run()
    recorded.finish()
    assert same(weights(bare.model), weights(recorded.model))


def test_a_second_run_in_the_directory_is_a_new_session(tmp_path: Path) -> None:
    Loop(tracker(tmp_path)).run().finish()
    Loop(tracker(tmp_path, first_step=7), first=7).run().finish()
    stream = Stream.of(tmp_path)
    assert [facts["session"] for facts in stream.only("run")] == [1, 2]
    assert list(stream.column("loss")) == list(range(1, 13))


def test_watching_late_changes_nothing_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    loop = Loop(tracker(tmp_path), watched=False)
    loop.accelerator.log({"loss": 1.0}, step=1)
    loop.tracker.watch(loop.model, loop.optimizer)
    loop.finish()
    assert "watch() changes nothing" in caplog.text
    assert Stream.of(tmp_path).column("loss") == {1: 1.0}
