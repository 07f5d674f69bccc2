"""The list of findings, what is said of the selected one, and what the log cannot tell."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gradtop import units
from gradtop.catalogue import KINDS
from gradtop.clean import clean
from gradtop.config import Settings
from gradtop.coverage import blindness
from gradtop.finding import Finding, FindingState, Severity, Standing
from gradtop.snapshot import RunSnapshot
from gradtop.view.checklist import described, title
from gradtop.view.entry import Entry, plain_text
from gradtop.view.window import Window, window_of

BLIND = "blind"
"""The id of the row about what the log cannot tell; findings have longer ones."""
LEAST_GROUPED = 3
"""Short episodes of one kind and scope, all over, that are listed as one row until it is unfolded."""
WORST, NEWEST = "worst first", "newest first"
_GROUP = "group:"
_INKS = {Severity.NOTICE: "plain", Severity.WATCH: "watch", Severity.INTERVENE: "act"}
_ORDINALS = ("", "", "2nd time", "3rd time", "4th time", "5th time", "6th time", "7th time")


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One line of the list."""

    id: str
    mark: str
    """`●` it holds, `○` it is over, `?` cannot be told, `+` and `-` several that are over, folded and unfolded."""
    word: str
    """How severe it is, `over` (`passed` of a notice), or what the user said of it."""
    ink: str
    title: str
    when: str
    indent: int = 0
    """1 for one of those that a row above it counts."""


class FindingsView:
    """The findings of a run: active ones first, then those that are over; last what its log cannot tell."""

    def __init__(
        self,
        run: RunSnapshot | None,
        settings: Settings | None = None,
        unfolded: frozenset[str] = frozenset(),
        order: str = WORST,
    ) -> None:
        """Of a run, or of none yet; `unfolded` are ids of rows that stand for several, with those below them."""
        self._run, self._settings = run, settings or Settings()
        self._blind = blindness(run.coverage) if run is not None and run.view.rows else ()
        self._unfolded, self.order = unfolded, order
        self._groups: dict[str, tuple[Finding, ...]] = {}
        self._by_id = {finding.id: finding for finding in run.findings} if run is not None else {}
        self.rows = tuple(self._rows())

    @property
    def counts(self) -> str:
        """`2 active, 38 over`; empty where there is none."""
        if self._run is None or not self._run.findings:
            return ""
        active = sum(finding.state is FindingState.ACTIVE for finding in self._run.findings)
        over = len(self._run.findings) - active
        return ", ".join([f"{active} active"] * bool(active) + [f"{over} over"] * bool(over))

    def index(self, id: str | None) -> int | None:
        """The place of a row; None where there is none with this id. One that is folded away stands for itself."""
        for wanted in (id, self.group_of(id)):
            at = next((i for i, row in enumerate(self.rows) if wanted is not None and row.id == wanted), None)
            if at is not None:
                return at
        return None

    def finding(self, id: str | None) -> Finding | None:
        """The finding of a row; None for what the log cannot tell, and for a row that stands for several."""
        return self._by_id.get(id or "")

    def subject(self, id: str | None) -> Finding | None:
        """The finding that a jump from a row is about: of several the newest."""
        group = self._groups.get(id or "")
        return max(group, key=lambda f: f.first_step) if group else self.finding(id)

    def counts_several(self, id: str | None) -> bool:
        """The row stands for several findings."""
        return id in self._groups

    def group_of(self, id: str | None) -> str | None:
        """The row that counts a finding, or the row itself where it counts some; None where there is none."""
        if id in self._groups:
            return id
        return next((group for group, found in self._groups.items() if any(f.id == id for f in found)), None)

    def window(self, id: str | None) -> Window | None:
        """The part of a series that a row is about; None where there is none to draw."""
        return window_of(self._run, self.subject(id))

    def entries(self, id: str | None) -> tuple[Entry, ...]:
        """A row in full."""
        found = self.finding(id)
        if self._run is None:
            return (Entry("There is no run yet.", "quiet"),)
        if found is not None:
            return tuple(described(self._run, found, self._settings))
        if id in self._groups:
            return tuple(self._counted(self._groups[id or ""]))
        return tuple(self._unseen()) or (Entry("No finding", "title"), Entry(clean(self._run.judgement.summary, 600)))

    def text(self, id: str | None) -> str:
        """A row in full as clean plain text, to be pasted into a message."""
        name = f"{clean(self._run.name, 200)}: " if self._run is not None else ""
        return name + plain_text(self.entries(id))

    def _counted(self, found: tuple[Finding, ...]) -> Iterator[Entry]:
        """Several short episodes of one kind: what is common to them, and each of them."""
        times = [units.count(finding.first_step) for finding in found]
        kind = KINDS.get(found[0].kind)
        yield Entry(f"{title(found[0])}, {len(found):,} times", "title")
        yield Entry(f"all are over · the first at {times[-1]}, the last at {times[0]}", "quiet")
        yield Entry("Short episodes of single rows: long runs have many, and none of them counts for the verdict.")
        if kind is not None:
            yield Entry(f"When it would count: {kind.severity}.", "quiet")
        yield Entry("Each of them, the newest first", "heading")
        for finding in found:
            yield Entry(clean(finding.message, 300), "plain", 2, "○")
        yield Entry("enter unfolds them in the list.", "quiet")

    def _rows(self) -> Iterator[FindingRow]:
        if self._run is None:
            return
        nth = _nth(self._run.findings)
        for group in _grouped(_ordered(self._run.findings, self.order)):
            if len(group) < LEAST_GROUPED:
                yield from (_row(finding, nth.get(finding.id, 1)) for finding in group)
                continue
            id = f"{_GROUP}{group[0].kind}:{group[0].scope}:{group[0].standing.value}"
            self._groups[id] = group
            yield _group_row(id, group, id in self._unfolded)
            if id in self._unfolded:
                yield from (_row(finding, 1, 1) for finding in group)
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


def _ordered(findings: Iterable[Finding], order: str) -> list[Finding]:
    """Active ones first; among them, and among those that are over, the worst or the newest ones."""
    worst = order == WORST
    return sorted(
        findings,
        key=lambda f: (f.state.value, -f.severity * worst, -(f.raised_step if worst else f.last_step), f.kind),
    )


def _grouped(findings: Sequence[Finding]) -> Iterator[tuple[Finding, ...]]:
    """Each finding by itself, but of passed episodes those of one kind and scope together, the newest first."""
    passed: dict[object, list[Finding]] = {}
    for finding in findings:
        if _has_passed(finding):
            passed.setdefault(_alike(finding), []).append(finding)
    for finding in findings:
        group = passed.get(_alike(finding), []) if _has_passed(finding) else []
        if len(group) < LEAST_GROUPED:
            yield (finding,)
        elif finding is group[0]:
            yield tuple(sorted(group, key=lambda f: -f.first_step))


def _has_passed(finding: Finding) -> bool:
    return finding.state is FindingState.RECOVERED and finding.severity is Severity.NOTICE


def _alike(finding: Finding) -> object:
    return finding.kind, finding.scope, finding.standing


def _nth(findings: tuple[Finding, ...]) -> dict[str, int]:
    """Of findings above a notice, which of its kind and scope each one is."""
    seen: Counter[tuple[str, str]] = Counter()
    nth: dict[str, int] = {}
    for finding in sorted(findings, key=lambda f: f.raised_step):
        if finding.severity > Severity.NOTICE:
            seen[finding.kind, finding.scope] += 1
            nth[finding.id] = seen[finding.kind, finding.scope]
    return nth


def _group_row(id: str, group: tuple[Finding, ...], unfolded: bool) -> FindingRow:
    one = group[0]
    word = one.standing.value if one.standing is not Standing.OPEN else "passed"
    last = units.short_count(one.last_step)
    name = f"{title(one)}{_scope(one)}, {len(group):,} times"
    return FindingRow(id, "-" if unfolded else "+", word, "quiet", name, f"last {last}")


def _scope(finding: Finding) -> str:
    layer = finding.scope.removeprefix("layer:")
    return f" · {clean(layer, 200)}" if layer != finding.scope else ""


def _row(finding: Finding, nth: int, indent: int = 0) -> FindingRow:
    holds, is_open = finding.state is FindingState.ACTIVE, finding.standing is Standing.OPEN
    over = "over" if finding.severity > Severity.NOTICE else "passed"
    word = finding.standing.value if not is_open else finding.severity.word if holds else over
    # Of many, the first ones are not kept.
    again = "again" if nth >= len(_ORDINALS) else _ORDINALS[nth]
    return FindingRow(
        finding.id,
        "●" if holds else "○",
        word,
        _INKS[finding.severity] if is_open and holds else "quiet",
        f"{title(finding)}{_scope(finding)}{f', {again}' if again else ''}",
        _when(finding),
        indent,
    )


def _when(finding: Finding) -> str:
    first, last = units.short_count(finding.first_step), units.short_count(finding.last_step)
    if finding.state is FindingState.ACTIVE:
        return f"since {first}"
    return f"at {first}" if first == last else f"{first}–{last}"
