import pytest
from synthetic import falling, records

from gradtop.detect.process.gone import Close, LastWords, finished, gone
from gradtop.finding import Severity
from gradtop.machine import Process
from gradtop.record import Record, RunFacts, Train
from gradtop.run import Run, RunView

WORDS = LastWords(Close.WORDS, "Saved it to \x1b[1mout.pt", 107)


def view(total: int | None = None, session: int | None = None, rows: int = 100) -> RunView:
    run = Run()
    stream: list[Record] = [RunFacts(train=Train(total_steps=total), session=session), *records(falling(rows))]
    for record in stream:
        list(run.apply(record))
    return run.view()


@pytest.mark.parametrize(
    ("words", "severity", "said"),
    [
        (None, Severity.WATCH, "after step 100, and the log does not say whether the training finished."),
        (LastWords(Close.OPEN, "syncing", 102), Severity.WATCH, "whether the training finished (line 102: “syncing”)."),
        (LastWords(Close.CUT), Severity.WATCH, "and the log breaks off in the middle of a line"),
        (LastWords(Close.EVALUATION), Severity.NOTICE, "but it ends with an evaluation"),
        (WORDS, Severity.NOTICE, "but it ends like one that did (line 107: “Saved it to out.pt”)."),
    ],
)
def test_what_is_said_depends_on_how_the_log_ends(words: LastWords | None, severity: Severity, said: str) -> None:
    found = gone(view(), Process(pid=7, state="gone"), words)
    assert found is not None
    assert (found.kind, found.severity) == ("process_gone", severity)
    assert found.message.startswith("Process 7, which wrote this log, is gone after step 100")
    assert said in found.message
    assert found.checks


def test_words_of_an_end_stand_against_a_plan() -> None:
    assert [f.kind for f in (gone(view(500), None, words) for words in (None, WORDS)) if f] == [
        "crashed", "process_gone",
    ]  # fmt: skip
    early = gone(view(500), None, WORDS)
    assert early is not None
    assert (early.severity, "at step 100 of 500" in early.message) == (Severity.WATCH, True)
    assert gone(view(100), None, None) is None


def test_a_stream_of_ours_always_has_an_end() -> None:
    found = gone(view(session=1), None, WORDS)
    assert found is not None
    assert (found.kind, found.severity) == ("crashed", Severity.INTERVENE)


def test_a_process_that_is_killed_before_the_first_row_is_told() -> None:
    found = gone(view(rows=0), Process(pid=7, state="gone", exit_code=-9), LastWords(Close.OPEN, "loading", 2))
    assert found is not None
    assert found.message == (
        "Process 7, which wrote this log, was killed by signal 9 (SIGKILL) before its first row, and the log has no "
        "end (line 2: “loading”)."
    )
    assert any("dmesg" in check for check in found.checks)


@pytest.mark.parametrize(("total", "code", "expected"), [(None, 0, True), (100, 0, True), (500, 0, False),
                                                        (None, 1, False), (None, None, False)])  # fmt: skip
def test_an_exit_code_of_0_is_an_end_unless_there_was_more_to_come(
    total: int | None, code: int | None, expected: bool
) -> None:
    assert finished(view(total), Process(pid=7, state="gone", exit_code=code)) is expected
