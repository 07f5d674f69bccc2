"""What the tests of following share: a path followed as bytes, as records and as a run."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from reading import rows_of

from gradtop.config import Settings
from gradtop.monitor import OPEN_RUNS, Monitor
from gradtop.record import Record, Restart
from gradtop.snapshot import RunSnapshot, Snapshot
from gradtop.sources.follow.file import FileSource
from gradtop.sources.follow.tail import CHUNK_BYTES, RECHECK_S, LineDecoder, Portion, Tail
from gradtop.sources.reader import Line


@dataclass
class Follower:
    """Lines of one path, and what happened in between."""

    path: Path
    now: float = 0.0
    limit: int = CHUNK_BYTES
    said: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tail = Tail(self.path, lambda: self.now)
        self.decoder = LineDecoder()

    def look(self) -> Portion:
        portion = self.tail.read(self.limit)
        if portion.began:
            self.said.append(f"<{portion.began}>")
            self.decoder = LineDecoder()
        self._take(self.decoder.feed(portion.data))
        if portion.ended:
            self._take(self.decoder.finish())
            self.decoder = LineDecoder()
        return portion

    def _take(self, lines: list[Line]) -> None:
        self.said += [line.data.decode() for line in lines]
        self.numbers += [line.number for line in lines]

    def poll(self) -> list[str]:
        """Read until nothing is waiting; what was said since the last poll."""
        before = len(self.said)
        while self.look().more:
            pass
        return self.said[before:]


def append(path: Path, text: str) -> None:
    """Write as a training does."""
    with path.open("a") as out:
        out.write(text)


class Reading:
    """A source on a scripted clock, read until nothing waits."""

    def __init__(self, path: Path) -> None:
        self.now = 0.0
        self.source = FileSource(path, lambda: self.now)

    def poll(self, after_s: float = RECHECK_S) -> list[Record]:
        """The records of everything that is there, some seconds after the last look."""
        self.now += after_s
        records: list[Record] = []
        more = True
        while more:
            batch = self.source.read()
            records += batch.records
            more = batch.more
        return records


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


class Watcher:
    """A monitor on a scripted clock, polled until nothing waits."""

    def __init__(self, *paths: Path, open_runs: int = OPEN_RUNS) -> None:
        self.clock = Clock()
        self.monitor = Monitor(paths, Settings(), open_runs=open_runs, now=self.clock, monotonic=self.clock)

    def poll(self, after_s: float = 2.0) -> Snapshot:
        """How things stand, some seconds after the last poll."""
        self.clock.at += after_s
        snapshot = self.monitor.poll()
        while self.monitor.backlog:
            snapshot = self.monitor.poll()
        return snapshot

    def run(self, after_s: float = 2.0) -> RunSnapshot:
        """How the one run stands."""
        (run,) = self.poll(after_s).runs
        return run

    def losses(self, after_s: float = 2.0) -> list[float]:
        """Every loss that is in the store."""
        return losses_of(self.run(after_s))


def losses_of(run: RunSnapshot) -> list[float]:
    """Every loss of a run."""
    loss = run.view.series.get("loss")
    return [] if loss is None else [float(value) for value in loss.values]


def losses(records: Iterable[Record]) -> list[float]:
    """The loss of every row that has one."""
    return [row["loss"] for row in rows_of(records) if "loss" in row]


def reasons(records: Iterable[Record]) -> list[str]:
    """Why sessions began."""
    return [record.reason for record in records if isinstance(record, Restart)]


def jsonl(first: int, last: int) -> str:
    """Rows of the steps `first` to `last`; the loss is half the step."""
    return "".join(json.dumps({"step": step, "loss": step / 2}) + "\n" for step in range(first, last + 1))
