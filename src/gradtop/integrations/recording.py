"""What the frameworks have in common: a Logger that begins and ends with a training."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import wraps
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar, cast

from gradtop.integrations.clipped import ClippedNorms
from gradtop.logger import Logger
from gradtop.logger.notice import Notices

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

NAMES = {"learning_rate": "lr", "eval_loss": "val_loss", "eval_accuracy": "val_accuracy"}
"""Names of the frameworks' own values, as the stream has them."""

_Hook = TypeVar("_Hook", bound=Callable[..., None])


class Recording:
    """The Logger of the training that is under way; a copy of it, pickled or deep, is one that has not begun."""

    def __init__(self, directory: str | os.PathLike[str] | None, options: dict[str, Any]) -> None:
        """`options` are those of `Logger`; they win over what the framework says."""
        self.directory, self.options = directory, options
        self.log: Logger | None = None
        self.norms = ClippedNorms()
        self.notices = Notices()
        self._idle_since: float | None = None
        self._waited: float | None = None

    def __reduce__(self) -> tuple[type[Recording], tuple[object, ...]]:
        return Recording, (self.directory, self.options)

    def begin(
        self,
        directory: str | os.PathLike[str] | None,
        model: nn.Module | None,
        optimizers: Sequence[Optimizer],
        **facts: Any,
    ) -> None:
        """Begin in `directory` where none was given; a training that is still open never came to its end."""
        self.close("aborted")
        self.log = Logger(self.directory or directory or "gradtop", model, optimizers, **(facts | self.options))
        self.norms.open()

    def close(self, status: str, error: BaseException | None = None) -> None:
        """End with a status, or as an error says; nothing where none has begun."""
        if self.log is None:
            return
        self.norms.close()
        if error is None:
            self.log.close(status)
        else:
            self.log.__exit__(type(error), error, error.__traceback__)
        self.log = None
        self._idle_since = self._waited = None

    def idle(self) -> None:
        """The framework goes on to fetch the next batch."""
        self._idle_since = perf_counter()

    def busy(self) -> None:
        """A batch is there; what it was waited for counts for the next step."""
        if self._idle_since is not None:
            self._waited = (self._waited or 0.0) + perf_counter() - self._idle_since
            self._idle_since = None

    def step(self, step: int, **values: object) -> bool:
        """Record an optimizer step, with the wait for its batches; whether the norm before clipping is known."""
        norm = self.norms.take()
        waited = round(self._waited, 6) if self._waited is not None else None
        self._waited = None
        if self.log is not None:
            self.log.step(step, **{"grad_norm": norm, "data_time_s": waited, **values})
        return norm is not None


def unharmed(hook: _Hook) -> _Hook:
    """A method that a framework calls, of an object with a `recording`: a fault is said once, and goes no further."""

    @wraps(hook)
    def called(self: Any, /, *args: Any, **kwargs: Any) -> None:
        try:
            hook(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 (the training goes on whatever happens here)
            message = f"{hook.__name__} recorded nothing: {type(error).__name__}: {error}"
            self.recording.notices.say(hook.__name__, message)

    return cast(_Hook, called)


def bare(optimizer: object) -> list[Optimizer]:
    """The torch optimizer inside a framework's wrappers, as a list; empty where there is none."""
    from torch.optim import Optimizer

    while (inner := getattr(optimizer, "optimizer", None)) is not None:
        optimizer = inner
    return [optimizer] if isinstance(optimizer, Optimizer) else []
