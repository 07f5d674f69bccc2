"""What it means that the process of a run is gone: `crashed` where there was more to come, else `process_gone`."""

import signal
from dataclasses import dataclass
from enum import Enum

from gradtop import units
from gradtop.clean import clean
from gradtop.detect.case import criterion
from gradtop.detect.process.said import done, finding, place
from gradtop.finding import Finding, Severity
from gradtop.machine import Process
from gradtop.run import RunView

_QUOTED = 120
_BY_ITSELF = (0, -signal.SIGINT)
"""Exit codes of a process that was not killed and met no error: ctrl+c is its user's."""


class Close(Enum):
    """How a log ends that does not say that the training is over."""

    OPEN = ""
    """Anyhow: with a row of the training, or with words that say nothing of an end."""
    WORDS = "words"
    """Behind its last row with words of a run that finished."""
    EVALUATION = "evaluation"
    """With a row that is not of the training."""
    CUT = "cut"
    """In the middle of a line."""


@dataclass(frozen=True, slots=True)
class LastWords:
    """The end of a log."""

    close: Close = Close.OPEN
    text: str = ""
    """The last words behind its last row, foreign text; empty where there are none."""
    line: int = 0
    """Their line."""

    @property
    def quoted(self) -> str:
        """`line 512: “saved to out/final.pt”`; empty without words."""
        return f"line {self.line:,}: “{clean(' '.join(self.text.split()), _QUOTED)}”" if self.text else ""


def gone(view: RunView, process: Process | None, words: LastWords | None) -> Finding | None:
    """A crash by its exit code, by the plan of the run, or by its own stream, which always has an end.

    Else nobody knows. Words of an end stand against a plan: training may stop early. None where the plan was carried
    out, and where it ended by itself and nothing says that there was more to come.
    """
    words, code = words or LastWords(), process.exit_code if process is not None else None
    if done(view) or finished(view, process):
        return None
    if code is not None:
        return _unclear(view, process, words) if code in _BY_ITSELF else _crashed(view, process, words)
    own = view.facts.session is not None and view.last_step is not None
    if own or (view.total and words.close is not Close.WORDS):
        return _crashed(view, process, words)
    return _unclear(view, process, words)


def finished(view: RunView, process: Process | None) -> bool:
    """The process ended by itself, without an error, and nothing says that there was more to come."""
    return process is not None and process.exit_code == 0 and (done(view) or not view.total)


def _who(process: Process | None) -> str:
    return f"Process {process.pid}, which wrote this log," if process is not None else "The process that wrote this log"


def _left(process: Process | None) -> str:
    if process is not None and process.outcome:
        return process.outcome
    return "is a zombie" if process is not None and process.state == "zombie" else "is gone"


def _place(view: RunView) -> str:
    """`after step 952`, `at step 952 of 5,000`, `before its first row`."""
    if view.last_step is None:
        return "before its first row"
    return f"at {place(view)} of {units.count(view.total)}" if view.total else f"after {place(view)}"


def _crashed(view: RunView, process: Process | None, words: LastWords) -> Finding:
    left, total = _left(process), view.total
    code = process.exit_code if process is not None else None
    quoted = f" ({words.quoted})" if words.text else ""
    return finding(
        view,
        "crashed",
        Severity.INTERVENE,
        f"{_who(process)} {left} {_place(view)}, and the log has no end{quoted}.",
        (
            criterion("crashed", "died", True, f"its process {left}"),
            criterion("crashed", "not_resumed", True, "no rows after it"),
        ),
        _facts(view, words)
        | ({"total_steps": float(total)} if total else {})
        | ({"exit_code": float(code)} if code is not None else {}),
        process,
        "killed by a signal" if code is not None and code < 0 else "its process is gone",
    )


def _unclear(view: RunView, process: Process | None, words: LastWords) -> Finding:
    known = process is not None and process.exit_code is not None
    ends = known or words.close in (Close.WORDS, Close.EVALUATION)
    form = "ended early" if known else "cut off" if words.close is Close.CUT else ""
    return finding(
        view,
        "process_gone",
        Severity.NOTICE if ends and not view.total else Severity.WATCH,
        f"{_who(process)} {_left(process)} {_place(view)}{'.' if known else _said(words)}",
        (
            criterion("process_gone", "gone", True, f"it {_left(process)}"),
            criterion("process_gone", "unfinished", _unfinished(view, words), _evidence(words)),
            criterion("process_gone", "not_resumed", True, "no rows after it"),
        ),
        _facts(view, words),
        process,
        form,
    )


def _facts(view: RunView, words: LastWords) -> dict[str, float | str]:
    step: dict[str, float | str] = {"step": view.last_step} if view.last_step is not None else {}
    return step | ({"last_words": words.quoted} if words.text else {})


def _unfinished(view: RunView, words: LastWords) -> bool | None:
    if words.close is Close.OPEN:
        return True if view.total else None
    return words.close is Close.CUT


def _said(words: LastWords) -> str:
    if words.close is Close.CUT:
        return ", and the log breaks off in the middle of a line, as one does whose process is killed."
    if words.close is Close.WORDS:
        return f". The log does not say that the training finished, but it ends like one that did ({words.quoted})."
    if words.close is Close.EVALUATION:
        return ". The log does not say that the training finished, but it ends with an evaluation, as such logs do."
    return ", and the log does not say whether the training finished" + (f" ({words.quoted})." if words.text else ".")


def _evidence(words: LastWords) -> str:
    if words.close is Close.CUT:
        return "its last line is cut off"
    if words.close is Close.EVALUATION:
        return "its last row is one of an evaluation"
    return words.quoted or "its last line is a row of the training"
