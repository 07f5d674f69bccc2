import math
import random
from itertools import pairwise

import pytest
from synthetic import Row, detector, falling, found, loud, records, verdict

from gradtop.finding import Finding, FindingState, Severity
from gradtop.record import RunFacts, Train
from gradtop.verdict import Verdict

KIND = "gradient_exploding"


def explosions(rows: list[Row]) -> list[Finding]:
    return [f for f in found(rows) if f.kind == KIND]


def risen(rows: list[Row], steps: range, factor: float, loss: float = 1.0) -> list[Row]:
    for row in rows:
        if row["step"] in steps:
            row["grad_norm"] *= factor
            row["loss"] *= loss
    return rows


def criteria(finding: Finding) -> dict[str, bool | None]:
    return {criterion.id: criterion.met for criterion in finding.criteria}


def bloom(noise: float) -> list[Row]:
    """The published values of one spike, after a quiet prefix and before a return that are made up."""
    random_ = random.Random(3)
    rows: list[Row] = [
        {
            "step": 31_014.0 + i,
            "loss": 2.21 * math.exp(random_.gauss(0, 0.01)),
            "grad_norm": 0.2 * math.exp(random_.gauss(0, noise)),
        }
        for i in range(200)
    ]
    losses = (2.199, 2.220, 2.595, 2.242, 2.345, 5.098, 3.492, 3.213, 2.805)
    norms = (0.242, 0.947, 2.390, 15.886, 145.119, 960.351, 353.201, 379.330, 650.246)
    for i, (loss, norm) in enumerate(zip(losses, norms, strict=True)):
        rows.append({"step": 31_214.0 + i, "loss": loss, "grad_norm": norm})
    return rows + [
        {"step": 31_223.0 + i, "loss": 2.22 + 0.5 * 0.8**i, "grad_norm": 0.267 + 300 * 0.55**i} for i in range(60)
    ]


@pytest.mark.parametrize("noise", [0.1, 0.2, 0.3])
def test_the_published_bloom_spike_is_seen_before_its_loss_jumps_and_recovers(noise: float) -> None:
    rows = bloom(noise)
    first = next(row["step"] for i, row in enumerate(rows) if loud(explosions(rows[: i + 1])) and row["step"] > 31_200)
    assert 31_215 <= first <= 31_217
    (during,) = loud(explosions([row for row in rows if row["step"] <= first]))
    assert (during.severity, during.state, during.raised_step) == (Severity.WATCH, FindingState.ACTIVE, first)
    assert "the loss has not reacted" in during.message
    (peak,) = loud(explosions([row for row in rows if row["step"] <= 31_222]))
    assert peak.severity is Severity.INTERVENE
    assert peak.met == len(peak.criteria) == 4
    (after,) = loud(explosions([row for row in rows if row["step"] <= 31_250]))
    assert after.state is FindingState.RECOVERED
    assert after.evidence["grad_norm"] == 960.351


def test_one_high_row_is_a_notice_that_says_what_the_loss_did() -> None:
    rows = risen(falling(400), range(300, 301), 30.0)
    (now,) = explosions(rows[:300])
    assert (now.severity, now.state) == (Severity.NOTICE, FindingState.ACTIVE)
    assert "One row so far" in now.message
    (over,) = explosions(rows)
    assert (over.severity, over.state, over.count) == (Severity.NOTICE, FindingState.RECOVERED, 1)
    assert "back at step 301; the loss did not react" in over.message
    assert verdict(detector(records(rows))).verdict is Verdict.KEEP_TRAINING


def test_two_of_three_rows_are_worth_watching_and_more_so_when_the_loss_rises() -> None:
    (calm,) = explosions(risen(falling(310), range(300, 311), 30.0))
    assert (calm.severity, calm.raised_step, criteria(calm)["loss_flat"]) == (Severity.WATCH, 301, False)
    (bad,) = explosions(risen(falling(310), range(300, 311), 30.0, loss=1.5))
    assert (bad.severity, criteria(bad)["loss_flat"]) == (Severity.INTERVENE, True)
    assert bad.raised_step <= 304
    assert "the loss rises with it" in bad.message


def test_a_level_that_stays_high_without_harm_is_the_usual_one_in_the_end() -> None:
    rows = risen(falling(1200), range(300, 1300), 10.0)
    (during,) = explosions(rows[:700])
    assert during.state is FindingState.ACTIVE
    (settled,) = explosions(rows)
    assert (settled.severity, settled.state) == (Severity.WATCH, FindingState.RECOVERED)
    assert "settled around" in settled.message


def test_a_rise_within_a_noisy_norm_is_seen_by_its_mean() -> None:
    random_ = random.Random(5)
    rows = falling(500)
    for row in rows:
        row["grad_norm"] = math.exp(random_.gauss(0, 0.5)) * (10.0 if row["step"] >= 300 else 1.0)
    (finding,) = loud(explosions(rows))
    assert 290 <= finding.first_step <= 300 < finding.raised_step <= 320


@pytest.mark.parametrize("per", [50.0, 100.0, 200.0])
def test_growth_over_decades_is_found_though_the_level_follows_it(per: float) -> None:
    rows = falling(1200, span=80.0)
    for row in rows:
        row["grad_norm"] *= 10 ** (max(0.0, row["step"] - 400) / per)
    (finding,) = explosions(rows)
    assert finding.severity is Severity.WATCH
    assert finding.first_step == pytest.approx(400, abs=0.7 * per)
    assert finding.raised_step <= 420 + 2 * per
    assert "since step 4" in finding.message


def test_a_gradient_that_grows_because_the_loss_falls_has_left_a_plateau() -> None:
    random_ = random.Random(1)
    rows: list[Row] = [
        {
            "step": float(i),
            "loss": (2.3 - 1.5 / (1 + math.exp((160 - i) / 8))) * math.exp(random_.gauss(0, 0.02)),
            "grad_norm": 0.2 * 40 ** (1 / (1 + math.exp((150 - i) / 4))) * math.exp(random_.gauss(0, 0.2)),
        }
        for i in range(600)
    ]
    assert not loud(found(rows))
    for row in rows:
        row["loss"] = 2.3
    assert loud(explosions(rows))


def test_a_gradient_that_comes_back_from_a_low_start_or_a_collapse_has_not_exploded() -> None:
    start = falling(500)
    for row in start[:19]:
        row["grad_norm"] *= 1e-7
    assert not explosions(start)
    collapse = falling(900, span=400)
    for row in collapse[299:499]:
        row["grad_norm"] *= 1e-5
    assert not loud(explosions(collapse))


def test_spikes_that_repeat_are_said_to_recur_and_worth_watching_when_the_loss_feels_them() -> None:
    rows = falling(1000)
    for row in rows[300:900:100]:
        row["grad_norm"] *= 100
    (quiet,) = explosions(rows)
    assert quiet.message.startswith("Recurring: 6 spikes")
    assert quiet.severity is Severity.NOTICE
    for row in rows[300:900:100]:
        row["loss"] *= 1.5
    (felt,) = explosions(rows)
    assert felt.severity is Severity.WATCH
    assert "the loss rises with it" in felt.message


def test_the_end_of_the_warmup_and_the_clip_are_told() -> None:
    rows = risen(falling(445), range(440, 446), 50.0, loss=1.5)
    for row in rows:
        row["lr"] = min(row["step"], 400.0) * 1e-6
    facts = RunFacts(train=Train(clip_norm=1.0))
    (finding,) = [f for f in detector([facts, *records(rows)]).findings() if f.kind == KIND]
    assert finding.severity is Severity.INTERVENE
    assert "(clipped to 1.00: scaled down" in finding.message
    assert finding.checks[0].startswith("The warm-up ended at step 400, 40 steps before: try a longer one (399 steps")
    assert any("Clipping at 1.00 is on" in check for check in finding.checks)


def test_a_solved_task_and_a_norm_in_doubt_are_left_alone() -> None:
    solved = risen(falling(800, start=4.6, floor=0.01, span=60), range(600, 700), 100.0)
    assert not loud(explosions(solved))


def test_a_goal_that_need_not_fall_is_never_more_than_worth_watching() -> None:
    rows = [{**row, "reward": 1.0} for row in risen(falling(320), range(300, 321), 100.0, loss=3.0)]
    (finding,) = explosions(rows)
    assert finding.severity is Severity.WATCH
    assert criteria(finding)["loss_flat"] is None


@pytest.mark.parametrize("noise", [0.05, 0.2, 0.5, 1.0, 2.0])
def test_noise_is_no_explosion(noise: float) -> None:
    for seed in range(6):
        random_ = random.Random(seed)
        rows = falling(1500, seed)
        for row in rows:
            row["grad_norm"] = 10 ** (-row["step"] / 3000) * math.exp(random_.gauss(0, noise))
        assert not loud(explosions(rows)), seed


def test_odd_norms_make_no_explosion_and_no_error() -> None:
    odd = [0.0, math.nan, math.inf, 1e300, 1e-300, 5e-324]
    rows = falling(600)
    for at, value in zip(range(100, 600, 80), odd, strict=False):
        rows[at]["grad_norm"] = value
    assert not loud(explosions(rows))
    constant = [{**row, "grad_norm": 1.0} for row in falling(300)]
    assert not explosions(constant)


def test_it_says_why_it_cannot_tell() -> None:
    blind = {c.kind: c.why for c in detector(records(falling(10))).coverage()}
    assert blind[KIND] == "only 10 rows with a grad norm: no usual range yet"
    alone = {c.kind: c.why for c in detector(records([{"step": 1, "loss": 2.0}])).coverage()}
    assert alone[KIND] == "no grad norm in this log"


def test_the_same_is_found_however_often_it_is_looked_at() -> None:
    rows = risen(falling(500), range(300, 340), 30.0, loss=1.4)
    whole = found(rows)
    for upto, after in pairwise(range(0, len(rows) + 1, 25)):
        assert {(f.kind, f.first_step) for f in loud(found(rows[:upto]))} <= {
            (f.kind, f.first_step) for f in loud(found(rows[:after]))
        }
    assert detector(records(rows, range(0, 500, 7))).findings() == whole


def test_steady_growth_after_the_loss_has_learned_is_found_before_it_is_decades() -> None:
    rows = falling(900, start=3.0, floor=1.0, span=60.0)
    for row in rows:
        row["grad_norm"] *= 10 ** (max(0.0, row["step"] - 400) / 150)
        row["loss"] *= 1 + 0.04 * min(1.0, max(0.0, row["step"] - 400) / 50)
    (finding,) = explosions(rows)
    assert finding.severity >= Severity.WATCH
    assert finding.raised_step <= 600
    assert finding.first_step == pytest.approx(400, abs=60)


@pytest.mark.parametrize(("later", "told"), [(1.08, "the loss rises with it"), (1.0, "and has come down again")])
def test_message_and_checklist_say_the_same_of_the_loss(later: float, told: str) -> None:
    rows = falling(330, floor=2.0, noise=0.03)
    for row in rows[300:]:
        row["grad_norm"] *= 100.0
        row["loss"] *= 1.5 if row["step"] < 315 else later
    (finding,) = (f for f in found(rows) if f.kind == "gradient_exploding")
    assert told in finding.message
    assert {c.id: c.met for c in finding.criteria}["loss_flat"] is (later > 1)
