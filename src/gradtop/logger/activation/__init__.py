"""What the forward passes of one step tell per layer: size of activations, dead units, largest attention logit.

Nothing is put into the user's modules: hooks that PyTorch calls for every module are there for the sampled step, and
during a forward pass of the model a function mode sees the calls that are not modules. What is computed stays on
the device, apart from the graph, and from whatever else watches the operations.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

from gradtop.logger.activation.forward import Arguments, Forward, Frame, Keywords, first
from gradtop.logger.activation.outline import Node, compilations, compiled, outline
from gradtop.logger.activation.reading import Readings
from gradtop.logger.notice import Notices

if TYPE_CHECKING:
    from torch import nn
    from torch.overrides import TorchFunctionMode
    from torch.utils.hooks import RemovableHandle

__all__ = ["Activations", "Readings"]


class Activations:
    """Watches the training forwards of a model between `open` and `close`; forwards without gradients do not count.

    Models of which torch.compile has a part are left alone, as hooks and modes would make it compile again.
    """

    def __init__(self, model: nn.Module, notices: Notices) -> None:
        """Nothing is watched yet."""
        self._model, self._notices = model, notices
        self._nodes: dict[int, Node] = {}
        self._forward: Forward | None = None
        self._handles: list[RemovableHandle] = []
        self._mode: TorchFunctionMode | None = None
        self._entered = False
        self._thread = 0
        self._compilations = compilations()
        self._asked = self._off = False

    def open(self) -> None:
        """Watch the forwards of this thread; the first call does nothing, since only a step shows what is compiled."""
        self.close()
        if not self._asked or self._off:
            self._asked = True
            return
        if compilations() > self._compilations or compiled(self._model):
            self._give_up("torch.compile is in use, and would compile again to be watched")
            return
        from torch.nn.modules import module

        self._nodes, self._thread = outline(self._model), threading.get_ident()
        self._forward = Forward()
        self._mode = self._mode or _mode(self._see)
        self._handles = [
            module.register_module_forward_pre_hook(self._before),
            module.register_module_forward_hook(self._after, always_call=True),
        ]

    def close(self) -> Readings | None:
        """Watch no longer; what was seen since `open`, None if that is nothing."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._leave()
        forward, self._forward = self._forward, None
        if forward is None:
            return None
        with _aside():
            return forward.tally.readings()

    def _give_up(self, why: str) -> None:
        self._off = True
        self._notices.say("activations", f"activations are not recorded: {why}")

    def _running(self) -> Forward | None:
        """The forward pass that this thread is in; None in a compiler's, a backward pass and other threads."""
        import torch

        # The graph task is asked because a backward pass computes checkpointed forwards once more.
        if torch.compiler.is_compiling() or torch._C._current_graph_task_id() != -1:
            return None
        return self._forward if threading.get_ident() == self._thread else None

    def _before(self, module: nn.Module, args: object) -> None:
        """A module begins."""
        node, forward = self._nodes.get(id(module)), self._running()
        if node is None or forward is None:
            return
        if not forward.frames:
            if not (module.training and _plain_gradients()):
                return
            self._enter()
        forward.frames.append(Frame(module, node))

    def _after(self, module: nn.Module, args: object, result: object) -> None:
        """A module ends, with None if it raised."""
        forward = self._running()
        if forward is None or not forward.frames or forward.frames[-1].module is not module:
            return
        node = forward.frames[-1].node
        if node.sized and result is not None:
            self._guarded(_see_output, forward, node, result)
        forward.end()
        if not forward.frames:
            self._leave()

    def _see(self, call: Callable[..., Any], args: Arguments, kwargs: Keywords, result: Any) -> None:
        """A function was called in a forward."""
        forward = self._running()
        if forward is not None and forward.frames and (seer := forward.seers.get(call)) is not None:
            self._guarded(seer, args, kwargs, result)

    def _guarded(self, see: Callable[..., None], *args: Any) -> None:
        """Look at something; what fails is said once and never reaches the training."""
        if self._off or self._forward is None:
            return
        began = perf_counter()
        try:
            with _aside():
                see(*args)
        except Exception as error:  # noqa: BLE001 (the training goes on whatever happens here)
            self._give_up(f"{type(error).__name__}: {error}")
        self._forward.tally.cost_s += perf_counter() - began

    def _enter(self) -> None:
        from torch.overrides import _push_mode

        self._leave()
        _push_mode(self._mode)  # type: ignore[no-untyped-call]
        self._entered = True

    def _leave(self) -> None:
        """Take the mode away, from under others too: an interrupt may have left it behind."""
        if not self._entered:
            return
        from torch._C import _len_torch_function_stack
        from torch.overrides import _pop_mode, _push_mode

        above = []
        while _len_torch_function_stack() and (top := _pop_mode()) is not self._mode:  # type: ignore[no-untyped-call]
            above.append(top)
        for mode in reversed(above):
            _push_mode(mode)  # type: ignore[no-untyped-call]
        self._entered = False


def _see_output(forward: Forward, node: Node, result: object) -> None:
    if (output := first(result)) is not None:
        forward.see_output(node, output)


def _mode(see: Callable[[Callable[..., Any], Arguments, Keywords, Any], None]) -> TorchFunctionMode:
    """A mode that shows `see` each call with its result and changes nothing."""
    from torch.overrides import TorchFunctionMode

    class Watch(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            result = func(*args, **kwargs)
            see(func, args, kwargs, result)
            return result

    return Watch()


@contextmanager
def _aside() -> Iterator[None]:
    """Without gradients, autocast and modes: what recomputes by replaying operations must not see these."""
    import torch

    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch._C._DisableTorchDispatch())
        stack.enter_context(torch._C.DisableTorchFunction())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def _plain_gradients() -> bool:
    """Gradients are recorded, and nothing transforms, traces or captures the operations."""
    import torch

    if not torch.is_grad_enabled() or torch._C._get_tracing_state() is not None:
        return False
    if torch._C._functorch.maybe_current_level() is not None:
        return False
    return not (torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing())  # type: ignore[no-untyped-call]
