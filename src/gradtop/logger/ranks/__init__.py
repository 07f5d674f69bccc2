"""Which rank this process is, and sums over all ranks that the training never waits for."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from itertools import count
from threading import Thread
from typing import TYPE_CHECKING, Protocol, cast

from gradtop.logger.notice import Notices

if TYPE_CHECKING:
    from torch import Tensor
    from torch._C._distributed_c10d import AllreduceOptions, Store, Work

BLOCK = 4096
"""Numbers in each message, always: gloo ends a process that receives another length than it expects."""
PATIENCE = 6
"""How many times longer the other ranks wait for rank 0 than it for them: it often has more to do before."""
GRACE_S = 1.0
"""Seconds that sums under way still have to arrive after a rank has left."""
FILES = 4
"""Connections to the other ranks take no more than one in so many of the files that a process may open."""
_MARKS = 2
_CONNECTING = 3
"""How many times longer the ranks have to connect than to ask.

Bounded inside gloo too, which holds the training's own line to the store meanwhile. Before torch 2.8 gloo also waits no
longer than this for sums.
"""
_SUMMING = timedelta(minutes=30)
"""How long gloo waits for sums; long, because a rank may write a checkpoint while the others wait for it."""
_PART = "values per layer are those of rank 0's part of the model"
_FAULTS = (RuntimeError, ValueError, TypeError, AttributeError, ImportError, OSError)
_asked = count()


@dataclass(frozen=True, slots=True)
class Place:
    """Rank `rank`, from 0, of `world` processes."""

    rank: int
    world: int


def place() -> Place:
    """This process's place in the process group, else by `RANK` and `WORLD_SIZE`, else alone."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return Place(distributed.get_rank(), distributed.get_world_size())
    try:
        rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    except (KeyError, ValueError):
        return Place(0, 1)
    return Place(rank, world) if 0 <= rank < world else Place(0, 1)


def agree(fingerprint: str, notices: Notices, timeout_s: float = 10.0) -> Reduction | None:
    """Sums over all ranks if each of them asks with the same `fingerprint`, else None on all of them.

    Rank 0 waits `timeout_s` seconds for the others to ask, and three times as long for them to connect.
    """
    here = place()
    if here.world == 1:
        return None
    try:
        return _agreed(fingerprint, here, notices, timeout_s)
    except _FAULTS as error:
        _tell(notices, here, f"the ranks cannot be connected ({type(error).__name__}: {error}): {_PART}")
        return None


class Group(Protocol):
    """What is used of gloo's process group, which torch's own types leave out."""

    def allreduce(self, tensors: list[Tensor], opts: AllreduceOptions) -> Work:
        """Begin to add up each tensor, in place, over all ranks."""
        ...


class Reduction:
    """Sums of small vectors over all ranks, in a gloo group that the training knows nothing of.

    One vector is under way at a time. A rank that dies, stops or falls out of step ends it for all ranks.
    """

    def __init__(self, group: Group, store: Store, here: Place, notices: Notices) -> None:
        """The group is never taken down: its destructor would wait for the ranks that have not answered."""
        self.alive = True
        """Sums can still be had."""
        self._group, self._store, self._here, self._notices = group, store, here, notices
        self._way: list[tuple[Work, Tensor]] = []
        self._length = self._at = 0
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(group))

    def start(self, vector: Sequence[float], at: int) -> None:
        """Begin to add up `vector` of step `at`; both its length and the step are the same on every rank.

        Nothing happens when this is not `alive`. RuntimeError: the sums before have not been fetched.
        """
        if not self.alive:
            return
        if self._way:
            raise RuntimeError("the sums of the step before have not been fetched")
        self._length, self._at = len(vector), at
        try:
            for index, first in enumerate(range(0, len(vector), BLOCK - _MARKS)):
                self._post(vector[first : first + BLOCK - _MARKS], self._tag(index))
        except RuntimeError:
            self._lose("another rank is gone")

    def ready(self) -> bool:
        """The sums have arrived or are lost; never waits."""
        return not self.alive or all(work.is_completed() for work, _ in self._way)

    def result(self) -> list[float] | None:
        """The sums, once; None before they are `ready` and when they are lost."""
        if not self.alive or not self._way or not self.ready():
            return None
        way, self._way = self._way, []
        try:
            for work, _ in way:
                work.wait()
        except RuntimeError:
            self._lose("another rank is gone")
            return None
        blocks = [block.tolist() for _, block in way]
        if any(not self._alike(block, index) for index, block in enumerate(blocks)):
            self._lose("the ranks have fallen out of step")
            return None
        return [value for block in blocks for value in block[_MARKS:]][: self._length]

    def wait(self, timeout_s: float) -> bool:
        """Wait until `ready`, at most `timeout_s` seconds, then give up for good; whether it is still `alive`."""
        why = f"another rank has not answered for {timeout_s:g} s"
        deadline, pause = time.monotonic() + timeout_s, 0.0005
        while not self.ready():
            if time.monotonic() >= deadline:
                self._lose(why)
            elif self._deserted() and deadline > time.monotonic() + GRACE_S:
                deadline, why = time.monotonic() + GRACE_S, "the logger of another rank has stopped"
            else:
                time.sleep(pause)
                pause = min(pause * 2, 0.1)
        return self.alive

    def leave(self) -> None:
        """Take no further part; ranks that wait for this one learn it."""
        self.alive = False
        try:
            self._store.set("left", str(self._here.rank))
        except RuntimeError:
            return  # the store has gone with the process that kept it: the others see that too

    def _post(self, part: Sequence[float], tag: int) -> None:
        """Send one block off: marks by which ranks that differ are found, the numbers, zeros."""
        import torch
        from torch._C._distributed_c10d import AllreduceOptions

        options = AllreduceOptions()
        options.timeout = _SUMMING
        padding = [0.0] * (BLOCK - _MARKS - len(part))
        block = torch.tensor([tag, tag * tag, *part, *padding], dtype=torch.float64, device="cpu")
        self._way.append((self._group.allreduce([block], options), block))

    def _tag(self, index: int) -> int:
        """The mark of a block of this step; so small that sums of its square are exact in 64 bits."""
        return (self._at * 31 + self._length * 8191 + index) % 65521

    def _alike(self, block: Sequence[float], index: int) -> bool:
        """Every rank sent the same mark: only then are the mean and the mean square those of this rank's."""
        tag, world = self._tag(index), self._here.world
        return block[0] == tag * world and block[1] == tag * tag * world

    def _deserted(self) -> bool:
        """A rank has left, or the store has gone with the process that kept it."""
        try:
            return self._store.check(["left"])
        except RuntimeError:
            return True

    def _lose(self, why: str) -> None:
        self.leave()
        _tell(self._notices, self._here, f"{why}: values per layer end here")


def _agreed(fingerprint: str, here: Place, notices: Notices, timeout_s: float) -> Reduction | None:
    from torch._C._distributed_c10d import PrefixStore
    from torch.distributed.distributed_c10d import _get_default_store

    store = PrefixStore(f"gradtop/{next(_asked)}", _get_default_store())
    if not _unanimous(store, "layers", sha256(fingerprint.encode()).hexdigest(), here, timeout_s):
        _tell(notices, here, f"not every rank has a Logger, with the same layers: {_PART}")
        return None
    group = _connected(store, here, timeout_s * _CONNECTING)
    if not _unanimous(store, "connected", "yes" if group is not None else "no", here, timeout_s) or group is None:
        why = "the ranks cannot reach each other through gloo (GLOO_SOCKET_IFNAME names the interface)"
        _tell(notices, here, f"{why}: {_PART}")
        return None
    return Reduction(group, store, here, notices)


def _unanimous(store: Store, question: str, answer: str, here: Place, timeout_s: float) -> bool:
    """Whether every rank gives the same answer in time; all that ask get the same reply.

    The first verdict stands: of rank 0, which counts the answers, or of a rank that is tired of waiting.
    """
    same, came, verdict = f"{question}/same/{answer}", f"{question}/came", f"{question}/verdict"
    store.add(same, 1)
    store.add(came, 1)
    deadline = time.monotonic() + timeout_s * (1 if here.rank == 0 else PATIENCE)
    pause = 0.002
    while not store.check([verdict]):
        if here.rank == 0 and int(store.get(came)) == here.world:
            store.compare_set(verdict, "", "yes" if int(store.get(same)) == here.world else "no")
        elif time.monotonic() >= deadline:
            store.compare_set(verdict, "", "no")
        else:
            time.sleep(pause)
            pause = min(pause * 2, 0.1)
    return store.get(verdict) == b"yes"


def _connected(store: Store, here: Place, timeout_s: float) -> Group | None:
    """A group of gloo's over all ranks; in a thread of its own, as a name server keeps to no limit."""
    from torch._C._distributed_c10d import ProcessGroupGloo

    if here.world * FILES > _files():
        return None
    made: list[Group] = []

    def connect() -> None:
        try:
            made.append(cast("Group", ProcessGroupGloo(store, here.rank, here.world, timedelta(seconds=timeout_s))))
        except Exception:  # noqa: BLE001 (nothing above it in its thread; no group is the answer)
            return

    _bounded(connect, timeout_s + GRACE_S)
    return made[0] if made else None


def _bounded(work: Callable[[], None], timeout_s: float) -> None:
    """Do something in a daemon thread, and go on without it after `timeout_s` seconds."""
    thread = Thread(target=work, name="gradtop-connect", daemon=True)
    thread.start()
    thread.join(timeout_s)


def _files() -> float:
    """How many files this process may have open."""
    try:
        import resource
    except ImportError:
        return float("inf")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return float("inf") if limit == resource.RLIM_INFINITY else limit


def _tell(notices: Notices, here: Place, why: str) -> None:
    """Say on rank 0, once for all ranks, why there are no sums."""
    if here.rank == 0:
        notices.say("ranks", why)
