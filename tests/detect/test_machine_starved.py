"""GPUs that wait for data, and GPUs that the driver slows down."""

import math
import random

import pytest
from synthetic import Row, detector, found, records

from gradtop.finding import Finding, FindingState, Severity
from gradtop.record import Event
from gradtop.throttle import REASONS, THROTTLED, said

POWER, HEAT, IDLE = 0x4, 0x40, 0x1


def fed(n: int, shares: dict[int, float], every: int = 1) -> list[Row]:
    """Rows with the time for data; from each row of `shares` on it takes that part of a step."""
    random_ = random.Random(n)
    rows: list[Row] = []
    share = 0.0
    for i in range(n):
        share = shares.get(i, share)
        compute = 0.5 * math.exp(random_.gauss(0, 0.02))
        data = compute * share / (1 - share) * math.exp(random_.gauss(0, 0.05))
        rows.append({"step": float(every * (i + 1)), "step_time_s": compute + data, "data_time_s": data})
    return rows


def of_kind(rows: list[Row], kind: str) -> list[Finding]:
    return [finding for finding in found(rows) if finding.kind == kind]


def starved(rows: list[Row]) -> list[Finding]:
    return of_kind(rows, "gpu_starved")


@pytest.mark.parametrize("every", [1, 10])
def test_data_that_comes_to_take_most_of_a_step_is_worth_watching(every: int) -> None:
    (finding,) = starved(fed(700, {0: 0.03, 400: 0.8}, every))
    assert (finding.severity, finding.state) == (Severity.WATCH, FindingState.ACTIVE)
    assert 400 * every < finding.raised_step <= 500 * every
    assert "% of each step is spent on waiting for data, since step " in finding.message
    assert finding.evidence["share"] == pytest.approx(0.8, abs=0.02)
    assert finding.met == len(finding.criteria)
    assert any(check.startswith("Data takes ") for check in finding.checks)


def test_a_run_that_was_so_from_the_start_is_told_and_no_more() -> None:
    (finding,) = starved(fed(700, {0: 0.92}))
    assert (finding.severity, finding.state) == (Severity.NOTICE, FindingState.ACTIVE)
    assert [criterion.met for criterion in finding.criteria] == [True, True, False]


@pytest.mark.parametrize(("share", "severity"), [(0.33, Severity.NOTICE), (0.42, Severity.WATCH)])
def test_a_third_of_a_step_is_a_notice_and_what_slows_it_down_by_half_is_worth_watching(
    share: float, severity: Severity
) -> None:
    (finding,) = starved(fed(700, {0: 0.03, 400: share}))
    assert finding.severity is severity
    assert 390 < finding.first_step <= 401


def test_data_that_comes_quickly_again_is_over() -> None:
    (finding,) = starved(fed(900, {0: 0.03, 300: 0.8, 600: 0.03}))
    assert finding.state is FindingState.RECOVERED
    assert "was spent on waiting for data" in finding.message


@pytest.mark.parametrize("shares", [{0: 0.02}, {0: 0.2}, {0: 0.9, 15: 0.1}, {0: 0.1, 300: 0.9, 360: 0.1}])
def test_short_waits_are_nothing(shares: dict[int, float]) -> None:
    assert not starved(fed(800, shares))


def test_slow_first_batches_of_each_epoch_are_nothing() -> None:
    rows = fed(800, {0: 0.05})
    for row in rows[::50]:
        row["data_time_s"] = row["step_time_s"] = 30.0
    assert not starved(rows)


def test_time_for_data_may_be_counted_apart() -> None:
    rows = [{**row, "step_time_s": 0.1, "data_time_s": 0.3} for row in fed(400, {0: 0.5})]
    (finding,) = starved(rows)
    assert finding.evidence["share"] == pytest.approx(0.75)


def busy(n: int, start: int, idle: float, name: str = "gpu0/utilization") -> list[Row]:
    random_ = random.Random(n)
    return [
        {"step": float(i + 1), name: min(1.0, (0.97 if i < start else idle) * math.exp(random_.gauss(0, 0.02)))}
        for i in range(n)
    ]


def test_a_gpu_that_falls_idle_is_worth_watching() -> None:
    (finding,) = starved(busy(700, 400, 0.3))
    assert (finding.severity, finding.scope) == (Severity.WATCH, "gpu")
    assert finding.raised_step <= 505
    assert "The busiest GPU is idle " in finding.message


def test_one_busy_gpu_of_two_is_enough() -> None:
    rows = [{**one, **two} for one, two in zip(busy(700, 400, 0.1), busy(700, 700, 1, "gpu1/utilization"), strict=True)]
    assert not starved(rows)


def test_a_small_model_is_a_notice() -> None:
    (finding,) = starved(busy(400, 0, 0.4))
    assert finding.severity is Severity.NOTICE


def test_data_explains_an_idle_gpu() -> None:
    rows = [{**one, **two} for one, two in zip(fed(700, {0: 0.03, 400: 0.8}), busy(700, 400, 0.2), strict=True)]
    (finding,) = starved(rows)
    assert finding.scope == "data_time_s"


def throttled(rows: list[Row]) -> list[Finding]:
    return of_kind(rows, "gpu_throttled")


def driven(
    n: int, start: int, factor: float, mask: int, stop: int | None = None, name: str = "step_time_s"
) -> list[Row]:
    """Steps that take longer from a row on, with what the driver says of it."""
    random_ = random.Random(n)
    rows: list[Row] = []
    for i in range(n):
        slow = start <= i < (stop or n)
        seconds = 0.8 * math.exp(random_.gauss(0, 0.01)) * (factor if slow else 1)
        told = seconds if name == "step_time_s" else 1e4 / seconds
        rows.append({"step": float(i + 1), name: told, "gpu2/throttle_reasons": float(mask if slow else 0)})
    return rows


@pytest.mark.parametrize("name", ["step_time_s", "tokens_per_s"])
def test_throttling_that_costs_time_is_worth_watching(name: str) -> None:
    (finding,) = throttled(driven(500, 300, 1.25, HEAT, name=name))
    assert (finding.severity, finding.first_step, finding.raised_step) == (Severity.WATCH, 301, 320)
    assert finding.message.startswith("GPU 2 is throttled by heat (hardware limit) since step 301; each step takes 2")
    assert finding.checks[0].startswith("The driver gives heat (hardware limit) for GPU 2: see nvidia-smi")
    assert finding.met == len(finding.criteria)


def test_throttling_that_costs_nothing_is_nothing() -> None:
    assert not throttled(driven(500, 300, 1.03, POWER))


@pytest.mark.parametrize("mask", [0, IDLE, 0x2, 0x100, IDLE | 0x2 | 0x100])
def test_what_is_no_throttling_explains_nothing(mask: int) -> None:
    assert not throttled(driven(500, 300, 1.5, mask))


def test_some_throttled_rows_are_nothing() -> None:
    rows = driven(600, 0, 1.3, HEAT)
    for i, row in enumerate(rows):
        if i % 3:
            row |= {"step_time_s": 0.8, "gpu2/throttle_reasons": 0.0}
    assert not throttled(rows)


def test_throttling_ends() -> None:
    (finding,) = throttled(driven(500, 200, 1.25, HEAT | POWER, 300))
    assert finding.state is FindingState.RECOVERED
    assert "was throttled by the power limit and heat (hardware limit) in steps 201 to 300" in finding.message


def test_a_power_limit_from_the_start_may_be_meant_and_heat_is_told() -> None:
    assert not throttled(driven(300, 0, 1, POWER))
    (finding,) = throttled(driven(300, 0, 1, HEAT))
    assert finding.severity is Severity.NOTICE
    assert "what it costs cannot be told" in finding.message
    assert {criterion.id: criterion.met for criterion in finding.criteria}["slower"] is None


@pytest.mark.parametrize(
    ("factor", "mask", "told"),
    [(1.25, HEAT | POWER, True), (1.25, HEAT, True), (1.02, HEAT | POWER, False), (1.25, POWER, False)],
)
def test_heat_is_told_of_a_gpu_that_was_at_its_power_limit_all_along(factor: float, mask: int, told: bool) -> None:
    rows = driven(500, 300, factor, mask)
    for row in rows[:300]:
        row["gpu2/throttle_reasons"] = float(POWER)
    found = throttled(rows)
    assert len(found) == told
    assert all((f.severity, f.first_step, f.raised_step) == (Severity.WATCH, 301, 320) for f in found)
    assert all("since step 301; each step takes 2" in f.message for f in found)


def test_those_are_named_that_are_forced_to() -> None:
    rows = driven(500, 300, 1.25, HEAT)
    for i, row in enumerate(rows):
        row |= {f"gpu{n}/throttle_reasons": float(POWER) for n in (0, 1)}
        row |= {f"gpu{n}/throttle_reasons": row["gpu2/throttle_reasons"] for n in (3, 4)}
        row["gpu5/throttle_reasons"] = float(HEAT if i >= 400 else 0)
    (finding,) = throttled(rows)
    assert finding.message.startswith("GPU 2 and 2 more are throttled by the power limit and heat (hardware limit)")


def test_readings_may_come_in_rows_of_their_own() -> None:
    rows = driven(500, 300, 1.25, HEAT)
    apart = [
        part
        for row in rows
        for part in ({"step": row["step"], "gpu2/throttle_reasons": row.pop("gpu2/throttle_reasons")}, row)
    ]
    (finding,) = throttled(apart)
    assert finding.first_step == 301


def test_reasons_are_bits() -> None:
    assert said(0) == ""
    assert THROTTLED == 0xFC
    assert said(THROTTLED).count(" and ") == len(REASONS) - 1


@pytest.mark.parametrize("kind", ["gpu_starved", "gpu_throttled"])
def test_why_it_cannot_tell_and_what_it_answers(kind: str) -> None:
    def why(rows: list[Row]) -> str:
        return next(one.why for one in detector(records(rows)).coverage() if one.kind == kind)

    both = [{**one, **two} for one, two in zip(fed(300, {0: 0.1}), driven(300, 300, 1, 0), strict=True)]
    assert why([{"step": float(i), "loss": 1.0} for i in range(300)]).endswith("in this log")
    assert why(both) == ""
    alarm = Event(event="alarm", step=200, data={"kind": kind})
    (finding,) = detector([*records(both), alarm]).findings()
    assert {criterion.met for criterion in finding.criteria} == {False}


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 0.0, 1e300, 5e-324])
@pytest.mark.parametrize("name", ["data_time_s", "step_time_s", "gpu0/utilization", "gpu2/throttle_reasons"])
def test_odd_values_raise_no_error(name: str, value: float) -> None:
    rows = [{**one, **two, name: value} for one, two in zip(fed(200, {0: 0.1}), driven(200, 200, 1, 0), strict=True)]
    assert all(finding.severity is Severity.NOTICE for finding in found(rows))


def test_the_same_however_it_is_cut() -> None:
    rows = [{**one, **two} for one, two in zip(fed(500, {0: 0.1, 200: 0.7}), driven(500, 300, 3, HEAT), strict=True)]
    whole = found(rows)
    assert {finding.kind for finding in whole} >= {"gpu_starved", "gpu_throttled"}
    for every in (1, 7, 100):
        assert detector(records(rows, cuts=range(0, 500, every))).findings() == whole
