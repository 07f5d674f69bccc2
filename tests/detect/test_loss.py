import math
import random

from synthetic import Row, detector, falling, found, loud, records, verdict

from gradtop.finding import FindingState, Severity
from gradtop.verdict import Verdict


def spiked(steps: list[int], factor: float = 1.5, n: int = 300) -> list[Row]:
    rows = falling(n)
    for row in rows:
        if row["step"] in steps:
            row["loss"] *= factor
    return rows


def test_one_row_is_a_notice() -> None:
    rows = spiked([200])
    (finding,) = found(rows)
    assert (finding.kind, finding.severity, finding.state) == ("loss_spike", Severity.NOTICE, FindingState.RECOVERED)
    assert (finding.first_step, finding.last_step, finding.count) == (200, 200, 1)
    assert "at step 200" in finding.message
    assert "is over" in finding.message
    assert "back to usual at step 201" in finding.message
    assert verdict(detector(records(rows))).summary == "No problem seen in 300 rows; 1 short loss spike."


def test_two_rows_in_a_row_are_worth_watching_until_the_loss_is_back() -> None:
    rows = spiked([200, 201])
    during = detector(records(rows[:201]))
    assert verdict(during).verdict is Verdict.WATCH
    assert "The loss is high since step 200" in verdict(during).summary
    (after,) = found(rows)
    assert (after.severity, after.state, after.raised_step) == (Severity.WATCH, FindingState.RECOVERED, 201)
    assert verdict(detector(records(rows))).verdict is Verdict.KEEP_TRAINING


def test_spikes_of_a_long_run_are_listed_one_by_one_then_counted() -> None:
    findings = [f for f in found(spiked(list(range(100, 3000, 50)), n=3000)) if f.kind == "loss_spike"]
    assert len(findings) <= 10
    assert sum(f.count for f in findings) == 58
    assert not loud(findings)


def test_the_published_bloom_spike_is_seen_and_recovers() -> None:
    random_ = random.Random(3)
    rows: list[Row] = [{"step": 31_014 + i, "loss": 2.21 * math.exp(random_.gauss(0, 0.01))} for i in range(200)]
    spike = [2.199, 2.220, 2.595, 2.242, 2.345, 5.098, 3.492, 3.213, 2.805]
    rows += [{"step": 31_214 + i, "loss": loss} for i, loss in enumerate(spike)]
    rows += [{"step": 31_223 + i, "loss": 2.22 + 0.5 * 0.8**i} for i in range(60)]
    (finding,) = [f for f in loud(found(rows)) if f.kind == "loss_spike"]
    assert finding.raised_step == 31_220
    assert finding.state is FindingState.RECOVERED
    assert finding.evidence["loss"] == 5.098


def test_a_rising_level_is_a_divergence() -> None:
    rows = falling(700)
    for row in rows:
        row["loss"] *= 1 + 0.002 * max(0.0, row["step"] - 300)
    seen = detector(records(rows))
    (finding,) = [f for f in seen.findings() if f.kind == "loss_divergence"]
    assert (finding.severity, finding.state) == (Severity.INTERVENE, FindingState.ACTIVE)
    assert 300 < finding.raised_step <= 600
    assert finding.met == len(finding.criteria) == 4
    assert verdict(seen).verdict is Verdict.INTERVENE


def test_a_divergence_is_over_when_the_level_is_back() -> None:
    rows = falling(1200)
    for row in rows[400:500]:
        row["loss"] *= 2
    (finding,) = [f for f in found(rows) if f.kind == "loss_divergence"]
    assert finding.state is FindingState.RECOVERED
    assert verdict(detector(records(rows))).verdict is Verdict.KEEP_TRAINING


def test_a_loss_that_explodes_at_once_is_not_hidden_by_its_own_start() -> None:
    random_ = random.Random(1)
    losses = [2.3] + [2.3e4 * math.exp(random_.gauss(0, 1)) for _ in range(30)]
    (finding,) = found([{"step": i, "loss": loss} for i, loss in enumerate(losses)])
    assert (finding.kind, finding.severity) == ("loss_divergence", Severity.INTERVENE)
    assert finding.raised_step <= 5


def test_losses_around_zero_are_followed_in_their_linear_form() -> None:
    random_ = random.Random(2)
    rows = [{"step": i, "loss": 3.0 - 6.0 * min(1.0, i / 400) + random_.gauss(0, 0.1)} for i in range(800)]
    assert not loud(found(rows))
    for row in rows[600:]:
        row["loss"] += 3.0
    assert "loss_divergence" in {f.kind for f in loud(found(rows))}


def test_a_rewind_is_a_session_and_no_alarm() -> None:
    rows = falling(400) + falling(700)[199:]
    seen = detector(records(rows))
    assert not seen.findings()
    assert seen.rows == 400 + 501


def test_a_rewind_keeps_what_was_best_at_that_step() -> None:
    rows = falling(2000, span=400.0) + [{**row, "loss": row["loss"] * 1.6} for row in falling(700, span=400.0)[499:]]
    (finding,) = [f for f in found(rows) if f.kind == "loss_divergence"]
    assert finding.severity is Severity.INTERVENE
