"""A look at the first rows of a file, to compare it with another."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from gradtop.record import Record, Rows
from gradtop.sources.fields.plan import MEASURED
from gradtop.sources.follow.intake import Intake
from gradtop.sources.search.agreement import Agreement, agree

SAMPLE_BYTES = 256 * 1024
"""Bytes from the start of a file that are compared with another file's."""

Sample = Mapping[tuple[str, float], Mapping[str, float]]
"""(kind of step, step) to metrics that only a training loop can know."""


def compared(a: Sample, b: Sample, offset: float = 0.0) -> Agreement:
    """The values that both have; the steps of `b` are moved by `offset`."""
    total = agreeing = 0
    for (kind, step), values in b.items():
        others = a.get((kind, step + offset))
        for name in values.keys() & others.keys() if others is not None else ():
            total += 1
            agreeing += agree(others[name], values[name]) if others is not None else 0
    return Agreement(total, agreeing)


def sample_of(records: Iterable[Record], most: int = 100_000) -> Sample:
    """The measured values of rows, at most `most` of them; of several values for one step the last."""
    found: dict[tuple[str, float], dict[str, float]] = {}
    for record in records:
        if not isinstance(record, Rows) or record.x_kind == "row":
            continue
        for name in record.columns.keys() & MEASURED:
            for step, value in zip(record.steps, record.columns[name], strict=True):
                found.setdefault((record.x_kind, float(step)), {})[name] = float(value)
        if len(found) >= most:
            break
    return found


def sampled(path: Path, size: int = SAMPLE_BYTES) -> Sample:
    """The measured values in the first `size` bytes of a file; empty where it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        data = os.pread(fd, size, 0)
    except OSError:
        return {}
    finally:
        os.close(fd)
    intake = Intake(path.name)
    records = intake.take(data[: data.rfind(b"\n") + 1] or data)
    return sample_of([*records, *intake.finish()])
