"""The Hugging Face `Trainer`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from transformers import TrainerCallback

from gradtop.integrations.recording import NAMES, Recording, bare, unharmed


class TransformersCallback(TrainerCallback):  # type: ignore[misc]
    """Records a training of the Hugging Face `Trainer`, by default in its `output_dir`.

    `Trainer(..., callbacks=[TransformersCallback()])`. Every optimizer step is a row with its learning rate, gradient
    norm and wait for data; the loss and evaluation values are those that the Trainer logs, at the steps where it does.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None, **options: Any) -> None:
        """`options` are those of `gradtop.Logger`, and win over what the Trainer's arguments say."""
        self.recording = Recording(directory, options)
        self._normed = False

    @unharmed
    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, optimizer: Any = None, **rest: Any
    ) -> None:
        """Begin a session: a training that is resumed goes on with its steps."""
        self.recording.begin(
            args.output_dir,
            model,
            bare(optimizer),
            scaler=getattr(optimizer, "scaler", None),
            first_step=state.global_step + 1,
            **_facts(args, state),
        )
        self.recording.idle()

    @unharmed
    def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """The batches of an optimizer step are there."""
        self.recording.busy()

    @unharmed
    def on_optimizer_step(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Record the step: the learning rate is still the one that it took."""
        self._normed = self.recording.step(state.global_step + 1)

    @unharmed
    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Logging, evaluation and saving, where they are due, are no wait for data: they end later."""
        self.recording.idle()

    @unharmed
    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, object] | None = None, **rest: Any
    ) -> None:
        """Record what the Trainer logs, but for its summary of a whole training."""
        log, known = self.recording.log, ("learning_rate", "grad_norm" if self._normed else "")
        if log is not None and logs and "train_runtime" not in logs:
            values = {NAMES.get(name, name): value for name, value in logs.items() if name not in known}
            log.metrics(state.global_step, **values)
        self.recording.idle()

    @unharmed
    def on_evaluate(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """What follows is a wait for data again."""
        self.recording.idle()

    @unharmed
    def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Record that a checkpoint was written."""
        if self.recording.log is not None:
            self.recording.log.event("checkpoint", f"checkpoint-{state.global_step}", step=state.global_step)
        self.recording.idle()

    @unharmed
    def on_train_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """End the session."""
        self.recording.close("finished")


def _facts(args: Any, state: Any) -> dict[str, Any]:
    """What the Trainer's arguments say of the training."""
    return {
        "run": args.run_name if args.run_name != args.output_dir else None,
        "total_steps": state.max_steps,
        "warmup_steps": args.get_warmup_steps(state.max_steps),
        "clip_norm": args.max_grad_norm or None,
        "precision": "bf16" if args.bf16 else "fp16" if args.fp16 else None,
        "accumulation": args.gradient_accumulation_steps,
        "batch_size": args.train_batch_size * args.gradient_accumulation_steps * args.world_size,
    }
