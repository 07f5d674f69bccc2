"""From a step to the line of a file that tells of it, and from a line to its step."""

from dataclasses import dataclass
from pathlib import Path

from gradtop import units
from gradtop.clean import clean
from gradtop.snapshot import RunSnapshot


@dataclass(frozen=True, slots=True)
class LinePlace:
    """A line to show."""

    path: Path
    """Not clean."""
    line: int
    note: str
    """What it is, clean: `step 1,204`, or which step it is instead of the one that was asked for."""


@dataclass(frozen=True, slots=True)
class StepPlace:
    """A step to show."""

    step: float
    note: str
    """Empty where the line is that step's; clean."""


def line_at(run: RunSnapshot | None, step: float) -> LinePlace | None:
    """The line of a step: exactly that step's before a near one, and text before what programs read."""
    if run is None:
        return None
    kind, texts = run.view.x_kind, {source.path for source in run.sources if source.format == "text"}
    found = [(where, origin.path) for origin in run.origins if (where := origin.line_of(step, kind)) is not None]
    if not found:
        return None
    where, path = max(found, key=lambda one: (one[0].exact, one[1] in texts, -abs(one[0].step - step)))
    word = kind.removesuffix("s")
    note = f"{word} {units.count(where.step)}"
    if not where.exact and where.step == step:
        note += ", about here: of a log this long only some lines are kept"
    elif not where.exact:
        note += f", the nearest line to {word} {units.count(step)} that is known"
    return LinePlace(path, where.line, note)


def step_at(run: RunSnapshot | None, path: Path | None, line: int) -> StepPlace | None:
    """The step on a line of a file, or on the last line before it that has one; None where there is none."""
    origin = next((one for one in run.origins if one.path == path), None) if run is not None else None
    where = origin.step_of(line, run.view.x_kind) if origin is not None and run is not None else None
    if where is None or run is None:
        return None
    step = f"{run.view.x_kind.removesuffix('s')} {units.count(where.step)}"
    return StepPlace(
        where.step, "" if where.exact else f"line {line:,} has no step of its own: {step} stands before it"
    )


def row_lines(run: RunSnapshot | None, path: Path | None, first: int, last: int) -> frozenset[int]:
    """Which of the lines `first` to `last` of a file gave a row, as far as that is kept."""
    origin = next((one for one in run.origins if one.path == path), None) if run is not None else None
    return origin.gave_rows(first, last) if origin is not None else frozenset()


def unread_lines(run: RunSnapshot | None, path: Path | None, first: int, last: int) -> dict[int, str]:
    """Why lines from `first` to `last` of a file were rejected, by their numbers, as far as that is kept; clean."""
    source = next((one for one in run.sources if one.path == path), None) if run is not None else None
    return {line: clean(why, 100) for line, why in source.unread if first <= line <= last} if source is not None else {}


def no_line(run: RunSnapshot | None) -> str:
    """Why no line tells of a step, clean."""
    sources = run.sources if run is not None else ()
    formats = {clean(source.format, 40) for source in sources}
    if not sources:
        return "There is no file to look into yet."
    if formats & {"text", "jsonl", "csv", "gradtop"}:
        return "No line of its files is known to tell of a step."
    return f"Its files ({', '.join(sorted(formats))}) have no lines: there is no text of a step."
