"""A recorded run comes as it was written, on a clock of our own."""

from pathlib import Path

from gradtop.record import Rows, RunFacts
from gradtop.sources.replay import HEAD_LINES, Replay, recorded_run


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.at = 5.0

    def __call__(self) -> float:
        return self.at


def write_recording(path: Path, rows: int) -> Path:
    lines = ['{"type":"run","run":"r","time":100.0}']
    lines += [f'{{"type":"metrics","step":{i},"time":{100.0 + i},"loss":1.0}}' for i in range(rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def steps(source: Replay) -> int:
    return sum(len(record) for record in source.read().records if isinstance(record, Rows))


def test_the_head_is_there_at_once_and_the_rest_by_its_own_times(tmp_path: Path) -> None:
    clock = Clock()
    replay = Replay(write_recording(tmp_path / "r.jsonl", 200), 2.0, clock, clock)
    first = replay.read()
    assert isinstance(first.records[0], RunFacts)
    assert sum(len(r) for r in first.records if isinstance(r, Rows)) == HEAD_LINES
    clock.at += 5
    assert steps(replay) == 10
    assert steps(replay) == 0
    clock.at += 1000
    assert steps(replay) == 200 - HEAD_LINES - 10


def test_the_status_is_that_of_a_growing_file(tmp_path: Path) -> None:
    clock = Clock()
    replay = Replay(write_recording(tmp_path / "r.jsonl", 200), 1.0, clock, clock)
    before = replay.status
    replay.read()
    after = replay.status
    assert (before.modified, before.size) == (None, 0)
    assert (after.modified, after.size > 0) == (5.0, True)
    assert after.size == after.offset


def test_the_bundled_run_is_small_and_has_layers() -> None:
    path = recorded_run()
    assert path.stat().st_size < 1_000_000
    clock = Clock()
    replay = Replay(path, 1e9, clock, clock)
    records = list(replay.read().records)
    clock.at += 1
    records += replay.read().records
    names = {name for record in records if isinstance(record, Rows) for name in record.columns}
    assert {"loss", "grad_norm", "lr", "grad_norm/layers.0.attn", "grad_norm/embed"} <= names
    assert sum(len(record) for record in records if isinstance(record, Rows)) >= 1500
