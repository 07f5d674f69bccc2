"""A series on disk is the one in memory, and a disk that fails costs nothing but memory."""

import errno
import gc
import math
import mmap
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gradtop.record import Rows
from gradtop.run import Run
from gradtop.series import Array, Series, SeriesView, Spill, spill

ROWS = 70_000
FULL = """
import resource, sys
from pathlib import Path
from gradtop.series import Series, Spill, spill
spill.KEPT_FREE = 0
if sys.argv[2] == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
series = Series("x", spill=Spill(Path(sys.argv[1])))
for start in range(0, 400_000, 1000):
    series.extend(range(start, start + 1000), [k / 7 for k in range(start, start + 1000)])
view = series.view()
assert view.steps.tolist() == list(range(400_000))
assert view.values.tolist() == [k / 7 for k in range(400_000)]
"""


@pytest.fixture(autouse=True)
def no_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    """However full the disk of the tests is."""
    monkeypatch.setattr(spill, "KEPT_FREE", 0)


def values(rows: int, seed: int = 0) -> list[float]:
    """Noise, with what is no number in some places."""
    chance = random.Random(seed)
    odd = {chance.randrange(rows): odd for odd in (math.nan, math.inf, -math.inf, 1e300) for _ in range(5)}
    return [odd.get(i, chance.gauss(0, 1)) for i in range(rows)]


def filled(series: Series, numbers: list[float], blocks: int = 997, session: int = 0) -> Series:
    for start in range(0, len(numbers), blocks):
        part = numbers[start : start + blocks]
        series.extend(range(start, start + len(part)), part, session)
    return series


def on_disk(array: Array) -> bool:
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, memoryview | mmap.mmap)


def pictures(view: SeriesView) -> Iterator[object]:
    for first, last in ((None, None), (0.0, 69_999.0), (1234.0, 44_321.0), (30_000.0, 30_050.0)):
        for columns in (1, 7, 180):
            made = view.envelope(columns, first, last)
            yield [repr(x) for x in (made.low, made.high, made.mean, made.last, made.nan, made.inf, made.rows)]
    yield from (view.at(s) for s in (-1, 0, 8191, 8192, 50_000.5, 1e9))
    yield from (view.tail(20), view.stretch(40_000, 9, 9), view.nearest_step(12_345.4), repr(view.stats))


def descriptors() -> int:
    gc.collect()  # other tests may have left some
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0


def test_every_number_and_picture_is_the_one_of_a_series_in_memory(tmp_path: Path) -> None:
    numbers = values(ROWS)
    stored, kept = Series("x", spill=Spill(tmp_path)), Series("x")
    for series in (stored, kept):
        filled(series, numbers)
        filled(series, numbers[:9000], session=1)
    assert on_disk(stored.view().values)
    assert on_disk(stored.view().steps)
    assert not on_disk(kept.view().values)
    assert stored.view().values.tobytes() == kept.view().values.tobytes()
    assert stored.view().steps.tolist() == kept.view().steps.tolist()
    assert list(pictures(stored.view())) == list(pictures(kept.view()))


def test_single_rows_reach_the_disk_as_blocks_do(tmp_path: Path) -> None:
    numbers = values(12_000)
    series = Series("x", spill=Spill(tmp_path))
    for step, value in enumerate(numbers):
        series.extend([step], [value])
        if step % 500 == 0:
            assert repr(series.view().tail(3)) == repr(numbers[max(0, step - 2) : step + 1])
    assert on_disk(series.view().values)
    assert repr(series.view().values.tolist()) == repr(numbers)


def test_steps_on_disk_widen_to_what_they_need(tmp_path: Path) -> None:
    series = Series("x", spill=Spill(tmp_path))
    steps = [*range(30_000), 2**40, 2**40 + 0.5]
    for start in range(0, len(steps), 10_000):
        series.extend(steps[start : start + 10_000], [0.0] * len(steps[start : start + 10_000]))
    assert series.view().steps.tolist() == steps
    assert on_disk(series.view().steps)


def test_a_short_series_stays_in_memory(tmp_path: Path) -> None:
    before = descriptors()
    series = filled(Series("x", spill=Spill(tmp_path)), values(5000))
    assert not on_disk(series.view().values)
    assert descriptors() == before


def test_what_is_on_disk_has_no_name_and_goes_with_the_last_view(tmp_path: Path) -> None:
    before = descriptors()
    series = filled(Series("x", spill=Spill(tmp_path)), values(ROWS))
    view = series.view()
    assert list(tmp_path.iterdir()) == []
    assert descriptors() > before or sys.platform != "linux"
    del series
    gc.collect()
    assert repr(view.values.tolist()) == repr(values(ROWS))
    del view
    gc.collect()
    assert descriptors() == before


def test_a_folder_that_is_not_there_leaves_all_in_memory(tmp_path: Path) -> None:
    view = filled(Series("x", spill=Spill(tmp_path / "gone")), values(ROWS)).view()
    assert not on_disk(view.values)
    assert repr(view.values.tolist()) == repr(values(ROWS))


def test_a_folder_that_goes_away_takes_nothing_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "spill"
    folder.mkdir()
    numbers = values(ROWS)
    store = Spill(folder)
    series = filled(Series("x", spill=store), numbers)
    folder.rmdir()
    more = [filled(Series("x", spill=store), numbers, 35_000) for _ in range(30)]
    assert on_disk(series.view().values)
    assert not on_disk(more[-1].view().values)
    assert {one.view().values.tobytes() for one in more} == {np.array(numbers).tobytes()}


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_fills_up_half_way_loses_no_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    room = [600_000]

    def pwrite(fd: int, data: memoryview, at: int) -> int:
        if room[0] <= 0:
            raise OSError(error, os.strerror(error))
        # A disk takes the part that it has room for.
        done = min(len(data), room[0])
        room[0] -= done
        return os.pwritev(fd, [data[:done]], at)

    monkeypatch.setattr(os, "pwrite", pwrite)
    numbers = values(ROWS)
    series = filled(Series("x", spill=Spill(tmp_path)), numbers[:20_000])
    early = series.view()
    assert on_disk(early.values)
    for start in range(20_000, ROWS, 777):
        series.extend(range(start, min(ROWS, start + 777)), numbers[start : start + 777])
    assert not on_disk(series.view().values)
    assert repr(early.values.tolist()) == repr(numbers[:20_000])
    assert repr(series.view().values.tolist()) == repr(numbers)
    assert list(pictures(series.view())) == list(pictures(filled(Series("x"), numbers).view()))


def test_a_disk_with_little_room_is_left_to_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "KEPT_FREE", 1 << 62)
    assert not on_disk(filled(Series("x", spill=Spill(tmp_path)), values(ROWS)).view().values)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_limit_on_the_size_of_files_is_no_end(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", FULL, str(tmp_path), "limit"], check=True)


@pytest.mark.root
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a file system")
def test_a_disk_that_is_really_full_is_no_end(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(tmp_path)], check=True)
    try:
        subprocess.run([sys.executable, "-c", FULL, str(tmp_path), ""], check=True)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_child_process_sees_what_was_there_and_disturbs_nothing(tmp_path: Path) -> None:
    numbers = values(ROWS)
    series = filled(Series("x", spill=Spill(tmp_path)), numbers[:40_000])
    view = series.view()
    child = os.fork()
    if child == 0:
        os._exit(0 if repr(view.values.tolist()) == repr(numbers[:40_000]) else 1)
    for start in range(40_000, ROWS, 1000):
        series.extend(range(start, start + 1000), numbers[start : start + 1000])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert repr(series.view().values.tolist()) == repr(numbers)


def test_runs_that_come_and_go_leave_no_descriptor_behind(tmp_path: Path) -> None:
    before = descriptors()
    most = 0
    for _ in range(20):
        run = Run(Spill(tmp_path))
        columns = {f"m{i}": [0.5] * 20_000 for i in range(8)}
        for _ in run.apply(Rows(range(20_000), columns)):
            pass
        assert on_disk(run.view().series["m7"].values)
        most = max(most, descriptors())
    del run
    gc.collect()
    assert descriptors() == before
    assert most - before <= 8


def test_what_was_read_back_is_let_go_and_read_again(tmp_path: Path) -> None:
    store = Spill(tmp_path)
    view = filled(Series("x", spill=store), values(ROWS)).view()
    for _ in range(200):
        store.looked()
    assert repr(view.values.tolist()) == repr(values(ROWS))


def resident() -> int:
    """Bytes in the memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_stored_takes_no_memory(tmp_path: Path) -> None:
    run, block = Run(Spill(tmp_path)), 3000
    column = np.random.default_rng(0).normal(size=block)
    columns = {f"m{i}": column for i in range(20)}
    for start in range(0, 600_000, block):
        if start == 60_000:
            before = resident()
        for _ in run.apply(Rows(range(start, start + block), columns)):  # type: ignore[arg-type]  # as good as a list
            pass
        view = run.view()
    stored = sum(series.values.nbytes + series.steps.nbytes for series in view.series.values())
    assert stored > 140e6
    assert resident() - before < stored / 10
