"""Streams of real trainings: healthy logs, whole and thinned, and two published incidents.

The logs are other people's and stand beside the repository, where they may be absent; what is missing is said.
"""

import csv
import gzip
import hashlib
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from gradtop.record import Record, Rows

from .watch import single_rows

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
"""Where the logs of real trainings are, if they are."""
THINNED = (1, 10, 50)
"""Every how many logged steps one is kept."""


@dataclass(frozen=True, slots=True)
class Log:
    """One real log that is known to be healthy."""

    path: Path
    group: str
    """What it is listed with."""


def curves(corpus: Path) -> list[Path]:
    """Loss curves of complete healthy trainings; of files with the same content the first."""
    seen: dict[str, Path] = {}
    for path in sorted((corpus / "healthy").glob("*.jsonl.gz")):
        with gzip.open(path) as content:
            seen.setdefault(hashlib.sha256(content.read()).hexdigest(), path)
    return list(seen.values())


def listed(corpus: Path) -> list[Path]:
    """Logs of all formats that the manifest calls healthy."""
    manifest = corpus / "manifest.tsv"
    if not manifest.exists():
        return []
    with manifest.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    return [corpus / row["file"] for row in rows if "healthy" in row["notes"]]


def logs(corpus: Path = CORPUS) -> list[Log]:
    """All real logs that are there."""
    groups = (("loss curves", curves(corpus)), ("logs of many formats", listed(corpus)))
    return [Log(path, group) for group, paths in groups for path in paths if path.exists()]


def thinned(records: Sequence[Record], every: int) -> Iterator[Record]:
    """The same log with every n-th step alone, as a script would write it that logs more rarely."""
    if every == 1:
        yield from records
        return
    last, count = math.nan, -1
    for record in single_rows(records):
        if isinstance(record, Rows):
            if record.steps[0] != last:
                last, count = float(record.steps[0]), count + 1
            if count % every:
                continue
        yield record


BLOOM = (
    (31214, 2.199, 0.242), (31215, 2.220, 0.947), (31216, 2.595, 2.390), (31217, 2.242, 15.886),
    (31218, 2.345, 145.119), (31219, 5.098, 960.351), (31220, 3.492, 353.201), (31221, 3.213, 379.330),
    (31222, 2.805, 650.246), (31250, 2.216, 0.267),
)  # fmt: skip
"""(iteration, loss, grad norm) of the spike that the log of BLOOM-176B shows (bigscience, tr11-176B-ml)."""
BLOOM_STEP_S = (105.2, 111.1)
"""Seconds per step of BLOOM-176B before and after one GPU became slow (the same chronicle)."""
QUIET_ROWS = 600


def bloom_spike(seed: int) -> Rows:
    """The published values of the spike; what is before, between and after them is made up and quiet."""
    chance = random.Random(seed)
    first, last = BLOOM[0][0], BLOOM[-1][0]
    rows = [(step, *_quiet(chance)) for step in range(first - QUIET_ROWS, first)]
    for known, following in pairwise(BLOOM):
        rows.append(known)
        for step in range(known[0] + 1, following[0]):
            part = (step - known[0]) / (following[0] - known[0])
            rows.append((step, *(a ** (1 - part) * b**part for a, b in zip(known[1:], following[1:], strict=True))))
    rows += [BLOOM[-1], *((step, *_quiet(chance)) for step in range(last + 1, last + 200))]
    steps, losses, norms = zip(*rows, strict=True)
    return Rows(steps, {"loss": losses, "grad_norm": norms})


def _quiet(chance: random.Random) -> tuple[float, float]:
    return 2.2 * math.exp(chance.gauss(0, 0.01)), 0.2 * math.exp(chance.gauss(0, 0.15))


def bloom_slowdown(seed: int) -> Rows:
    """Steps that take 105.2 s and from step 400 on 111.1 s, with half a percent of made-up noise; the loss falls."""
    chance = random.Random(seed)
    steps = range(800)
    times = [BLOOM_STEP_S[step >= 400] * math.exp(chance.gauss(0, 0.005)) for step in steps]
    losses = [_quiet(chance)[0] * (1 + 0.2 * math.exp(-step / 400)) for step in steps]
    return Rows(steps, {"loss": losses, "step_time_s": times})
