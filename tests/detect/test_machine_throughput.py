"""Steps that take longer: what is told, how soon, and what is no drop."""

import math
import random
from collections.abc import Callable

import pytest
from synthetic import Row, detector, found, records

from gradtop.catalogue import KINDS
from gradtop.finding import Finding, FindingState, Severity
from gradtop.record import Event, RunFacts

Times = list[float]


def times(n: int, seed: int = 0, *, usual: float = 0.8, noise: float = 0.03) -> Times:
    """Step times of a sound run."""
    random_ = random.Random(seed)
    return [usual * math.exp(random_.gauss(0, noise)) for _ in range(n)]


def logged(taken: Times, name: str = "step_time_s", every: int = 1, whole: bool = False) -> list[Row]:
    """The rows of a log that tells the time of a step in one of its ways."""
    rows: list[Row] = []
    now = 1.7e9
    for i, seconds in enumerate(taken):
        now += seconds * every
        told = {"time": math.floor(now) if whole else now, "step_time_s": seconds}.get(name, 4096 / seconds)
        rows.append({"step": float(every * (i + 1)), name: told})
    return rows


def drops(rows: list[Row]) -> list[Finding]:
    return [finding for finding in found(rows) if finding.kind == "throughput_drop"]


def slowed(taken: Times, factor: float, start: int, stop: int | None = None) -> Times:
    return [t * factor if start <= i < (stop or len(taken)) else t for i, t in enumerate(taken)]


def test_one_slow_gpu_of_many_is_told_within_100_steps() -> None:
    random_ = random.Random(1)
    taken = [random_.gauss(105.2 if i < 400 else 111.1, 1.0) for i in range(700)]
    (finding,) = drops(logged(taken))
    assert (finding.severity, finding.state) == (Severity.NOTICE, FindingState.ACTIVE)
    assert 395 <= finding.first_step <= 405
    assert 401 < finding.raised_step <= 500
    assert finding.message.startswith(f"Slower since step {finding.first_step:.0f}: 105")
    assert "1.06× the time" in finding.message
    assert any("105 s before, 111 s now" in check for check in finding.checks)


@pytest.mark.parametrize("name", ["step_time_s", "tokens_per_s", "samples_per_s", "time"])
def test_a_tenfold_drop_is_told_within_20_rows(name: str) -> None:
    (finding,) = drops(logged(slowed(times(600), 10, 400), name))
    assert finding.severity is Severity.WATCH
    assert 400 < finding.raised_step <= 420
    assert finding.evidence["ratio"] == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize(
    ("ranks", "check"), [(None, "step times of all ranks"), (8, "step times of all 8 ranks"), (1, "")]
)
def test_ranks_are_compared_where_there_may_be_several(ranks: int | None, check: str) -> None:
    seen = detector([RunFacts(world_size=ranks), *records(logged(slowed(times(600), 10, 400)))])
    (finding,) = [finding for finding in seen.findings() if finding.kind == "throughput_drop"]
    assert any("one slow rank" in text for text in finding.checks) is bool(check)
    assert check in finding.checks[0]


def test_rates_are_told_as_rates() -> None:
    (finding,) = drops(logged(slowed(times(600), 4, 400), "tokens_per_s"))
    assert " tokens per second, " in finding.message
    assert finding.criteria[2].met is True
    assert not finding.caveats


def test_half_as_long_again_is_worth_watching_and_a_third_is_a_notice() -> None:
    (small,) = drops(logged(slowed(times(700), 1.33, 400)))
    (large,) = drops(logged(slowed(times(700), 1.7, 400)))
    assert (small.severity, large.severity) == (Severity.NOTICE, Severity.WATCH)
    assert large.raised_step <= 440
    assert [criterion.met for criterion in small.criteria] == [True, False, None, True]


def test_a_small_drop_that_grows_is_raised() -> None:
    (finding,) = drops(logged(slowed(slowed(times(900), 1.2, 400), 2, 600)))
    assert finding.severity is Severity.WATCH
    assert 600 < finding.raised_step <= 640
    assert finding.first_step < 410


def test_a_slow_stretch_is_over_when_it_is_over() -> None:
    (finding,) = drops(logged(slowed(times(800), 3.2, 400, 500)))
    assert finding.state is FindingState.RECOVERED
    assert "is over" in finding.message
    assert "back to usual at step 50" in finding.message
    assert not any(criterion.met for criterion in finding.criteria[:2])
    assert all(", back to usual at step 50" in criterion.evidence for criterion in finding.criteria[:2])


def _pauses(taken: Times) -> Times:
    return [t * 40 if i % 50 == 49 else t for i, t in enumerate(taken)]


def _first_steps(taken: Times) -> Times:
    return slowed(taken, 30, 0, 15)


def _heavy_tails(taken: Times) -> Times:
    return [t * 8 if random.Random(i).random() < 0.05 else t for i, t in enumerate(taken)]


def _hiccups(taken: Times) -> Times:
    return slowed(slowed(taken, 20, 300, 308), 5, 700, 709)


def _faster(taken: Times) -> Times:
    return slowed(taken, 0.5, 500)


@pytest.mark.parametrize("odd", [_pauses, _first_steps, _heavy_tails, _hiccups, _faster])
@pytest.mark.parametrize("name", ["step_time_s", "tokens_per_s", "time"])
def test_what_happens_in_sound_runs_is_no_drop(name: str, odd: Callable[[Times], Times]) -> None:
    assert not drops(logged(odd(times(1500)), name))


@pytest.mark.parametrize("noise", [0.001, 0.03, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("every", [1, 10, 500])
def test_noise_is_no_drop(noise: float, every: int) -> None:
    assert not any(drops(logged(times(1200, seed, noise=noise), every=every)) for seed in range(4))


def test_a_clock_in_whole_seconds_is_enough() -> None:
    fast = times(5000, usual=0.3)
    assert not drops(logged(fast, "time", whole=True))
    (finding,) = drops(logged(slowed(fast, 10, 4500), "time", whole=True))
    assert finding.severity is Severity.WATCH
    assert finding.evidence["usual"] == pytest.approx(0.3, rel=0.05)
    assert 4500 < finding.raised_step < 4600


def test_a_clock_that_jumps_is_no_drop() -> None:
    rows = logged(times(900), "time")
    for row in rows[300:]:
        row["time"] += 7200
    for row in rows[600:]:
        row["time"] -= 3 * 86400
    assert not drops(rows)


def test_longer_sequences_are_no_drop_where_tokens_are_counted() -> None:
    taken = slowed(times(900), 4, 500)
    rows = logged(taken)
    assert len(drops(rows)) == 1
    total, counted = 0.0, []
    for i, row in enumerate(rows):
        total += 4096 * (4 if i >= 500 else 1)
        counted.append({**row, "tokens": total})
    rated = [{**row, "tokens_per_s": 4096 * (4 if i >= 500 else 1) / taken[i]} for i, row in enumerate(rows)]
    assert not drops(counted)
    assert not drops(rated)


def test_a_drop_in_tokens_as_well_is_one() -> None:
    (finding,) = drops(
        [{**row, "tokens_per_s": 4096 / row["step_time_s"]} for row in logged(slowed(times(700), 2, 400))]
    )
    assert finding.met == len(finding.criteria)
    assert not finding.caveats


def test_totals_that_do_not_only_grow_are_no_totals() -> None:
    rows = [{**row, "tokens": float(i % 7)} for i, row in enumerate(logged(slowed(times(700), 4, 400)))]
    assert len(drops(rows)) == 1


def test_slower_hardware_after_a_resume_is_a_notice() -> None:
    before, after = logged(times(500)), logged(slowed(times(700), 2.5, 0))
    (finding,) = drops(before + after[400:])
    assert (finding.severity, finding.first_step) == (Severity.NOTICE, 401)
    assert finding.message.startswith("Slower since the resume at step 401: 0.8")
    assert any("settings of both launches" in check for check in finding.checks)
    assert finding.criteria[3].met is False


def test_a_run_that_starts_over_has_nothing_to_compare_with() -> None:
    assert not drops(logged(times(500)) + logged(times(500, usual=8.0)))


def test_a_better_measure_takes_over() -> None:
    rows = logged(times(900), "time")
    for row in rows[300:]:
        row["step_time_s"] = 77.0
    assert not drops(rows)


def test_a_drop_keeps_its_measure_when_another_takes_over() -> None:
    rows = logged(slowed(times(900), 3, 300), "time")
    for row in rows[500:]:
        row["tokens_per_s"] = 5000.0
    (finding,) = drops(rows)
    assert (finding.state, finding.evidence["by"]) == (FindingState.RECOVERED, "time")
    assert " s per step, " in finding.message


@pytest.mark.parametrize("name", ["step_time_s", "tokens_per_s"])
@pytest.mark.parametrize(("usual", "slow"), [(5e-324, 1.7e308), (1e-300, 1e300), (1e300, 1e308)])
def test_any_number_can_be_told(name: str, usual: float, slow: float) -> None:
    fast, late = (usual, slow) if name == "step_time_s" else (slow, usual)
    rows: list[Row] = [{"step": float(i), name: fast if i < 300 else late} for i in range(400)]
    for finding in drops(rows):
        assert finding.severity is Severity.WATCH


def test_why_it_cannot_tell() -> None:
    def why(rows: list[Row]) -> str:
        return next(one.why for one in detector(records(rows)).coverage() if one.kind == "throughput_drop")

    assert "no step time" in why([{"step": float(i), "loss": 1.0} for i in range(300)])
    assert why(logged(times(50))) == "50 rows are too few to know what is usual"
    assert why(logged(times(500))) == ""


def test_an_alarm_of_the_log_is_answered() -> None:
    alarm = Event(event="alarm", step=300, data={"kind": "throughput_drop"})
    (finding,) = detector([*records(logged(times(600))), alarm]).findings()
    assert "usual: 0.8" in finding.message
    assert {criterion.met for criterion in finding.criteria} == {False}


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, -1.0, 1e300, 1e-300, 5e-324])
@pytest.mark.parametrize("name", ["step_time_s", "tokens_per_s", "time", "tokens"])
def test_odd_values_raise_nothing(name: str, value: float) -> None:
    rows = [{**row, name: value} for row in logged(times(300))]
    assert not drops(rows)
    assert not drops([{"step": float(i), name: value} for i in range(300)])


def test_the_same_however_it_is_cut() -> None:
    rows = logged(slowed(times(700), 2, 400, 550))
    whole = found(rows)
    for every in (1, 7, 100):
        assert detector(records(rows, cuts=range(0, 700, every))).findings() == whole
    for upto in range(380, 700, 20):
        for finding in drops(rows[:upto]):
            assert finding.first_step <= finding.raised_step <= finding.last_step <= upto


def test_every_limit_of_a_drop_is_listed() -> None:
    assert KINDS["throughput_drop"].limits == ("throughput_rise", "throughput_rows", "throughput_watch")
