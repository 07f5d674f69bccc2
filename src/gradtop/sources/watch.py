"""The waker: something under these paths may have changed. It only shortens a wait; polling needs no event."""

import errno
import logging
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

MIN_GAP_S = 0.1
"""Seconds between two early wake-ups at the least: a busy writer costs no more than ten looks a second."""
BUSY_WAKES = 20
"""Early wake-ups in a row after which events say nothing that a clock does not: each of them costs the reader."""
REST_S = 10.0
"""Seconds for which a busy watch rests; the wait then ends every `MIN_GAP_S`."""
MAX_FOLDERS = 16
"""Directories watched at most, as each takes a thread; the rest is polled."""

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EACCES)


class Watch:
    """Waits until a file in some directories changes, or until the time is up."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Watch the directories of `paths`, without those below them; where that fails, only time wakes."""
        self._changed = threading.Event()
        self._woken_at = -MIN_GAP_S
        self._observer: BaseObserver | None = None
        self._folders: set[str] = set()
        self._places: dict[Path, str] = {}
        self._early = 0
        self._rests_until: float | None = None
        self.mode = "polling"
        """`inotify`, or `polling` with the reason in brackets."""
        self._arm(paths)

    def _arm(self, paths: Sequence[Path]) -> None:
        try:
            if self._observer is None:
                self._start()
            self._add(paths)
        except OSError as error:
            self.mode = f"polling ({error.strerror or error})"
            self.stop()

    def _start(self) -> None:
        # Its import takes longer than reading a small log, so it happens here; its warnings would spoil the screen.
        from watchdog.observers import Observer

        log = logging.getLogger("watchdog")
        log.propagate = False
        if not log.handlers:
            log.addHandler(logging.NullHandler())
        self._observer = Observer()
        self._observer.start()
        self.mode = "inotify"

    def _add(self, paths: Sequence[Path]) -> None:
        from watchdog.events import (
            FileCreatedEvent,
            FileDeletedEvent,
            FileModifiedEvent,
            FileMovedEvent,
            FileSystemEventHandler,
        )

        handler = FileSystemEventHandler()
        handler.dispatch = lambda event: self._changed.set()  # type: ignore[method-assign]  # all events are alike
        events = [FileCreatedEvent, FileDeletedEvent, FileModifiedEvent, FileMovedEvent]
        for path in paths:
            folder = os.path.realpath(path if path.is_dir() else path.parent)
            if self._observer is None or folder in self._folders or len(self._folders) >= MAX_FOLDERS:
                continue
            try:
                self._observer.schedule(handler, folder, event_filter=[*events])
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                continue
            self._folders.add(folder)

    def covers(self, paths: Sequence[Path]) -> bool:
        """Watch the directories of these files too; True when events tell of each of them."""
        if self._observer is None or self._rests_until is not None:
            return False
        folders = {path: self._places.get(path) or os.path.realpath(path.parent) for path in paths}
        if new := [path for path, folder in folders.items() if folder not in self._folders]:
            self._arm(new)
        self._places = folders
        return all(folder in self._folders for folder in folders.values())

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

    def _rests(self) -> bool:
        """Events are switched off because there are too many of them; switch them off and on again as needed."""
        if self._observer is None:
            return False
        if self._rests_until is None:
            if self._early < BUSY_WAKES:
                return False
            self._observer.unschedule_all()
            self._rests_until = time.monotonic() + REST_S
        elif time.monotonic() > self._rests_until:
            self._rests_until, self._early = None, 0
            folders, self._folders = self._folders, set()
            self._arm([Path(folder) for folder in folders])
            return False
        return True

    def stop(self) -> None:
        """Stop watching; nothing wakes any more."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(1.0)
            self._observer = None
