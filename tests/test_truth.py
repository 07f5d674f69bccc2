"""Real logs of other people through `gradtop check FILE --json`, against what a script for each one file found."""

import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gradtop.cli import cli

SHARED = Path(__file__).parents[2] / "shared"
CORPUS = SHARED / "corpus"
READ_LATER = frozenset(("tb02", "tb03", "wb03"))
"""Event files and W&B run files: no text and no rows."""
FILES = sorted({path.stem for path in (CORPUS / "truth").glob("*.json")} - READ_LATER)
WITHOUT_ROWS = ("cp01", "hp06", "ws02")
"""Logs in which no line is a metric row."""

WORDS = {"train": "loss", "train_loss_step": "loss", "dt_ms": "step_time_s", "tok_per_sec": "tokens_per_s"}
"""Names that only the comparing scripts know, or that stand in no table of synonyms."""
MILLISECONDS = ("(ms)", "_ms")
PERCENT = frozenset((("tt03", "mfu"), ("tt13", "mfu"), ("nc03", "mfu")))
"""Ratios that the file gives in percent."""
EXCEPTIONS: Mapping[tuple[str, str], str] = {
    ("hp05", "epoch"): "the script counts the closing summary as a row, gradtop takes it as the end of the run",
    ("hf01", "epoch"): "the script counts the closing summary as a row, gradtop takes it as the end of the run",
    **dict.fromkeys(
        (("fs03", name) for name in ("epoch", "loss", "ppl", "tokens_per_s", "lr", "grad_norm", "loss_scale", "steps")),
        "the script reads the three closing lines of the epochs, gradtop the three lines within them as well",
    ),
    ("hp05", "samples_per_s"): "only the closing summary has it",
    ("hf01", "samples_per_s"): "only the closing summary has it",
    ("lf01", "tokens_per_s"): "the file has the numbers in quotes, and the script kept them as words",
    ("ul01", "step_time_s"): "`time` is the seconds since the start there, not a time per step: it is `time_s`",
    ("nc03", "steps"): "the script leaves out the validation line at step 0",
}
"""(file, canonical name or `steps`) → why gradtop says something else than the script."""


@cache
def check(path: Path) -> dict[str, Any]:
    """The one run of a file, as the command reports it."""
    result = CliRunner().invoke(cli, ["check", "--json", str(path)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    (run,) = json.loads(result.stdout)["runs"]
    return dict(run)


def synonyms() -> dict[str, tuple[str, int]]:
    """Name → canonical name and preference, from the table beside the corpus."""
    table = json.loads((SHARED / "fixtures" / "synonyms.json").read_text())
    return {name: (canonical, i) for canonical, names in table.items() for i, name in enumerate(names)}


def canonical_of(truth: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(canonical name, the file's own name that is it): an exact canonical name wins over a synonym."""
    table = synonyms()
    best: dict[str, tuple[int, str]] = {}
    for raw in truth["metrics"]:
        name = raw.lower().replace(" ", "_")
        plain = name.replace("-", "_")
        found = table.get(name) or table.get(plain) or ((WORDS[name], 99) if name in WORDS else None)
        if found is None or found[0] in ("step", "total_steps") or raw == truth["step_key"]:
            continue
        canonical, preference = found
        rank = -1 if plain == canonical else preference
        if canonical not in best or rank < best[canonical][0]:
            best[canonical] = (rank, raw)
    yield from ((canonical, raw) for canonical, (_, raw) in best.items())


def number(value: Any) -> float:
    return math.nan if value is None else float({"Infinity": "inf", "-Infinity": "-inf"}.get(value, value))


def summary(found: Mapping[str, Any], scale: float = 1.0) -> dict[str, float]:
    """Count, last, range, NaN and Inf of one metric; a range without a finite value is NaN."""
    counts = {key: float(found[key]) for key in ("count", "nan", "inf")}
    return counts | {key: number(found[key]) * scale for key in ("last", "min", "max")}


@pytest.mark.parametrize("name", FILES or [pytest.param("", marks=pytest.mark.skip(f"no real logs at {CORPUS}"))])
def test_metrics_are_those_of_the_file(name: str) -> None:
    truth = json.loads((CORPUS / "truth" / f"{name}.json").read_text())
    found = check(next(CORPUS.glob(f"{name}__*")))["metrics"]
    wrong = {}
    for canonical, raw in canonical_of(truth):
        scale = 1e-3 if raw.endswith(MILLISECONDS) else 0.01 if (name, raw) in PERCENT else 1.0
        expected = summary(truth["metrics"][raw], scale)
        if not expected["count"] or (name, canonical) in EXCEPTIONS:
            continue
        got = summary(found[canonical]) if canonical in found else None
        if got != pytest.approx(expected, rel=1e-9, nan_ok=True):
            wrong[canonical] = (got, expected)
    assert wrong == {}


@pytest.mark.parametrize("name", FILES)
def test_steps_are_those_of_the_file(name: str) -> None:
    truth = json.loads((CORPUS / "truth" / f"{name}.json").read_text())
    if truth["first_step"] is None:
        pytest.skip("the file names no step")
    steps = check(next(CORPUS.glob(f"{name}__*")))["steps"]
    if reason := EXCEPTIONS.get((name, "steps")):
        pytest.skip(reason)
    assert (steps["first"], steps["last"]) == (truth["first_step"], truth["max_step"])


@pytest.mark.parametrize("name", WITHOUT_ROWS)
def test_nothing_is_invented_where_there_is_no_row(name: str) -> None:
    path = next(CORPUS.glob(f"{name}__*"), None)
    if path is None:
        pytest.skip(f"no real log {name} at {CORPUS}")
    run = check(path)
    assert (run["verdict"], run["metrics"]) == ("unknown", {})
