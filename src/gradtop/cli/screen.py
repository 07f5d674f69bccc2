"""The way into the app: which terminal it is shown on, and the monitor behind it."""

import gc
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gradtop.cli.curtain import curtain
from gradtop.recollection import Recollection, keep, recalled
from gradtop.shelf import absolute, state_folder

if TYPE_CHECKING:
    from gradtop.config import Settings
    from gradtop.finding import Severity
    from gradtop.snapshot import Snapshot
    from gradtop.wiring import Watching


def collect_from_here() -> None:
    """Look for garbage again, and never among what was imported so far: that stays, and looking through it is dear."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


class Deferred:
    """A monitor that is made by the thread that polls it, so that the screen is painted before its imports."""

    def __init__(self, make: Callable[[], "Watching"]) -> None:
        self._make = make
        self._made: Watching | None = None

    def poll(self) -> "Snapshot":
        """One step of the monitor."""
        if self._made is not None:
            return self._made.monitor.poll()
        self._made = self._make()
        snapshot = self._made.monitor.poll()
        collect_from_here()
        return snapshot

    def wait(self, timeout_s: float) -> bool:
        """Wait until there is something to do; False where that can wait as well."""
        return self._made is None or self._made.wait(timeout_s)

    def select(self, run_id: str) -> None:
        """Read this run first."""
        if self._made is not None:
            self._made.monitor.select(run_id)
            self._made.wake()

    def compare(self, run_ids: Sequence[str]) -> None:
        """Keep these runs open."""
        if self._made is not None:
            self._made.monitor.compare(run_ids)
            self._made.wake()

    def acknowledge(self, run_id: str, finding_id: str, upto: "Severity | None") -> None:
        """A finding is known up to a severity; None takes that back."""
        if self._made is not None:
            self._made.monitor.acknowledge(run_id, finding_id, upto)
            self._made.wake()

    def mute(self, run_id: str, kind: str, on: bool) -> None:
        """A kind of findings does not count for a run and those beside it; `on` False takes that back."""
        if self._made is not None:
            self._made.monitor.mute(run_id, kind, on)
            self._made.wake()


class Kept:
    """How the screen on some paths was left. Read and written in threads: a dead disk holds up neither end."""

    LOOK_S = 0.3
    """Seconds for which its disk is waited for, at the start and at the end."""

    def __init__(self, paths: Sequence[Path], environ: Mapping[str, str]) -> None:
        """Begin to read; of no path, and of standard input, nothing is kept."""
        lasting = bool(paths) and Path("-") not in paths
        self._folder = state_folder(environ) if lasting else None
        self._place = "\n".join(map(absolute, paths)) if lasting else ""
        self._found: list[Recollection] = []
        self._under_way = [self._begin(self._read)] if self._folder is not None else []

    def recalled(self) -> Recollection:
        """What was kept; nothing where the disk does not answer."""
        self.close()
        return self._found[0] if self._found else Recollection()

    def keep(self, recollection: Recollection) -> None:
        """Keep this; what could not be read is left as it is."""
        if self._folder is not None and self._found:
            folder = self._folder
            self._under_way.append(self._begin(lambda: keep(folder, self._place, recollection)))

    def close(self) -> None:
        """Wait for what is under way, for a moment."""
        for thread in self._under_way:
            thread.join(self.LOOK_S)
        self._under_way.clear()

    def _read(self) -> None:
        if self._folder is not None:
            self._found.append(recalled(self._folder, self._place))

    def _begin(self, work: Callable[[], object]) -> threading.Thread:
        thread = threading.Thread(target=work, name="gradtop-view", daemon=True)
        thread.start()
        return thread


def open_app(
    make: Callable[[], "Watching"], settings: "Settings", ascii_only: bool, paths: Sequence[Path] = ()
) -> None:
    """Show the screen until the user leaves, then end with its exit code."""
    sys.exit(show_app(make, settings, ascii_only, paths))


def show_app(
    make: Callable[[], "Watching"], settings: "Settings", ascii_only: bool, paths: Sequence[Path] = ()
) -> int | None:
    """Show the screen until the user leaves; its exit code. It looks as it was left for the same `paths`.

    Raises:
        ConfigError: the settings bind keys that there are not, or the same one twice.
    """
    kept, watching = Kept(paths, os.environ), Deferred(make)
    # A monitor does no linear algebra: without this, numpy starts a thread for every core when it is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Imports make objects that stay; the first poll ends with them.
    gc.disable()
    with curtain():
        from gradtop.ui.app import GradtopApp

        app = GradtopApp(
            watching.poll,
            watching.wait,
            settings=settings,
            select=watching.select,
            compare=watching.compare,
            acknowledge=watching.acknowledge,
            mute=watching.mute,
            recollection=kept.recalled(),
            keep=kept.keep,
            ascii=ascii_only or prefers_ascii(os.environ),
        )
    app.run()
    collect_from_here()
    kept.close()
    return app.return_code


def prefers_ascii(environ: Mapping[str, str]) -> bool:
    """The locale says that the terminal knows no UTF-8; saying nothing is taken as UTF-8."""
    kind = environ.get("LC_CTYPE", "")
    # Python itself sets these where the locale is C, which says nothing of the terminal.
    chosen = (
        environ.get("LC_ALL") or (kind if kind not in ("C.UTF-8", "C.utf8", "UTF-8") else "") or environ.get("LANG", "")
    )
    name, _, encoding = chosen.partition(".")
    return "utf" not in encoding.lower() if encoding else name in ("C", "POSIX")


def take_stdin() -> int:
    """The piped input as a descriptor of its own; the keyboard takes its place, where there is one."""
    piped = os.dup(0)
    try:
        keyboard = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        return piped
    os.dup2(keyboard, 0)
    os.close(keyboard)
    return piped


def is_terminal(paths: Sequence[Path]) -> bool:
    """A screen can be shown: a real terminal to draw on (Textual draws on stderr) and one to type on."""
    if os.environ.get("TERM", "") in ("", "dumb") or not sys.stderr.isatty() or not sys.stdout.isatty():
        return False
    return sys.stdin.isatty() or Path("-") in paths
