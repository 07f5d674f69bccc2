"""The training's side of `gradtop run`: records a script that knows nothing of it.

`site/sitecustomize.py` loads this in the training's own Python as soon as torch is imported there: so nothing here
needs more than the standard library and that torch. It looks on, and never changes what the training computes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gradtop.attach.recorder import Order, Recorder
from gradtop.attach.seen import Seen
from gradtop.attach.watch import watch


def attach(order: Mapping[str, Any], say: Callable[..., None]) -> None:
    """Hear of every optimizer's steps from now on; the stream begins with the first of them.

    Args:
        order: `directory` of the stream; `every`, `layers` and `activations` as `gradtop.Logger` takes them;
            `behind`, the last step that an earlier command recorded there.
        say: tells the parent facts by name: `stepped`, `own` (the script has a Logger itself), `problem`.
    """
    from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

    seen = Seen()
    recorder = Recorder(
        Order(
            Path(order["directory"]),
            order.get("every"),
            order.get("layers") or "module",
            bool(order.get("activations")),
            order.get("behind") or 0,
        ),
        seen,
        say,
    )
    watch(seen, recorder)
    register_optimizer_step_pre_hook(recorder.before)
    register_optimizer_step_post_hook(recorder.after)
