"""Numbers that are still on their way from the device, so that the training never waits for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Readback:
    """Copies of some flat tensors on their way to the host.

    On CUDA the copies are queued behind the work that makes the values, into pinned memory, with an event that is
    asked and never waited for: the training thread is not synchronised. On the CPU they are there at once. Devices of
    other kinds are copied at once, which waits for the device.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        """Start to copy `tensors`: one-dimensional, real, each on its own device, none of them changed later on."""
        self._events: list[torch.cuda.Event] = []
        self._host: list[Tensor] = []
        for tensor in tensors:
            queued = tensor.device.type == "cuda"
            self._host.append(tensor.detach().to("cpu", non_blocking=queued))
            if queued:
                self._events.append(_recorded(tensor))

    def ready(self) -> bool:
        """All values have arrived; never waits."""
        return all(event.query() for event in self._events)  # type: ignore[no-untyped-call]

    def arrived(self) -> list[Tensor]:
        """Each tensor on the host; waits where they are not ready."""
        for event in self._events:
            event.synchronize()
        return self._host

    def values(self) -> list[list[float]]:
        """The values of each tensor as Python numbers; waits where they are not ready."""
        return [tensor.tolist() for tensor in self.arrived()]


def _recorded(tensor: Tensor) -> torch.cuda.Event:
    """An event behind the copy of a tensor, on the stream that it is queued on."""
    import torch

    event = torch.cuda.Event()  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(tensor.device))
    return event
