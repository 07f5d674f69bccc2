"""`lr_zero` and `lr_jump`: what a learning rate may do by design, and what it may not."""

import math
from collections.abc import Callable

import pytest
from synthetic import Row, detector, falling, records

from gradtop.finding import Finding, FindingState, Severity
from gradtop.record import Record, RunFacts, Train

PEAK = 3e-4
N = 1000
Rate = Callable[[int], float]


def run(rate: Rate, n: int = N, every: int = 1, rows: list[Row] | None = None) -> list[Row]:
    """A healthy run with a learning rate per row, a row every so many steps."""
    base = rows if rows is not None else falling(n)
    return [{**row, "step": row["step"] * every, "lr": rate(i)} for i, row in enumerate(base)]


def told(kind: str, rows: list[Row], **train: float | None) -> list[Finding]:
    facts: list[Record] = [RunFacts(train=Train(**train))] if train else []  # type: ignore[arg-type]
    return [f for f in detector([*facts, *records(rows)]).findings() if f.kind == kind]


def still(rows: list[Row], since: int) -> list[Row]:
    for row in rows[since:]:
        row["loss"] = rows[since]["loss"]
    return rows


def cosine(i: int, n: int = N) -> float:
    return PEAK * 0.5 * (1 + math.cos(math.pi * min(i / n, 1.0)))


def restarts(i: int) -> float:
    return cosine(i % 250, 249)


def warmup(i: int) -> float:
    return PEAK * min(1.0, i / 200) * (1 - i / N)


def by_steps(i: int) -> float:
    return float(PEAK * 0.1 ** (i // 300))


def triangles(i: int) -> float:
    return PEAK * (0.001 + abs((i / 100) % 2 - 1))


def one_cycle(i: int) -> float:
    return PEAK * (0.04 + 0.96 * i / 300) if i < 300 else PEAK * max(1e-4, (N - i) / 700)


HEALTHY: dict[str, Rate] = {
    "constant": lambda i: PEAK,
    "cosine to zero": cosine,
    "cosine that ends a little early": lambda i: cosine(i, 990),
    "linear to zero": lambda i: PEAK * (1 - i / (N - 1)),
    "printed in six decimals": lambda i: round(cosine(i), 6),
    "warm-up from zero": warmup,
    "by steps": by_steps,
    "warm restarts": restarts,
    "triangles": triangles,
    "one cycle": one_cycle,
    "warm-up to the very end": lambda i: PEAK * i / N,
    "exponential warm-up": lambda i: 1e-9 * 2.0 ** min(i, 18),
    "zero in the last row": lambda i: 0.0 if i == N - 1 else PEAK,
}


@pytest.mark.parametrize("every", [1, 50, 500])
@pytest.mark.parametrize("name", HEALTHY)
def test_schedules_that_are_by_design_are_left_alone(name: str, every: int) -> None:
    for rows in (run(HEALTHY[name], every=every), run(HEALTHY[name])[:: min(every, 50)]):
        assert not told("lr_zero", rows)
        assert not told("lr_jump", rows)
        assert not told("lr_zero", rows, total_steps=N * every)


# --- zero ---------------------------------------------------------------------------------------------------------


def test_zero_before_the_planned_end_is_worth_watching_after_five_rows() -> None:
    rows = still(run(lambda i: PEAK if i < 500 else 0.0), 500)
    assert not told("lr_zero", rows[:504], total_steps=N)
    (finding,) = told("lr_zero", rows, total_steps=N)
    assert (finding.severity, finding.state) == (Severity.WATCH, FindingState.ACTIVE)
    assert (finding.first_step, finding.raised_step) == (501, 505)
    assert "planned to go on until step 1,000, but learns nothing any more" in finding.message
    assert finding.met == len(finding.criteria)
    assert "1,000 steps" in finding.checks[0]


@pytest.mark.parametrize("rate", [lambda i: cosine(i, 500), lambda i: PEAK * max(0.0, 1 - i / 500)])
def test_a_schedule_that_ends_at_half_of_the_run_is_named_with_a_plan_and_without(rate: Rate) -> None:
    rows = still(run(rate), 490)
    (known,) = told("lr_zero", rows, total_steps=N)
    assert known.raised_step <= 510
    (unknown,) = told("lr_zero", rows)
    assert unknown.raised_step <= 560
    assert "The schedule is over and the run goes on" in unknown.message
    assert {c.id: c.met for c in unknown.criteria}["before_end"] is None


def test_next_to_nothing_beside_the_peak_is_zero_as_well() -> None:
    (finding,) = told("lr_zero", run(lambda i: PEAK if i < 500 else 1e-14), total_steps=N)
    assert finding.first_step == 501


def test_zero_while_the_loss_falls_all_the_same_is_a_print() -> None:
    rows = run(lambda i: PEAK if i < 50 else 0.0, rows=falling(N, span=400.0, noise=0.002))
    (finding,) = told("lr_zero", rows, total_steps=N)
    assert finding.severity is Severity.NOTICE
    assert "printed with too few digits" in finding.message
    assert any(":.2e" in check for check in finding.checks)


def test_zero_in_every_row_is_a_print_where_the_loss_falls_and_a_fault_where_it_does_not() -> None:
    (printed,) = told("lr_zero", run(lambda i: 0.0))
    assert printed.severity is Severity.NOTICE
    assert printed.met < len(printed.criteria)
    rows = still(run(lambda i: 0.0), 0)
    (real,) = told("lr_zero", rows)
    assert (real.severity, real.first_step) == (Severity.WATCH, 1)
    assert 200 <= real.raised_step <= 240


def test_it_is_over_when_the_rate_is_back() -> None:
    (finding,) = told("lr_zero", run(lambda i: 0.0 if 500 <= i < 600 else PEAK), total_steps=N)
    assert (finding.state, finding.last_step, finding.count) == (FindingState.RECOVERED, 600, 100)
    assert "above 0 again at step 601" in finding.message


# --- jump ---------------------------------------------------------------------------------------------------------


def jumped(factor: float, loss: float = 1.0) -> list[Row]:
    rows = run(lambda i: PEAK * (factor if i >= 500 else 1.0))
    for row in rows[505:]:
        row["loss"] *= loss
    return rows


def test_a_jump_is_a_notice_with_the_last_rates() -> None:
    (finding,) = told("lr_jump", jumped(10.0)[:520])
    assert (finding.severity, finding.state, finding.first_step) == (Severity.NOTICE, FindingState.ACTIVE, 501)
    assert "jumped 3e-4 → 0.003" in finding.message.replace("0.00300", "0.003").replace("3.00e-4", "3e-4")
    assert str(finding.evidence["last_rates"]).count(",") == 4
    (later,) = told("lr_jump", jumped(10.0))
    assert (later.severity, later.state) == (Severity.NOTICE, FindingState.RECOVERED)


def test_a_jump_that_the_loss_suffers_from_is_worth_watching() -> None:
    (finding,) = told("lr_jump", jumped(10.0, loss=1.6))
    assert (finding.severity, finding.first_step) == (Severity.WATCH, 501)
    assert finding.raised_step <= 515
    assert finding.met == len(finding.criteria)
    assert any("train on with" in check and "step 501" in check for check in finding.checks)


def test_trouble_long_after_a_jump_is_not_laid_to_it() -> None:
    rows = jumped(10.0)
    for row in rows[800:]:
        row["loss"] *= 1.6
    (finding,) = told("lr_jump", rows)
    assert finding.severity is Severity.NOTICE


def test_a_return_to_the_peak_from_a_step_of_a_schedule_by_steps_is_none_by_design() -> None:
    (finding,) = told("lr_jump", run(lambda i: PEAK * (0.1 if 300 <= i < 600 else 1.0)), lr_max=PEAK)
    assert (finding.severity, finding.first_step) == (Severity.NOTICE, 601)


def test_a_rise_up_to_three_times_and_falls_are_no_jumps() -> None:
    assert not told("lr_jump", jumped(2.9))
    assert not told("lr_jump", jumped(0.01))


def test_a_jump_within_a_ramp_is_one() -> None:
    (finding,) = told("lr_jump", run(lambda i: 1e-6 * (i + 1) * (10 if i >= 300 else 1)))
    assert finding.first_step == 301


def resumed(at: int, rate: Rate) -> list[Row]:
    return run(cosine)[:600] + run(rate)[at:]


def test_a_resume_that_goes_on_with_the_schedule_is_none() -> None:
    assert not told("lr_jump", resumed(540, cosine))
    assert not told("lr_jump", resumed(20, cosine))


def test_a_resume_that_begins_the_schedule_again_is_named() -> None:
    (higher,) = told("lr_jump", run(lambda i: cosine(i, 700))[:650] + run(lambda i: PEAK)[600:])
    assert higher.message.startswith("The schedule was not restored at the resume at step 601")
    assert (higher.severity, higher.state) == (Severity.WATCH, FindingState.ACTIVE)
    assert higher.raised_step == 601
    assert any("scheduler's state" in check for check in higher.checks)
    (lower,) = told("lr_jump", resumed(560, lambda i: PEAK * (i - 559) / 1000))
    assert "lower" in lower.message
    assert lower.severity is Severity.NOTICE


def test_a_rate_that_comes_back_after_a_resume_is_over() -> None:
    rows = run(lambda i: cosine(i, 700))[:650] + run(lambda i: PEAK if i < 640 else cosine(i, 700))[600:]
    (finding,) = told("lr_jump", rows)
    assert (finding.severity, finding.state) == (Severity.WATCH, FindingState.RECOVERED)


def test_odd_rates_make_no_finding_and_no_error() -> None:
    odd = [math.nan, math.inf, -1.0, 0.0, 5e-324]
    rows = run(lambda i: odd[i % 5] if i % 100 == 50 else PEAK)
    for row in rows[50::500]:
        row["lr"] = math.nan
    assert not [f for f in told("lr_jump", rows) if f.severity > Severity.NOTICE]
    assert not [f for f in told("lr_zero", rows) if f.severity > Severity.NOTICE]
    blind = {c.kind: c.why for c in detector(records(falling(10))).coverage()}
    assert blind["lr_zero"] == blind["lr_jump"] == "no learning rate in this log"
