"""Skipped steps of mixed precision: by design now and then, a fault when there are many or the scale never recovers."""

import pytest
from synthetic import Row, detector, falling, found, records, verdict

from gradtop.finding import Finding, FindingState, Severity
from gradtop.record import Event, Record, Rows
from gradtop.verdict import Verdict


def skip(step: float, scale: float | None = None) -> Event:
    return Event(event="skipped_step", step=step, data={} if scale is None else {"loss_scale": scale})


def with_skips(n: int, skipped: range, every: int = 1, scale: float | None = None) -> list[Record]:
    """Rows every `every` steps, and the lines of the skipped steps where they belong."""
    out: list[Record] = []
    for record in records(falling(n)):
        assert isinstance(record, Rows)
        for i, step in enumerate(record.steps):
            if int(step) % every == 0:
                out += [skip(step, scale) for at in range(int(step) - every, int(step)) if at in skipped]
                columns = {name: values[i : i + 1] for name, values in record.columns.items()}
                out.append(Rows([step], columns, x_kind=record.x_kind))
    return out


def of_kind(findings: tuple[Finding, ...], kind: str) -> Finding:
    (finding,) = (f for f in findings if f.kind == kind)
    return finding


def test_the_first_steps_search_the_scale() -> None:
    seen = detector(with_skips(400, range(1, 16)))
    assert of_kind(seen.findings(), "amp_overflow").severity is Severity.NOTICE
    assert verdict(seen).verdict is Verdict.KEEP_TRAINING


def test_a_skip_in_some_hundred_steps_is_a_notice_that_counts() -> None:
    finding = of_kind(detector(with_skips(1000, range(100, 1000, 150))).findings(), "amp_overflow")
    assert (finding.severity, finding.state) == (Severity.NOTICE, FindingState.RECOVERED)
    assert finding.evidence["skipped_steps"] == 6


@pytest.mark.parametrize("every", [1, 10])
def test_eight_of_twenty_are_a_storm_that_is_over_later(every: int) -> None:
    stormy = detector(with_skips(310, range(200, 300, 2), every)).findings()
    finding = of_kind(stormy, "amp_skip_storm")
    assert (finding.severity, finding.state) == (Severity.WATCH, FindingState.ACTIVE)
    assert 200 <= finding.raised_step <= 240
    over = of_kind(detector(with_skips(1200, range(200, 300, 2), every)).findings(), "amp_skip_storm")
    assert over.state is FindingState.RECOVERED


def test_twenty_in_a_row_call_for_action() -> None:
    seen = detector(with_skips(300, range(200, 300)))
    finding = of_kind(seen.findings(), "amp_skip_storm")
    assert (finding.severity, verdict(seen).verdict) == (Severity.INTERVENE, Verdict.INTERVENE)
    assert finding.raised_step <= 222


def test_a_scale_that_only_falls_has_collapsed() -> None:
    rows: list[Row] = [{**row, "loss_scale": 65536.0 * 0.5 ** max(0, (row["step"] - 200) // 5)} for row in falling(300)]
    finding = of_kind(found(rows), "amp_scale_collapse")
    assert (finding.severity, finding.state) == (Severity.INTERVENE, FindingState.ACTIVE)
    assert finding.raised_step == 250


def test_the_search_from_a_high_scale_down_is_no_collapse() -> None:
    rows: list[Row] = [{**row, "loss_scale": max(2.0**32 * 0.5 ** row["step"], 16384.0)} for row in falling(300)]
    assert {f.kind for f in found(rows)} <= {"amp_overflow"}


def test_counts_that_add_up_are_not_skips_in_every_row() -> None:
    rows: list[Row] = [{**row, "skipped": float(3 + row["step"] // 200)} for row in falling(1000)]
    finding = of_kind(found(rows), "amp_overflow")
    assert finding.evidence["skipped_steps"] == pytest.approx(4, abs=2)
    assert finding.severity is Severity.NOTICE


def test_a_storm_is_told_although_the_log_has_no_loss() -> None:
    out: list[Record] = []
    for step in range(10, 600, 10):
        out += [skip(step)] * 2
        out.append(Rows([step], {"lr": [1e-4]}))
    assert verdict(detector(out)).verdict is Verdict.WATCH


def test_counts_of_each_interval_that_fall_are_added_up_from_the_first_row_on() -> None:
    rows = falling(600)[9::10]
    for row, skipped in zip(rows, [10.0, 8.0, 1.0, *[0.0] * len(rows)], strict=False):
        row["skipped"] = skipped
    finding = of_kind(found(rows), "amp_overflow")
    assert finding.evidence["skipped_steps"] == 19
    assert finding.message.startswith("19 steps were skipped by mixed precision in steps 10 to 30 (3.2 %)")


def test_a_storm_without_end_names_as_many_steps_as_it_has() -> None:
    finding = of_kind(detector(with_skips(300, range(200, 300))).findings(), "amp_skip_storm")
    assert finding.message.startswith("The last 100 steps were skipped because")
    assert finding.criteria[0].evidence == "the last 100 steps"
