"""The usual range that charts show is the one that the rules use, and never one that was not known yet."""

import math
from collections.abc import Iterable
from itertools import pairwise

import pytest

from gradtop.config import Limits
from gradtop.detect import Detector
from gradtop.detect.course import MOST, Band, Trail
from gradtop.detect.robust import Level
from gradtop.record import Restart, Rows, RunFacts, Train
from gradtop.run import Run

BURN_IN = Limits().burn_in_rows


def watched(records: Iterable[Rows | Restart | RunFacts]) -> Detector:
    store, detector = Run(), Detector()
    for record in records:
        for seen in store.apply(record):
            detector.feed(seen)
    return detector


def rows(n: int, start: int = 0, level: float = 1.0) -> Rows:
    steps = range(start, start + n)
    return Rows(steps=steps, columns={"grad_norm": [level * math.exp(0.1 * math.sin(i * 1.7)) for i in steps]})


def grad(detector: Detector) -> Band:
    return detector.course.usual.get("grad_norm", ())


def test_nothing_is_usual_in_the_burn_in() -> None:
    assert grad(watched([rows(BURN_IN - 1)])) == ()
    assert grad(watched([rows(BURN_IN)]))[0][0] == BURN_IN - 1


def test_the_range_is_two_spreads_around_the_level() -> None:
    level = Level(BURN_IN)
    for value in rows(300).columns["grad_norm"]:
        level.see(value)
    assert grad(watched([rows(300)]))[-1][1:] == level.usual


def test_it_holds_almost_all_values_and_a_spike_does_not_widen_it_much() -> None:
    calm = rows(400)
    spiked = Rows(steps=calm.steps, columns={"grad_norm": [*calm.columns["grad_norm"][:399], 1e6]})
    (_, low, high), (_, low_spiked, high_spiked) = grad(watched([calm]))[-1], grad(watched([spiked]))[-1]
    values = calm.columns["grad_norm"][BURN_IN:]
    assert sum(low <= value <= high for value in values) > 0.9 * len(values)
    assert high_spiked < 1.2 * high
    assert low_spiked > 0.8 * low


def test_its_memory_is_bounded_and_it_reaches_from_start_to_end() -> None:
    band = grad(watched([rows(20_000)]))
    assert MOST / 4 <= len(band) < MOST
    assert band[0][0] == BURN_IN - 1
    assert band[-1][0] > 19_900
    gaps = [b[0] - a[0] for a, b in pairwise(band)]
    assert max(gaps) <= 2 * 20_000 / (MOST / 2)


def test_it_ends_where_a_session_begins_and_goes_on_when_enough_is_known_again() -> None:
    band = grad(watched([rows(300), Restart(reason="resumed"), rows(200, 250, level=5.0)]))
    steps = [step for step, *_ in band]
    assert steps == sorted(steps)
    broken = [step for step, low, _ in band if math.isnan(low)]
    assert broken == [250]
    after = [step for step, low, _ in band if step > 250]
    assert after[0] == 250 + BURN_IN - 1


def test_a_run_that_starts_over_has_no_range_of_before() -> None:
    assert grad(watched([rows(300), Restart(reason="replaced"), rows(BURN_IN - 1)])) == ()


@pytest.mark.parametrize("block", [1, 7, 500])
def test_it_is_the_same_live_and_at_once(block: int) -> None:
    whole = rows(1000)
    parts = (
        Rows(steps=whole.steps[i : i + block], columns={"grad_norm": whole.columns["grad_norm"][i : i + block]})
        for i in range(0, 1000, block)
    )
    assert grad(watched(parts)) == grad(watched([whole]))


def test_many_breaks_do_not_break_the_bound() -> None:
    trail, level = Trail(), Level(2)
    for step in range(20_000):
        if step % 4 == 0:
            level.restart()
        level.see(1.0 + step % 3)
        trail.see(step, level)
    assert len(trail.band) < MOST


def test_the_warm_up_is_the_declared_one() -> None:
    course = watched([RunFacts(train=Train(warmup_steps=500)), rows(300)]).course
    assert (course.warmup_end, course.warming) == (500.0, True)
