"""The documented JSON and the text report say exactly what the snapshot holds."""

import dataclasses
import json
import math
from pathlib import Path

import msgspec
import pytest

from gradtop.attention import Attention
from gradtop.catalogue import KINDS, PRECEDENCE
from gradtop.config import Settings
from gradtop.finding import Coverage, Criterion, Finding, FindingState, Severity, Standing
from gradtop.record import Rows, RunFacts, Train
from gradtop.report import EXIT_CODES, lines, overall, report
from gradtop.run import Run
from gradtop.snapshot import RunSnapshot, RunState, Snapshot
from gradtop.sources import SourceStatus
from gradtop.verdict import Judgement, Verdict
from gradtop.wiring import read_paths

DIP = Finding(
    kind="gradient_vanishing",
    scope="total",
    severity=Severity.NOTICE,
    state=FindingState.RECOVERED,
    first_step=14,
    last_step=14,
    raised_step=14,
    count=1,
    message="a wobble \x1b]0;PWNED\x07 at step 14",
    evidence={"grad_norm": 5e-7, "worst": math.nan},
    criteria=(
        Criterion("persists", "it persists", False, "1 of 1 steps"),
        Criterion("loss_flat", "the loss stopped improving", None, "too few rows"),
        Criterion("below_level", "below the usual range", True, "400 times below"),
    ),
    causes=("a masked batch",),
    checks=("look at batch 14",),
)


def run_snapshot(verdict: Verdict = Verdict.KEEP_TRAINING, name: str = "minigpt") -> RunSnapshot:
    run = Run()
    columns = {"loss": [8.2, math.nan, 3.1], "grad_norm": [1.0, math.inf, 2.0], "grad_norm/embed": [1.0, 2.0, 3.0]}
    columns |= {"weight_norm/embed": [9.0, 9.1, 9.2], "weight_norm/frozen": [5.0, 5.0, 5.0]}
    for record in (RunFacts(train=Train(total_steps=20)), Rows(steps=[1, 2, 3], columns=columns)):
        for _ in run.apply(record):
            pass
    return RunSnapshot(
        id="x",
        name=name,
        path=Path("logs/minigpt"),
        state=RunState.LIVE,
        read=1.0,
        view=run.view(),
        findings=(DIP,),
        judgement=Judgement(verdict, "a wobble"),
        sources=(SourceStatus(Path("logs/minigpt"), "text"),),
        changed_at=None,
        rate=None,
        eta_s=None,
    )


def snapshot(*runs: RunSnapshot) -> Snapshot:
    return Snapshot(now=0.0, runs=runs, notes=("looked in logs",))


def refuse_constant(name: str) -> float:
    raise AssertionError(f"{name} is not strict JSON")


def test_the_document_has_the_documented_shape_and_is_strict_json() -> None:
    encoded = msgspec.json.encode(report(snapshot(run_snapshot())))
    document = json.loads(encoded, parse_constant=refuse_constant)
    assert document["schema"] == "gradtop.check/1"
    run = document["runs"][0]
    assert run["steps"] == {"first": 1, "last": 3, "rows": 3, "sessions": 1, "total": 20}
    assert run["metrics"]["loss"] == {"count": 3, "first": 8.2, "last": 3.1, "min": 3.1, "max": 8.2, "nan": 1, "inf": 0}
    assert run["metrics"]["grad_norm"]["inf"] == 1
    assert run["layers"] == 2
    assert "grad_norm/embed" not in run["metrics"]
    finding = run["findings"][0]
    assert finding["severity"] == "notice"
    assert finding["state"] == "recovered"
    assert finding["evidence"] == {"grad_norm": 5e-7, "worst": "NaN"}
    assert [c["met"] for c in finding["criteria"]] == [False, None, True]


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        ([Verdict.KEEP_TRAINING, Verdict.WATCH], Verdict.WATCH),
        ([Verdict.INTERVENE, Verdict.UNKNOWN], Verdict.INTERVENE),
        ([Verdict.KEEP_TRAINING, Verdict.UNKNOWN], Verdict.UNKNOWN),
        ([], Verdict.UNKNOWN),
    ],
)
def test_the_worst_run_decides(verdicts: list[Verdict], worst: Verdict) -> None:
    assert overall(snapshot(*(run_snapshot(v) for v in verdicts))) is worst


def test_exit_codes_are_those_of_monitoring_plugins() -> None:
    assert [EXIT_CODES[v] for v in ("keep_training", "watch", "intervene", "unknown")] == [0, 1, 2, 3]  # type: ignore[index]  # StrEnum keys


def test_the_text_shows_the_checklist_and_no_control_character() -> None:
    shown = dataclasses.replace(
        run_snapshot(name="mini\x1b[2Jgpt"), judgement=Judgement(Verdict.KEEP_TRAINING, "a wobble", DIP)
    )
    text = "\n".join(lines(snapshot(shown)))
    assert "KEEP TRAINING  minigpt: a wobble" in text
    assert "1 of 3 reasons to act" in text
    assert "○ it persists: 1 of 1 steps" in text
    assert "? the loss stopped improving: too few rows" in text
    assert "● below the usual range: 400 times below" in text
    assert "1 NaN" in text
    assert "\x1b" not in text


def test_findings_that_do_not_count_say_so_and_are_short() -> None:
    fault = dataclasses.replace(DIP, severity=Severity.INTERVENE, state=FindingState.ACTIVE)
    muted = dataclasses.replace(fault, standing=Standing.MUTED)
    known = dataclasses.replace(fault, standing=Standing.ACKNOWLEDGED, scope="loss")
    text = "\n".join(lines(snapshot(dataclasses.replace(run_snapshot(), findings=(muted, known)))))
    assert "  INTERVENE, muted  a wobble" in text
    assert "  INTERVENE, acknowledged  a wobble" in text
    assert "look at batch 14" not in text
    assert "look at batch 14" in "\n".join(lines(snapshot(dataclasses.replace(run_snapshot(), findings=(fault,)))))


def test_what_goes_with_the_primary_cause_is_brief() -> None:
    cause = dataclasses.replace(
        DIP,
        kind="lr_jump",
        severity=Severity.WATCH,
        state=FindingState.ACTIVE,
        causes=("first cause", "second cause"),
        checks=("first check", "second check"),
    )
    effect = dataclasses.replace(cause, kind="loss_spike", causes=("odd batch", "beta2"), checks=("wait", "look"))
    shown = dataclasses.replace(
        run_snapshot(Verdict.WATCH), findings=(effect, cause), judgement=Judgement(Verdict.WATCH, "it jumped", cause)
    )
    text = list(lines(snapshot(shown)))
    told = [line.split("  ")[-1].strip() for line in text if line.startswith(("    cause", "    next"))]
    assert told == ["first cause", "second cause", "first check", "second check"]
    assert [line for line in text if "reasons to act" in line and "loss spike" in line]
    assert "  Causes and checks of these: gradtop check --list-rules loss_spike" in text


@pytest.mark.parametrize(("n", "told"), [(2, ["wobble 0", "wobble 1"]), (4, ["wobble 0", "3 more since step 1"])])
def test_many_findings_of_a_kind_are_counted(n: int, told: list[str]) -> None:
    found = tuple(dataclasses.replace(DIP, scope=str(i), first_step=n - i, message=f"wobble {i}") for i in range(n))
    text = list(lines(snapshot(dataclasses.replace(run_snapshot(), findings=found))))
    heads = [line for line in text if line.startswith("  NOTICE, over")]
    assert [head.removeprefix("  NOTICE, over  ").removeprefix("gradient vanishing: ") for head in heads] == told


def blind(*coverage: tuple[str, str]) -> list[str]:
    """What the text says that it cannot tell, of (kind, why)."""
    found = tuple(Coverage(kind, why, "what it needs") for kind, why in coverage)
    told = list(lines(snapshot(dataclasses.replace(run_snapshot(), coverage=found))))
    start = next((i for i, line in enumerate(told) if line.startswith("  cannot tell")), len(told))
    return told[start:]


def test_what_cannot_be_told_is_named_by_its_reason() -> None:
    assert blind(("loss_spike", "")) == []
    assert blind(
        ("dead_layer", "no grad norm per layer in this log"),
        ("frozen_layer", "no grad norm per layer in this log"),
        ("overfitting", "no validation loss in this log"),
    ) == [
        "  cannot tell: dead_layer, frozen_layer (no grad norm per layer); overfitting (no validation loss).",
        "    gradtop explain says what is missing.",
    ]


def test_much_that_cannot_be_told_is_counted_in_two_lines() -> None:
    told = blind(*((f"kind_{i}", f"no metric {i} with a name of some length in this log") for i in range(20)))
    assert len(told) == 2
    assert told[0].startswith(
        f"  cannot tell: 20 of {len(KINDS)} kinds of findings (no metric 0 with a name of some length;"
    )
    assert told[1].endswith("; 18 more reasons). gradtop explain says what is missing.")


def test_the_document_has_every_rule_once() -> None:
    coverage = (Coverage("loss_spike", "", "the loss"), Coverage("lr_zero", "no learning rate in this log", "it"))
    said = Attention(muted=frozenset({"loss_spike"}), everywhere=frozenset({"nonfinite"}))
    shown = dataclasses.replace(run_snapshot(), coverage=coverage, attention=said, goal="a VAE, by its metric elbo")
    (run,) = report(snapshot(shown))["runs"]
    rules = {rule["kind"]: rule for rule in run["rules"]}
    assert list(rules) == [kind for kind in PRECEDENCE if kind in KINDS]
    assert {rules[kind]["state"] for kind in ("loss_spike", "nonfinite")} == {"muted"}
    assert rules["lr_zero"] == {
        "kind": "lr_zero",
        "state": "cannot_tell",
        "why": "no learning rate in this log",
        "needs": "it",
    }
    assert rules["stalled"]["state"] == "cannot_tell"
    assert run["goal"] == "a VAE, by its metric elbo"


def test_nothing_to_judge_says_what_was_looked_for() -> None:
    assert list(lines(snapshot())) == ["UNKNOWN  nothing to judge", "  looked in logs"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nothing to see here\n" * 3, "3 lines, none with a metric that gradtop knows"),
        ("x" * 3_000_000 + "\n", "1 line could not be understood (longer than 1 MiB)"),
    ],
    ids=["prose", "one long line"],
)
def test_a_file_that_gave_nothing_says_so(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "train.log"
    path.write_text(text)
    told = list(lines(read_paths((path,), Settings()).to_end()))
    assert told[0] == f"UNKNOWN  train.log: Nothing read: {why}."
    assert told[-1].endswith(f"{why}: see gradtop explain {path}")


def test_layers_are_told_with_the_step_of_their_newest_values() -> None:
    run = Run()
    list(run.apply(Rows([1, 2, 3], {"loss": [3.0, 2.0, 1.0]})))
    assert not any(line.startswith("  layers") for line in _told(run))
    list(run.apply(Rows([3], {"grad_norm/a": [1.0], "grad_norm/b": [1.0], "weight_norm/b": [1.0]})))
    assert "  layers     2, newest values at step 3" in _told(run)


def test_the_json_has_the_numbers_of_every_value_per_layer_but_the_grad_norms() -> None:
    run = Run()
    rows = {
        "loss": [3.0, 2.0],
        "grad_norm/a": [1.0, 2.0],
        "weight_norm/a": [math.nan, 5.0],
        "update_ratio/a": [0.0, -1.0],
    }
    list(run.apply(Rows([1, 2], rows)))
    (found,) = report(snapshot(dataclasses.replace(run_snapshot(), view=run.view())))["runs"]
    assert list(found["metrics"]) == ["loss", "update_ratio/a", "weight_norm/a"]
    assert (found["layers"], found["metrics"]["weight_norm/a"]) == (
        1,
        {"count": 2, "first": "NaN", "last": 5.0, "min": 5.0, "max": 5.0, "nan": 1, "inf": 0},
    )
    assert found["metrics"]["update_ratio/a"]["min"] == -1.0


def _told(run: Run) -> list[str]:
    return list(lines(snapshot(dataclasses.replace(run_snapshot(), view=run.view()))))
