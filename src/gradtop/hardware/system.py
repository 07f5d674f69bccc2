"""What the system tells: the host, the processes of the runs, who else is on the GPUs. It may hang, as `/proc` can."""

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gradtop.hardware.answer import OfRun, Told, Wanted
from gradtop.hardware.host import HostReader
from gradtop.hardware.owner import Owner, Search
from gradtop.hardware.process import ProcessReader, psutil_quiet, short

SEARCH_S, LATER_S = 5.0, 30.0
"""Seconds between two searches for the process of a run, in the beginning and after a while."""
MOST_NAMES = 512


class _Sought:
    """A run, and what is known of its process."""

    def __init__(self) -> None:
        self.process: ProcessReader | None = None
        self.owner = Owner(problem="its process is being looked for")
        self.ranks: tuple[int, ...] = ()
        self.visible: str | None = None
        self._known_by = Owner()
        self._told: int | None = None
        """The pid in the log when it was looked for last."""
        self._due_at, self._pause_s = -math.inf, SEARCH_S

    def _has(self, owner: Owner) -> bool:
        """It is the one that is known already, and known as well."""
        return self.process is not None and not self.process.gone and owner == self._known_by

    def due(self, at: float, wanted: Wanted) -> bool:
        """It is time to look for it, or to look whether there is another, or a better one, by now."""
        if wanted.pid != self._told:
            return True
        return (self.process is None or not self.owner.sure or self.process.gone) and at >= self._due_at

    def find(self, search: Search, wanted: Wanted, at: float) -> None:
        """Look for it; who was found before and is gone stays, until there is another."""
        self._told = wanted.pid
        self._due_at, self._pause_s = at + self._pause_s, min(LATER_S, 1.5 * self._pause_s)
        owner = search.owner(wanted)
        if self.process is not None and self.owner.sure and not owner.sure and owner.pid != wanted.pid:
            # Who is near the log when its process is gone is not its process.
            return
        if self.process is None or owner.pid is not None:
            self.owner = owner
        if owner.pid is None or self._has(owner):
            return
        try:
            self.process = ProcessReader(owner.pid, owner.how, owner.sure)
        except psutil_quiet().Error:
            return
        self._known_by = owner
        self.ranks, self._pause_s = search.ranks(owner.pid), SEARCH_S
        self.visible = search.environment(owner.pid).get("CUDA_VISIBLE_DEVICES")


class System:
    """The host and the processes of runs, as one thread asks for them."""

    def __init__(self, root: Path = Path("/proc")) -> None:
        """Nothing looked at yet."""
        self._root = root
        self._host = HostReader()
        self._sought: dict[str, _Sought] = {}
        self._names: dict[int, str] = {}

    def sample(self, at: float, wanted: Sequence[Wanted], pids: Sequence[int]) -> Told:
        """How things stand at `at` (seconds of any clock), with the names of `pids`."""
        self._sought = {run.id: self._sought.get(run.id) or _Sought() for run in wanted}
        due = [run for run in wanted if self._sought[run.id].due(at, run)]
        search = Search(self._root)
        for run in due:
            self._sought[run.id].find(search, run, at)
        folder = wanted[0].paths[0].parent if wanted and wanted[0].paths else None
        runs = {run.id: self._process(self._sought[run.id], at) for run in wanted}
        return Told(self._host.sample(folder), runs, self._named(search, pids), frozenset(self._ours()))

    def _process(self, sought: _Sought, at: float) -> OfRun:
        if sought.process is None:
            return OfRun(problem=sought.owner.problem)
        return OfRun(msgspec.structs.replace(sought.process.sample(at), ranks=sought.ranks), "", sought.visible)

    def _ours(self) -> set[int]:
        """The processes of the runs."""
        known = [sought for sought in self._sought.values() if sought.process is not None]
        return {pid for sought in known if sought.process for pid in (*sought.process.family, *sought.ranks)}

    def _named(self, search: Search, pids: Sequence[int]) -> dict[int, str]:
        """What runs under these pids; a name is kept while its pid is asked for."""
        names: dict[int, str] = {}
        for pid in pids[:MOST_NAMES]:
            if pid in self._names:
                names[pid] = self._names[pid]
            elif (proc := search.look_up(pid)) is not None:
                names[pid] = short(proc.command or (proc.name,))
        self._names = names
        return names
