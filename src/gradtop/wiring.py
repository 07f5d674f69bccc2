"""What a front end watches: paths, standard input or the recorded run, as a monitor and a way to wait for it."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gradtop.config import Limits, Settings
from gradtop.monitor import OPEN_RUNS, Monitor
from gradtop.snapshot import Snapshot
from gradtop.sources.replay import Replay, recorded_run
from gradtop.sources.stream import StreamSource
from gradtop.sources.watch import Watch
from gradtop.workspace import Named

STANDARD_INPUT = Path("-")
"""How a user names it."""


@dataclass(frozen=True, slots=True)
class Watching:
    """A monitor, and how to wait until it has something to do."""

    monitor: Monitor
    piped: StreamSource | None = None
    wake: Callable[[float], object] = time.sleep

    def wait(self, timeout_s: float) -> None:
        """Return at the latest after `timeout_s`, earlier when there is something to read."""
        if self.monitor.backlog:
            return
        if self.piped is not None and not self.piped.ended:
            self.piped.wait(timeout_s)
        else:
            self.wake(timeout_s)

    def to_end(self) -> Snapshot:
        """Read what there is, standard input to its end; a last line without its end counts where nobody writes."""
        self.monitor.poll()
        while self.monitor.backlog or (self.piped is not None and not self.piped.ended):
            self.wait(1.0)
            self.monitor.poll()
        return self.monitor.finish()


def watch_paths(paths: Sequence[Path], limits: Limits, piped: int | None = None) -> Watching:
    """Watch paths live, the newest runs open; where one is `-`, the descriptor `piped` or else standard input."""
    return _watching(paths, limits, OPEN_RUNS, piped)


def read_paths(paths: Sequence[Path], limits: Limits) -> Watching:
    """Watch paths with every run open, for a report on all of them."""
    return _watching(paths, limits, sys.maxsize, None)


def _watching(paths: Sequence[Path], limits: Limits, open_runs: int, piped: int | None) -> Watching:
    stream = StreamSource(os.dup(0) if piped is None else piped) if STANDARD_INPUT in paths else None
    streams = [(Named(STANDARD_INPUT, "standard input"), stream)] if stream is not None else []
    files = tuple(path for path in paths if path != STANDARD_INPUT)
    monitor = Monitor(files, Settings(limits=limits), sources=streams, open_runs=open_runs)
    return Watching(monitor, stream, Watch(files).wait if files else time.sleep)


def watch_demo(speed: float) -> Watching:
    """The recorded run, replayed at `speed` times real time."""
    path = recorded_run()
    replay = Replay(path, speed, time.monotonic, time.time)
    return Watching(Monitor((), Settings(), sources=[(Named(path, "demo"), replay)]))
