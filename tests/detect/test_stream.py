"""The findings depend on the stream alone: not on blocks, not on what comes later, not on units."""

import math
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import Row, detector, falling, fixture, found, loud, records

from gradtop.config import Limits
from gradtop.detect import Detector
from gradtop.finding import Severity
from gradtop.record import End, Event, Record, Rows
from gradtop.run import Observation, Session


def troubled(n: int = 700) -> list[Row]:
    """A run with something of everything: a wobble, an empty batch, spikes, NaN, a rewind, a collapse."""
    rows = [dict(row) for row in falling(n, span=600.0)]
    for row in rows:
        row["lr"] = min(3e-4, 1e-5 * row["step"])
    rows[13]["grad_norm"] = 5e-7
    rows[60]["loss"] = rows[60]["grad_norm"] = 0.0
    rows[90]["grad_norm"] = math.nan
    for i in (150, 200, 201):
        rows[i]["loss"] *= 1.6
    rows[250]["loss"] = math.nan
    for row in rows[n - 150 :]:
        row["grad_norm"] *= 1e-6
        row["loss"] = rows[n - 151]["loss"]
    return rows[:400] + [dict(row) for row in rows[350:]]


@settings(max_examples=settings().max_examples // 3)
@given(st.sets(st.integers(1, 749), max_size=40))
def test_blocks_do_not_matter(cuts: set[int]) -> None:
    rows = troubled()
    whole = found(rows)
    assert len(whole) > 5
    assert detector(records(rows, sorted(cuts))).findings() == whole


def test_one_by_one_with_looks_in_between_is_the_same() -> None:
    rows = troubled()
    seen = Detector()
    session = 0
    for i, row in enumerate(rows):
        session += bool(i and row["step"] < rows[i - 1]["step"])
        block = Rows([row["step"]], {k: [v] for k, v in row.items() if k != "step"})
        seen.feed(Observation(block, Session(session, row["step"], "start")))
        seen.findings()
    assert seen.findings() == found(rows)
    assert seen.rows == len(rows)


def test_nothing_is_known_before_it_is_raised() -> None:
    rows = troubled()
    last_session = rows[400:]
    whole = {(f.kind, f.first_step, f.severity, f.raised_step) for f in found(rows)}
    for upto in range(0, len(rows), 7):
        known = {(f.kind, f.first_step, f.severity, f.raised_step) for f in found(rows[:upto])}
        step = rows[upto - 1]["step"] if upto else 0.0
        assert all(raised <= step for _, _, _, raised in known) or upto > 400
        if upto > 400:
            continue
        assert {f for f in whole if f[3] <= step and f[3] < last_session[0]["step"]} <= known


def test_a_finding_is_there_at_its_raised_step_and_not_before() -> None:
    rows = troubled()[:400]
    for finding in found(rows):
        at = next(i for i, row in enumerate(rows) if row["step"] == finding.raised_step)
        key = (finding.kind, finding.first_step, finding.severity)
        assert key in {(f.kind, f.first_step, f.severity) for f in found(rows[: at + 1])}
        assert key not in {(f.kind, f.first_step, f.severity) for f in found(rows[:at])}


def scaled(rows: list[Row], loss: float, grad: float) -> list[Row]:
    return [{**row, "loss": row["loss"] * loss, "grad_norm": row["grad_norm"] * grad} for row in rows]


@pytest.mark.parametrize(("loss", "grad"), [(1000.0, 1.0), (1e-3, 1.0), (1.0, 1e3), (7.0, 0.02)])
@pytest.mark.parametrize("stream", [troubled, lambda: falling(500), lambda: fixture("minigpt_warmup4000.jsonl")])
def test_units_do_not_matter(stream: Callable[[], list[Row]], loss: float, grad: float) -> None:
    rows = stream()
    keys = {(f.kind, f.severity, f.first_step) for f in found(rows)}
    assert {(f.kind, f.severity, f.first_step) for f in found(scaled(rows, loss, grad))} == keys


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(), st.sampled_from([0.0, 1.0, 2.3])),
            st.one_of(st.none(), st.floats(), st.sampled_from([0.0, 1.0, 1e-8])),
            st.one_of(st.none(), st.floats(), st.sampled_from([0.0, 1e-3])),
            st.integers(-3, 10),
        ),
        max_size=120,
    )
)
def test_any_numbers_at_all_are_taken(values: list[tuple[float | None, float | None, float | None, int]]) -> None:
    step, stream = 0, []
    for loss, grad, lr, ahead in values:
        step += ahead
        row = {"step": float(step), "loss": loss, "grad_norm": grad, "lr": lr}
        stream.append({name: value for name, value in row.items() if value is not None})
    findings = found(stream)
    assert len({finding.id for finding in findings}) == len(findings)
    for finding in findings:
        said = (finding.message, *finding.causes, *finding.checks, *finding.caveats)
        said += tuple(criterion.evidence for criterion in finding.criteria)
        assert all(said)
        assert not [text for text in said if re.search(r"[{}]|\bNone\b|\bnan\b", text)]
        assert finding.count >= 1
        assert finding.first_step <= finding.last_step


@pytest.mark.parametrize(
    "bad",
    [
        {"loss": math.nan},
        {"grad_norm": math.inf},
        {"loss": 0.0, "grad_norm": 0.0},
        {"grad_norm": 1e-9},
        {"loss": 40.0},
    ],
)
def test_findings_are_bounded_however_often_it_happens(bad: Row) -> None:
    rows = falling(20_000)
    for i, row in enumerate(rows):
        if i % 13 == 0:
            row.update(bad)
    findings = found(rows)
    assert 1 <= len(findings) <= 20
    assert sum(f.count for f in findings) >= 1000


def test_a_duplicate_of_a_row_is_no_second_row() -> None:
    rows = falling(50)
    doubled = [row for row in rows for _ in range(2)]
    seen = detector(records(doubled))
    assert seen.rows == 50


def test_rows_without_a_watched_metric_are_no_observations() -> None:
    seen = detector(records([{"step": i, "val_loss": 3.0} for i in range(10)]))
    assert seen.rows == 0


def test_a_repeated_step_is_not_counted_twice() -> None:
    rows = falling(40)
    rows[13]["loss"] = rows[13]["grad_norm"] = 0.0
    (finding,) = found(rows + rows[9:])
    assert (finding.kind, finding.count, finding.severity) == ("empty_batch", 1, Severity.NOTICE)


def test_a_run_that_starts_over_is_measured_anew() -> None:
    assert not loud(found(falling(500, start=2.0, floor=0.5) + falling(500, start=9.0, floor=7.0, grad=1e-3)))


def test_events_and_ends_that_mean_nothing_change_nothing() -> None:
    stream: list[Record] = [*records(falling(30)), Event(event="checkpoint", step=10), End(status="finished")]
    assert not detector(stream).findings()


def test_a_printed_zero_is_judged_by_its_bound() -> None:
    rows = falling(60)
    rows[40]["grad_norm"] = 0.0
    (finding,) = detector(records(rows, grad_norm=0.0005)).findings()
    assert finding.kind == "gradient_vanishing"
    assert not detector(records(rows, grad_norm=0.5), Limits()).findings()
