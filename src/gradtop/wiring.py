"""What a front end watches: paths, standard input or the recorded run, as a monitor and a way to wait for it."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gradtop.config import Profile, Settings
from gradtop.errors import SourceError
from gradtop.hardware.recording import Recording
from gradtop.hardware.sampler import Sampler
from gradtop.monitor import OPEN_RUNS, Monitor
from gradtop.shelf import state_folder
from gradtop.snapshot import Snapshot
from gradtop.sources.follow.mount import disk
from gradtop.sources.follow.stream import StreamSource
from gradtop.sources.follow.watch import Watch
from gradtop.sources.replay import Replay, recorded_run
from gradtop.workspace import Named

if TYPE_CHECKING:
    from gradtop.sources.text.reader import Rule

STANDARD_INPUT = Path("-")
"""How a user names it."""


POLL_S = 0.2
"""Seconds between two polls where events do not tell of new data: a replay, a busy file, some file systems."""
PICTURE_S = 0.3
"""Seconds for reading and the first picture, before the machine is looked at."""


@dataclass(slots=True)
class Watching:
    """A monitor, and how to wait until it has something to do."""

    monitor: Monitor
    piped: StreamSource | None = None
    watch: Watch | None = None
    _told: bool = True
    """An event ended the last wait."""
    _deaf: bool = False
    """Data came and no event told of it."""
    _arrivals: int = 0

    def wait(self, timeout_s: float) -> bool:
        """Return at the latest after `timeout_s`, earlier when there is something to read or events cannot tell.

        False where whatever there is to read can wait as well: it lies in files, and all before it has been read.
        """
        if self.monitor.backlog:
            return True
        timeout_s = min(timeout_s, self.monitor.due_s())
        if self.piped is not None and not self.piped.ended:
            self.piped.wait(timeout_s)
        elif self.watch is not None:
            self._wait_for_event(self.watch, timeout_s)
            return False
        else:
            time.sleep(min(timeout_s, POLL_S))
        return True

    def _wait_for_event(self, watch: Watch, timeout_s: float) -> None:
        arrivals = self.monitor.arrivals
        unexplained = arrivals != self._arrivals and not self._told
        trusted = watch.covers(self.monitor.active) and not unexplained and not self._deaf
        self._arrivals = arrivals
        self._told = watch.wait(timeout_s if trusted else min(timeout_s, POLL_S))
        self._deaf = not self._told and (self._deaf or unexplained)
        deaf = self._deaf and watch.mode == "inotify"
        self.monitor.following = "polling (no event tells of new data)" if deaf else watch.mode

    @property
    def over(self) -> bool:
        """Nothing more will come: all there was to watch is a pipe, and its other end is closed."""
        return self.watch is None and self.piped is not None and self.piped.ended

    def wake(self) -> None:
        """End a wait for files: the user wants something. May be called from any thread."""
        if self.watch is not None:
            self.watch.wake()

    def to_end(self) -> Snapshot:
        """Read what there is, standard input to its end; a last line without its end counts where nobody writes."""
        self.monitor.poll()
        while self.monitor.backlog or (self.piped is not None and not self.piped.ended):
            self.wait(1.0)
            self.monitor.poll()
        return self.monitor.finish()


def watch_paths(
    paths: Sequence[Path], settings: Settings, piped: int | None = None, recording: Recording | None = None
) -> Watching:
    """Watch paths live, the newest runs open; where one is `-`, the descriptor `piped` or else standard input."""
    return _watching(paths, settings, OPEN_RUNS, piped, sampler(recording, PICTURE_S))


def sampler(recording: Recording | None = None, start_s: float = 0.0) -> Sampler:
    """Samples of this machine from `start_s` seconds on, written into a `recording` where there is one."""
    return Sampler(time.monotonic, time.time, recording=recording, start_s=start_s)


def read_paths(paths: Sequence[Path], settings: Settings) -> Watching:
    """Watch paths with every run open, for one report on all of them."""
    return _watching(paths, settings, sys.maxsize, None)


def follow_paths(paths: Sequence[Path], settings: Settings, recording: Recording | None = None) -> Watching:
    """The same for as long as they are written, with samples of the machine, written into a `recording`."""
    return _watching(paths, settings, sys.maxsize, None, sampler(recording))


def read_newest(paths: Sequence[Path], settings: Settings) -> Watching:
    """Watch paths with the newest run open alone, to look closely at it."""
    return _watching(paths, settings, 1, None)


def _standard_input() -> int:
    try:
        return os.dup(0)
    except OSError:
        raise SourceError("standard input is closed: there is nothing to read") from None


def _rules(profiles: Sequence[Profile]) -> "Sequence[Rule]":
    """The user's own rules. What reads text is not imported before there is any."""
    if not profiles:
        return ()
    from gradtop.sources.text.profile import rules_of

    return rules_of(profiles)


def spill_folder(environ: Mapping[str, str]) -> Path | None:
    """Where long series lie: `TMPDIR`, `/var/tmp` or `/tmp`, the first that is on a local disk; None without one."""
    folders = [folder for folder in (environ.get("TMPDIR", ""), "/var/tmp", "/tmp") if os.path.isabs(folder)]
    return next((Path(real) for real in map(os.path.realpath, folders) if disk(real)), None)


def _pipe(fd: int) -> str:
    """What `/proc` calls the pipe behind a descriptor; empty where it does not tell."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


def _watching(
    paths: Sequence[Path], settings: Settings, open_runs: int, piped: int | None, sampler: Sampler | None = None
) -> Watching:
    rules = _rules(settings.profiles)
    fd = (_standard_input() if piped is None else piped) if STANDARD_INPUT in paths else None
    stream = StreamSource(fd, profiles=rules) if fd is not None else None
    named = Named(STANDARD_INPUT, "standard input", pipe=_pipe(fd)) if fd is not None else None
    streams = [(named, stream)] if named is not None and stream is not None else []
    files = tuple(path for path in paths if path != STANDARD_INPUT)
    monitor = Monitor(
        files,
        settings,
        sources=streams,
        profiles=rules,
        open_runs=open_runs,
        state=state_folder(os.environ),
        spill=spill_folder(os.environ),
        sampler=sampler,
    )
    return Watching(monitor, stream, Watch(files) if files else None)


def watch_demo(speed: float) -> Watching:
    """The recorded run, replayed at `speed` times real time."""
    path = recorded_run()
    replay = Replay(path, speed, time.monotonic, time.time)
    return Watching(Monitor((), Settings(), sources=[(Named(path, "demo"), replay)]))
