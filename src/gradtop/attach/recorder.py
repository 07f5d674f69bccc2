"""Turns the steps of whatever optimizers a script has into the rows of a `Logger`."""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import get_ident
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, Literal

from gradtop.attach.company import Company, Optimizers
from gradtop.attach.model import holding, living, parameters
from gradtop.attach.quiet import quiet
from gradtop.attach.seen import Seen, Values
from gradtop.logger import LIVE, Logger, facts
from gradtop.logger.notice import Notices
from gradtop.logger.pending import kept
from gradtop.logger.rate import rates

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from torch.optim import Optimizer

SESSIONS = 50
"""Trainings in one process, one after the other, that are recorded: a new one costs a search for its model."""


@dataclass(frozen=True, slots=True)
class Order:
    """What `gradtop run` was asked for."""

    directory: Path
    every: int | None
    detail: Literal["module", "parameter", "block"]
    activations: bool
    behind: int = 0
    """The last step that an earlier process recorded there."""


class Recorder:
    """Follows the outermost steps on the thread of the first one; a `Logger` of the script's own ends its work.

    A round, and with it a row, is over when every optimizer that stepped in the last one has stepped, or one is about
    to step again.
    """

    def __init__(self, order: Order, seen: Seen, say: Callable[..., None]) -> None:
        """Nothing is written before the first step."""
        self.steps = 0
        """Outermost optimizer steps so far."""
        self._order, self._seen, self._say = order, seen, say
        self._notices = Notices()
        self._over = False
        self._late = False
        """The session began behind the step of this round, which its Logger has not heard of."""
        self._log: Logger | None = None
        self._model: weakref.ref[Module] | None = None
        self._known = Optimizers()
        """Those that the Logger has."""
        self._company = Company()
        self._sessions = self._number = 0
        self._expected: set[int] = set()
        self._stepped: dict[int, Values] = {}
        self._held: dict[str, object] = {}
        """Learning rates and loss scale of the round that is open, which a schedule and the scaler change after it."""
        self._whole: dict[int, bool] = {}

    def before(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """An optimizer is about to step; torch calls this."""
        if not (quiet() or self._over):
            self.guarded(lambda: self._before(optimizer, _has_closure(args, kwargs)))

    def after(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """An optimizer has stepped; torch calls this."""
        if not (quiet() or self._over):
            self.guarded(lambda: self._after(optimizer))

    def skipped(self, optimizer: Optimizer) -> None:
        """A GradScaler has kept an optimizer from stepping."""
        self._before(optimizer, closure=False)
        if self._follows():
            self._ended(optimizer, skipped=True)

    def stand_down(self) -> None:
        """Record no more: the script does it itself, or begins a training after the other."""
        self._over = True
        self._seen.close()
        self._end()

    def guarded(self, what: Callable[[], None]) -> None:
        """Do `what`; a failure is said once and goes no further."""
        try:
            what()
        except Exception as error:  # noqa: BLE001 (the training goes on whatever happens here)
            if self._notices.say(type(error).__name__, f"a value is lost ({type(error).__name__}: {error})"):
                self._say(problem=f"a value is lost ({type(error).__name__}: {error})")

    def _follows(self) -> bool:
        """This is an outermost step, on the thread that trains."""
        return not self._over and self._seen.listens() and not _nested()

    def _before(self, optimizer: Optimizer, closure: bool) -> None:
        if not self._follows():
            return
        self._seen.entered()
        if len(LIVE) > (self._log is not None):
            self._say(own=True)
            self.stand_down()
            return
        if id(optimizer) in self._stepped:
            self._row(self._held)
        # What a closure clips to is known only when it has run.
        if self._log is not None or not closure:
            self._meet(optimizer, taken=0)

    def _after(self, optimizer: Optimizer) -> None:
        if self._follows():
            self.steps += 1
            self._meet(optimizer, taken=1)
            if not self._over:
                self._ended(optimizer, skipped=False)

    def _ended(self, optimizer: Optimizer, skipped: bool) -> None:
        """The optimizer's part of the round is done."""
        part = self._seen.take(skipped)
        if part.loss is None and not self._stepped and self._number and id(optimizer) not in self._expected:
            # No backward pass since the last row: it steps beside those that made it.
            self._expected.add(id(optimizer))
            return
        self._stepped[id(optimizer)] = part
        if self._expected <= self._stepped.keys():
            self._row({})
        else:
            self._held = rates(self._known.living())
            if (scaler := self._seen.scaler) is not None and scaler.is_enabled():
                self._held["loss_scale"] = kept(scaler._scale)

    def _row(self, held: Mapping[str, object]) -> None:
        """End the round; `held` is what has changed since its last step."""
        assert self._log is not None
        parts = list(self._stepped.values())
        self._expected, self._stepped = set(self._stepped), {}
        losses = [part.loss for part in parts if part.loss is not None]
        waits = [part.wait_s for part in parts if part.wait_s is not None]
        values = {
            "loss": _sum(losses) if losses else None,
            "grad_norm": self._norm(parts),
            "data_time_s": sum(waits) if waits else None,
            "skipped": 1.0 if all(part.skipped for part in parts) else None,
        }
        known = {name: value for name, value in {**held, **values}.items() if value is not None}
        self._number += 1
        if self._late:
            self._late = False
            self._log.metrics(self._number, **known)
        else:
            self._log.step(self._number, **known)

    def _norm(self, parts: list[Values]) -> Tensor | None:
        """The norm before clipping, where what was clipped is all that the optimizers train."""
        norms = [norm for part in parts for norm in part.norms]
        clipped = sum(part.clipped for part in parts)
        if norms and clipped not in self._whole:
            groups = facts.groups(self._known.living())
            trained = [parameter for group in groups for parameter in group["params"] if parameter.requires_grad]
            self._whole[clipped] = clipped >= len(trained)
        if not norms or not self._whole[clipped]:
            return None
        return norms[0] if len(norms) == 1 else _sum([norm * norm for norm in norms]).sqrt()

    def _meet(self, optimizer: Optimizer, taken: int) -> None:
        """Record this optimizer too: beside the others, or in a new session where it takes their place.

        Of its own count of steps the newest `taken` belong to this round.
        """
        if optimizer in self._known:
            return
        new, known = parameters(optimizer), self._known.living()
        shared = [other for other in known if parameters(other) & new]
        belongs = optimizer in self._company.members or (not shared and bool(self._held_by_model() & new))
        if self._log is not None and belongs:
            self._log.add_optimizer(optimizer)
        else:
            self._begin(optimizer, shared or known, self._number if shared else self._done(optimizer, taken), taken)
        self._known.add([optimizer])
        self._whole.clear()

    def _done(self, optimizer: Optimizer, taken: int) -> int:
        """Steps before this round: SGD does not count them, and where it is resumed it goes on behind what is there."""
        counted = facts.steps_done([optimizer])
        if not counted and self._seen.resumed and not self._sessions:
            return self._order.behind
        return counted - taken

    def _held_by_model(self) -> set[int]:
        """Identities of the parameters of the session's model; of the Logger's optimizers where it has none."""
        model = self._model() if self._model is not None else None
        if model is not None:
            return {id(parameter) for parameter in model.parameters()}
        return {identity for optimizer in self._known.living() for identity in parameters(optimizer)}

    def _begin(self, optimizer: Optimizer, over: list[Optimizer], number: int, taken: int) -> None:
        """Begin a session behind step `number`, with the model that holds what those who belong to it train.

        It ends the work of those that are `over`; its Logger begins `taken` steps later.
        """
        if not self._sessions:
            os.register_at_fork(after_in_child=self._forked)
            atexit.register(self._finish)
            self._say(stepped=True)
        self._end()
        if self._sessions >= SESSIONS:
            self.stand_down()
            return
        self._over = True  # until it has worked: a search that fails is not tried again at every step
        roots, living_optimizers = living()
        self._company.begin(optimizer, over, living_optimizers)
        wanted = {identity for one in self._company.members.living() for identity in parameters(one)}
        model = holding(roots, wanted)
        self._seen.thread = get_ident()
        self._sessions += 1
        self._number = max(0, number)
        self._late = taken > 0
        self._known, self._stepped = Optimizers(), {}
        self._expected = self._company.expected(optimizer)
        self._model = weakref.ref(model) if model is not None else None
        order = self._order
        self._log = Logger(
            order.directory,
            model,
            optimizer,
            clip_norm=self._seen.clip_norm,
            scaler=self._seen.scaler,
            first_step=self._number + 1 + taken,
            every=order.every,
            detail=order.detail,
            activations=order.activations,
        )
        silent = [one for one in self._company.members.living() if one is not optimizer]
        self._log.read_later(parameter for group in facts.groups(silent) for parameter in group["params"])
        self._over = False

    def _end(self) -> None:
        """Close the session, and the round that is open."""
        if self._log is None:
            return
        if self._stepped:
            self._row(self._held)
        self._log.close()
        self._log, self._model = None, None

    def _forked(self) -> None:
        """A process that the training forked is none, whatever it steps."""
        self._over, self._log = True, None
        self._seen.close()

    def _finish(self) -> None:
        """The interpreter ends; the Logger closes itself after this."""
        if self._log is not None and self._stepped:
            self.guarded(lambda: self._row(self._held))


def _has_closure(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """A step's arguments, the optimizer first, hold a function that runs the model again."""
    return kwargs.get("closure", args[1] if len(args) > 1 else None) is not None


def _nested() -> bool:
    """An optimizer's step is running inside another one's: sharded and sharpness-aware ones wrap their like.

    The stack is asked, for a step that raised never says that it is over.
    """
    code, depth = _step_code(), 0
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        depth += frame.f_code is code
        frame = frame.f_back
    return depth > 1


@cache
def _step_code() -> CodeType | None:
    """The code that torch puts around every optimizer's step; None where this torch has it elsewhere."""
    from torch.optim import Optimizer

    constants = Optimizer.profile_hook_step.__code__.co_consts
    return next((code for code in constants if isinstance(code, CodeType) and code.co_name == "wrapper"), None)


def _sum(values: Sequence[Tensor]) -> Tensor:
    """The sum of scalars, on the first one's device."""
    total = values[0]
    for value in values[1:]:
        total = total + value.to(total.device)
    return total
