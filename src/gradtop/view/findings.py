"""The list of findings, what is said of the selected one, and what the log cannot tell."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from gradtop import units
from gradtop.catalogue import KINDS
from gradtop.clean import clean
from gradtop.coverage import blindness
from gradtop.finding import Finding, FindingState, Severity, Standing
from gradtop.snapshot import RunSnapshot
from gradtop.view.checklist import Entry, described, title

BLIND = "blind"
"""The id of the row about what the log cannot tell; findings have longer ones."""
_INKS = {Severity.NOTICE: "plain", Severity.WATCH: "watch", Severity.INTERVENE: "act"}
_ORDINALS = ("", "", "2nd time", "3rd time", "4th time", "5th time", "6th time", "7th time")


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One line of the list."""

    id: str
    mark: str
    """`●` it holds, `○` it is over, `?` cannot be told."""
    word: str
    """How severe it is, `over` (`passed` of a notice), or what the user said of it."""
    ink: str
    title: str
    when: str


class FindingsView:
    """The findings of a run, in its order; last what its log cannot tell."""

    def __init__(self, run: RunSnapshot | None) -> None:
        """Of a run, or of none yet."""
        self._run = run
        self._blind = blindness(run.coverage) if run is not None and run.view.rows else ()
        self.rows = tuple(self._rows())

    def index(self, id: str | None) -> int | None:
        """The place of a row; None where there is none with this id."""
        return next((i for i, row in enumerate(self.rows) if row.id == id), None)

    def finding(self, id: str | None) -> Finding | None:
        """The finding of a row; None for the row about what the log cannot tell."""
        return next((f for f in self._run.findings if f.id == id), None) if self._run is not None else None

    def entries(self, id: str | None) -> tuple[Entry, ...]:
        """A row in full."""
        found = self.finding(id)
        if self._run is None:
            return (Entry("There is no run yet.", "quiet"),)
        if found is not None:
            return tuple(described(self._run, found))
        return tuple(self._unseen()) or (Entry("No finding", "title"), Entry(clean(self._run.judgement.summary, 600)))

    def _rows(self) -> Iterator[FindingRow]:
        if self._run is None:
            return
        nth = _counted(self._run.findings)
        for finding in self._run.findings:
            yield _row(finding, nth.get(finding.id, 1))
        if self._blind:
            n = sum(len(one.kinds) for one in self._blind)
            yield FindingRow(BLIND, "?", "cannot tell", "unknown", f"{n} kind{'s' if n > 1 else ''} of findings", "")

    def _unseen(self) -> Iterator[Entry]:
        """What the log cannot tell, reason by reason, and what to log to change that."""
        if self._blind:
            yield Entry("What this log cannot tell", "title")
        for one in self._blind:
            yield Entry(clean(one.why, 300), "heading")
            yield Entry(", ".join(KINDS[kind].title for kind in one.kinds))
            yield from (Entry(f"needs {clean(need, 300)}", "quiet", 2, "·") for need in one.needs)


def _counted(findings: tuple[Finding, ...]) -> dict[str, int]:
    """Of findings above a notice, which of its kind and scope each one is."""
    seen: Counter[tuple[str, str]] = Counter()
    nth: dict[str, int] = {}
    for finding in sorted(findings, key=lambda f: f.raised_step):
        if finding.severity > Severity.NOTICE:
            seen[finding.kind, finding.scope] += 1
            nth[finding.id] = seen[finding.kind, finding.scope]
    return nth


def _row(finding: Finding, nth: int) -> FindingRow:
    holds, is_open = finding.state is FindingState.ACTIVE, finding.standing is Standing.OPEN
    over = "over" if finding.severity > Severity.NOTICE else "passed"
    word = finding.standing.value if not is_open else finding.severity.word if holds else over
    layer = finding.scope.removeprefix("layer:")
    scope = f" · {clean(layer, 200)}" if layer != finding.scope else ""
    # Of many, the first ones are not kept.
    again = "again" if nth >= len(_ORDINALS) else _ORDINALS[nth]
    return FindingRow(
        finding.id,
        "●" if holds else "○",
        word,
        _INKS[finding.severity] if is_open and holds else "quiet",
        f"{title(finding)}{scope}{f', {again}' if again else ''}",
        _when(finding),
    )


def _when(finding: Finding) -> str:
    first, last = units.short_count(finding.first_step), units.short_count(finding.last_step)
    if finding.state is FindingState.ACTIVE:
        return f"since {first}"
    return f"at {first}" if first == last else f"{first}–{last}"
