import math
from collections.abc import Sequence
from itertools import pairwise

import pytest

from gradtop.plot import (
    ASCII,
    BRAILLE,
    GUTTER,
    TRACES,
    Frame,
    Glyphs,
    Line,
    Mark,
    Overlay,
    Scale,
    draw,
    grown_end,
    pixel_columns,
    sparkline,
)
from gradtop.plot.axis import step_labels
from gradtop.plot.picture import ALARM, CURSOR, NOTICE, RAW, RESUME, SMOOTH, WATCH
from gradtop.plot.rounding import tick_label
from gradtop.series import Envelope, Series

NAN = math.nan


def sampled(values: Sequence[float], columns: int, last: float | None = None) -> Envelope:
    series = Series("x")
    series.extend(range(len(values)), values)
    return series.view().envelope(columns, last_step=last)


def art(values: Sequence[float], width: int, height: int, frame: Frame | None = None, ascii_only: bool = False) -> str:
    glyphs = ASCII if ascii_only else BRAILLE
    lines = draw(sampled(values, pixel_columns(width, glyphs)), width, height, frame or Frame(), glyphs)
    assert {(len(line.text), len(line.inks)) for line in lines} == {(width, width)}
    assert len(lines) == height
    return "\n" + "\n".join(line.text.rstrip() for line in lines)


def test_a_rising_line() -> None:
    assert (
        art(range(24), 20, 6)
        == """
       │          ⢀⠤
     20┤        ⡠⠒⠁
     10┤     ⣀⠔⠉
       │  ⢀⠤⠊
      0┤⡠⠒⠁
────────0─────────23"""
    )


def test_a_line_in_ascii() -> None:
    assert (
        art(range(12), 20, 6, ascii_only=True)
        == """
     15+
     10+          .'
       |      ..''
      5+   ..'
      0+.''
--------0---------11"""
    )


def test_a_spike_of_one_row_among_thousands_is_drawn_in_full() -> None:
    values = [1.0] * 5000
    values[2500] = 9.0
    assert (
        art(values, 24, 5)
        == """
      8┤        ⡆
       │        ⡇
      4┤        ⡇
      0┤⠒⠒⠒⠒⠒⠒⠒⠒⠓⠒⠒⠒⠒⠒⠒⠒
────────0──────────4,999"""
    )


def test_nan_and_inf_are_marked_where_they_are_and_nothing_joins_over_them() -> None:
    values = [4.0, 4.0, 4.0, 4.0, NAN, NAN, 4.0, 4.0, math.inf, 4.0, 4.0, 4.0]
    assert (
        art(values, 20, 5, Frame())
        == """
    4.4┤
    4.0┤⠤⠤⠤⠄  ⠠⠤ ⠠⠤⠤
    3.6┤
       │    ✕✕  ✕
────────0─────────11"""
    )


def test_only_nan_still_says_so() -> None:
    assert art([NAN] * 12, 20, 4).count("✕") == 12


def test_a_log_axis_marks_what_it_cannot_show() -> None:
    values = [100.0, 10.0, 1.0, 0.0, 1.0, -5.0, 10.0, 100.0]
    lines = draw(sampled(values, 24), 20, 7, Frame(log=True))
    marks = lines[-2]
    assert marks.text.count("▾") == 2
    assert {ink for text, ink in zip(marks.text, marks.inks, strict=True) if text == "▾"} == {WATCH}
    assert lines[0].text.startswith("    100┤")


def test_marks_of_findings_and_resumes_stand_under_the_plot_the_worst_on_top() -> None:
    frame = Frame(marks=(Mark(5, NOTICE), Mark(5, WATCH), Mark(11, RESUME)))
    line = draw(sampled(range(12), 24), 20, 6, frame)[-2]
    assert line.text == "       │     ▲     ↻"
    assert (line.inks[13], line.inks[19]) == (WATCH, RESUME)


def test_the_smoothed_line_lies_over_the_raw_one_and_never_hides_a_mark() -> None:
    values = [5.0 + (-1) ** i * 2 for i in range(48)]
    values[30] = NAN
    lines = draw(sampled(values, 48), 24 + GUTTER, 8, Frame(), smooth=[5.0] * 48)
    inks = "".join(line.inks for line in lines)
    assert SMOOTH in inks
    assert RAW in inks
    assert ALARM in inks


def test_the_smoothed_line_is_drawn_where_there_are_values() -> None:
    lines = draw(sampled([1.0, 2.0, 3.0], 48), 24 + GUTTER, 8, Frame(), smooth=[2.0] * 48)
    assert "".join(line.inks for line in lines).count(SMOOTH) == 24
    lines = draw(sampled([1.0, NAN, NAN], 48, 47), 24 + GUTTER, 8, Frame(), smooth=[1.0] * 48)
    assert "".join(line.inks for line in lines).count(SMOOTH) == 1


def test_the_cursor_lights_its_column_and_keeps_the_data() -> None:
    values = list(range(24))
    plain = draw(sampled(values, 24), 20, 6, Frame())
    lit = draw(sampled(values, 24), 20, 6, Frame(cursor=12))
    column = GUTTER + 6
    assert {line.inks[column] for line in lit[:-1]} == {CURSOR}
    for before, after in zip(plain, lit, strict=True):
        if before.text[column] != " ":
            assert after.text[column] == before.text[column]


def test_sparse_rows_are_joined_by_straight_lines() -> None:
    assert (
        art([0.0, 8.0, 0.0], 20, 5)
        == """
      8┤     ⡔⠑⡄
      4┤   ⢠⠊  ⠈⢢
       │ ⢀⠔⠁     ⠱⡀
      0┤⡠⠃        ⠈⢆
────────0──────────2"""
    )


@pytest.mark.parametrize("rows", [4, 5, 6, 8, 11, 20, 45])
@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (1.5, 3.4), (7.6, 8.1), (3.1, 7.9), (-1000, 0.2), (30, 68), (-1.79e308, 1.79e308)]
)
def test_the_labels_of_a_linear_axis_are_equally_far_apart(low: float, high: float, rows: int) -> None:
    labels = sorted(float(label) for _, label in Scale.around([low], [high]).ticks(rows, GUTTER - 1, 4))
    apart = [b / 2 - a / 2 for a, b in pairwise(labels)]
    assert apart == pytest.approx([apart[0]] * len(apart), rel=1e-9)
    assert all(low - apart[0] * 2 <= label <= high + apart[0] * 2 for label in labels)


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [(0.2, 15.37, True), (3.1, 11.0, True), (3.1, 11.0, False), (-1e-9, 1e9, False), (5, 5, False)],
)
def test_a_scale_holds_its_values(low: float, high: float, log: bool) -> None:
    scale = Scale.around([low], [high], log)
    assert scale.low <= low <= high <= scale.high
    assert scale.low < scale.high
    assert scale.pixel(scale.low, 40) == 39
    assert scale.pixel(scale.high, 40) == 0


def test_a_log_scale_without_positive_values_is_linear() -> None:
    assert not Scale.around([-3.0, 0.0], [0.0, 0.0], log=True).log


@pytest.mark.parametrize(
    "values", [(-1.7e308, 1.7e308), (5e-324, 5e-324), (0.0, 5e-324), (0.0, 2e-311), (1e300, 1.0000001e300)]
)
@pytest.mark.parametrize("log", [True, False])
def test_the_ends_of_the_floats_do_not_break_a_picture(values: tuple[float, float], log: bool) -> None:
    smooth = [values[0]] * pixel_columns(40)
    lines = draw(sampled(values, pixel_columns(40)), 40, 10, Frame(log=log), smooth=smooth)
    assert len(lines) == 10


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("high", [0.0123, 1.0, 7.5, 99.9, 2.3e6, 1e-9])
def test_tick_labels_say_the_value_at_their_row(high: float, log: bool) -> None:
    for rows in (3, 5, 9, 14, 30):
        scale = Scale.around([high / 700], [high], log)
        ticks = list(scale.ticks(rows, GUTTER - 1, 4))
        assert len(ticks) >= 2
        assert len({row for row, _ in ticks}) == len(ticks)
        for row, label in ticks:
            assert len(label) <= GUTTER - 1
            assert scale.pixel(float(label), rows * 4) // 4 == row


def test_a_label_that_would_lie_is_left_out() -> None:
    assert tick_label(1234567.001, 0.001, 7) == ""
    assert tick_label(0.25, 0.05, 7) == "0.25"
    assert tick_label(2.5e-4, 5e-5, 7) == "2.5e-4"
    assert tick_label(1e6, 1e5, 7) == "1e6"


@pytest.mark.parametrize(("first", "last"), [(0, 19559), (1, 500), (0, 0), (0.0, 0.5), (1e9, 1e9 + 3), (0, 10**12)])
@pytest.mark.parametrize("width", [3, 12, 40, 190])
def test_step_labels_never_touch_each_other(first: float, last: float, width: int) -> None:
    end = -1
    for at, text in step_labels(first, last, width):
        assert at > end
        end = at + len(text)
        assert end <= width


def test_the_live_axis_moves_rarely_and_is_never_too_empty() -> None:
    ends = [grown_end(1, last) for last in range(100, 10001)]
    assert all(end > last for end, last in zip(ends, range(100, 10001), strict=True))
    assert len(set(ends)) <= 20
    assert grown_end(-1e308, 1e308) == 1e308
    assert min((last - 1) / (end - 1) for end, last in zip(ends, range(100, 10001), strict=True)) > 0.6


def near(at: int, value: float) -> list[float]:
    """200 values around 2.8, and one far away."""
    return [value if i == at else 2.8 + 0.05 * math.sin(i * 1.7) for i in range(200)]


@pytest.mark.parametrize(
    ("values", "flags"),
    [
        (dict.fromkeys(near(90, 1e6)), (False, False)),
        (dict.fromkeys([1e-7, *(float(i) for i in range(1, 60))]), (True, False)),
        (dict.fromkeys([-1e3, -0.5, 0.0, 2.0, 1e6]), (False, True)),
        (dict.fromkeys([2.0, 3.0]), (False, False)),
    ],
)
def test_every_value_is_found_again_at_its_height(values: dict[float, None], flags: tuple[bool, bool]) -> None:
    scale = Scale.around([*values], [*values], *flags)
    for value in values:
        assert scale.at_part(scale.part(value)) == pytest.approx(value, rel=1e-6, abs=1e-9)
    assert scale.part(scale.low) == pytest.approx(0)
    assert scale.part(scale.high) == pytest.approx(1)


def test_a_sparkline_shows_the_shape_and_what_is_not_finite() -> None:
    assert sparkline(sampled([0, 1, 2, 3, 4, 5, 6, 7], 8)) == "▁▂▃▄▅▆▇█"
    assert sparkline(sampled([1, NAN, 1, 2], 4)) == "▁✕▁█"
    assert sparkline(sampled([1, NAN, 1, 2], 4), ascii_only=True) == "_X_#"
    assert sparkline(sampled([3.0, 3.0], 4)) == "▁  ▁"


def test_one_column_far_above_the_others_does_not_flatten_them() -> None:
    assert sparkline(sampled([11.0, 4.0, 3.7, 3.5, 3.4, 3.3], 6)) == "██▅▃▂▁"
    assert sparkline(sampled([2.0, 1.0, 1.0, 1.0], 4)) == "█▁▁▁"
    assert sparkline(sampled([1.0, 9.0], 2)) == "▁█"
    assert sparkline(sampled([-1.7e308, 0.0, 1.7e308], 3)) == "▁▅█"


def dipped() -> list[float]:
    return [2e-7 if i == 20 else 1.0 + 0.8 * math.sin(i) for i in range(200)]


def test_one_deep_dip_leaves_the_usual_range_most_of_a_log_axis() -> None:
    scale = Scale.around(dipped(), dipped(), log=True)
    assert scale.usual is not None
    assert scale.low == 2e-7
    bottom, usual = scale.pixel(2e-7, 100), scale.pixel(scale.usual[0], 100)
    assert (bottom, scale.pixel(scale.high, 100)) == (99, 0)
    assert 70 < usual < 85
    assert sorted((v for v in (1e-5, 1e-3, 0.5, 1.5)), key=lambda v: scale.pixel(v, 100)) == [1.5, 0.5, 1e-3, 1e-5]


def test_a_squeezed_part_is_dotted_and_its_end_is_named() -> None:
    falling_with_a_dip = [2e-7 if i == 5 else 2.0 * 0.9**i for i in range(24)]
    assert (
        art(falling_with_a_dip, 20, 9, Frame(log=True))
        == """
      2┤⠑⢄
       │  ⢱⣄
       │  ⢸⡇⠑⢄
    0.5┤  ⢸⡇  ⠑⢄
       │  ⢸⡇    ⠑⢄
    0.2┤  ⢸⡇      ⠑⢄
       │  ⢸⡇
   2e-7┊  ⢸⠇
────────0─────────23"""
    )


@pytest.mark.parametrize(
    "values",
    [
        [10 ** -(i / 20) for i in range(200)],  # falls over ten decades
        [1.0] * 150 + [1e-7] * 50,  # fell and stayed there
        [1.0, 1e-7, 1.0],  # too few to say what is usual
        [1.0 + 0.5 * math.sin(i) for i in range(200)],
    ],
)
def test_a_log_axis_is_squeezed_for_rare_values_only(values: list[float]) -> None:
    assert Scale.around(values, values, log=True).usual is None


def test_a_rare_spike_is_squeezed_at_the_top() -> None:
    values = [1e6 if i == 50 else 1.0 + 0.8 * math.sin(i) for i in range(200)]
    scale = Scale.around(values, values, log=True)
    assert (scale.pixel(1e6, 100), scale.pixel(scale.low, 100)) == (0, 99)
    assert 15 < scale.pixel(2.0, 100) < 30
    assert list(scale.squeezed(10, 10)) == [0, 1]


def test_one_spike_does_not_flatten_the_rest_of_a_linear_axis() -> None:
    assert (
        art(near(90, 1.234567e6), 28, 8)
        == """
 1.23e6┊         ⡇
       │         ⡇
   2.84┤⣷⣷⣿⣿⣼⣶⣷⣿⣿⣿⣾⣿⣧⣷⣾⣾⣿⣷⣷⣿
       │⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿
   2.80┤⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿
       │⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⡿⣿⣿
   2.74┤⠃⠋⠙⠙⠙⠛⠋⠋⠛⠘⠉⠋⠋⠛⠛⠙⠙⠃⠋⠙
────────0────────────────199"""
    )


def test_what_lies_far_above_and_below_keeps_its_order_and_its_value() -> None:
    values = near(90, 1e6)
    values[30] = -500.0
    scale = Scale.around(values, values)
    assert scale.usual is not None
    assert [scale.pixel(v, 100) for v in (1e6, -500.0)] == [0, 99]
    order = sorted((1e6, 1e3, 2.9, 2.8, 2.7, -1.0, -500.0), key=lambda v: scale.pixel(v, 100))
    assert order == [1e6, 1e3, 2.9, 2.8, 2.7, -1.0, -500.0]
    assert {label for _, label in scale.ticks(12, 7, 4)} >= {"1e6", "-500"}


@pytest.mark.parametrize("values", [near(90, 3.0), [float(i) for i in range(200)], [1.0] * 199 + [9.0], [1.0, 1e9]])
def test_a_linear_axis_is_squeezed_for_rare_values_far_away_only(values: list[float]) -> None:
    assert Scale.around(values, values).usual is None


def test_a_symlog_axis_shows_zero_and_both_sides_of_it() -> None:
    values = [math.sin(i / 4) * 10 ** (i / 20) for i in range(100)]
    assert (
        art(values, 28, 9, Frame(symlog=True))
        == """
  15000┤               ⢰⠋⢳
       │          ⢰⠋⢣  ⡇ ⢸
       │     ⡴⠋⢆  ⡇ ⢸  ⡇ ⢸
      0┤⡖⠉⢣  ⡇ ⢸  ⡇ ⢸  ⡇ ⢸
       │  ⠘⢦⡠⠃ ⢸  ⡇ ⢸  ⡇ ⢸
       │       ⠈⢦⡠⠃ ⢸  ⡇ ⢸
       │            ⠈⢦⣠⠃ ⢸
 -60000┤                 ⠈⢦⣠
────────0─────────────────99"""
    )


@pytest.mark.parametrize(
    "values",
    [[-5.0, -1.0], [5.0, 6.0], [0.0, 0.0], [-3e300, 5e-324], [1e-320, 1e308], [-1e308, 1e308], [1.797e308, 1.797e308]],
)
def test_a_symlog_axis_holds_its_values_in_their_order(values: list[float]) -> None:
    scale = Scale.around(values, values, symlog=True)
    assert scale.low <= min(values) <= max(values) <= scale.high
    assert scale.pixel(scale.high, 40) == 0
    assert scale.pixel(scale.low, 40) == 39
    assert [label for _, label in scale.ticks(8, 7, 4)]


def test_without_a_finite_value_the_axis_names_none() -> None:
    picture = art([NAN] * 24, 20, 5)
    assert "┤" not in picture
    assert "✕" in picture


def test_a_series_of_zeros_has_no_negative_axis() -> None:
    assert (Scale.around([0.0], [0.0]).low, Scale.around([0.0], [0.0]).high) == (0.0, 1.0)


def test_both_ends_of_a_linear_axis_are_named() -> None:
    scale = Scale.around([0.0], [1e-3])
    assert {label for _, label in scale.ticks(12, 7, 4)} >= {"0", "1e-3"}


def test_a_ratio_below_zero_is_marked_and_leaves_the_scale_alone() -> None:
    values = [-1.0, -1.0, *[0.4 + 0.01 * i for i in range(22)]]
    known = art(values, 20, 6, Frame(ratio=True))
    assert known.count("▾") == 1
    assert "-" not in known
    assert "0.60┤" in known
    assert "-1.0┤" in art(values, 20, 6)
    assert "┤" not in art([-1.0] * 24, 20, 6, Frame(ratio=True))


def test_the_x_axis_names_what_it_counts() -> None:
    assert art(range(24), 20, 6, Frame(counts="samples")).splitlines()[-1] == "samples─0─────────23"
    assert art(range(24), 20, 6, Frame(counts="epoch"), ascii_only=True).splitlines()[-1].startswith("epoch---0")


def overlaid(others: Sequence[Sequence[float]], width: int, height: int, frame: Frame, glyphs: Glyphs) -> list[Line]:
    columns = pixel_columns(width, glyphs)
    drawn = [Overlay(sampled(values, columns, 23), ink) for values, ink in zip(others, TRACES, strict=False)]
    return draw(sampled(range(24), columns), width, height, frame, glyphs, drawn)


def test_further_lines_have_a_letter_at_their_end_and_share_the_axis() -> None:
    lines = overlaid([[23.0] * 24, [40.0 - i for i in range(20)]], 24, 8, Frame(), BRAILLE)
    assert (
        "\n" + "\n".join(line.text.rstrip() for line in lines)
        == """
     40┤⠑⠢⢄⡀
       │   ⠈⠑⠒⢄⣀
       │⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀a
     20┤            ⢀b⠒⠁
       │        ⡠⠤⠊⠉⠁
       │    ⡠⠤⠊⠉
      0┤⡠⠤⠊⠉
────────0─────────────23"""
    )


def test_further_lines_are_told_apart_in_ascii_and_by_ink() -> None:
    lines = overlaid([[23.0] * 24, [40.0] * 24], 24, 8, Frame(), ASCII)
    assert lines[0].text.startswith("     40+bbbbbbbb")
    assert "1" in "".join(line.inks for line in lines)
    assert {line.inks[9] for line in lines if line.text[9] == "b"} == {"2"}


def test_nan_of_a_further_line_is_marked_in_its_ink() -> None:
    marks = overlaid([[NAN if i == 12 else 9.0 for i in range(24)]], 24, 8, Frame(), BRAILLE)[-2]
    assert [(text, ink) for text, ink in zip(marks.text, marks.inks, strict=True) if text == "✕"] == [("✕", TRACES[0])]


def test_a_cursor_and_letters_that_meet_hide_no_line() -> None:
    lines = overlaid([[5.0] * 24, [5.0] * 24, [5.0] * 24], 24, 8, Frame(cursor=23), BRAILLE)
    assert {letter for line in lines for letter in line.text if letter in "abc"} == {"a", "b", "c"}
