"""The waker: something under these paths may have changed. It only shortens a wait; polling needs no event."""

import errno
import logging
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gradtop.sources.follow.lane import Lane, Threads, answered

if TYPE_CHECKING:
    from watchdog.events import FileSystemEventHandler
    from watchdog.observers.api import BaseObserver, EventEmitter

MIN_GAP_S = 0.1
"""Seconds between two early wake-ups at the least: a busy writer costs no more than ten looks a second."""
BUSY_WAKES = 20
"""Early wake-ups in a row after which events say nothing that a clock does not: each of them costs the reader."""
REST_S = 10.0
"""Seconds for which a busy watch rests; the wait then ends every `MIN_GAP_S`."""
MAX_FOLDERS = 16
"""Directories watched at most, as each takes a thread; the rest is polled."""
ARM_S = 0.5
"""Seconds for which switching events on or off is waited for: a directory may be on a disk that does not answer."""
RECHECK_S = 1.0
"""Seconds between two looks whether the watched directories are still those at their paths."""

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EACCES)


@dataclass(frozen=True, slots=True)
class _Folder:
    """A directory whose events are heard."""

    inode: tuple[int, int]
    emitter: "EventEmitter"

    def stands(self, path: str) -> bool:
        """It is the directory at the path; one that was removed and made anew is not, and its events are not heard."""
        try:
            found = os.stat(path)
        except OSError:
            return False
        return self.emitter.is_alive() and (found.st_dev, found.st_ino) == self.inode


class Watch:
    """Waits until a file in some directories changes, or until the time is up."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Watch the directories of `paths`, without those below them; where that fails, only time wakes."""
        self._changed = threading.Event()
        self._woken_at = -MIN_GAP_S
        self._roots = tuple(paths)
        # What follows is changed in the lane alone.
        self._lane = Lane(Threads())
        self._observer: BaseObserver | None = None
        self._folders: dict[str, _Folder] = {}
        self._covered: frozenset[Path] = frozenset()
        self._asked: Future[None] | None = None
        self._checked_at = -RECHECK_S
        self._early = 0
        self._rests_until: float | None = None
        self._refused = False
        self.mode = "polling"
        """`inotify`, or `polling` with the reason in brackets."""

    def covers(self, paths: Sequence[Path]) -> bool:
        """Watch the directories of these files too; True when events tell of each of them."""
        if self._refused or self._rests_until is not None:
            return False
        at = time.monotonic()
        new = [path for path in paths if path not in self._covered] if len(self._folders) < MAX_FOLDERS else []
        if (new or at - self._checked_at >= RECHECK_S) and (self._asked is None or self._asked.done()):
            self._checked_at = at
            self._asked = self._lane.do(lambda: self._arm((*self._roots, *paths)))
            answered(self._asked, ARM_S)
        heard = self._asked is not None and self._asked.done() and not self._refused
        return heard and all(path in self._covered for path in paths)

    def _arm(self, paths: Sequence[Path]) -> None:
        """Hear the events of the directories of these paths; of those that were made anew, too."""
        try:
            observer = self._observer or self._start()
            for name in [name for name, folder in self._folders.items() if not folder.stands(name)]:
                observer.unschedule(self._folders.pop(name).emitter.watch)
            self._covered = frozenset(path for path in paths if self._heard(observer, path))
            self.mode = "inotify"
        except OSError as error:
            self.mode, self._refused = f"polling ({error.strerror or error})", True
            self._covered = frozenset()
            self._stop()

    def _start(self) -> "BaseObserver":
        # Its import takes longer than reading a small log, so it happens here; its warnings would spoil the screen.
        from watchdog.observers import Observer

        log = logging.getLogger("watchdog")
        log.propagate = False
        if not log.handlers:
            log.addHandler(logging.NullHandler())
        self._observer = Observer()
        self._observer.start()
        return self._observer

    def _heard(self, observer: "BaseObserver", path: Path) -> bool:
        """Watch the directory of the path, if there is one and room for it; True when it is watched."""
        from watchdog.events import FileCreatedEvent, FileDeletedEvent, FileModifiedEvent, FileMovedEvent

        name = os.path.realpath(path if path.is_dir() else path.parent)
        if name in self._folders:
            return True
        if len(self._folders) >= MAX_FOLDERS:
            return False
        events = [FileCreatedEvent, FileDeletedEvent, FileModifiedEvent, FileMovedEvent]
        try:
            found = os.stat(name)
            watch = observer.schedule(self._waker(), name, event_filter=[*events])
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
            return False
        emitter = next(emitter for emitter in observer.emitters if emitter.watch == watch)
        self._folders[name] = _Folder((found.st_dev, found.st_ino), emitter)
        return True

    def _waker(self) -> "FileSystemEventHandler":
        from watchdog.events import FileSystemEventHandler

        handler = FileSystemEventHandler()
        handler.dispatch = lambda event: self._changed.set()  # type: ignore[method-assign]  # all events are alike
        return handler

    def wait(self, timeout_s: float) -> bool:
        """Wait at most `timeout_s`; True when something changed before that, or changes all the time."""
        deadline = time.monotonic() + timeout_s
        rest = min(deadline, self._woken_at + MIN_GAP_S) - time.monotonic()
        if rest > 0:
            time.sleep(rest)
        changed = self._rests() or self._changed.wait(max(0.0, deadline - time.monotonic()))
        self._changed.clear()
        self._woken_at = time.monotonic()
        self._early = self._early + 1 if changed else 0
        return changed

    def wake(self) -> None:
        """End the wait: there is something to do. May be called from any thread."""
        self._changed.set()

    def _rests(self) -> bool:
        """Events are switched off because there are too many of them; switch them off and on again as needed."""
        if self._rests_until is None:
            if self._early < BUSY_WAKES:
                return False
            self._lane.do(self._hush)
            self._rests_until = time.monotonic() + REST_S
        elif time.monotonic() > self._rests_until:
            self._rests_until, self._early = None, 0
            return False
        return True

    def _hush(self) -> None:
        """Hear nothing; the next `covers` listens again."""
        if self._observer is not None:
            self._observer.unschedule_all()
        self._folders.clear()
        self._covered = frozenset()

    def stop(self) -> None:
        """Stop watching; nothing wakes any more."""
        answered(self._lane.do(self._stop), ARM_S)

    def _stop(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(1.0)
            self._observer = None
            self._folders.clear()
