"""The System room: its keys, what fits on which screen, and what a terminal is sent when little changes."""

from dataclasses import replace

import pytest
from staging import EVIL, NOW, SIZES, lines, post, run, snapshot, staged, text
from textual.geometry import Region
from textual.pilot import Pilot

from gradtop.machine import Gpu, Machine, MachineView
from gradtop.recollection import Recollection
from gradtop.snapshot import Snapshot
from gradtop.ui.app import GradtopApp
from gradtop.ui.screens.system import SystemRoom, shares
from gradtop.ui.widgets.canvas import changed_spans
from gradtop.ui.widgets.devices import Devices, fitted
from gradtop.ui.widgets.gauge import bar, laid_out, widths
from gradtop.ui.widgets.outlines import outlines
from gradtop.view.system import Fact, History, system
from machines import gpu, past, process, sample, seen

pytestmark = pytest.mark.rooms


def scene(machine: Machine | MachineView) -> Snapshot:
    view = machine if isinstance(machine, MachineView) else seen(machine)
    return replace(snapshot(run(machine=view)), machine=view)


async def entered(app: GradtopApp, pilot: Pilot[None], *keys: str) -> str:
    await pilot.press("5", *keys)
    await pilot.pause()
    await pilot.pause()
    return text(app)


def focus(app: GradtopApp) -> str | None:
    return app.screen.focused.id if app.screen.focused is not None else None


@pytest.mark.parametrize("size", [*SIZES, (40, 12), (20, 6)])
@pytest.mark.parametrize("count", [0, 1, 2, 8, 16])
async def test_every_number_of_devices_fits_every_screen(count: int, size: tuple[int, int]) -> None:
    async with staged(scene(past(sample(count), 60)), size) as (app, pilot):
        await entered(app, pilot)
        assert [len(line) for line in lines(app)] == [size[0]] * size[1]


@pytest.mark.parametrize("size", SIZES)
async def test_one_device_needs_no_list(size: tuple[int, int]) -> None:
    async with staged(scene(sample(1)), size) as (app, pilot):
        shown = await entered(app, pilot)
        assert "─ GPU 0 ─ NVIDIA Test 80GB ─" in shown
        assert "1 GPU" not in shown
        assert "62.1/80 GiB" in shown
        assert "process 4242" in shown
        assert "host" in shown
        assert focus(app) == "gpu"


@pytest.mark.parametrize("size", SIZES)
async def test_sixteen_devices_have_a_row_each(size: tuple[int, int]) -> None:
    async with staged(scene(sample(16)), size) as (app, pilot):
        shown = await entered(app, pilot)
        rows = [line[1:6].split() for line in lines(app) if "power cap" in line and line.startswith("│")]
        assert [row[-1].strip("▸●") for row in rows][:16] == [str(i) for i in range(16)]
        # Only what this run uses is marked.
        assert sum("●" in "".join(row) for row in rows) == 1
        assert "16 GPUs ─ NVIDIA Test 80GB ─ driver 595.10 ─ CUDA 13.1" in shown
        assert focus(app) == "devices"


async def test_arrows_select_a_device_and_the_detail_follows() -> None:
    async with staged(scene(sample(8))) as (app, pilot):
        await entered(app, pilot, "down", "down")
        assert "╭─ GPU 2 ─" in text(app)
        for key, title in (("j", 3), ("up", 2), ("k", 1), ("G", 7), ("g", 0), ("end", 7), ("home", 0)):
            await pilot.press(key)
            await pilot.pause()
            assert f"╭─ GPU {title} ─" in text(app), key
        await pilot.press("pagedown")
        await pilot.pause()
        assert "╭─ GPU 7 ─" in text(app)
        await pilot.press("pageup")
        await pilot.pause()
        assert "╭─ GPU 0 ─" in text(app)


async def test_a_list_longer_than_its_room_pages() -> None:
    async with staged(scene(sample(16)), (80, 14)) as (app, pilot):
        assert "1–6 of 16" in await entered(app, pilot)
        await pilot.press("pagedown")
        await pilot.pause()
        assert "2–7 of 16" in text(app)
        await pilot.press("G")
        await pilot.pause()
        assert "11–16 of 16" in text(app)


async def test_enter_opens_the_selected_device_on_the_whole_screen_and_escape_comes_back() -> None:
    async with staged(scene(sample(8)), (80, 24)) as (app, pilot):
        shown = await entered(app, pilot, "down", "enter")
        assert "─ GPU 1 ─" in shown
        assert "UUID         GPU-00000001" in shown
        assert "8 GPUs" not in shown
        assert "process 4242" not in shown
        # The arrows go on from device to device.
        await pilot.press("down")
        await pilot.pause()
        assert "─ GPU 2 ─" in text(app)
        await pilot.press("escape")
        await pilot.pause()
        assert "8 GPUs" in text(app)
        assert isinstance(app.screen, SystemRoom)
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, SystemRoom)


async def test_tab_goes_round_and_opens_the_panel_that_it_reaches() -> None:
    async with staged(scene(sample(2)), (80, 24)) as (app, pilot):
        await entered(app, pilot)
        assert focus(app) == "devices"
        for name in ("gpu", "process", "host", "devices"):
            await pilot.press("tab")
            await pilot.pause()
            assert focus(app) == name
        await pilot.press("shift+tab")
        await pilot.pause()
        assert focus(app) == "host"
        assert "disk of log" in text(app)
        await pilot.press("shift+tab", "enter")
        await pilot.pause()
        assert "children" in text(app)
        assert "host" not in text(app)


async def test_a_panel_scrolls_where_it_is_longer_than_its_room() -> None:
    async with staged(scene(sample(1)), (80, 14)) as (app, pilot):
        assert "UUID" not in await entered(app, pilot)
        for keys in (("pagedown", "pagedown"), ("pageup", "pageup", "G"), ("g", *["down"] * 20)):
            await pilot.press(*keys)
            await pilot.pause()
            assert "UUID" in text(app), keys
        await pilot.press("up", "up", "k", "k", "k", "k", "k", "k", "k", "k", "k", "k", "k", "k", "k", "k")
        await pilot.pause()
        assert "utilisation" in text(app)


async def test_the_mouse_selects_opens_and_scrolls() -> None:
    async with staged(scene(sample(8))) as (app, pilot):
        await entered(app, pilot)
        await pilot.click("#devices", offset=(10, 5))
        await pilot.pause()
        assert "╭─ GPU 3 ─" in text(app)
        await pilot.click("#process", offset=(5, 3))
        await pilot.pause()
        assert focus(app) == "process"
        await pilot.click("#devices", offset=(10, 5))
        await pilot.pause()
        assert "8 GPUs" not in text(app)


async def test_v_changes_between_what_was_recorded_and_this_machine() -> None:
    recorded = seen(sample((gpu(name="Far away"),), line=5))
    shown = replace(snapshot(run(machine=recorded)), machine=seen(sample(2)))
    async with staged(shown) as (app, pilot):
        assert "Far away" in await entered(app, pilot)
        assert "recorded 2023-11-1" in text(app)
        assert "v shows this machine" in text(app)
        await pilot.press("v")
        await pilot.pause()
        assert "2 GPUs" in text(app)
        assert "v shows what was recorded" in text(app)
        await pilot.press("v")
        await pilot.pause()
        assert "Far away" in text(app)


async def test_without_a_second_view_v_does_nothing() -> None:
    async with staged(scene(sample(1))) as (app, pilot):
        before = await entered(app, pilot)
        await pilot.press("v")
        await pilot.pause()
        assert text(app) == before


async def test_a_new_sample_is_shown_and_the_selection_stays() -> None:
    async with staged(scene(sample(8))) as (app, pilot):
        await entered(app, pilot, "down", "down", "down")
        changed = tuple(gpu(i, utilization=0.31) for i in range(8))
        await post(app, pilot, scene(sample(changed, time=NOW + 1)))
        assert "╭─ GPU 3 ─" in text(app)
        assert sum("31 %" in line for line in lines(app)) >= 9
        gone = (gpu(0), gpu(1), gpu(2), Gpu(index=3, problem="lost"))
        await post(app, pilot, scene(sample(gone, time=NOW + 2)))
        assert "what it did before is not shown" in text(app)


async def test_samples_that_stop_grow_old_on_the_screen() -> None:
    now = [0.0]
    async with staged(scene(sample(1)), clock=lambda: now[0]) as (app, pilot):
        assert "sampled" not in await entered(app, pilot)
        now[0] = 33.0
        app._tick()
        await pilot.pause()
        await pilot.pause()
        assert "sampled 30s ago" in text(app)


async def test_a_paused_screen_does_not_call_its_samples_old() -> None:
    now = [0.0]
    async with staged(scene(sample(1)), clock=lambda: now[0]) as (app, pilot):
        await entered(app, pilot, "space")
        now[0] = 60.0
        app._tick()
        await pilot.pause()
        assert "sampled" not in text(app)


async def test_without_a_driver_the_rest_works() -> None:
    none = sample(0, gpu_problem="no NVML: the driver's library is missing", driver=None)
    async with staged(scene(none), (80, 24)) as (app, pilot):
        shown = await entered(app, pilot)
        assert "no NVML: the driver's library is missing" in shown
        assert "1.02 cores" in shown
        assert "▸ host ─ CPU 25 % ─" in shown
        await pilot.press("down", "enter", "escape", "v", "G", "g", "pagedown", "tab", "enter")
        await pilot.pause()
        assert "its pid is in the log" in text(app)


async def test_before_the_first_sample_and_without_a_run() -> None:
    for shown in (snapshot(run()), snapshot(), None):
        async with staged(shown, (80, 24)) as (app, pilot):
            await entered(app, pilot, "down", "enter", "escape", "tab", "v", "G")
            assert app.is_running
            if shown is not None:
                assert "Not sampled yet." in text(app)


async def test_what_was_selected_for_one_run_is_not_for_another() -> None:
    first, second = run("a", machine=seen(sample(8))), run("b", machine=seen(sample(8, process=process(gpus=(6,)))))
    both = replace(snapshot(first, second), machine=seen(sample(8)))
    async with staged(both) as (app, pilot):
        await entered(app, pilot, "down", "down")
        await pilot.press("r", "down", "enter", "5")
        await pilot.pause()
        assert "╭─ GPU 6 ─" in text(app)


@pytest.mark.parametrize("size", [(120, 36), (40, 10)])
async def test_it_survives_any_change_of_size(size: tuple[int, int]) -> None:
    async with staged(scene(sample(8)), size) as (app, pilot):
        await entered(app, pilot)
        for width, height in ((1, 1), (500, 150), (8, 3), (40, 12), (100, 5), (170, 20), (80, 24)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            assert len(lines(app)) == height
        assert "8 GPUs" in text(app)


async def test_it_looks_as_it_was_left() -> None:
    left = Recollection(rooms={"system": {"gpu": "5", "panel": "host", "focus": "host", "full": False}})
    async with staged(scene(sample(8)), recollection=left) as (app, pilot):
        assert "╭─ GPU 5 ─" in await entered(app, pilot)
        assert focus(app) == "host"
        await pilot.press("enter")
        await pilot.pause()
        kept = app.recollection.rooms["system"]
        assert kept == {"gpu": "5", "panel": "host", "focus": "host", "full": True}
    again = Recollection(rooms={"system": kept})
    async with staged(scene(sample(8)), recollection=again) as (app, pilot):
        shown = await entered(app, pilot)
        assert "disk of log" in shown
        assert "8 GPUs" not in shown


async def test_a_memory_that_makes_no_sense_is_passed_over() -> None:
    odd = Recollection(rooms={"system": {"gpu": 7.0, "panel": "x", "focus": "query_one", "full": "yes"}})
    async with staged(scene(sample(8)), recollection=odd) as (app, pilot):
        assert "╭─ GPU 0 ─" in await entered(app, pilot)


async def test_foreign_text_is_shown_and_never_acted_on() -> None:
    evil = sample(
        (gpu(0, name=EVIL, uuid=EVIL), Gpu(index=1, problem=EVIL, name="名" * 200)),
        process=process(name=EVIL, found_by=EVIL),
        gpu_problem=EVIL,
    )
    async with staged(scene(evil)) as (app, pilot):
        shown = await entered(app, pilot)
        assert "[/bold][@click=app.quit]x[/]" in shown
        assert not any((ord(ch) < 32 and ch != "\n") or ch == "\u202e" for ch in shown)
        assert [len(strip) for strip in [line.encode("utf-8") for line in lines(app)]]
        await pilot.press("down", "enter")
        await pilot.pause()
        assert app.is_running


async def test_ascii_terminals_get_ascii() -> None:
    async with staged(scene(past(sample(8), 60)), ascii=True) as (app, pilot):
        await entered(app, pilot)
        drawn = "\n".join("".join(s.text for s in strip) for strip in app.screen._compositor.render_strips())
        assert "====" in drawn
        assert "━" not in drawn
        assert "▇" not in drawn


async def test_a_sample_that_differs_in_one_device_repaints_its_cells_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with staged(scene(sample(8))) as (app, pilot):
        await entered(app, pilot)
        painted: list[int] = []
        devices = app.screen.query_one(Devices)
        refresh = devices.refresh

        def noted(*regions: Region, **more: bool) -> Devices:
            painted.extend(region.area for region in regions)
            return refresh(*regions, **more)

        monkeypatch.setattr(devices, "refresh", noted)
        changed = tuple(gpu(i, temperature_c=64.0 + i + (i == 4)) for i in range(8))
        await post(app, pilot, scene(sample(changed)))
        assert painted == [1]


# How lines are laid out.


def drawn(facts: list[Fact], width: int, ascii_only: bool = False) -> list[str]:
    return ["".join(text for text, _ in row).rstrip() for row in laid_out(facts, width, ascii_only)]


TIMES = tuple(5.0 * i for i in range(8))
FACTS = [
    Fact("utilisation", "97 %", "value", 0.97, History(TIMES, tuple(i / 7 for i in range(8)), 0.0, 1.0, "1")),
    Fact("memory", "62.1/80 GiB", "value", 0.78, History(TIMES, (0.5,) * 8, 0.0, 1.0, "1")),
    Fact("fan", "n/a", "quiet", note="not supported"),
    Fact("disk", "812 GiB free", share=0.6, note="of 2 TiB"),
]


def test_facts_stand_in_columns() -> None:
    assert drawn(FACTS, 60) == [
        "utilisation  97 %          ━━━━━━━━━─               ▁▂▃▄▅▆▇▇",
        "memory       62.1/80 GiB   ━━━━━━━━──               ▄▄▄▄▄▄▄▄",
        "fan          n/a  not supported",
        "disk         812 GiB free  ━━━━━━────  of 2 TiB",
    ]


def test_what_does_not_fit_goes_below_or_away() -> None:
    assert drawn(FACTS, 40) == [
        "utilisation  97 %               ▁▂▃▄▅▆▇▇",
        "memory       62.1/80 GiB        ▄▄▄▄▄▄▄▄",
        "fan          n/a  not supported",
        "disk         812 GiB free  of 2 TiB",
    ]
    assert drawn(FACTS, 26) == [
        "utilisation  97 %",
        "memory       62.1/80 GiB",
        "fan          n/a",
        "             not supported",
        "disk         812 GiB free",
        "             of 2 TiB",
    ]
    assert all(len(line) <= 26 for line in drawn(FACTS, 26))


def test_a_history_has_holes_where_nothing_is_known() -> None:
    fact = Fact("x", "1", history=History(TIMES, (0.0, 1.0, *[float("nan")] * 4, 1.0, 0.0), 0.0, 1.0, "1"))
    assert drawn([fact], 35)[0].endswith("▁▇    ▇▁")
    assert drawn([fact], 35, ascii_only=True)[0].endswith("_#    #_")


def large(facts: list[Fact], width: int, rows: int, ascii_only: bool = False) -> list[str]:
    return ["".join(text for text, _ in row).rstrip() for row in outlines(facts, width, rows, ascii_only)]


SWING = Fact("power", "7 W", history=History(TIMES, (0.0, 1.0, 2.0, float("nan"), 7.0, 6.0, 4.0, 7.0), 0.0, 8.0, "8 W"))


def test_histories_are_drawn_large_where_there_is_room() -> None:
    assert large([SWING], 34, 5) == [
        "",
        "power 7 W       0 to 8 W, last 35s",
        "                                ⠢⣰",
        "                                 ⠋",
        "                              ⡠⠃",
    ]
    assert large([SWING], 34, 5, ascii_only=True)[2:] == [
        "                              '. :",
        "                                '",
        "                          ..'",
    ]


def test_histories_that_do_not_fit_are_not_drawn() -> None:
    assert large([SWING], 30, 4) == []
    assert large([SWING], 20, 40) == []
    assert large(FACTS[2:], 80, 40) == []
    assert len(large([SWING] * 3, 60, 12)) == 12
    assert all(len(line) <= 60 for line in large([SWING] * 3, 60, 12))
    # Two stand beside each other where it is wide.
    assert [line.count("power 7 W") for line in large([SWING] * 3, 100, 12)] == [0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "────"), (0.001, "━───"), (0.5, "━━──"), (0.999, "━━━─"), (1.0, "━━━━"), (7.0, "━━━━"), (-1.0, "────")],
)
def test_a_bar_is_neither_empty_nor_full_too_soon(share: float, text: str) -> None:
    assert "".join(piece for piece, _ in bar(share, 4)) == text


def test_columns_never_take_more_than_there_is() -> None:
    for room in range(8, 120):
        found = widths(FACTS, room)
        used = found.value + (2 + found.bar if found.bar else 0) + (2 + found.spark if found.spark else 0)
        assert used <= max(room, found.value)


def test_the_list_drops_what_matters_least_and_keeps_the_load() -> None:
    view = system(scene(sample((gpu(name="A"), gpu(1, name="B")))), run(), 0.0)
    for width, kept in ((10, ["GPU", "util"]), (36, ["GPU", "util", "memory", "slowed by"])):
        assert [title for title, _ in fitted(view.rows, width, 1)] == kept
    for width in range(36, 240):
        columns = fitted(view.rows, width, 2)
        assert sum(cells for _, cells in columns) + 2 * (len(columns) - 1) <= max(width, 10)


@pytest.mark.parametrize(
    ("wanted", "first", "height", "rows"),
    [
        ([10, 8, 5], 0, 30, [10, 8, 12]),
        ([10, 8, 5], 0, 20, [10, 9, 1]),
        ([10, 8, 5], 2, 12, [6, 1, 5]),
        ([10, 8, 5], 1, 4, [1, 2, 1]),
        ([10, 8, 5], 1, 2, [1, 1, 1]),
        ([10], 0, 3, [3]),
    ],
)
def test_panels_share_the_rows(wanted: list[int], first: int, height: int, rows: list[int]) -> None:
    assert shares(wanted, first, height) == rows


# The tile of the Overview.


@pytest.mark.parametrize(
    ("size", "told"), [((120, 36), "─ power cap ─"), ((80, 24), "─ power cap ─"), ((60, 24), "─ 97 % ─")]
)
async def test_the_overview_has_the_device_and_the_process_below_its_charts(size: tuple[int, int], told: str) -> None:
    async with staged(scene(past(sample(1), 60)), size) as (app, pilot):
        await pilot.pause()
        *_, first, beside, _footer = lines(app)
        assert first.startswith("╭─ GPU 0 ─")
        assert told in first
        assert beside.startswith("╰─ pid 4242 train.py ─ running ─ 1.02 cores ─ 12.3 GiB ─")
        changed = sample((gpu(utilization=0.12),), time=NOW + 1)
        await post(app, pilot, scene(changed))
        assert "─ 12 % ─" in lines(app)[-3]


async def test_a_run_of_which_nothing_is_known_leaves_the_rows_to_the_charts() -> None:
    async with staged(snapshot(run()), (120, 36)) as (app, pilot):
        await pilot.pause()
        assert "pid" not in text(app)
        assert lines(app)[-2].startswith("╰────────1")


async def test_a_line_that_comes_and_goes_moves_no_panel() -> None:
    def with_name(name: str) -> Snapshot:
        return scene(sample(1, process=process(name=name)))

    async with staged(with_name("python train.py " + "x" * 60)) as (app, pilot):
        await entered(app, pilot)
        host = next(y for y, line in enumerate(lines(app)) if "─ host ─" in line)
        await post(app, pilot, with_name("python train.py"))
        assert "─ host ─" in lines(app)[host]


@pytest.mark.parametrize(
    ("old", "new", "spans"),
    [
        ("0123456789", "0123x56789", [(4, 5)]),
        ("a---------b", "x---------y", [(0, 11)]),
        ("a-----------------b", "x-----------------y", [(0, 1), (18, 19)]),
        ("same", "same", [(0, 1)]),
        ("short", "longer row", [(0, 10)]),
        ("名--", "字--", [(0, 4)]),
    ],
)
def test_the_terminal_gets_the_cells_that_changed(old: str, new: str, spans: list[tuple[int, int]]) -> None:
    assert changed_spans(((old, "plain"),), ((new, "plain"),)) == spans


def test_a_cell_of_another_ink_has_changed() -> None:
    assert changed_spans((("ab", "plain"),), (("a", "plain"), ("b", "good"))) == [(1, 2)]
