"""`check --follow`: every change of a run, as it comes."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gradtop.cli.output import print_document, print_lines, say

if TYPE_CHECKING:
    from gradtop.change import Change
    from gradtop.snapshot import Snapshot
    from gradtop.wiring import Watching


def follow(watching: "Watching", as_json: bool) -> "Snapshot":
    """Print each change until every run is over, or the pipe that was read is closed; how things stood in the end."""
    from gradtop.change import Changes

    changes, tell, noted = Changes(), _telling(as_json), _Notes()
    caught_up = False
    while True:
        snapshot = watching.monitor.poll()
        # At first there may be more to read, and what the user said of findings as well.
        caught_up = caught_up or not watching.monitor.backlog
        if caught_up:
            tell(changes.see(snapshot))
        noted.tell(snapshot)
        if not watching.monitor.backlog and (watching.over or _over(snapshot)):
            snapshot = watching.monitor.finish()
            tell(changes.see(snapshot))
            return snapshot
        watching.wait(1.0)


class _Notes:
    """What there is to say beside the changes, once: what is waited for, and how new rows are noticed."""

    def __init__(self) -> None:
        self._waiting = False
        self._following = ""

    def tell(self, snapshot: "Snapshot") -> None:
        """Say what is new."""
        if snapshot.notes and not snapshot.runs and not self._waiting:
            self._waiting = True
            for note in snapshot.notes:
                say(note)
        if snapshot.following != self._following and snapshot.following.startswith("polling ("):
            say(f"new rows are noticed by {snapshot.following}")
        self._following = snapshot.following


def _over(snapshot: "Snapshot") -> bool:
    from gradtop.snapshot import RunState

    return bool(snapshot.runs) and all(run.state in (RunState.FINISHED, RunState.CRASHED) for run in snapshot.runs)


def _telling(as_json: bool) -> Callable[[Iterable["Change"]], None]:
    """How changes are printed."""
    from gradtop.change import document, lines

    def as_documents(changes: Iterable["Change"]) -> None:
        for change in changes:
            print_document(document(change))

    return as_documents if as_json else lambda changes: print_lines(lines(changes))
