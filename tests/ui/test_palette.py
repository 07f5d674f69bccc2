"""Colours that can be read: by contrast, by colour-blind eyes, with 256 colours, with 16, and without any."""

import itertools
import math

import pytest
from rich.color import Color, ColorSystem
from rich.color_triplet import ColorTriplet
from rich.style import Style
from staging import run, snapshot, staged, text
from textual.strip import Strip

from gradtop.config import COLOUR_BLIND, THEMES, Settings
from gradtop.plot import picture
from gradtop.recollection import Memory, Recollection
from gradtop.ui.app import GradtopApp
from gradtop.ui.palette import INKS, TRACE_INKS, styles
from gradtop.ui.theme import BARE, BY_NAME, HEAT_STEPS, SIXTEEN

LINES = {picture.RAW, picture.SMOOTH, *picture.INSIDE.values(), *picture.TRACES, *TRACE_INKS}
"""Inks of lines, for which less contrast will do."""
EDGES = {"border", picture.AXIS, "heat missing"}
"""Inks that say nothing by themselves."""
HEAT = [f"heat {i}" for i in range(HEAT_STEPS)]
COLOURED = [*THEMES, SIXTEEN.name]


def linear(part: int) -> float:
    value = part / 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def luminance(colour: ColorTriplet) -> float:
    return 0.2126 * linear(colour.red) + 0.7152 * linear(colour.green) + 0.0722 * linear(colour.blue)


def contrast(style: Style, system: ColorSystem = ColorSystem.TRUECOLOR) -> float:
    """WCAG 2.2: 1 to 21."""
    assert style.color is not None
    assert style.bgcolor is not None
    pair = (style.color.downgrade(system), style.bgcolor.downgrade(system))
    low, high = sorted((luminance(pair[0].get_truecolor()), luminance(pair[1].get_truecolor(foreground=False))))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("system", [ColorSystem.TRUECOLOR, ColorSystem.EIGHT_BIT])
@pytest.mark.parametrize("theme", THEMES)
def test_text_can_be_read_and_lines_be_seen(theme: str, system: ColorSystem) -> None:
    for ink, style in styles(theme).items():
        if ink == picture.BAND:
            continue
        wanted = 3.0 if ink in LINES else 1.6 if ink in EDGES else 4.5 if ink not in HEAT else 3.5
        assert contrast(style, system) >= wanted, ink


@pytest.mark.parametrize("system", [ColorSystem.TRUECOLOR, ColorSystem.EIGHT_BIT])
@pytest.mark.parametrize("theme", THEMES)
def test_the_usual_range_is_seen_by_its_ground(theme: str, system: ColorSystem) -> None:
    band, ground = styles(theme)[picture.BAND], styles(theme)[picture.BLANK]
    assert contrast(Style(color=band.bgcolor, bgcolor=ground.bgcolor), system) >= 1.1


def test_with_16_colours_all_can_be_read_as_xterm_has_them() -> None:
    xterm = {"white": (229, 229, 229), "blue": (0, 0, 238), "bright_black": (127, 127, 127), "black": (0, 0, 0)}
    for ink, style in styles(SIXTEEN.name).items():
        assert style.color is not None
        assert style.bgcolor is not None
        names = style.color.name, style.bgcolor.name
        low, high = sorted(luminance(ColorTriplet(*xterm.get(name, (205, 205, 205)))) for name in names)
        exempt = ink in HEAT or names[0] not in xterm
        assert exempt or (high + 0.05) / (low + 0.05) >= 4.5, ink
        assert all(name == "#000000" or name == "#ffffff" or Color.parse(name).number in range(16) for name in names)


@pytest.mark.parametrize("theme", BY_NAME)
def test_every_theme_has_every_ink(theme: str) -> None:
    assert styles(theme).keys() == styles("dark").keys()
    assert len(styles(theme)) == len(INKS) + len(picture.TRACES) + len(TRACE_INKS) + HEAT_STEPS


DEFICIENCIES = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}
"""Machado, Oliveira and Fernandes 2009, severity 1, for linear RGB."""


def oklab(red: float, green: float, blue: float) -> tuple[float, float, float]:
    """Of linear RGB."""
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    m = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    s = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * m - 0.0040720468 * s,
        1.9779984951 * long - 2.4285922050 * m + 0.4505937099 * s,
        0.0259040371 * long + 0.7827717662 * m - 0.8086757660 * s,
    )


def seen(colour: Color | None, deficiency: str | None) -> tuple[float, float, float]:
    assert colour is not None
    rgb = tuple(map(linear, colour.get_truecolor()))
    if deficiency is not None:
        rgb = tuple(max(0.0, sum(m * c for m, c in zip(row, rgb, strict=True))) for row in DEFICIENCIES[deficiency])
    return oklab(*rgb)


@pytest.mark.parametrize("deficiency", [None, *DEFICIENCIES])
@pytest.mark.parametrize("theme", THEMES)
def test_tones_and_lines_stay_apart_for_colour_blind_eyes(theme: str, deficiency: str | None) -> None:
    inks = styles(theme)

    def nearest(names: list[str]) -> float:
        pairs = itertools.combinations(names, 2)
        return min(math.dist(seen(inks[a].color, deficiency), seen(inks[b].color, deficiency)) for a, b in pairs)

    safe = theme == COLOUR_BLIND
    # 0.02 is what an eye just tells apart side by side; words and letters say the same besides.
    assert nearest(["good", "watch", "act"]) >= (0.12 if safe else 0.04)
    assert nearest([*TRACE_INKS]) >= (0.05 if safe else 0.02)


@pytest.mark.parametrize("deficiency", [None, *DEFICIENCIES])
@pytest.mark.parametrize("theme", THEMES)
def test_the_ramp_is_even_and_monotonic_for_any_eye(theme: str, deficiency: str | None) -> None:
    light = [seen(styles(theme)[ink].bgcolor, deficiency)[0] for ink in HEAT]
    steps = [b - a for a, b in itertools.pairwise(light)]
    steps = [-step for step in steps] if steps[0] < 0 else steps
    assert all(step > 0.005 for step in steps)
    assert max(steps) < 3 * sum(steps) / len(steps)


def colours(strips: list[Strip]) -> set[object]:
    styled = [segment.style for strip in strips for segment in strip if segment.style is not None]
    return {colour for style in styled for colour in (style.color, style.bgcolor)}


def shown(app: GradtopApp) -> list[Strip]:
    filters = app.get_line_filters()
    strips = app.screen._compositor.render_strips()
    for line_filter in filters:
        strips = [strip.apply_filter(line_filter, app.screen.styles.background) for strip in strips]
    return strips


@pytest.mark.parametrize("key", ["1", "6", "r"])
async def test_no_color_means_no_colour_at_all(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with staged(snapshot(run())) as (app, pilot):
        await pilot.press(key)
        await pilot.pause()
        strips = shown(app)
        assert colours(strips) == {None}
        assert any(segment.style is not None and segment.style.bold for strip in strips for segment in strip)
        await pilot.press("slash", "a", "t", "escape", "t")
        await pilot.pause()
        assert app.theme == BARE.name
        assert colours(shown(app)) == {None}
        assert "NO_COLOR is set" in text(app)


@pytest.mark.parametrize("room", ["1", "r", "c"])
async def test_t_shows_the_next_theme_everywhere_and_says_its_name(room: str) -> None:
    async with staged(snapshot(run())) as (app, pilot):
        for key in ("6", "1", room):
            await pilot.press(key)
        for theme in (*THEMES[1:], THEMES[0]):
            await pilot.press("t")
            await pilot.pause()
            assert f"theme: {theme}" in text(app)
            inks = styles(theme)
            allowed = {c for style in inks.values() for c in (style.color, style.bgcolor)}
            assert colours(app.screen._compositor.render_strips()) <= allowed | {None}
        await pilot.press("t", "1")
        await pilot.pause()
        allowed = {c for style in styles(THEMES[1]).values() for c in (style.color, style.bgcolor)}
        assert colours(app.screen._compositor.render_strips()) <= allowed | {None}


async def test_the_theme_is_that_of_the_settings_until_another_one_is_chosen() -> None:
    light, kept = Settings(theme="light"), list[Recollection]()
    async with staged(snapshot(run()), settings=light, keep=kept.append) as (app, pilot):
        assert app.theme == "light"
        await pilot.press("t", "q")
    chosen = kept[-1]
    async with staged(None, settings=light, recollection=chosen) as (app, _):
        assert app.theme == "colour-blind"
    # Who writes another theme into the settings wants to see it.
    async with staged(None, settings=Settings(theme="high-contrast"), recollection=chosen) as (app, _):
        assert app.theme == "high-contrast"


@pytest.mark.parametrize("left", [{"theme": 5, "instead_of": "dark"}, {"theme": "16 colours", "instead_of": "dark"}])
async def test_a_recalled_theme_that_is_none_is_passed_over(left: Memory) -> None:
    async with staged(None, recollection=Recollection(left)) as (app, _):
        assert app.theme == "dark"
