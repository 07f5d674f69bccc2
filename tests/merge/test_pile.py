"""What is kept for joining again: little memory for many rows, and every number as it was."""

import math
import os
from array import array
from collections.abc import Sequence
from pathlib import Path

import pytest

from gradtop.merge.fold import Cursor
from gradtop.merge.pile import MOST_LAYOUTS, Stretch, below, upto
from gradtop.merge.track import Track
from gradtop.record import Rows, Scalar
from gradtop.series import Spill, spill
from gradtop.sources.search.group import Part

STEPS = 12_000
LAYERS_EVERY = 50


@pytest.fixture(autouse=True)
def no_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "KEPT_FREE", 0)


def row(step: Scalar) -> Rows:
    return Rows([step], {"loss": [math.nan if step % 777 == 0 else 1 / (step + 1)], "lr": [0.1 * step]})


def live(track: Track) -> None:
    """One row at a time, with the layers behind some of them."""
    for step in range(STEPS):
        track.take(row(step))
        if step % LAYERS_EVERY == 0:
            track.take(Rows([step], {f"grad_norm/{i}": [step + i / 7] for i in range(20)}))


def numbers(track: Track) -> list[tuple[float, str, str]]:
    blocks = [rows for lane in track.lanes("step") for rows in lane.blocks]
    return [
        (step, name, repr(values[i]))
        for rows in blocks
        for name, values in rows.columns.items()
        for i, step in enumerate(rows.steps)
    ]


def expected() -> set[tuple[float, str, str]]:
    rows = [row(step) for step in range(STEPS)]
    layers = [(s, f"grad_norm/{i}", repr(s + i / 7)) for s in range(0, STEPS, LAYERS_EVERY) for i in range(20)]
    return {(r.steps[0], name, repr(values[0])) for r in rows for name, values in r.columns.items()} | set(layers)


def plain(found: Sequence[tuple[float, str, str]]) -> set[tuple[float, str, str]]:
    return {(step, name, value.removeprefix("np.float64(").rstrip(")")) for step, name, value in found}


@pytest.mark.parametrize("on_disk", [True, False])
def test_single_rows_become_blocks_and_keep_every_number(tmp_path: Path, on_disk: bool) -> None:
    track = Track(Part(Path("x")), Spill(tmp_path) if on_disk else None)
    live(track)
    (lane,) = track.lanes("step")
    assert lane.rows == STEPS + STEPS // LAYERS_EVERY
    assert len(lane.blocks) <= 2 * STEPS // LAYERS_EVERY + STEPS // 512 + 2
    assert len(numbers(track)) == len(expected())
    assert plain(numbers(track)) == expected()


def test_a_disk_that_is_full_keeps_every_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = [100_000]

    def pwrite(fd: int, data: memoryview, at: int) -> int:
        room[0] -= len(data)
        if room[0] < 0:
            raise OSError(28, "No space left on device")
        return os.pwritev(fd, [data], at)

    monkeypatch.setattr(os, "pwrite", pwrite)
    track = Track(Part(Path("x")), Spill(tmp_path))
    live(track)
    assert room[0] < 0
    assert plain(numbers(track)) == expected()


def test_rows_of_ever_other_columns_are_kept_as_they_are() -> None:
    track = Track(Part(Path("x")))
    for step in range(3 * MOST_LAYOUTS):
        track.take(Rows([step], {f"m{step}": [float(step)]}))
    assert [name for _, name, _ in numbers(track)] == [f"m{step}" for step in range(3 * MOST_LAYOUTS)]


def test_a_cursor_goes_on_where_the_last_block_grew() -> None:
    track, cursor = Track(Part(Path("x"))), Cursor()
    seen: list[float] = []
    for step in range(2000):
        for kept in track.take(row(step)):
            assert isinstance(kept, Rows)
            cursor.lane.append(kept)
        if step % 3 == 0:
            while cursor.step < math.inf:
                seen += cursor.take(cursor.run(math.inf)).steps
    assert seen == [*range(1999)]
    assert len(cursor.lane.blocks) <= 4


def test_steps_that_are_no_whole_numbers_stay_what_they_are() -> None:
    track = Track(Part(Path("x")))
    for step in (1, 2, 2.5, 3):
        track.take(row(step))
    assert [step for step, name, _ in numbers(track) if name == "lr"] == [1, 2, 2.5, 3]


@pytest.mark.parametrize("steps", [[1, 2, 2, 5], []])
def test_a_stretch_is_a_list_of_its_steps(steps: list[int]) -> None:
    stretch = Stretch(array("q", [0, *steps, 9]), 1, 1 + len(steps))
    assert [*stretch] == steps
    assert len(stretch) == len(steps)
    for part in (slice(1, 3), slice(None), slice(-2, None), slice(3, 1), slice(0, 4, 2)):
        assert [*stretch[part]] == steps[part]
    assert [below(stretch, x) for x in (0, 2, 3, 9)] == [sum(s < x for s in steps) for x in (0, 2, 3, 9)]
    assert [upto(stretch, x) for x in (0, 2, 3, 9)] == [sum(s <= x for s in steps) for x in (0, 2, 3, 9)]
    for i in (len(steps), -len(steps) - 1):
        with pytest.raises(IndexError):
            stretch[i]
    if steps:
        assert (stretch[-1], stretch[0]) == (5, 1)
