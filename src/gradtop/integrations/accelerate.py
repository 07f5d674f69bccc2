"""Accelerate's `Accelerator`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from accelerate.tracking import GeneralTracker

from gradtop.integrations.recording import NAMES, Recording, bare, unharmed
from gradtop.logger.rate import rates

_FACTS = {
    "total_steps": ("max_train_steps", "max_steps", "total_steps", "num_training_steps"),
    "warmup_steps": ("lr_warmup_steps", "num_warmup_steps", "warmup_steps"),
    "clip_norm": ("max_grad_norm", "clip_norm"),
}
"""Facts of a run, by the names that training scripts give their settings."""


class AccelerateTracker(GeneralTracker):  # type: ignore[misc]
    """Records a training that uses Accelerate, in `directory`.

    ```python
    tracker = AccelerateTracker("logs/run1")
    accelerator = Accelerator(log_with=tracker)
    ...
    accelerator.init_trackers("run1", config=settings)
    tracker.watch(model, optimizer)
    ```
    What `accelerator.log` is given is recorded. `watch` adds a row for every optimizer step, with its learning rate
    and gradient norm, and values per layer; it comes after `accelerator.prepare` and before the first
    `accelerator.log`, on every rank.
    """

    name = "gradtop"
    requires_logging_directory = False
    main_process_only = False

    def __init__(self, directory: str | os.PathLike[str], **options: Any) -> None:
        """`options` are those of `gradtop.Logger`, and win over what settings say."""
        super().__init__()
        self.recording = Recording(directory, options)
        self._number = int(options.get("first_step") or 1) - 1
        self._held: dict[str, object] | None = None
        self._optimizer: Any = None
        self._inner: list[Any] = []
        self._hooks: list[Any] = []
        self._settings: dict[str, Any] = {}

    @property
    def tracker(self) -> Any:
        """The `gradtop.Logger`; None before the first value."""
        return self.recording.log

    @unharmed
    def store_init_configuration(self, values: dict[str, Any]) -> None:
        """Take facts of the run (steps, warm-up, clipping) from the settings that `init_trackers` is given."""
        for fact, names in _FACTS.items():
            stated = (values[name] for name in names if isinstance(values.get(name), int | float))
            self._settings[fact] = next(stated, None)

    @unharmed
    def watch(self, model: Any, optimizer: Any) -> None:
        """Record values per layer of a model, and every step of its optimizer (or of several)."""
        if self.recording.log is not None:
            self.recording.notices.say("late", "watch() changes nothing after the first accelerator.log()")
            return
        given = list(optimizer) if isinstance(optimizer, Sequence) else [optimizer]
        inner = self._inner = [found for one in given for found in bare(one)]
        self._optimizer = given[0]
        # Before the hooks of the Logger: a step that was not logged is closed before the next one is read.
        self._hooks = [inner[0].register_step_pre_hook(self._next), inner[0].register_step_post_hook(self._hold)]
        self.recording.begin(None, model, inner, **self._settings | _facts(given[0]))

    @unharmed
    def log(self, values: Mapping[str, object], step: int | None = None, **rest: Any) -> None:
        """Record values: in the row of the optimizer step that was just taken, or else in a row of their own.

        Steps that fall behind those of the optimizer count something else, such as epochs: their values go to the
        newest step.
        """
        if self.recording.log is None:
            self.recording.begin(None, None, [], **self._settings)
        named = {NAMES.get(name, name): value for name, value in values.items()}
        at = step if step is not None and step >= self._number else None
        skipped = at is not None and at > self._number and getattr(self._optimizer, "step_was_skipped", False)
        if self._held is not None or skipped:
            self._release(at, named)
        elif self.recording.log is not None:
            self._number = at if at is not None else self._number
            self.recording.log.metrics(self._number, **named)

    @unharmed
    def finish(self) -> None:
        """End the session."""
        self._release_held()
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        self.recording.close("finished")

    @unharmed
    def _next(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._release_held()

    @unharmed
    def _hold(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        """Keep the learning rates of the step: the scheduler may go on before the step is recorded."""
        self._held = rates(self._inner)

    def _release_held(self) -> None:
        if self._held is not None:
            self._release(None, {})

    def _release(self, step: int | None, values: Mapping[str, object]) -> None:
        held, self._held = self._held or {}, None
        self._number = step if step is not None else self._number + 1
        self.recording.step(self._number, **{**held, **values})


def _facts(optimizer: Any) -> dict[str, Any]:
    """What a prepared optimizer says of the training."""
    precision = getattr(getattr(optimizer, "accelerator_state", None), "mixed_precision", None)
    return {
        "scaler": getattr(optimizer, "scaler", None),
        "accumulation": getattr(getattr(optimizer, "gradient_state", None), "num_steps", None),
        "precision": precision if precision in ("bf16", "fp16", "fp8") else None,
    }
