"""One recorded run as gradtop's user would have seen it: its own reader, its store, its rules, row by row."""

import gc
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType

from gradtop.catalogue import PRECEDENCE
from gradtop.config import Limits
from gradtop.finding import Finding, FindingState, Severity
from gradtop.history import Store
from gradtop.record import Record, Rows
from gradtop.run import cut
from gradtop.sources.follow.file import open_source
from gradtop.verdict import cause, judge

from .score import NOTED, Alarm, Outcome, Truth

LOOK_ROWS = 4
"""Rows after which the findings are looked at: each says itself at which step it could be known."""
_CODE = (type, ModuleType, FunctionType, BuiltinFunctionType)


def read(path: Path) -> list[Record]:
    """All records of a log, as `gradtop check` reads them."""
    source = open_source(path)
    records: list[Record] = []
    more = True
    while more:
        batch = source.read()
        records += batch.records
        more = batch.more
    records += source.finish().records
    source.close()
    return records


def single_rows(records: Iterable[Record]) -> Iterator[Record]:
    """The same records with one row at a time."""
    for record in records:
        if isinstance(record, Rows) and len(record) > 1:
            yield from (cut(record, i, i + 1) for i in range(len(record)))
        else:
            yield record


def outcome(truth: Truth, seed: int | None, records: Sequence[Record]) -> Outcome:
    """What gradtop says of a run, at its end and on the way."""
    store, rows = Store(Limits()), max(1, sum(len(record) for record in records if isinstance(record, Rows)))
    start = time.process_time()
    for record in records:
        store.apply((record,))
    taken = time.process_time() - start
    live, told = watched(records)
    findings = store.detector.findings()
    return Outcome(
        truth=truth,
        seed=seed,
        alarms=told.alarms,
        primary=primary(store),
        rows=store.detector.rows,
        us_per_row=1e6 * taken / rows,
        state_bytes=size(store.detector),
        backdated=told.backdated,
        steady=_gist(live.detector.findings()) == _gist(findings),
    )


def _gist(findings: Iterable[Finding]) -> list[tuple[object, ...]]:
    """What two readings of one log have to agree on; texts, because NaN differs from itself."""
    return [(f.id, f.severity, f.state, f.raised_step, f.last_step, f.count, f.message) for f in findings]


def watched(records: Iterable[Record], store: Store | None = None) -> tuple[Store, "Told"]:
    """The store after these records, one row at a time, and what was said on the way."""
    store, told = store or Store(Limits()), Told()
    steps: list[float] = []
    for i, record in enumerate(single_rows(records)):
        store.apply((record,))
        if isinstance(record, Rows):
            steps.append(float(record.steps[0]))
        if i % LOOK_ROWS == 0:
            told.look(store.detector.findings(), steps)
            steps = steps[-1:]
    told.look(store.detector.findings(), steps)
    return store, told


@dataclass(slots=True)
class _Said:
    """The worst that was said of one finding."""

    finding: Finding
    severity: Severity
    step: float
    there: bool = True


class Told:
    """What a user is told while a run goes on; a finding that is taken back was told all the same."""

    def __init__(self) -> None:
        self._said: list[_Said] = []
        self._by_id: dict[str, _Said] = {}
        self.backdated = 0
        """Alarms with a `raised_step` at which they were not yet told."""

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """So far, in the order of their steps."""
        said = sorted(self._said, key=lambda said: (said.step, -said.severity))
        return tuple(Alarm(s.finding.kind, s.severity, s.step, s.finding.message) for s in said)

    def look(self, findings: tuple[Finding, ...], steps: Sequence[float]) -> None:
        """Take in all findings as they are now; `steps` are those of the rows since the last look, and the one then."""
        ids = {finding.id for finding in findings}
        for id, said in self._by_id.items():
            said.there = id in ids
        for finding in findings:
            self._take(finding, steps)
        self._by_id = {id: said for id, said in self._by_id.items() if said.there}

    def _take(self, finding: Finding, steps: Sequence[float]) -> None:
        said = self._by_id.get(finding.id) or self._renamed(finding)
        if said is None:
            said = _Said(finding, finding.severity, self._known(finding, steps))
            self._said.append(said)
        elif finding.severity > said.severity:
            if said.severity is Severity.NOTICE:
                said.step = self._known(finding, steps)
            said.severity, said.finding = finding.severity, finding
        said.there = True
        self._by_id[finding.id] = said

    def _known(self, finding: Finding, steps: Sequence[float]) -> float:
        """Where it was told: at the step that it says, or now, if it was silent there."""
        if finding.raised_step in steps or not steps:
            return finding.raised_step
        self.backdated += finding.severity > Severity.NOTICE
        return steps[-1]

    def _renamed(self, finding: Finding) -> _Said | None:
        """A finding that just went away while this one of its kind came: episodes that are counted together now."""
        of_kind = (
            said
            for said in self._by_id.values()
            if not said.there and (said.finding.kind, said.finding.scope) == (finding.kind, finding.scope)
        )
        return max(of_kind, key=lambda said: said.severity, default=None)


def primary(store: Store) -> str:
    """The kind of the one diagnosis: of what holds at the end, else of what was raised, else of what is noted."""
    findings = store.detector.findings()
    judged = judge(findings, rows=store.detector.rows, ended=store.run.view().end, loading=None).primary
    if judged is not None and judged.severity > Severity.NOTICE and judged.state is FindingState.ACTIVE:
        return judged.kind
    if loud := [finding for finding in findings if finding.severity > Severity.NOTICE]:
        return cause(loud).kind
    return min({finding.kind for finding in findings} & NOTED, key=PRECEDENCE.index, default="")


def size(state: object) -> int:
    """Bytes of an object and of all that it holds, code left out."""
    seen: set[int] = set()
    stack, total = [state], 0
    while stack:
        item = stack.pop()
        if id(item) in seen or isinstance(item, _CODE):
            continue
        seen.add(id(item))
        total += sys.getsizeof(item)
        stack += gc.get_referents(item)
    return total
