"""The list of runs: one row each, made when it is looked at."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradtop import units
from gradtop.clean import clean
from gradtop.filter import Filter
from gradtop.plot import sparkline
from gradtop.snapshot import RunSnapshot, Snapshot
from gradtop.view.header import STATE_GLYPHS, state_ink, state_word
from gradtop.view.overlay import Marks, letter_of
from gradtop.view.ranking import Ranking, chosen, unread
from gradtop.view.tone import TONES

if TYPE_CHECKING:
    from gradtop.run import RunView

SPARK_CELLS = 12
"""Width of a sparkline."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of the list."""

    id: str
    name: str
    state: str
    state_ink: str
    step: str
    loss: str
    loss_spark: str
    grad_norm: str
    grad_norm_spark: str
    verdict: str
    tone: str
    age: str
    mark: str = ""
    """The ink in which it is drawn over other runs; empty where it is not."""
    letter: str = ""
    """Stands at the end of its lines."""


class RunsView:
    """The runs that are asked for, in the order that is asked for. A row costs nothing until it is asked for."""

    def __init__(
        self,
        snapshot: Snapshot,
        age_s: float = 0.0,
        ascii_only: bool = False,
        *,
        ranking: Ranking = Ranking(),  # noqa: B008  # frozen
        found: Filter = Filter(),  # noqa: B008
        marks: Marks = Marks(),  # noqa: B008
    ) -> None:
        """`age_s` is how old the snapshot is, `found` says which runs are listed, `marks` which are marked."""
        self._runs = ranking.sorted(chosen(snapshot.runs, found))
        self._places = {run.id: i for i, run in enumerate(self._runs)}
        self._now = snapshot.now + age_s
        self._ascii = ascii_only
        self._marks = marks
        self.ranking = ranking
        self.filter = found
        self.of = len(snapshot.runs)
        """Number of runs without the filter."""
        self.marked = bool(marks.ids)
        """Some are marked."""

    def __len__(self) -> int:
        """Number of runs."""
        return len(self._runs)

    def index(self, run_id: str | None) -> int | None:
        """The place of a run; None where it is not there."""
        return self._places.get(run_id or "")

    def id(self, i: int) -> str:
        """The id of a run."""
        return self._runs[i].id

    def key(self, i: int) -> tuple[object, ...]:
        """What a row depends on: rows of equal keys are equal."""
        run = self._runs[i]
        how = run.state, run.view.rows, run.judgement.verdict, int(run.read * 100)
        return run.id, run.name, *how, self._age(run), self._marks.ink(run.id)

    def row(self, i: int) -> RunRow:
        """The run at place `i`."""
        run = self._runs[i]
        known, mark = not unread(run), self._marks.ink(run.id)
        loss, loss_spark = self._metric(run.view, "loss")
        norm, norm_spark = self._metric(run.view, "grad_norm")
        return RunRow(
            id=run.id,
            name=clean(run.name, 200),
            state=f"{STATE_GLYPHS[run.state]} {state_word(run)}" if known else "not read yet",
            state_ink=state_ink(run.state) if known else "quiet",
            step=_reached(run.view),
            loss=loss,
            loss_spark=loss_spark,
            grad_norm=norm,
            grad_norm_spark=norm_spark,
            verdict=run.judgement.verdict.value.replace("_", " ") if known else "",
            tone=TONES[run.judgement.verdict] if known else "quiet",
            age=self._age(run),
            mark=mark,
            letter=letter_of(mark) if mark else "",
        )

    def _metric(self, view: "RunView", name: str) -> tuple[str, str]:
        series = view.series.get(name)
        if series is None or not len(series):
            return "", ""
        # With fewer values than cells every value has a cell of its own.
        columns = series.envelope(min(SPARK_CELLS, len(series)))
        return units.number(series.stats.last), _held(sparkline(columns, self._ascii))

    def _age(self, run: RunSnapshot) -> str:
        return units.age(self._now - run.changed_at) if run.changed_at is not None else ""


def _reached(view: "RunView") -> str:
    """The newest step, after the word for what the run counts where that is something else."""
    if view.last_step is None:
        return ""
    if view.x_kind == "step":
        return units.count(view.last_step)
    return f"{view.x_kind} {units.short_count(view.last_step)}"


def _held(sparks: str) -> str:
    """A sparkline without gaps: between two values the first one stands."""
    bar, out = " ", ""
    for spark in sparks:
        bar = spark if spark not in " ✕X" else bar
        out += bar if spark == " " else spark
    return out
