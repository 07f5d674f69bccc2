import pytest
from synthetic import detector, falling, records, verdict

from gradtop.finding import FindingState, Severity
from gradtop.record import End, Event, Restart
from gradtop.verdict import Verdict

OOM = Event(event="crash", message="torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", line=104)
TRACEBACK = Event(event="crash", message="Traceback (most recent call last):", line=99)


def test_several_lines_are_one_crash_named_by_the_most_telling() -> None:
    seen = detector([*records(falling(50)), TRACEBACK, OOM, Event(event="crash", message="ChildFailedError", line=120)])
    (finding,) = seen.findings()
    assert (finding.severity, finding.state, finding.count) == (Severity.INTERVENE, FindingState.ACTIVE, 3)
    assert "out of memory (line 104" in finding.message
    assert finding.evidence["cause"] == "out of memory"
    assert any("from line 99 on" in check for check in finding.checks)


def test_a_crash_before_the_first_row_is_known_with_certainty() -> None:
    assert verdict(detector([OOM])).verdict is Verdict.INTERVENE


def test_rows_of_a_relaunch_clear_it() -> None:
    rows = falling(50)
    seen = detector([*records(rows), OOM, Restart(reason="resumed"), *records(falling(52)[50:])])
    (finding,) = seen.findings()
    assert finding.state is FindingState.RECOVERED
    assert "went on at step 51" in finding.message


@pytest.mark.parametrize(("more", "state"), [(3, FindingState.ACTIVE), (8, FindingState.RECOVERED)])
def test_some_rows_of_the_same_process_clear_it_too(more: int, state: FindingState) -> None:
    rows = falling(50 + more)
    (finding,) = detector([*records(rows[:50]), TRACEBACK, *records(rows[50:])]).findings()
    assert finding.state is state


def test_an_end_record_may_say_so() -> None:
    (finding,) = detector([*records(falling(50)), End(status="crashed", step=50)]).findings()
    assert (finding.kind, finding.first_step) == ("crashed", 50)
    assert not detector([*records(falling(50)), End(status="finished", step=50)]).findings()


def test_an_error_after_the_end_is_a_notice() -> None:
    (finding,) = detector([*records(falling(50)), End(status="finished"), TRACEBACK]).findings()
    assert finding.severity is Severity.NOTICE


def test_the_quoted_line_is_made_harmless() -> None:
    evil = Event(event="crash", message="RuntimeError: \x1b]52;c;AAAA\x07 boom\nsecond", line=3)
    (finding,) = detector([*records(falling(20)), evil]).findings()
    assert "\x1b" not in finding.message
    assert "boom second" in finding.message


def test_a_million_lines_are_one_finding() -> None:
    seen = detector([*records(falling(20)), *(Event(event="crash", message=f"Signal {i}") for i in range(5000))])
    (finding,) = seen.findings()
    assert finding.count == 5000


EXIT = Event(event="crash", message="exit code 3", line=69)
PEER = Event(event="crash", message="RuntimeError: Connection closed by peer [127.0.0.1]:17844", line=73)
BAD_BATCH = Event(event="crash", message="RuntimeError: bad batch", line=10)


@pytest.mark.parametrize("told", [(End(), EXIT), (End(), EXIT, End(status="crashed")), (EXIT, End(status="crashed"))])
def test_an_exit_code_is_no_clean_end_whatever_was_said_before(told: tuple[Event | End, ...]) -> None:
    seen = detector([*records(falling(50)), *told])
    (finding,) = seen.findings()
    assert (finding.severity, finding.count) == (Severity.INTERVENE, 1)
    assert "an exit code that is not 0 (line 69: “exit code 3”)" in finding.message


def test_the_exit_code_of_another_process_after_the_end_is_a_notice() -> None:
    other = Event(event="crash", message="exit code 1 of the command")
    (finding,) = detector([*records(falling(50)), End(), other]).findings()
    assert finding.severity is Severity.NOTICE


@pytest.mark.parametrize("told", [(PEER, BAD_BATCH), (BAD_BATCH, PEER)])
def test_the_error_of_the_rank_that_failed_goes_before_what_the_others_say_of_it(told: tuple[Event, ...]) -> None:
    (finding,) = detector([*records(falling(50)), *told]).findings()
    assert "bad batch" in finding.message


def test_a_lost_rank_is_told_where_nothing_else_is() -> None:
    (finding,) = detector([*records(falling(50)), PEER]).findings()
    assert "another rank failed" in finding.message
