"""Real logs of other people, read and compared with what a script written for each one file found."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from reading import SHARED, events_of, read

from gradtop.record import Record, Rows
from gradtop.sources.reader import Reader
from gradtop.sources.rows.jsonl import RowReader
from gradtop.sources.rows.table import CsvReader
from gradtop.sources.text.reader import TextReader

CORPUS = SHARED / "corpus"
READERS: dict[str, Callable[[], Reader]] = {
    **dict.fromkeys(("mg01", "mg04", "tt03", "tt13", "nc03", "lc01", "hp02", "hp05"), TextReader),
    **dict.fromkeys(("lf01", "op02", "ma01", "d201", "mm04"), RowReader),
    **dict.fromkeys(("kc04", "lt01", "gd02", "sb01", "ul01"), CsvReader),
}
ALIASES = {"dt_ms": "dt", "tok_per_sec": "tok/sec"}
"""Names that the comparing scripts gave instead of the file's own."""
PERCENT = {("tt03", "mfu")}
IN_MS = {("nc03", "dt_ms"), ("mg01", "elapsed time per iteration (ms)"), ("mg04", "elapsed time per iteration (ms)")}
NOT_COMPARED: set[object] = {"elapsed_time", "remaining_time", "throughput"} | {("hp05", "epoch")}
"""Durations that the scripts left as words, and the closing summary that they count as a row."""
STEPS_OF_EPOCHS = {"mm04"}
"""Validation rows with an epoch as their step: gradtop puts them at the last step instead."""


def columns_of(records: list[Record]) -> dict[str, list[float]]:
    columns: dict[str, list[float]] = {}
    for block in records:
        if isinstance(block, Rows):
            columns.setdefault("x", []).extend(float(step) for step in block.steps)
            for name, values in block.columns.items():
                columns.setdefault(name, []).extend(float(value) for value in values)
    return columns


def summary(values: list[float]) -> dict[str, float]:
    """Count, ends and range of a column; NaN stands for a range without a finite value."""
    finite = [value for value in values if math.isfinite(value)]
    return {
        "count": len(values),
        "first": values[0],
        "last": values[-1],
        "min": min(finite, default=math.nan),
        "max": max(finite, default=math.nan),
        "nan": sum(math.isnan(value) for value in values),
        "inf": sum(math.isinf(value) for value in values),
    }


def expected(truth: Mapping[str, Any], scale: float) -> dict[str, float]:
    """What the file's own script found, in canonical units."""
    counts = ("count", "nan", "inf")
    return {
        key: math.nan if value is None else float(value) * (1.0 if key in counts else scale)
        for key, value in truth.items()
    }


@pytest.mark.parametrize("name", READERS)
def test_values_are_those_of_the_file(name: str) -> None:
    path = next(CORPUS.glob(f"{name}__*"), None)
    if path is None:
        pytest.skip(f"no real log {name} at {CORPUS}")
    truth = json.loads((CORPUS / "truth" / f"{name}.json").read_text())
    reader = READERS[name]()
    columns = columns_of(read(reader, path.read_bytes(), portion=500))
    assert reader.account.rejected == {}
    compared = 0
    for raw, values in truth["metrics"].items():
        use = reader.account.names.get(ALIASES.get(raw, raw))
        if use is None or use.canonical not in columns or {raw, (name, raw)} & NOT_COMPARED:
            continue
        scale = 0.01 if (name, raw) in PERCENT else 1e-3 if (name, raw) in IN_MS else 1.0
        assert summary(columns[use.canonical]) == pytest.approx(expected(values, scale), rel=1e-9, nan_ok=True), raw
        compared += 1
    assert compared >= 2
    if truth["first_step"] is not None and name != "nc03":
        assert (columns["x"][0], max(columns["x"])) == (truth["first_step"], truth["max_step"])
        backs = sum(b < a for a, b in zip(columns["x"], columns["x"][1:], strict=False))
        assert backs == (0 if name in STEPS_OF_EPOCHS else truth["step_goes_back"])


@pytest.mark.parametrize(
    ("name", "reason", "message"),
    [
        ("hp02", "loss_scale_minimum", "Exception: Current loss scale already at minimum"),
        ("tt13", "traceback", "RuntimeError: Triton Error [CUDA]: device-side assert triggered"),
        ("mg01", "scheduler", "slurmstepd: error: *** STEP 1809562.0 ON r6i5n1 CANCELLED"),
    ],
)
def test_deaths_are_told_once_with_their_cause(name: str, reason: str, message: str) -> None:
    path = next(CORPUS.glob(f"{name}__*"), None)
    if path is None:
        pytest.skip(f"no real log {name} at {CORPUS}")
    crashes = events_of(read(TextReader(), path.read_bytes()), "crash")
    assert [(crash.data["reason"], crash.message[: len(message)]) for crash in crashes] == [(reason, message)]


def test_steps_of_a_late_stream_fit_its_epochs() -> None:
    """The rows of this log come in bursts, long after their bars; 559 steps are an epoch."""
    path = CORPUS / "hp05__train_log.txt"
    if not path.exists():
        pytest.skip(f"no real logs at {CORPUS}")
    blocks = [r for r in read(TextReader(), path.read_bytes()) if isinstance(r, Rows)]
    pairs = [(step, epoch) for b in blocks for step, epoch in zip(b.steps, b.columns["epoch"], strict=True)]
    assert len(pairs) == 170
    assert all(abs(step - 559 * epoch) <= 0.6 for step, epoch in pairs)
