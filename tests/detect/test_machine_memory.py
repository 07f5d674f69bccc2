"""Memory that grows: what is a leak, and what only looks like one."""

import math
import random
from collections.abc import Callable, Iterable

import pytest
from synthetic import Row, detector, found, records

from gradtop.finding import Finding, FindingState, Severity
from gradtop.record import Event, Record, RunFacts, Train

GIB = 2.0**30


def logged(
    used: Iterable[float], name: str = "memory_allocated_bytes", every: int = 1, more: Row | None = None
) -> list[Row]:
    """Rows with this much memory, in GiB, a second per step, and what else each has."""
    return [
        {"step": float(every * (i + 1)), name: GIB * gib, "time": 1.7e9 + every * (i + 1)} | (more or {})
        for i, gib in enumerate(used)
    ]


def leaking(n: int, start: int = 0, per_1000: float = 5.0, noise: float = 0.01) -> list[float]:
    """10 GiB, growing from a row on."""
    random_ = random.Random(n)
    return [10 * math.exp(random_.gauss(0, noise)) + max(0, i - start) * per_1000 / 1000 for i in range(n)]


def leaks(stream: Iterable[Record]) -> list[Finding]:
    return [finding for finding in detector(stream).findings() if finding.kind == "memory_leak"]


def leak(rows: list[Row]) -> Finding:
    (finding,) = leaks(records(rows))
    return finding


@pytest.mark.parametrize(
    "name", ["memory_allocated_bytes", "memory_reserved_bytes", "rss_bytes", "gpu3/memory_used_bytes"]
)
def test_a_leak_is_told(name: str) -> None:
    finding = leak(logged(leaking(1600, 500), name))
    assert (finding.severity, finding.state, finding.scope) == (Severity.WATCH, FindingState.ACTIVE, name)
    assert 500 < finding.first_step < finding.raised_step <= 1500
    assert "GiB per 1,000 steps" in finding.message
    assert finding.evidence["per_1000_steps"] == pytest.approx(5 * GIB, rel=0.1)
    assert "cannot be told" in finding.caveats[0]
    assert ("process" in finding.message) == (name == "rss_bytes")


@pytest.mark.parametrize("per_1000", [5.0, 20.0, 100.0])
def test_a_strong_leak_is_told_within_600_steps(per_1000: float) -> None:
    assert leak(logged(leaking(1300, 300, per_1000))).raised_step <= 900


def test_memory_that_is_full_within_half_an_hour_calls_for_action() -> None:
    finding = leak(logged(leaking(1600, 500), "gpu0/memory_used_bytes", more={"gpu0/memory_total_bytes": 20 * GIB}))
    assert finding.severity is Severity.INTERVENE
    assert "full at about step 2,5" in finding.message
    assert ", in about 15m48s" in finding.message
    assert finding.met == len(finding.criteria)
    assert any(check.startswith("Save a checkpoint before it runs out (full at") for check in finding.checks)


def test_without_times_nobody_knows_how_soon() -> None:
    rows = logged(leaking(1600, 500), "rss_bytes", more={"memory_total_bytes": 20 * GIB})
    for row in rows:
        del row["time"]
    finding = leak(rows)
    assert finding.severity is Severity.WATCH
    assert "full at about step 2,5" in finding.message
    assert {criterion.id: criterion.met for criterion in finding.criteria}["runs_out"] is None


def test_a_slow_leak_matters_where_it_ends_before_the_run() -> None:
    rows = logged(
        leaking(6000, 0, 0.6, noise=0.0), "gpu0/memory_used_bytes", more={"gpu0/memory_total_bytes": 16 * GIB}
    )
    assert not leaks(records(rows))
    assert not leaks([RunFacts(train=Train(total_steps=9000)), *records(rows)])
    (finding,) = leaks([RunFacts(train=Train(total_steps=20_000)), *records(rows)])
    assert finding.severity is Severity.WATCH
    assert "full at about step 10,128" in finding.message


@pytest.mark.parametrize(("step_s", "planned", "told"), [(0.1, None, True), (2.0, None, False), (0.1, 2000, False)])
def test_a_leak_without_a_plan_matters_where_memory_is_full_within_half_an_hour(
    step_s: float, planned: int | None, told: bool
) -> None:
    """3 GiB per 1,000 steps of 24 GiB: the rows have no times, and say how long a step takes."""
    more = {"memory_total_bytes": 24 * GIB, "step_time_s": step_s}
    rows = logged(leaking(1600, 300, 3.0, noise=0.0), "rss_bytes", more=more)
    for row in rows:
        del row["time"]
    found = leaks([RunFacts(train=Train(total_steps=planned)), *records(rows)])
    assert [f.severity for f in found] == [Severity.INTERVENE] * told
    assert all("in about" in f.message for f in found)


def test_a_leak_that_stops_is_over() -> None:
    grows = leaking(1400, 500)
    finding = leak(logged([*grows, *(grows[-1] + used - 10 for used in leaking(400, 400))]))
    assert finding.state is FindingState.RECOVERED
    assert "until step 1,4" in finding.message
    assert not any(criterion.met for criterion in finding.criteria)


def test_metrics_that_grow_together_are_one_finding() -> None:
    used = leaking(1600, 500)
    rows = [
        {**one, **two, **host}
        for one, two, host in zip(
            logged(used), logged(used, "gpu0/memory_used_bytes"), logged(used, "rss_bytes"), strict=True
        )
    ]
    device, host = sorted(leaks(records(rows)), key=lambda finding: finding.scope)
    assert (device.scope, host.scope) == ("gpu0/memory_used_bytes", "rss_bytes")
    assert "memory_allocated_bytes" in str(device.evidence["also"])


def _plateaus(i: int) -> float:
    return 10 + 4 * sum(i >= at for at in (3, 60, 300, 320, 900, 1400))


def _sawtooth(i: int) -> float:
    return 10 + 8 * (i % 170) / 170


def _long_sawtooth(i: int) -> float:
    return 10 + 8 * (i % 450) / 450


def _evaluations(i: int) -> float:
    return 30.0 if i % 100 == 99 else 10.0


def _fills(i: int) -> float:
    return 10 + 10 * (1 - math.exp(-i / 300))


def _first_steps(i: int) -> float:
    return min(30.0, 1.0 + i / 6)


def _peak(i: int) -> float:
    return 10 * max(math.exp(random.Random(k).gauss(0, 0.05)) for k in range(i - i % 40, i + 1)) + math.log1p(i)


def _falls(i: int) -> float:
    return 20 - i / 300


@pytest.mark.parametrize("every", [1, 10])
@pytest.mark.parametrize("used", [_plateaus, _sawtooth, _evaluations, _fills, _first_steps, _peak, _falls])
def test_what_sound_runs_do_is_no_leak(used: Callable[[int], float], every: int) -> None:
    assert not leaks(records(logged([used(every * i) for i in range(2400)], every=every)))


def test_garbage_that_is_collected_every_450_rows_is_no_leak() -> None:
    assert not leaks(records(logged([_long_sawtooth(i) for i in range(2400)])))


@pytest.mark.parametrize(
    "name", ["gpu0/memory_total_bytes", "memory_free_bytes", "system.memory_percent", "memory_loss"]
)
def test_other_numbers_about_memory_are_none(name: str) -> None:
    assert not leaks(records(logged(leaking(1600, 500), name)))


def test_a_leak_of_the_session_before_is_over() -> None:
    before = logged(leaking(1600, 500))
    finding = leak(before + logged(leaking(1000, 1000))[500:900])
    assert finding.state is FindingState.RECOVERED
    assert "until the run was resumed" in finding.message


def test_why_it_cannot_tell() -> None:
    def why(rows: list[Row]) -> str:
        return next(one.why for one in detector(records(rows)).coverage() if one.kind == "memory_leak")

    assert "no memory of the process" in why([{"step": float(i), "loss": 1.0} for i in range(300)])
    assert "50 rows are too few: it takes 256 after the first 200 steps" in why(logged(leaking(50)))
    assert why(logged(leaking(600))) == ""


def test_an_alarm_of_the_log_is_answered() -> None:
    alarm = Event(event="alarm", step=300, data={"kind": "memory_leak"})
    (finding,) = leaks([*records(logged(leaking(600, 600))), alarm])
    assert "did not rise in 8 spans in a row" in finding.message


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, -1.0, 1e300, 5e-324])
def test_odd_values_raise_nothing(value: float) -> None:
    rows = logged(leaking(700), more={"memory_total_bytes": value})
    assert len(found([{**row, "memory_allocated_bytes": value} for row in rows])) == 0
    detector(records(logged([1e290 * (i + 1) for i in range(700)], more={"memory_total_bytes": 1e308})))
    detector(records(logged([5e-324 * (i + 1) / GIB for i in range(700)], more={"memory_total_bytes": value})))


def test_the_same_however_it_is_cut() -> None:
    rows = logged(leaking(1400, 300), "gpu0/memory_used_bytes", more={"gpu0/memory_total_bytes": 20 * GIB})
    whole = found(rows)
    for every in (1, 7, 100):
        assert detector(records(rows, cuts=range(0, 1400, every))).findings() == whole
    for upto in range(700, 1400, 50):
        for finding in found(rows[:upto]):
            assert finding.first_step <= finding.raised_step <= upto
