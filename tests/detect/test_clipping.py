import random

import pytest
from synthetic import Row, detector, falling, records

from gradtop.finding import Finding, FindingState, Severity
from gradtop.record import RunFacts, Train

KIND = "clip_saturation"


def clipped(rows: list[Row], clip: float | None = 1.0) -> list[Finding]:
    facts = RunFacts(train=Train(clip_norm=clip))
    return [f for f in detector([facts, *records(rows)]).findings() if f.kind == KIND]


def flat(n: int, grad: float) -> list[Row]:
    random_ = random.Random(2)
    return [
        {"step": float(i), "loss": 2.3 + random_.gauss(0, 0.01), "grad_norm": grad + random_.random(), "lr": 0.1}
        for i in range(n)
    ]


def test_always_clipped_is_a_notice_while_the_run_learns() -> None:
    (finding,) = clipped(falling(600, grad=40.0))
    assert (finding.severity, finding.state) == (Severity.NOTICE, FindingState.ACTIVE)
    assert "Clipped in 100 of the last 100 rows, at 1.00" in finding.message
    assert finding.message.endswith("The run learns all the same.")
    assert {c.id: c.met for c in finding.criteria}["learning_impaired"] is False


def test_always_clipped_is_worth_watching_when_nothing_is_learned() -> None:
    (finding,) = clipped(flat(600, 40.0))
    assert finding.severity is Severity.WATCH
    assert finding.met == len(finding.criteria)
    assert 200 <= finding.raised_step <= 320
    assert finding.evidence["effective_lr"] == pytest.approx(0.1 / 40.5, rel=0.02)
    assert any("like a learning rate of 0.0024" in check for check in finding.checks)


@pytest.mark.parametrize("grad", [0.5, 3.0, 8.0])
def test_clipping_at_a_norm_not_far_above_it_is_normal(grad: float) -> None:
    assert not clipped(falling(600, grad=grad))


def test_a_norm_that_was_logged_after_clipping_says_nothing_here() -> None:
    assert not clipped([{**row, "grad_norm": 1.0} for row in falling(600)])


def test_the_warmup_does_not_count() -> None:
    rows = [{**row, "lr": 1e-6 * row["step"]} for row in flat(400, 40.0)]
    assert not clipped(rows)


def test_it_is_over_when_the_norm_has_come_down() -> None:
    rows = falling(400, grad=40.0) + [{**row, "step": row["step"] + 400} for row in falling(600, grad=0.5)]
    (finding,) = clipped(rows)
    assert finding.state is FindingState.RECOVERED
    assert "over at step" in finding.message


def test_without_a_clip_value_it_cannot_tell() -> None:
    assert not clipped(falling(600, grad=40.0), None)
    blind = {c.kind: c.why for c in detector(records(falling(10))).coverage()}
    assert blind[KIND] == "the clip value of this run is not known"


@pytest.mark.parametrize(("optimizer", "most"), [("sgd", 100), ("adamw", 320)])
def test_steps_that_are_cut_to_nothing_are_told_sooner_where_their_size_counts(optimizer: str, most: int) -> None:
    facts = RunFacts(train=Train(clip_norm=1.0, optimizer=optimizer))
    (finding,) = [f for f in detector([facts, *records(flat(600, 400.0))]).findings() if f.kind == KIND]
    assert finding.severity is Severity.WATCH
    assert most - 120 < finding.raised_step <= most


def test_a_run_whose_loss_has_risen_is_not_said_to_learn() -> None:
    rows = falling(600, grad=40.0)
    for row in rows[400:]:
        row["loss"] *= 3.0
    (finding,) = clipped(rows)
    assert finding.message.endswith("scaled down 40×.")
