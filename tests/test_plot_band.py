"""The usual range behind a curve, planned ends, selections; and hostile numbers at every size."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtop.plot import ASCII, BRAILLE, GUTTER, TRACES, Frame, Glyphs, Mark, Overlay, Scale, draw, pixel_columns
from gradtop.plot.picture import BAND, BLANK, CURSOR, INSIDE, PLAN, SMOOTH
from gradtop.series import Series
from test_plot import sampled

NAN = math.nan
BANDED = ((4.0, 2.0, 7.0), (12.0, 2.0, 7.0), (14.0, NAN, NAN), (18.0, 5.0, 5.5), (20.0, 5.0, 5.5))

BEFORE = str.maketrans({BAND: BLANK} | {within: ink for ink, within in INSIDE.items()})
"""Inks with the band behind them to those without it."""


def drawn(frame: Frame, glyphs: Glyphs = BRAILLE) -> list[str]:
    columns = pixel_columns(32, glyphs)
    values = [8.0 if i % 2 else 0.0 for i in range(24)]
    values[2:23] = [4.0] * 21
    return [line.text.rstrip() for line in draw(sampled(values, columns), 32, 8, frame, glyphs)]


def test_the_band_lies_behind_the_line_where_it_is_known() -> None:
    assert (
        "\n" + "\n".join(drawn(Frame(band=BANDED)))
        == """
      8┤ ⣷  ░░░░░░░░░░░        ⢸
       │ ⡿⡀ ░░░░░░░░░░░        ⡜
       │ ⡇⡇ ░░░░░░░░░░░    ░░  ⡇
      4┤⢠⠃⠓⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠁
       │⢸   ░░░░░░░░░░░
       │⢸   ░░░░░░░░░░░
      0┤⡸
────────0──────────────────20─23"""
    )


def test_the_band_can_be_told_from_the_line_in_ascii() -> None:
    picture = drawn(Frame(band=BANDED), ASCII)
    assert any("," in line for line in picture)
    assert not any("," in line for line in drawn(Frame(), ASCII))


def test_the_band_hides_nothing_and_moves_no_axis() -> None:
    data = sampled([float(i) for i in range(24)], pixel_columns(32))
    wide = ((0.0, -1e9, 1e9), (23.0, -1e9, 1e9))
    plain, banded = draw(data, 32, 8, Frame()), draw(data, 32, 8, Frame(band=wide))
    for before, after in zip(plain, banded, strict=True):
        assert after.text.replace("░", " ") == before.text
        assert after.inks.translate(BEFORE) == before.inks
    assert INSIDE[SMOOTH] in "".join(line.inks for line in banded)


@pytest.mark.parametrize(
    "band", [(), ((5.0, 1.0, 2.0),), ((5.0, NAN, NAN), (9.0, NAN, NAN)), ((99.0, 1, 2), (100.0, 1, 2))]
)
def test_a_band_that_is_not_known_here_is_not_drawn(band: tuple[tuple[float, float, float], ...]) -> None:
    assert drawn(Frame(band=band)) == drawn(Frame())


def test_planned_ends_are_marked_under_findings() -> None:
    lines = draw(sampled(range(12), 24), 20, 6, Frame(marks=(Mark(5, PLAN), Mark(11, PLAN), Mark(11, "w"))))
    assert lines[-2].text == "       │     ◆     ▲"


def test_a_selection_lights_its_columns() -> None:
    lines = draw(sampled(range(24), 24), 20, 6, Frame(selected=(18.0, 6.0)))
    lit = {x - GUTTER for x, ink in enumerate(lines[0].inks) if ink == CURSOR}
    assert lit == set(range(3, 10))


hostile = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 1e300, -1e300, 1.7976931348623157e308, -1.7976931348623157e308, NAN]),
)


@given(
    st.lists(hostile, min_size=1, max_size=60),
    st.lists(hostile, max_size=30),
    st.integers(GUTTER + 2, 60),
    st.integers(2, 16),
    st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    st.sampled_from([BRAILLE, ASCII]),
)
def test_no_number_and_no_size_breaks_a_picture(
    values: list[float],
    others: list[float],
    width: int,
    height: int,
    flags: tuple[bool, bool, bool, bool],
    glyphs: Glyphs,
) -> None:
    log, symlog, smooth, ratio = flags
    columns = pixel_columns(width, glyphs)
    data = sampled(values, columns)
    below = [Overlay(sampled(others, columns, len(values) - 1), TRACES[0])] if others else []
    step = float(len(values) // 2)
    low, high = min(data.low, default=NAN), max(data.high, default=NAN)
    band = ((0.0, low, high), (step, high, low), (step, NAN, NAN))
    frame = Frame(log, (Mark(step, "w"),), step, ratio, band=band, symlog=symlog, selected=(step, -5.0))
    lines = draw(data, width, height, frame, glyphs, below, list(data.mean) if smooth else ())
    assert len(lines) == height
    assert {(len(line.text), len(line.inks)) for line in lines} == {(width, width)}
    if height > 3 and not all(map(math.isfinite, values)):
        assert glyphs.nonfinite in "".join(line.text for line in lines)
    for line in lines[:-1]:
        label = line.text[: GUTTER - 1].strip()
        assert not label or not math.isnan(float(label))


@given(st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=60), st.booleans(), st.booleans())
def test_the_higher_value_is_never_drawn_lower(values: list[float], log: bool, symlog: bool) -> None:
    scale = Scale.around(values, values, log, symlog)
    ranked = sorted(v for v in values if not scale.log or v > 0)
    rows = [scale.pixel(v, 200) for v in ranked]
    assert rows == sorted(rows, reverse=True)
    assert all(0 <= row < 200 for row in rows)


def test_a_step_axis_of_any_size_is_drawn() -> None:
    for steps in ([-1e300, 1e300], [0.0, 1e-300], [1e15, 1e15 + 1], [7.0]):
        series = Series("x")
        series.extend(steps, [1.0] * len(steps))
        lines = draw(series.view().envelope(24), 20, 5, Frame())
        assert {len(line.text) for line in lines} == {20}
