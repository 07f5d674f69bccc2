import math
import random

import pytest
from synthetic import SHARED, Row, detector, falling, fixture, found, loud, records, rows_of, verdict

from gradtop.config import Limits
from gradtop.detect import Detector
from gradtop.detect.wording import fold
from gradtop.finding import Finding, FindingState, Severity
from gradtop.record import Model, RunFacts, Train
from gradtop.verdict import Verdict

WOBBLE = [2.1e-4, 1.9e-4, 2.3e-4, 2.0e-4, 5e-7, 2.0e-4]
FALL = [8.2345, 8.1923, 8.1411, 8.0977, 8.0312, 7.9821]


def excerpt(grads: list[float], losses: list[float], **below: float) -> Detector:
    """Lines of the form `Step 10: Loss: ...` and `Step 10: grad_norm=...`, one after the other."""
    rows: list[Row] = []
    for i, grad in enumerate(grads):
        rows.append({"step": 10 + i, "grad_norm": grad})
        if losses:
            rows.append({"step": 10 + i, "loss": losses[i]})
    return detector(records(rows, (), **below))


def only(seen: Detector) -> Finding:
    (finding,) = seen.findings()
    assert finding.kind == "gradient_vanishing"
    return finding


def criteria(finding: Finding) -> dict[str, bool | None]:
    return {c.id: c.met for c in finding.criteria}


def test_one_reading_in_a_warmup_is_dismissed_with_reasons() -> None:
    rows = fixture("minigpt_warmup4000.jsonl")
    rows[13]["grad_norm"] = 5e-7
    seen = detector(records(rows))
    finding = only(seen)
    assert (finding.severity, finding.state) == (Severity.NOTICE, FindingState.RECOVERED)
    assert (finding.first_step, finding.last_step, finding.raised_step, finding.count) == (14, 14, 14, 1)
    assert "step 14 of a warm-up of at least 399 steps" in finding.message
    assert "back to normal at step 15" in finding.message
    assert [c.id for c in finding.criteria] == ["persists", "loss_flat", "below_level", "after_burn_in"]
    assert set(criteria(finding).values()) == {False}
    assert verdict(seen).verdict is Verdict.KEEP_TRAINING


def test_a_declared_warmup_wins_over_the_learning_rates() -> None:
    rows = fixture("minigpt_warmup4000.jsonl")
    rows[13]["grad_norm"] = 5e-7
    facts = RunFacts(train=Train(warmup_steps=4000, lr_max=3e-4))
    finding = only(detector([facts, *records(rows)]))
    assert "step 14 of a warm-up of 4,000 steps" in finding.message
    longer = next(check for check in finding.checks if "longer warm-up" in check)
    assert "4,000 steps, 10 % done now, e.g. 8,000 steps" in longer


def test_a_low_start_is_seen_afterwards() -> None:
    rows = fixture("minigpt_warmup4000.jsonl")
    for row in rows:
        row["grad_norm"] = 5e-7 if row["step"] < 20 else 5.0
    seen = detector(records(rows))
    finding = only(seen)
    assert (finding.first_step, finding.last_step, finding.count) == (1, 19, 19)
    assert finding.severity is Severity.NOTICE
    assert finding.raised_step == 22  # three of five rows are back


@pytest.mark.parametrize("noise", [0.0, 0.005, 0.02])
def test_a_collapse_with_a_flat_loss_is_vanishing(noise: float) -> None:
    random_ = random.Random(5)
    rows = falling(420, span=400)
    level = rows[298]["loss"]
    for row in rows[299:]:
        row["grad_norm"] *= 1e-7
        row["loss"] = level * (1 + random_.gauss(0, noise))
    seen = detector(records(rows))
    finding = only(seen)
    assert (finding.severity, finding.state) == (Severity.INTERVENE, FindingState.ACTIVE)
    assert finding.first_step == 300
    assert finding.raised_step <= 400
    assert finding.met == 4
    assert verdict(seen).verdict is Verdict.INTERVENE
    assert "step 300" in verdict(seen).summary


def test_a_collapse_while_the_loss_falls_is_low_gradient_still_learning() -> None:
    rows = falling(420, span=400)
    for row in rows[299:]:
        row["grad_norm"] *= 1e-7
    finding = only(detector(records(rows)))
    assert finding.severity is Severity.WATCH
    assert "low gradient, still learning" in finding.message
    assert criteria(finding)["loss_flat"] is False


def test_a_loss_that_falls_on_and_then_stops_is_vanishing_in_the_end() -> None:
    rows = falling(900, span=400)
    for row in rows[299:]:
        row["grad_norm"] *= 1e-7
        if row["step"] > 450:
            row["loss"] = rows[449]["loss"]
    assert only(detector(records(rows[:450]))).severity is Severity.WATCH
    assert only(detector(records(rows))).severity is Severity.INTERVENE


def test_a_recovered_collapse_is_over_after_the_clearing_rows() -> None:
    rows = falling(520, span=400)
    for row in rows[299:399]:
        row["grad_norm"] *= 1e-7
        row["loss"] = rows[298]["loss"]
    assert only(detector(records(rows[:405]))).state is FindingState.ACTIVE
    over = only(detector(records(rows)))
    assert (over.state, over.last_step) == (FindingState.RECOVERED, 399)
    assert verdict(detector(records(rows))).verdict is Verdict.KEEP_TRAINING


def test_single_bad_readings_that_recur_are_worth_watching() -> None:
    rows = falling(400)
    for row in rows[100:]:
        if row["step"] % 30 == 0:
            row["grad_norm"] *= 1e-7
    seen = detector(records(rows))
    finding = only(seen)
    assert (finding.severity, finding.first_step, finding.raised_step) == (Severity.WATCH, 120, 180)
    assert finding.count == 10
    assert finding.message.startswith("Recurring: 10 short episodes")
    assert criteria(finding)["after_burn_in"] is True
    assert criteria(finding)["persists"] is False


def test_readings_far_apart_stay_notices_and_a_later_collapse_is_still_found() -> None:
    rows = falling(21_000, span=5_000.0)
    for row in rows:
        if row["step"] % 1500 == 0:
            row["grad_norm"] *= 1e-7
    assert not loud(found(rows))
    for row in rows[20_500:]:
        row["grad_norm"] *= 1e-7
        row["loss"] = rows[20_499]["loss"]
    (worst,) = loud(found(rows))
    assert (worst.severity, worst.first_step) == (Severity.INTERVENE, 20_501)


@pytest.mark.parametrize(
    ("reading", "below"),
    [(5e-7, {}), (1e-6, {}), (0.0, {"grad_norm": 5e-7})],
    ids=["exact", "rounded up", "rounded to zero"],
)
def test_a_wobble_in_a_six_row_excerpt(reading: float, below: dict[str, float]) -> None:
    seen = excerpt([*WOBBLE[:4], reading, WOBBLE[5]], FALL, **below)
    finding = only(seen)
    assert verdict(seen).verdict is Verdict.KEEP_TRAINING
    assert (finding.severity, finding.state, finding.first_step) == (Severity.NOTICE, FindingState.RECOVERED, 14)
    assert set(criteria(finding).values()) == {False}
    assert finding.met == 0


def test_a_wobble_without_a_loss_leaves_the_loss_open() -> None:
    finding = only(excerpt(WOBBLE, []))
    assert criteria(finding) == {"persists": False, "loss_flat": None, "below_level": False, "after_burn_in": False}


def test_an_early_wobble_is_seen_once_five_rows_are_known() -> None:
    finding = only(excerpt([2e-4, 5e-7, 2e-4, 2.1e-4, 1.9e-4], FALL[:5]))
    assert (finding.first_step, finding.raised_step) == (11, 14)


@pytest.mark.parametrize("printed", [False, True])
def test_a_steady_decline_with_a_flat_loss_is_worth_watching(printed: bool) -> None:
    grads = [1e-2, 1e-3, 1e-4, 1e-5, 0.0 if printed else 1e-6]
    seen = excerpt(grads, [8.2345, 8.2344, 8.2346, 8.2345, 8.2344], grad_norm=5e-7)
    finding = only(seen)
    assert verdict(seen).verdict is Verdict.WATCH
    assert "5 rows: too few to be sure" in finding.message
    assert finding.first_step == 10


def test_a_steady_decline_with_a_falling_loss_is_no_alarm() -> None:
    seen = excerpt([1e-2, 1e-3, 1e-4, 1e-5, 1e-6], [8.2, 8.0, 7.8, 7.6, 7.4])
    assert verdict(seen).verdict is Verdict.KEEP_TRAINING


def test_a_decline_is_over_when_the_loss_begins_to_fall() -> None:
    grads = [1e-2, 1e-3, 1e-4, 1e-5, 1e-6] + [1e-6] * 30
    losses = [8.2] * 10 + [8.2 - 0.05 * i for i in range(25)]
    finding = only(excerpt(grads, losses))
    assert finding.state is FindingState.RECOVERED


def test_a_users_floor_is_judged_with_its_meaning_per_element() -> None:
    rows = falling(300, grad=2e-6, span=100.0)
    for row in rows[100:]:
        row["loss"] = 3.2
    facts = RunFacts(model=Model(params=1_000_000))
    finding = only(detector([facts, *records(rows)], Limits(grad_floor=1e-5)))
    assert finding.severity is Severity.INTERVENE
    assert "below your --grad-floor 1e-5 (an RMS of 1e-8 per element)" in finding.message
    assert any("you set --grad-floor 1e-5" in check for check in finding.checks)
    assert not found(rows)


def test_a_gradient_below_adams_epsilon_counts_as_low() -> None:
    rows = falling(300, grad=5e-6, floor=4.59)
    facts = RunFacts(model=Model(params=10**12), train=Train(optimizer="AdamW"))
    flat = [{**row, "loss": 4.6} for row in rows]
    kinds = [f.kind for f in loud(detector([facts, *records(flat)]).findings())]
    assert kinds.count("gradient_vanishing") == 1
    assert "gradient_vanishing" not in [f.kind for f in found(flat)]


def test_a_solved_run_may_fade() -> None:
    rows = [{"step": i, "loss": 2.3 * 0.97**i + 1e-9, "grad_norm": 3.0 * 0.985**i + 1e-12} for i in range(1, 1500)]
    assert not loud(found(rows))


def test_a_gradient_that_fades_with_the_loss_at_its_floor_is_no_alarm() -> None:
    rows = [{"step": i, "loss": 0.6 + 1.7 * 0.985**i, "grad_norm": 3.0 * 0.9925**i} for i in range(1, 1500)]
    assert not loud(found(rows))


def test_no_gradient_is_no_finding() -> None:
    assert not found([{"step": i, "loss": 3.0 - i / 1000} for i in range(300)])


def test_the_five_classic_remedies_say_when_they_do_not_help() -> None:
    finding = only(excerpt(WOBBLE, FALL))
    for remedy in ("--grad-floor", "longer warm-up", "peak learning rate", "Gradient scaling", "burn-in"):
        (check,) = [c for c in finding.checks if remedy in c]
        assert "not help" in check


def test_a_thinned_log_needs_as_many_steps_not_as_many_rows() -> None:
    rows = falling(4000, span=3000.0)
    for row in rows[2999:]:
        row["grad_norm"] *= 1e-7
        row["loss"] = rows[2998]["loss"]
    (finding,) = found(rows[::50])
    assert finding.severity is Severity.INTERVENE
    assert finding.raised_step - 3000 <= 50 + 5 * 50
    assert any("Logged every 50 steps" in caveat for caveat in finding.caveats)


def test_the_recorded_llmc_run_is_healthy() -> None:
    assert not loud(found(rows_of(SHARED / "corpus" / "healthy" / "llmc.jsonl.gz")))


def test_batches_that_are_learned_already_are_no_vanishing_gradient() -> None:
    rows = falling(600)
    for row in rows[200::40]:
        row["loss"], row["grad_norm"] = 1e-4, 1e-5
    assert not [finding for finding in found(rows) if finding.kind == "gradient_vanishing"]


def test_the_tail_of_a_noisy_norm_does_not_recur() -> None:
    random_ = random.Random(5)
    rows = falling(2000)
    for row in rows:
        row["grad_norm"] = random_.random() ** 2
    assert not loud(found(rows))


def test_a_printed_zero_in_the_first_rows_is_told_with_its_bound() -> None:
    finding = only(excerpt([2.1e-4, 1.9e-4, 0.0, 2.0e-4, 2.2e-4, 2.0e-4], FALL, grad_norm=5e-7))
    assert finding.message.startswith("Grad norm 0 as printed (at most 5e-7) at step 12, against the usual 2e-4")
    assert finding.met == 0


def test_a_decline_that_ends_in_printed_zeros_is_worth_watching() -> None:
    seen = excerpt([1e-3, 1e-4, 1e-6, 0.0, 0.0], [2.3026, 2.3025, 2.3026, 2.3027, 2.3026], grad_norm=5e-7)
    assert verdict(seen).verdict is Verdict.WATCH
    assert "0.00100 → 0 as printed (at most 5e-7) since step 10" in only(seen).message


def test_a_gradient_that_faded_with_a_solved_task_does_not_look_like_a_reason_to_act() -> None:
    random_ = random.Random(7)
    rows = falling(4000, start=2.5, floor=0.5, noise=0.001)
    for row in rows:
        row["grad_norm"] *= max(2.718 ** (-row["step"] / 200), 1e-4) * random_.uniform(0.9, 1.1)
    (finding,) = [f for f in found(rows) if f.kind == "gradient_vanishing"]
    assert finding.severity is Severity.NOTICE
    assert criteria(finding)["loss_flat"] is False
    assert "at its floor after it fell" in next(c.evidence for c in finding.criteria if c.id == "loss_flat")


def test_a_factor_beyond_all_numbers_is_none() -> None:
    assert [fold(ratio) for ratio in (2.34, 5e6, math.inf)] == ["2.3×", "5e6×", "more than 1e308×"]
