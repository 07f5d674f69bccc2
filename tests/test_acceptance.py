"""What a user is told about whole files: from the bytes of a log to the verdict, its findings and the exit code."""

import gzip
import json
import math
import random
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gradtop.config import Limits, Settings
from gradtop.finding import Finding, FindingState, Severity
from gradtop.report import EXIT_CODES, lines, overall, report
from gradtop.snapshot import RunSnapshot, RunState
from gradtop.verdict import Verdict
from gradtop.wiring import read_paths

SHARED = Path(__file__).parents[2] / "shared"
HEALTHY = sorted((SHARED / "corpus" / "healthy").glob("*.jsonl.gz"))
FIXTURE = "minigpt_warmup4000.jsonl"
MASKED = "minigpt_warmup4000_masked_batch_at_14.jsonl"
Row = dict[str, float]


def shared(*parts: str) -> Path:
    """A recorded log; skips the test where it is absent."""
    found = SHARED.joinpath(*parts)
    matches = sorted(found.parent.glob(found.name)) if found.parent.is_dir() else []
    if not matches:
        pytest.skip(f"recorded logs are not here: {found.name}")
    return matches[0]


def run_of(path: Path, limits: Limits | None = None) -> RunSnapshot:
    """The one run of a file, read to its end."""
    (run,) = read_paths((path,), Settings(limits=limits or Limits())).to_end().runs
    return run


def written(folder: Path, rows: Iterable[Mapping[str, float]]) -> Path:
    path = folder / "run.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def rows_of(path: Path) -> list[Row]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as found:
        return [json.loads(line) for line in found]


def judged(folder: Path, rows: Iterable[Mapping[str, float]], limits: Limits | None = None) -> RunSnapshot:
    return run_of(written(folder, rows), limits)


def only(run: RunSnapshot) -> Finding:
    (finding,) = run.findings
    return finding


def loud(run: RunSnapshot) -> list[Finding]:
    return [finding for finding in run.findings if finding.severity > Severity.NOTICE]


def steady(n: int, *, flat_from: int | None = None) -> list[Row]:
    """A run without warm-up: the loss falls until `flat_from`, the grad norm is noise around 2."""
    noise = random.Random(3)
    rows = []
    for i in range(1, n + 1):
        at = min(i, flat_from or n)
        loss = (3.0 + 1.6 * math.exp(-at / 200)) * math.exp(noise.gauss(0, 0.01))
        rows.append({"step": i, "loss": loss, "grad_norm": 2 * math.exp(noise.gauss(0, 0.2)), "lr": 3e-4})
    return rows


def command(*arguments: str | Path) -> tuple[int, Any]:
    """Exit code and document of the real command."""
    told = subprocess.run(
        [sys.executable, "-m", "gradtop", "check", "--json", *map(str, arguments)],
        capture_output=True,
        check=False,
        timeout=50,
    )
    return told.returncode, json.loads(told.stdout)


def test_one_masked_batch_in_a_warmup_is_one_notice_and_exit_code_0() -> None:
    code, document = command(shared("fixtures", MASKED))
    (run,) = document["runs"]
    (finding,) = run["findings"]
    assert (code, document["verdict"], run["verdict"]) == (0, "keep_training", "keep_training")
    assert (finding["kind"], finding["severity"], finding["state"]) == ("empty_batch", "notice", "recovered")
    assert (finding["first_step"], finding["last_step"], finding["count"]) == (14, 14, 1)
    for part in ("step 14", "warm-up", "every label masked", "Back to normal at step 15"):
        assert part in run["summary"]


# --- text logs of the simplest kind -------------------------------------------------------------------------------

WOBBLE = (
    (10, 8.2345, 2.1e-4),
    (12, 8.1, 1.9e-4),
    (14, 8.05, 5e-7),
    (15, 7.9, 2e-4),
    (16, 7.74, 2.2e-4),
    (20, 7.43, 2e-4),
)
DECLINE = ((1, 8.2345, 1e-2), (2, 8.2344, 1e-3), (3, 8.2346, 1e-4), (4, 8.2345, 1e-5), (5, 8.2344, 1e-6))
STEEP = ((1, 2.3026, 1e-3), (2, 2.3025, 1e-4), (3, 2.3026, 1e-6), (4, 2.3027, 1e-8), (5, 2.3026, 1e-9))
NORMS = ("grad_norm={}", "Total Grad Norm = {}")
ALARMS = ("", "Anomaly detected at step {step}: gradient_vanishing", "WARNING: grad_norm < 1e-6")


def text_log(rows: Iterable[tuple[int, float, float]], digits: str, norm: str, alarm: str, one_line: bool) -> str:
    told = []
    for step, loss, grad in rows:
        parts = [f"Loss: {loss:.4f}", norm.format(f"{grad:{digits}}")]
        told += [f"Step {step}: {', '.join(parts)}"] if one_line else [f"Step {step}: {part}" for part in parts]
        if alarm and grad < 1e-6:
            told.append(alarm.format(step=step))
    return "\n".join(told) + "\n"


@pytest.mark.parametrize("one_line", [True, False], ids=["one line", "two lines"])
@pytest.mark.parametrize("alarm", ALARMS, ids=["quiet", "anomaly", "warning"])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("digits", [".7f", ".6f", ".1e", ".10f"])
def test_the_wobble_as_text_keeps_training(tmp_path: Path, digits: str, norm: str, alarm: str, one_line: bool) -> None:
    path = tmp_path / "train.log"
    path.write_text(text_log(WOBBLE, digits, norm, alarm, one_line))
    run = run_of(path)
    finding = only(run)
    assert run.judgement.verdict is Verdict.KEEP_TRAINING
    assert (finding.kind, finding.severity, finding.state) == (
        "gradient_vanishing",
        Severity.NOTICE,
        FindingState.RECOVERED,
    )
    assert (finding.first_step, finding.last_step, finding.raised_step) == (14, 14, 16)
    assert (finding.met, len(finding.criteria)) == (0, 4)
    assert all(criterion.met is False for criterion in finding.criteria)
    for part in ("at step 14", "against the usual 2e-4 (400× below)", "back to normal at step 15", "loss 8.05 → 7.74"):
        assert part in finding.message
    assert ("The log's own alarm (line" in finding.message) == bool(alarm)


@pytest.mark.parametrize("one_line", [True, False], ids=["one line", "two lines"])
@pytest.mark.parametrize("alarm", ALARMS, ids=["quiet", "anomaly", "warning"])
@pytest.mark.parametrize("digits", [".7f", ".6f", ".1e", ".10f"])
@pytest.mark.parametrize("rows", [DECLINE, STEEP], ids=["decline", "steep"])
def test_a_steady_decline_as_text_is_worth_watching(
    tmp_path: Path, rows: tuple[tuple[int, float, float], ...], digits: str, alarm: str, one_line: bool
) -> None:
    path = tmp_path / "train.log"
    path.write_text(text_log(rows, digits, NORMS[0], alarm, one_line))
    run = run_of(path)
    assert run.judgement.verdict is Verdict.WATCH
    assert "5 rows: too few to be sure" in run.judgement.summary
    assert "the loss does not fall" in run.judgement.summary
    assert (only(run).first_step, only(run).raised_step) == (1, 5)
    assert not any("A single reading" in cause for cause in only(run).causes)


def test_norms_alone_can_wobble_too(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_text("".join(f"Step {step}: Total Grad Norm = {grad:.7f}\n" for step, _, grad in WOBBLE))
    run = run_of(path)
    assert run.judgement.verdict is Verdict.KEEP_TRAINING
    assert {c.id: c.met for c in only(run).criteria}["loss_flat"] is None


# --- the seed case, made precise ----------------------------------------------------------------------------------


def test_t1_a_low_reading_in_a_warmup_is_one_transient(tmp_path: Path) -> None:
    rows = rows_of(shared("fixtures", FIXTURE))
    rows[13]["grad_norm"] = 5e-7
    run = judged(tmp_path, rows)
    assert run.judgement.verdict is Verdict.KEEP_TRAINING
    assert (only(run).severity, only(run).first_step) == (Severity.NOTICE, 14)
    assert "step 14 of a warm-up" in run.judgement.summary


def test_t2_low_from_the_first_step_to_the_19th_is_transient(tmp_path: Path) -> None:
    rows = steady(200)
    for i, row in enumerate(rows):
        row["grad_norm"] = 5e-7 if i < 19 else 5.0
    run = judged(tmp_path, rows)
    assert run.judgement.verdict is Verdict.KEEP_TRAINING
    assert (only(run).severity, only(run).count) == (Severity.NOTICE, 19)


def test_t4_a_norm_that_contradicts_the_loss_is_a_wrong_reading(tmp_path: Path) -> None:
    run = judged(tmp_path, [{**row, "grad_norm": 5e-7} for row in rows_of(shared("fixtures", FIXTURE))])
    assert {finding.kind for finding in run.findings} == {"measurement_suspect"}
    assert run.judgement.verdict is Verdict.WATCH


def test_t5_a_collapse_with_a_flat_loss_is_critical_within_100_steps(tmp_path: Path) -> None:
    rows = steady(420, flat_from=300)
    for row in rows[300:]:
        row["grad_norm"] *= 1e-7
    run = judged(tmp_path, rows)
    finding = only(run)
    assert run.judgement.verdict is Verdict.INTERVENE
    assert (finding.kind, finding.first_step, finding.met) == ("gradient_vanishing", 301, 4)
    assert 301 < finding.raised_step <= 401


def test_t6_the_llmc_run_raises_nothing(tmp_path: Path) -> None:
    run = judged(tmp_path, rows_of(shared("corpus", "healthy", "llmc.jsonl.gz")))
    assert not loud(run)
    assert run.judgement.verdict is Verdict.KEEP_TRAINING


def test_t7_one_low_reading_every_30_steps_recurs(tmp_path: Path) -> None:
    rows = steady(500)
    for row in rows[100::30]:
        row["grad_norm"] = 5e-7
    run = judged(tmp_path, rows)
    assert run.judgement.verdict is Verdict.WATCH
    assert run.judgement.summary.startswith("Recurring:")
    assert only(run).met == 1


def test_t9_a_masked_batch_is_an_empty_batch() -> None:
    run = run_of(shared("fixtures", MASKED))
    assert (only(run).kind, only(run).severity) == ("empty_batch", Severity.NOTICE)


def test_t10_a_rewind_is_a_further_session_and_no_alarm(tmp_path: Path) -> None:
    rows = steady(400)
    run = judged(tmp_path, rows + rows[199:])
    assert len(run.view.sessions) == 2
    assert not run.findings


def test_t11_nothing_that_is_said_claims_that_warmup_makes_gradients_small(tmp_path: Path) -> None:
    rows = rows_of(shared("fixtures", FIXTURE))
    rows[13]["grad_norm"] = 5e-7
    finding = only(judged(tmp_path, rows))
    said = " ".join((finding.message, *finding.causes, *finding.checks, *finding.caveats))
    claims = [part for part in said.split(":") if "warm-up makes" in part]
    assert claims
    assert all("the update small, not the gradient" in part for part in claims)


# --- healthy runs -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not HEALTHY, reason="the recorded healthy runs are not here")
@pytest.mark.parametrize("path", HEALTHY, ids=[path.name[:40] for path in HEALTHY])
def test_recorded_healthy_runs_raise_nothing_above_a_notice(tmp_path: Path, path: Path) -> None:
    told = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    for thin in (1, 10, 50):
        file = tmp_path / f"every{thin}.jsonl"
        file.write_bytes(b"".join(told[::thin]))
    runs = read_paths((tmp_path,), Settings()).to_end().runs
    assert len(runs) == 3
    assert [run.name for run in runs if loud(run) or run.judgement.verdict is not Verdict.KEEP_TRAINING] == []


@pytest.mark.parametrize(
    "id", ["d201", "mm04", "lt01", "gd02", "sb01", "ul01", "lc01", "ng01", "mn01", "hp05", "op02", "ma01", "lf01"]
)
def test_logs_of_healthy_trainings_raise_nothing_above_a_notice(id: str) -> None:
    run = run_of(shared("corpus", f"{id}__*"))
    assert not loud(run)
    assert run.judgement.verdict is Verdict.KEEP_TRAINING


# --- logs of trainings that went wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("id", "primary", "told"),
    [
        ("hp02", "crashed", "the loss scale is at its minimum (line 24"),
        ("tt03", "nonfinite", "Grad norm Inf beside a finite loss at step 1"),
        ("nc03", "nonfinite", "Loss NaN at step 9"),
        ("kc04", "nonfinite", "Loss NaN at row 1"),
        ("mg01", "crashed", "ended by the scheduler (line 1,560"),
        ("tt13", "crashed", "device-side assert"),
    ],
)
def test_trainings_that_went_wrong_are_named(id: str, primary: str, told: str) -> None:
    run = run_of(shared("corpus", f"{id}__*"))
    assert run.judgement.verdict is Verdict.INTERVENE
    assert run.judgement.primary is not None
    assert run.judgement.primary.kind == primary
    assert told in run.judgement.summary
    assert run.judgement.next_step
    assert (run.state is RunState.CRASHED) == (primary == "crashed")


def test_a_dead_loss_scale_is_not_called_an_empty_batch() -> None:
    run = run_of(shared("corpus", "hp02__*"))
    assert [finding.kind for finding in run.findings] == ["crashed", "nonfinite"]
    assert any("nothing has been learned" in check for check in run.findings[1].checks)


def test_a_run_that_its_user_interrupted_did_not_crash() -> None:
    run = run_of(shared("corpus", "mg08__*"))
    assert run.judgement.verdict is Verdict.KEEP_TRAINING
    assert run.judgement.summary.startswith("Stopped by its user at step 2,130.")
    # The steps do get slower: the median of its own times is 547 ms until step 660, and 626 ms from then on.
    assert [(f.kind, f.severity) for f in run.findings] == [("throughput_drop", Severity.NOTICE)]


def test_a_norm_that_is_printed_as_zero_has_not_vanished() -> None:
    run = run_of(shared("corpus", "mg04__*"))
    assert "gradient_vanishing" not in {finding.kind for finding in run.findings}
    assert "below print precision, not vanished" in run.judgement.summary


# --- a floor of one's own -----------------------------------------------------------------------------------------


def low_run(params: int | None) -> list[dict[str, Any]]:
    """A run whose gradient is always small, and whose loss has stopped falling."""
    facts: list[dict[str, Any]] = (
        [{"type": "run", "schema": "gradtop/1", "model": {"params": params}}] if params else []
    )
    rows = steady(400, flat_from=150)
    return facts + [{"step": r["step"], "loss": r["loss"], "grad_norm": r["grad_norm"] * 2e-7} for r in rows]


@pytest.mark.parametrize(("params", "meaning"), [(None, ""), (1_000_000, " (an RMS of 1e-9 per element)")])
def test_a_floor_judges_what_the_runs_own_range_does_not(tmp_path: Path, params: int | None, meaning: str) -> None:
    rows = low_run(params)
    assert not judged(tmp_path, rows).findings
    run = judged(tmp_path, rows, Limits(grad_floor=1e-6))
    assert run.judgement.verdict is Verdict.INTERVENE
    assert f"below your --grad-floor 1e-6{meaning}" in run.judgement.summary
    level = next(c for c in only(run).criteria if c.id == "below_level")
    assert level.met
    assert "below your --grad-floor 1e-6" in level.evidence
    assert any(f"you set --grad-floor 1e-6{meaning}" in check for check in only(run).checks)


def test_a_floor_does_not_hide_what_the_runs_own_range_shows(tmp_path: Path) -> None:
    rows = steady(420, flat_from=300)
    for row in rows[300:]:
        row["grad_norm"] *= 1e-7
    low, usual = judged(tmp_path, rows, Limits(grad_floor=1e-30)), judged(tmp_path, rows)
    assert [f.id for f in low.findings] == [f.id for f in usual.findings]
    assert low.judgement.verdict is Verdict.INTERVENE


def test_the_floor_of_the_command_line_reaches_the_rules(tmp_path: Path) -> None:
    code, document = command("--grad-floor", "1e-6", written(tmp_path, low_run(None)))
    assert (code, document["verdict"]) == (2, "intervene")


def test_a_flood_of_alarms_is_one_finding(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    row = "Step {0}: Loss: {1:.4f}, grad_norm={2:.4f}\n"
    alarms = "Anomaly detected at step {0}: gradient_vanishing\n" * 60
    path.write_text("".join((row + alarms).format(i, 8 - i / 50, 0.2 + i % 7 / 50) for i in range(50)))
    run = run_of(path)
    assert run.judgement.verdict is Verdict.KEEP_TRAINING
    assert (only(run).count, only(run).severity) == (3000, Severity.NOTICE)
    assert only(run).message.startswith("The log's own 3,000 alarms from step 0 to 49 (first line 2: Anomaly detected")
    assert "are not confirmed: grad norm" in only(run).message


# --- the text of the report ---------------------------------------------------------------------------------------


def test_a_healthy_run_is_one_line_and_its_numbers() -> None:
    path = shared("corpus", "lc01__*")
    told = list(lines(read_paths((path,), Settings()).to_end()))
    summary = "No problem seen in 19,552 rows; 10 short loss spikes, 2 of the grad norm."
    assert " ".join("".join(told[:2]).split()) == f"KEEP TRAINING lc01__main.log: {summary}"
    assert told[3] == "  state      quiet, steps 0 to 19,552, 19,552 rows"
    assert [line for line in told if line.startswith(("  NOTICE", "  WATCH", "  INTERVENE"))] == []
    assert len(told) == 10


def test_a_file_that_is_not_read_says_why() -> None:
    snapshot = read_paths((shared("corpus", "wb03__*"),), Settings()).to_end()
    assert next(lines(snapshot)).startswith("UNKNOWN  wb03__run-ycyhy7at.wandb: Nothing read: W&B run file")
    assert report(snapshot)["runs"][0]["summary"].startswith("Nothing read:")
    assert EXIT_CODES[overall(snapshot)] == 3


def test_the_report_of_a_fault_is_narrow_and_worst_first(tmp_path: Path) -> None:
    rows = steady(420, flat_from=300)
    rows[60]["loss"] = rows[60]["grad_norm"] = 0.0
    for row in rows[300:]:
        row["grad_norm"] *= 1e-7
    told = list(lines(read_paths((written(tmp_path, rows),), Settings()).to_end()))
    assert all(len(line) <= 100 for line in told if "path " not in line)
    heads = [line for line in told if line.startswith(("  INTERVENE", "  NOTICE"))]
    assert [head.split()[0] for head in heads] == ["INTERVENE", "NOTICE,"]
    assert "4 of 4 reasons to act" in heads[0]
    assert sum("Grad norm low since step 301" in line for line in told) == 1
