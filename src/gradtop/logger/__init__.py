"""`Logger`: what a training loop says of itself, as the stream `gradtop/1`.

It lives in the training process: it never raises into the loop, never waits for a disk, a device or another rank, and
keeps to a small part of the training time. Nothing here needs more than the standard library and the torch of the
training.
"""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf
from pathlib import Path
from threading import RLock
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from gradtop.logger.notice import Notices
from gradtop.logger.session import CLOSE_S, Options, Session
from gradtop.logger.writer import close_all

if TYPE_CHECKING:
    from types import TracebackType

    from torch import Tensor, nn
    from torch.optim import Optimizer

_T = TypeVar("_T")


class Logger:
    """Writes the stream of one training to `<directory>/metrics.jsonl`.

    ```python
    log = gradtop.Logger("logs/run1", model, optimizer, warmup_steps=4000, total_steps=20000, clip_norm=1.0)
    ...
    loss.backward(); norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0); optimizer.step()
    log.step(loss=loss, grad_norm=norm)
    ```
    No method raises, waits for the device on an ordinary step, or touches a file in the calling thread; what goes wrong
    is said once through `logging`. On several ranks make one on each: rank 0 writes, the others help with sums.

    A directory is one run: making a second Logger for it in the same process ends the one that has recorded there, as
    running a notebook's cell again does. A Logger that nothing refers to any more is closed.
    """

    _session: Session | None = None

    def __init__(
        self,
        directory: str | os.PathLike[str],
        model: nn.Module | None = None,
        optimizer: Optimizer | Sequence[Optimizer] | None = None,
        *,
        run: str | None = None,
        total_steps: int | None = None,
        warmup_steps: int | None = None,
        lr_max: float | None = None,
        clip_norm: float | None = None,
        precision: str | None = None,
        accumulation: int | None = None,
        batch_size: int | None = None,
        scaler: Any = None,
        first_step: int | None = None,
        every: int | None = None,
        budget: float = 0.01,
        detail: Literal["module", "parameter", "block"] = "module",
        activations: bool = False,
        every_rank: bool = False,
    ) -> None:
        """Facts that are given go into the stream; the others are read from the model and the optimizer.

        Args:
            directory: made where it is missing; a stream that is there is gone on with, as a new session.
            model: for values per layer.
            optimizer: one or several; their learning rates are read at every step, and their hooks say when gradients
                are ready, so that it does not matter where `zero_grad` stands.
            run: what to call it; where nothing is given readers take the name of the directory.
            total_steps: planned optimizer steps.
            warmup_steps: steps until the peak of the learning rate.
            lr_max: the peak of the learning rate; by default `initial_lr` of the optimizer.
            clip_norm: the largest global gradient norm that the loop lets pass; 0 and infinity are no clipping.
            precision: `fp32`, `bf16`, `fp16`, ...; by default what parameters and scaler say.
            accumulation: micro-batches of one optimizer step.
            batch_size: samples of one optimizer step, over all devices.
            scaler: the `GradScaler`: its scale is recorded, and a step that it skips is told as skipped.
            first_step: number of the first step; by default one more than the optimizer's state has taken.
            every: values per layer at every so many steps, instead of by `budget`.
            budget: the part of the training time that values per layer may cost.
            detail: a layer is a module, a single parameter, or the sublayer of a block (`layers.0.attn`).
            activations: record the size of activations, dead units and attention logits too.
            every_rank: other ranks write `metrics.rank<N>.jsonl`.
        """
        self._notices = Notices()
        self._pid = os.getpid()
        self._raised = _last_raised()
        self._lock = RLock()
        self._folder = ""
        self._used = self._replaced = False
        self._waits = 0.0
        self._waited = False
        stated = {
            "total_steps": total_steps, "warmup_steps": warmup_steps, "lr_max": lr_max,
            "clip_norm": None if clip_norm in (0, inf) else clip_norm,
            "precision": precision, "accumulation": accumulation, "batch_size": batch_size,
        }  # fmt: skip
        options = Options(run, stated, scaler, first_step, every, budget, detail, activations, every_rank)
        self._optimizers = _listed(optimizer)
        self._model = model
        self._session = self._guarded(lambda: self._begun(directory, options), "nothing is recorded")
        LIVE.add(self)
        _close_with_worker()

    def step(
        self, step: int | None = None, /, *, loss: object = None, grad_norm: object = None, **metrics: object
    ) -> None:
        """Record one optimizer step; call it after `optimizer.step()`.

        Args:
            step: its number, also by keyword; where it is left out the optimizer's steps are counted on.
            loss: a number, or a scalar tensor on any device; it is not read from the device here.
            grad_norm: the global norm before clipping, as `clip_grad_norm_` returns it. Where it is left out the norm
                is read at sampled steps.
            metrics: further values of the step by name, units in names (`tokens_per_s`); `lr` goes before the
                optimizer's, `loss_scale` and `skipped` before the scaler's.

        Calls between two steps of the optimizer are micro-batches: their mean loss is the loss of the step.
        """
        session = self._session
        if session is None or os.getpid() != self._pid:
            self._miss()
            return
        try:
            with self._lock:
                self._used = True
                number = metrics.pop("step", None) if step is None and "step" in metrics else step
                waited = self._waits if self._waited else None
                if session.step(number, loss, grad_norm, metrics, waited):
                    self._waits = 0.0
        except Exception as error:  # noqa: BLE001 (the training goes on whatever happens here)
            self._say(error)

    def metrics(self, step: int | None = None, /, **values: object) -> None:
        """Record values beside those of the steps, such as `val_loss`; at the newest step where none is given."""
        session = self._here()
        if session is not None:
            number = values.pop("step", None) if step is None else step
            self._guarded(lambda: session.metrics(number, values))

    def event(
        self, word: str, message: str = "", *, level: str = "info", step: int | None = None, **data: object
    ) -> None:
        """Record something that happened and is not a number: `checkpoint`, `validation`, or a word of your own."""
        session = self._here()
        if session is not None:
            self._guarded(lambda: session.event(word, message, level, step, data))

    def batches(self, loader: Iterable[_T]) -> Iterator[_T]:
        """Iterate `loader`, and record the seconds that each step waits for it (`data_time_s`)."""
        self._waited = True
        iterator = iter(loader)
        while True:
            began = perf_counter()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            self._waits += perf_counter() - began
            yield batch

    def clip_grad_norm_(self, max_norm: float) -> Tensor:
        """Clip like `torch.nn.utils.clip_grad_norm_` (2-norm, all parameters), and keep the norms that it reads.

        The returned norm, before clipping, is recorded as `grad_norm` of the step. On a sampled step the norms per
        layer come with it, and cost no second pass over the gradients. A loss scale has to be taken out before.
        """
        import torch

        parameters = self._parameters()
        session = self._here()
        norm = self._guarded(lambda: session.clip(parameters, max_norm)) if session is not None else None
        if norm is None:
            norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
            if session is not None:
                session.normed(norm)
        return norm

    def add_optimizer(self, optimizer: Optimizer) -> None:
        """Hear of the steps of one more optimizer, and record its learning rates."""
        self._optimizers.append(optimizer)
        session = self._here()
        if session is not None:
            self._guarded(lambda: session.add(optimizer))

    def read_later(self, parameters: Iterable[nn.Parameter]) -> None:
        """Parameters of the model whose gradients do not count before `add_optimizer` is given their optimizer.

        Else what no optimizer has is read along with the first one's: of a model in pieces, gradients that nobody uses.
        """
        session, later = self._here(), list(parameters)
        if session is not None:
            self._guarded(lambda: session.read_later(later))

    def close(self, status: str = "finished", message: str = "") -> None:
        """Write what is left and the end record (`finished`, `crashed` or `aborted`); waits at most two seconds."""
        self._end(status, message, wait=True)

    def _end(self, status: str, message: str, *, wait: bool) -> None:
        session, self._session = self._here(), None
        LIVE.discard(self)
        if session is not None:
            self._guarded(lambda: session.close(status, message, wait))

    def __del__(self) -> None:
        """Nothing can be recorded any more; whichever thread notices does not wait for the disk."""
        if self._session is not None:
            self._end(*self._outcome(), wait=False)

    def __deepcopy__(self, memo: object) -> Logger:
        """A copy of a model that holds its Logger shares it."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """A saved model that held its Logger has None in its place, and loads where gradtop is not installed."""
        return type(None), ()

    def __enter__(self) -> Logger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(*_status(error))

    @property
    def path(self) -> Path | None:
        """The file that is written; None until it is open, and on ranks that write none."""
        return self._session.path if self._session is not None else None

    def _here(self) -> Session | None:
        """The session, unless this is a process that was forked off the training."""
        return self._session if self._session is not None and os.getpid() == self._pid else None

    def _begun(self, directory: str | os.PathLike[str], options: Options) -> Session:
        """A session, after the end of those that this process has recorded in the directory."""
        self._folder = os.path.abspath(os.fspath(directory))
        for other in list(LIVE):
            if other._folder == self._folder and other._used:
                other._at_exit(wait=True)
                other._replaced = True
        return Session(Path(directory), self._model, self._optimizers, options, self._notices)

    def _miss(self) -> None:
        """A step cannot be recorded; say why where it is not plain."""
        if self._replaced:
            message = f"a newer Logger records in {self._folder}, and this one no more: give it a directory of its own"
            self._notices.say("replaced", message)

    def _guarded(self, what: Callable[[], _T], lost: str = "a record is lost") -> _T | None:
        try:
            with self._lock:
                return what()
        except Exception as error:  # noqa: BLE001 (the training goes on whatever happens here)
            self._say(error, lost)
            return None

    def _say(self, error: Exception, lost: str = "a record is lost") -> None:
        try:
            why = f"{type(error).__name__}: {error}"
        except Exception:  # noqa: BLE001 (the text of an error is foreign code as well)
            why = type(error).__name__
        self._notices.say(f"fault {type(error).__name__}", f"{lost} ({why})")

    def _parameters(self) -> list[nn.Parameter]:
        """What clipping is over: the parameters of the optimizers, else those of the model."""
        if not self._optimizers:
            return list(self._model.parameters()) if self._model is not None else []
        groups = [group for optimizer in self._optimizers for group in optimizer.param_groups]
        return [parameter for group in groups for parameter in group["params"]]

    def _at_exit(self, *, wait: bool, error: BaseException | None = None) -> None:
        """The run ends here: by `error`, by an exception that nothing caught, or in peace."""
        self._end(*(_status(error) if error is not None else self._outcome()), wait=wait)

    def _outcome(self) -> tuple[str, str]:
        raised = _last_raised()
        return _status(raised if raised is not self._raised else None)


LIVE: weakref.WeakSet[Logger] = weakref.WeakSet()
"""Loggers of this process that are not closed."""


_workers: set[int] = set()
"""This process, where it is one of `multiprocessing` that closes its Loggers."""


@atexit.register
def _close_all(error: BaseException | None = None) -> None:
    for logger in list(LIVE):
        logger._at_exit(wait=False, error=error)
    close_all(CLOSE_S)


def _close_with_worker() -> None:
    """A process that `multiprocessing` has forked ends without the interpreter's own farewell."""
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is None or multiprocessing.parent_process() is None or os.getpid() in _workers:
        return
    from multiprocessing.util import Finalize

    _workers.clear()
    _workers.add(os.getpid())
    Finalize(None, lambda: _close_all(sys.exc_info()[1]), exitpriority=0)


def _last_raised() -> BaseException | None:
    """The exception that ended the program, or the last one of an interactive session."""
    raised = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    return raised if isinstance(raised, BaseException) else None


def _status(error: BaseException | None) -> tuple[str, str]:
    """How an exception ends a run, and what to say of it."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "finished", ""
    if isinstance(error, KeyboardInterrupt):
        return "aborted", ""
    return "crashed", f"{type(error).__name__}: {error}"[:2000]


def _listed(optimizer: Optimizer | Sequence[Optimizer] | None) -> list[Optimizer]:
    if optimizer is None:
        return []
    if isinstance(optimizer, Sequence):
        return list(optimizer)
    return [optimizer]
