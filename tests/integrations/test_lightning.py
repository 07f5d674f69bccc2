"""`LightningCallback` in the real Trainer, on a model of a hundred parameters."""

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from trained import QUIET, Gradients, Stream, by_module, doubled, same, total, weights

pytestmark = [
    *QUIET,
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*smaller than the logging interval.*"),
    pytest.mark.filterwarnings("ignore:.*not resumable.*"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty.*"),
]

CLIP = 0.01


def module(manual: bool = False, fails_at: int | None = None, error: type[BaseException] = ValueError) -> Any:
    from lightning.pytorch import LightningModule

    class Regression(LightningModule):  # type: ignore[misc]
        """Keeps the losses and, before clipping, the gradients."""

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
            self.automatic_optimization = not manual
            self.losses: list[float] = []
            self.gradients: list[Gradients] = []

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            if batch_idx == fails_at:
                raise error("no more")
            loss = self.loss(batch)
            self.losses.append(float(loss.detach()))
            if manual:
                optimizer = self.optimizers()
                optimizer.zero_grad()
                self.manual_backward(loss)
                optimizer.step()
            return loss

        def loss(self, batch: Any) -> Any:
            inputs, targets = batch
            return nn.functional.mse_loss(self.net(inputs), targets)

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.log("val_loss", self.loss(batch))

        def on_before_optimizer_step(self, optimizer: Any) -> None:
            self.gradients.append(doubled(self))

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.Adam(self.parameters(), lr=0.1)
            scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    return Regression()


def loader(count: int = 24) -> Any:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(count, 4, generator=generator)
    return DataLoader(TensorDataset(inputs, inputs.sum(1, keepdim=True)), batch_size=4)


def trainer(output: Path, callbacks: list[Any], **arguments: Any) -> Any:
    from lightning.pytorch import Trainer

    plain = {
        "default_root_dir": output, "max_epochs": 1, "accelerator": "cpu", "logger": False, "callbacks": callbacks,
        "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False,
        "gradient_clip_val": CLIP,
    }  # fmt: skip
    return Trainer(**plain | arguments)


def recorded(output: Path, made: Any, **arguments: Any) -> Stream:
    """Train, with values per layer at every step."""
    from gradtop.integrations import LightningCallback

    trainer(output, [LightningCallback(every=1)], **arguments).fit(made, loader(), loader(8))
    return Stream.of(output)


def test_every_step_is_a_row_with_its_loss_and_its_rate(tmp_path: Path) -> None:
    made = module()
    stream = recorded(tmp_path, made)
    assert stream.column("loss") == dict(enumerate(made.losses, 1))
    assert stream.column("lr") == {step: 0.1 * 0.5 ** (step - 1) for step in range(1, 7)}
    norms = [total(gradients) for gradients in made.gradients]
    assert stream.column("grad_norm") == pytest.approx(dict(enumerate(norms, 1)), rel=1e-5)
    assert all(wait >= 0 for wait in stream.column("data_time_s").values())
    assert (stream.records[-1]["status"], stream.records[-1]["step"]) == ("finished", 6)


def test_norms_per_layer_are_those_before_clipping(tmp_path: Path) -> None:
    made = module()
    stream = recorded(tmp_path, made)
    assert total(made.gradients[2]) > CLIP
    assert stream.layers(3, "grad_norm") == pytest.approx(by_module(made.gradients[2]), rel=1e-4)


def test_the_validation_is_recorded_and_the_check_before_training_is_not(tmp_path: Path) -> None:
    made = module()
    values = recorded(tmp_path, made, max_epochs=2).column("val_loss")
    assert list(values) == [6, 12]
    assert values[12] == pytest.approx(sum(float(made.loss(batch).detach()) for batch in loader(8)) / 2, rel=1e-6)


def test_facts_are_those_of_the_trainer(tmp_path: Path) -> None:
    (facts,) = recorded(tmp_path, module(), max_epochs=2, accumulate_grad_batches=2).only("run")
    stated = {"total_steps": 6, "clip_norm": CLIP, "accumulation": 2, "batch_size": 8, "precision": "fp32"}
    assert facts["train"].items() >= {**stated, "optimizer": "Adam", "lr_max": 0.1}.items()
    assert facts["model"]["params"] == 49


def test_the_loss_of_accumulated_batches_is_their_mean(tmp_path: Path) -> None:
    made = module()
    stream = recorded(tmp_path, made, accumulate_grad_batches=4)
    whole, part = sum(made.losses[:4]) / 4, sum(made.losses[4:]) / 2
    assert stream.column("loss") == pytest.approx({1: whole, 2: part}, rel=1e-6)
    assert stream.layers(2, "grad_norm") == pytest.approx(by_module(made.gradients[1]), rel=1e-4)


def test_manual_optimization(tmp_path: Path) -> None:
    made = module(manual=True)
    stream = recorded(tmp_path, made, gradient_clip_val=None)
    assert stream.column("loss") == dict(enumerate(made.losses, 1))
    assert stream.layers(6, "grad_norm") == pytest.approx(by_module(made.gradients[5]), rel=1e-4)


def test_bf16(tmp_path: Path) -> None:
    made = module()
    stream = recorded(tmp_path, made, precision="bf16-mixed")
    assert stream.only("run")[0]["train"]["precision"] == "bf16"
    assert stream.column("loss") == dict(enumerate(made.losses, 1))
    assert stream.layers(1, "grad_norm") == pytest.approx(by_module(made.gradients[0]), rel=1e-4)


def test_the_weights_are_the_same_without_it(tmp_path: Path) -> None:
    made, bare = module(), module()
    recorded(tmp_path, made, max_epochs=2)
    trainer(tmp_path, [], max_epochs=2).fit(bare, loader(), loader(8))
    assert same(weights(bare), weights(made))


def test_a_resumed_training_is_a_new_session_whose_steps_go_on(tmp_path: Path) -> None:
    from gradtop.integrations import LightningCallback

    first = trainer(tmp_path, [LightningCallback(every=1)])
    first.fit(module(), loader(), loader(8))
    first.save_checkpoint(tmp_path / "first.ckpt")
    assert b"gradtop" not in (tmp_path / "first.ckpt").read_bytes()
    second = trainer(tmp_path, [LightningCallback(every=1)], max_epochs=2)
    second.fit(module(), loader(), loader(8), ckpt_path=tmp_path / "first.ckpt")
    stream = Stream.of(tmp_path)
    assert [facts["session"] for facts in stream.only("run")] == [1, 2]
    assert list(stream.column("loss")) == list(range(1, 13))


@pytest.mark.parametrize(
    ("error", "raised", "status"), [(ValueError, ValueError, "crashed"), (KeyboardInterrupt, SystemExit, "aborted")]
)
def test_a_training_that_breaks_off_says_how(
    tmp_path: Path, error: type[BaseException], raised: type[BaseException], status: str
) -> None:
    with pytest.raises(raised):
        recorded(tmp_path, module(fails_at=2, error=error))
    stream = Stream.of(tmp_path)
    assert (stream.records[-1]["status"], stream.records[-1]["step"]) == (status, 2)
    assert list(stream.column("loss")) == [1, 2]
    assert torch.nn.utils.clip_grad_norm_.__module__ == "torch.nn.utils.clip_grad"


def test_a_copy_has_not_begun(tmp_path: Path) -> None:
    from gradtop.integrations import LightningCallback

    callback = LightningCallback(tmp_path)
    callback.recording.begin(None, None, [])
    for made in (copy.deepcopy(callback), pickle.loads(pickle.dumps(callback))):
        assert made.recording.log is None
        assert made.recording.directory == tmp_path
    callback.recording.close("finished")
