"""Lightning's `Trainer`, under either name of the package."""

from __future__ import annotations

import os
from math import isfinite
from typing import Any

from gradtop.integrations.recording import Recording, unharmed
from gradtop.logger.rate import rates

try:
    from lightning.pytorch import Callback
except ImportError:
    from pytorch_lightning import Callback

_PRECISION = {"16": "fp16", "bf16": "bf16", "32": "fp32", "64": "fp64"}
"""Kinds of Lightning's `precision` (`16-mixed`, `bf16-true`, ...), as facts have them."""


class LightningCallback(Callback):  # type: ignore[misc]
    """Records a training of Lightning's `Trainer`, by default in its `log_dir`.

    `Trainer(callbacks=[LightningCallback()])`. Every optimizer step is a row with the mean loss of its batches,
    learning rate, gradient norm and wait for data; validation values are those of `self.log` in the validation.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None, **options: Any) -> None:
        """`options` are those of `gradtop.Logger`, and win over what the Trainer says."""
        self.recording = Recording(directory, options)
        self._steps = 0
        self._losses: list[Any] = []
        self._rates: dict[str, object] = {}
        self._before: dict[str, Any] = {}

    @unharmed
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin a session: a training that is resumed goes on with its steps."""
        directory = self.recording.directory or trainer.log_dir
        self._steps, self._losses = trainer.global_step, []
        self.recording.begin(
            directory,
            pl_module,
            trainer.optimizers,
            scaler=getattr(trainer.precision_plugin, "scaler", None),
            first_step=trainer.global_step + 1,
            **_facts(trainer, pl_module),
        )
        self.recording.idle()

    @unharmed
    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """A batch is there."""
        self.recording.busy()

    @unharmed
    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """Keep the learning rates of the step: schedulers go on before the batch is over."""
        self._rates = rates(trainer.optimizers)

    @unharmed
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Record a step where the optimizer has taken one; losses of the batches before it are its own."""
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is not None:
            self._losses.append(loss)
        if trainer.global_step > self._steps:
            self._steps = trainer.global_step
            self.recording.step(self._steps, loss=self._mean(trainer, pl_module), **self._rates)
        self.recording.idle()

    @unharmed
    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Keep the values that are not of this validation."""
        self._before = dict(trainer.callback_metrics)

    @unharmed
    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Record the values of a validation; the check before training is none."""
        if self.recording.log is not None and not trainer.sanity_checking:
            found = trainer.callback_metrics.items()
            new = {name: value for name, value in found if value is not self._before.get(name)}
            self.recording.log.metrics(trainer.global_step, **new)
        self._before = {}
        self.recording.idle()

    @unharmed
    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """End the session."""
        self.recording.close("finished")

    @unharmed
    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """End the session as the exception says."""
        self.recording.close("crashed", exception)

    def _mean(self, trainer: Any, pl_module: Any) -> Any:
        """The mean loss of the batches of a step; Lightning has divided each by how many there are to be."""
        losses, self._losses = self._losses, []
        if not losses:
            return None
        parts = trainer.accumulate_grad_batches if pl_module.automatic_optimization else 1
        return sum(losses) * (parts / len(losses))


def _facts(trainer: Any, pl_module: Any) -> dict[str, Any]:
    """What the Trainer says of the training."""
    automatic = pl_module.automatic_optimization
    steps = trainer.estimated_stepping_batches if automatic else trainer.max_steps
    micro = getattr(trainer.train_dataloader, "batch_size", None)
    parts = trainer.accumulate_grad_batches
    by_norm = getattr(trainer.gradient_clip_algorithm, "value", None) != "value"
    return {
        "total_steps": int(steps) if isfinite(steps) and steps > 0 else None,
        "clip_norm": trainer.gradient_clip_val if by_norm else None,
        "precision": _PRECISION.get(str(trainer.precision).partition("-")[0]),
        "accumulation": parts if automatic else None,
        "batch_size": micro * parts * trainer.world_size if isinstance(micro, int) else None,
    }
