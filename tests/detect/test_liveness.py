import pytest
from synthetic import falling, records

from gradtop.detect import liveness
from gradtop.finding import Finding, Severity
from gradtop.record import End, Record, RunFacts, Train
from gradtop.run import Run, RunView


def view(*more: Record) -> RunView:
    run = Run()
    for record in (*more, *records(falling(100))):
        list(run.apply(record))
    return run.view()


def stalled(
    seen: RunView, silent: float, gaps: list[float], watching: bool = True, alive: bool | None = None
) -> Finding | None:
    return liveness(
        seen, now=1000.0 + silent, last_arrival=1000.0, arrival_gaps=gaps, watching=watching, writer_alive=alive
    )


@pytest.mark.parametrize(
    ("gaps", "allowed"), [([2.0] * 50, 180.0), ([100.0] * 50, 300.0), ([2.0, 2.0], 1800.0), ([900.0, 900.0], 2700.0)]
)
def test_the_runs_own_rhythm_decides(gaps: list[float], allowed: float) -> None:
    assert stalled(view(), allowed - 1, gaps) is None
    finding = stalled(view(), allowed + 1, gaps)
    assert finding is not None
    assert (finding.kind, finding.severity, finding.first_step) == ("stalled", Severity.WATCH, 100)
    assert "after step 100" in finding.message


@pytest.mark.parametrize(
    ("gaps", "said"), [([0.1] * 50, "usually less than a second passes."), ([2.0] * 50, "usually at most 2s pass."),
                       ([2.0], "its rhythm is not known yet.")]
)  # fmt: skip
def test_the_usual_gap_is_told(gaps: list[float], said: str) -> None:
    finding = stalled(view(), 1e5, gaps)
    assert finding is not None
    assert said in finding.message


def test_an_old_log_is_no_stall() -> None:
    assert stalled(view(), 1e6, [], watching=False) is None
    assert liveness(view(), now=1e9, last_arrival=None, arrival_gaps=[], watching=False, writer_alive=None) is None


def test_a_run_that_is_over_is_no_stall() -> None:
    run = Run()
    stream: list[Record] = [*records(falling(50)), End(status="finished")]
    for record in stream:
        list(run.apply(record))
    assert stalled(run.view(), 1e6, [1.0] * 20) is None
    done = view(RunFacts(train=Train(total_steps=100)))
    assert stalled(done, 1e6, [1.0] * 20) is None


def test_a_run_without_rows_is_no_stall() -> None:
    assert stalled(Run().view(), 1e6, [1.0] * 20) is None


def test_a_process_that_is_gone_before_its_planned_end_has_crashed() -> None:
    finding = stalled(view(RunFacts(train=Train(total_steps=5000))), 1.0, [], alive=False)
    assert finding is not None
    assert (finding.kind, finding.severity) == ("crashed", Severity.INTERVENE)
    assert "step 100 of 5,000" in finding.message
