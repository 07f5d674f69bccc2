"""The one loop behind every front end: find, read, judge, and show how things stand."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gradtop.config import Settings
from gradtop.errors import SourceError
from gradtop.run import RunView
from gradtop.snapshot import Snapshot
from gradtop.sources import Source
from gradtop.sources.discover import Found, Search
from gradtop.sources.file import open_source
from gradtop.workspace import Candidate, Watched

POLL_S = 0.05
"""Seconds of reading in one poll while a front end waits for it."""
LOOK_SHARE = 50
"""A search that takes long is repeated after this many times as long."""
OPEN_RUNS = 64
"""Runs kept open at the same time; older ones are listed, and opened when they are selected."""


class Monitor:
    """Watches the runs under some paths. One thread polls; `select` may come from another."""

    def __init__(
        self,
        paths: Sequence[Path],
        settings: Settings,
        *,
        sources: Sequence[tuple[Candidate, Source]] = (),
        open_runs: int = OPEN_RUNS,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch `paths`, and `sources` that are open already (standard input, a replay); keep `open_runs` open."""
        self._search = Search(paths) if paths else None
        self._settings = settings
        self._open_runs = open_runs
        self._now, self._monotonic = now, monotonic
        self._look_at = 0.0
        self._found: Found | None = None
        self._runs: dict[str, Watched] = {}
        self._selected: str | None = None
        self._backlog = True
        for candidate, source in sources:
            run = Watched(candidate, settings.limits, lambda _path, source=source: source)  # type: ignore[misc]  # late binding is what is avoided
            self._runs[run.id] = run

    @property
    def backlog(self) -> bool:
        """Data is waiting: poll again at once."""
        return self._backlog

    @property
    def arrivals(self) -> int:
        """How often new rows came in, over all runs."""
        return sum(run.arrivals for run in self._runs.values())

    @property
    def active(self) -> tuple[Path, ...]:
        """Files of open runs that are being written."""
        at = self._monotonic()
        return tuple(run.candidate.path for run in self._runs.values() if run.opened and run.active(at))

    def select(self, run_id: str) -> None:
        """Read this run first, and open it if it is not open."""
        self._selected = run_id

    def poll(self) -> Snapshot:
        """One bounded step: search when it is due, read for about `POLL_S`, and say how things stand."""
        self._look()
        order = self._in_order()
        self._backlog = self._read(order)
        self._forget(order)
        return self._snapshot(order)

    def _look(self) -> None:
        """Search again when it is due: the longer a search takes, the less often."""
        at = self._monotonic()
        if self._search is None or at < self._look_at:
            return
        self._found = self._search.look()
        took = self._monotonic() - at
        self._look_at = at + max(self._settings.discover_s, LOOK_SHARE * took) if self._found.complete else at
        for candidate in self._found.candidates:
            known = self._runs.get(str(candidate.path))
            if known is None:
                self._runs[str(candidate.path)] = Watched(candidate, self._settings.limits, open_source)
            else:
                known.candidate = candidate

    def _in_order(self) -> list[Watched]:
        """Newest first."""
        return sorted(self._runs.values(), key=lambda run: run.candidate.modified, reverse=True)

    def _reading_order(self, order: Sequence[Watched]) -> Iterator[Watched]:
        """The selected run, then the open ones, newest first."""
        selected = self._runs.get(self._selected or "")
        if selected is not None:
            yield selected
        yield from (run for run in order[: self._open_runs] if run is not selected)

    def _read(self, order: Sequence[Watched]) -> bool:
        deadline = self._monotonic() + POLL_S
        backlog = False
        for run in self._reading_order(order):
            while run.due(self._monotonic()):
                more = run.read(self._monotonic())
                backlog = backlog or more
                if not more or self._monotonic() >= deadline:
                    break
            if self._monotonic() >= deadline:
                return backlog or not all(run.caught_up for run in order[: self._open_runs])
        return backlog or (self._found is not None and not self._found.complete)

    def _forget(self, order: Sequence[Watched]) -> None:
        """Close runs that are neither among the newest nor selected."""
        for run in order[self._open_runs :]:
            if run.opened and run.id != self._selected:
                run.close()

    def _snapshot(self, order: Sequence[Watched]) -> Snapshot:
        now, monotonic = self._now(), self._monotonic()
        return Snapshot(
            now=now,
            runs=tuple(run.snapshot(now, monotonic) for run in order),
            notes=self._found.notes if self._found is not None else (),
            searching=self._found is not None and not self._found.complete,
        )

    def finish(self) -> Snapshot:
        """Take in last lines without an end, where nobody writes any more, and say how things stand."""
        for run in self._runs.values():
            run.finish(self._now())
        return self._snapshot(self._in_order())

    def only_source(self) -> tuple[Source, RunView]:
        """The source and the store of a monitor that watches one file.

        Raises:
            SourceError: there is none.
        """
        for run in self._runs.values():
            for source in run.sources:
                return source, run.view()
        raise SourceError("there is nothing to read")

    def close(self) -> None:
        """Let go of every file."""
        for run in self._runs.values():
            run.close()
