import math
from collections.abc import Sequence

import pytest
from staging import EVIL, SIZES, finding, lines, post, run, snapshot, staged, text

from gradtop.record import Rows
from gradtop.snapshot import RunSnapshot, RunState
from gradtop.ui.app import GradtopApp
from gradtop.ui.screens.layers import LayersRoom
from gradtop.ui.screens.overview import Overview
from gradtop.ui.widgets.chart import Chart
from gradtop.ui.widgets.heatmap import Heatmap

pytestmark = pytest.mark.rooms


def layered(n: int = 48, steps: int = 60, name: str = "deep", families: Sequence[str] = ("grad_norm",)) -> RunSnapshot:
    """Blocks of two layers whose gradients fade towards the input; one dies, one is NaN for a while."""
    at = list(range(1, steps + 1))
    columns: dict[str, list[float]] = {"loss": [3.0] * steps}
    for family in families:
        for k in range(n):
            layer = f"layers.{k // 2}.{'attn' if k % 2 == 0 else 'mlp'}"
            columns[f"{family}/{layer}"] = [10.0 ** (-4 * (1 - k / n)) * (1 + 0.1 * math.sin(i * 7 + k)) for i in at]
        columns[f"{family}/layers.3.mlp"][steps // 2 :] = [0.0] * (steps - steps // 2)
        columns[f"{family}/layers.4.attn"][20:24] = [math.nan] * 4
    return run(name, [Rows(at, columns)], state=RunState.FINISHED, findings=(finding(message="layers.3.mlp is dead"),))


def heat(app: GradtopApp) -> Heatmap:
    return app.screen.query_one(Heatmap)


def said(app: GradtopApp) -> str:
    """The line that reads out the cell."""
    return lines(app)[heat(app).region.bottom - 2]


@pytest.mark.parametrize("size", [*SIZES, (40, 24), (100, 20)])
@pytest.mark.parametrize("ascii", [False, True])
async def test_the_heatmap_fills_its_frame(size: tuple[int, int], ascii: bool) -> None:
    async with staged(snapshot(layered()), size, ascii=ascii) as (app, pilot):
        await pilot.press("2")
        await pilot.pause()
        assert isinstance(app.screen, LayersRoom)
        strips = app.screen._compositor.render_strips()
        assert {strip.cell_length for strip in strips} == {size[0]}
        assert f"2 grad norm 1{'-' if ascii else '–'}" in text(app)
        assert "?" not in "".join(lines(app)[1:-1])
        assert "layers.0.attn" in text(app)
        assert heat(app).has_focus


async def test_keys_walk_layers_and_steps() -> None:
    async with staged(snapshot(layered())) as (app, pilot):
        await pilot.press("2")
        await pilot.pause()
        assert "layers.0.attn  step 60" in said(app)
        await pilot.press("j", "j", "down", "k")
        assert heat(app).selected == "layers.1.attn"
        await pilot.press("home")
        assert "step 1 " in said(app)
        await pilot.press("l", "l", "right", "left", "h")
        assert heat(app).column == 1
        await pilot.press("end")
        assert heat(app).step is None
        await pilot.press("G")
        assert heat(app).selected == "layers.23.mlp"
        await pilot.press("g", "pagedown")
        assert heat(app).selected == f"layers.{heat(app).page_rows // 2}.{('attn', 'mlp')[heat(app).page_rows % 2]}"
        await pilot.press("pageup")
        assert heat(app).selected == "layers.0.attn"
        await pilot.pause()
        assert "1–" in lines(app)[1]


async def test_what_is_dead_and_what_is_not_finite_is_read_out() -> None:
    async with staged(snapshot(layered())) as (app, pilot):
        await pilot.press("2", *"jjjjjjj")
        await pilot.pause()
        assert "layers.3.mlp" in said(app)
        assert "exactly 0" in said(app)
        row = next(line for line in lines(app) if "layers.3.mlp" in line)
        assert "000000" in row
        await pilot.press("j")
        await pilot.pause()
        assert "✕✕" in next(line for line in lines(app) if "layers.4.attn" in line)


async def test_one_layer_in_full_and_back() -> None:
    async with staged(snapshot(layered())) as (app, pilot):
        await pilot.press("2", *"jjjjjjj", "enter")
        await pilot.pause()
        await pilot.pause()
        assert "dead: exactly 0 since 31" in text(app)
        assert "layers.3.mlp is dead" in text(app)
        assert app.screen.query_one("#curve", Chart).display
        assert not heat(app).display
        await pilot.press("j")
        await pilot.pause()
        assert "4 NaN and 0 Inf of 60 values" in text(app)
        await pilot.press("pagedown", "pageup", "escape")
        await pilot.pause()
        assert heat(app).display
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, Overview)


async def test_measures_and_orders_go_round() -> None:
    async with staged(snapshot(layered(families=("grad_norm", "weight_norm", "update_ratio")))) as (app, pilot):
        await pilot.press("2")
        for key, label in (("v", "weight norm"), ("v", "update ratio"), ("v", "grad norm"), ("V", "update ratio")):
            await pilot.press(key)
            await pilot.pause()
            assert f"2 {label} 1–" in lines(app)[1]
        for order in ("worst first", "name", "depth"):
            await pilot.press("o")
            await pilot.pause()
            assert order in lines(app)[1]


async def test_modules_fold_and_open() -> None:
    async with staged(snapshot(layered())) as (app, pilot):
        await pilot.press("2", "j", "[")
        await pilot.pause()
        assert heat(app).selected == "layers.0"
        assert "layers.0 ▸ 2" in text(app)
        assert "of 47 (48 layers)" in lines(app)[1]
        await pilot.press("]")
        await pilot.pause()
        assert heat(app).selected == "layers.0.attn"
        await pilot.press("{")
        await pilot.pause()
        assert "of 24 (48 layers)" in lines(app)[1]
        assert "layers.3 ▸ 2, 1 dead" in text(app)
        assert "modules: highest of their layers" in lines(app)[1]
        await pilot.press("j", "}")
        await pilot.pause()
        assert heat(app).selected == "layers.1.attn"


async def test_a_filter_holds_as_it_is_typed_and_escape_clears_it() -> None:
    async with staged(snapshot(layered())) as (app, pilot):
        await pilot.press("2", "slash", *"mlp")
        await pilot.pause()
        assert "of 24 (48 layers)" in lines(app)[1]
        assert "/mlp" in lines(app)[1]
        await pilot.press("enter", "j")
        await pilot.pause()
        assert heat(app).selected == "layers.1.mlp"
        await pilot.press("slash", *"zzz", "enter")
        await pilot.pause()
        assert "no layer has this in its name" in text(app)
        await pilot.press("escape")
        await pilot.pause()
        assert "of 48" in lines(app)[1]


async def test_zoom_and_the_whole_run_again() -> None:
    async with staged(snapshot(layered(steps=400))) as (app, pilot):
        await pilot.press("2", "home", "plus", "plus")
        await pilot.pause()
        assert "zoomed" in lines(app)[1]
        await pilot.press("minus", "0")
        await pilot.pause()
        assert "zoomed" not in lines(app)[1]
        await pilot.press("plus", "escape")
        await pilot.pause()
        assert isinstance(app.screen, LayersRoom)
        assert "zoomed" not in lines(app)[1]


async def test_the_mouse_does_what_keys_do() -> None:
    async with staged(snapshot(layered())) as (app, pilot):
        await pilot.press("2")
        await pilot.pause()
        x = heat(app).size.width - heat(app).columns - 1
        await pilot.click("#heatmap", offset=(x + 10, 4))
        await pilot.pause()
        assert (heat(app).selected, heat(app).column) == ("layers.1.mlp", 10)
        await pilot.click("#heatmap", offset=(x + 10, 4))
        await pilot.pause()
        await pilot.pause()
        assert not heat(app).display
        await pilot.press("escape")
        heat(app).on_mouse_scroll_down()
        heat(app).on_mouse_scroll_up()
        assert heat(app).selected == "layers.1.mlp"


async def test_a_layer_can_be_asked_for_before_the_room_was_entered() -> None:
    async with staged(snapshot(layered())) as (app, pilot):
        room = app._rooms["layers"]
        assert isinstance(room, LayersRoom)
        room.show_layer("layers.20.mlp")
        await pilot.press("2")
        await pilot.pause()
        assert heat(app).selected == "layers.20.mlp"
        await pilot.press("{", "slash", *"attn", "enter")
        room.show_layer("layers.3.mlp")
        await pilot.pause()
        assert heat(app).selected == "layers.3.mlp"
        room.show_layer("nothing of that name")


async def test_a_run_without_layers_says_how_to_get_them() -> None:
    async with staged(snapshot(run()), (80, 24)) as (app, pilot):
        await pilot.press("2", "j", "l", "enter", "v", "o", "[", "]", "{", "}", "plus", "0", "G")
        await pilot.pause()
        assert "gradtop run -- python train.py" in text(app)
        await post(app, pilot, snapshot(layered()))
        assert "2 grad norm 1–" in text(app)
        await post(app, pilot, snapshot())
        assert "There is no run yet." in text(app)


async def test_new_rows_keep_the_selection_and_the_axis() -> None:
    live = layered(steps=40)
    async with staged(snapshot(live)) as (app, pilot):
        await pilot.press("2", "j", "j")
        await pilot.pause()
        await post(app, pilot, snapshot(layered(steps=41)))
        assert heat(app).selected == "layers.1.attn"
        assert "step 41" in said(app)


async def test_hostile_names_and_values() -> None:
    names = [EVIL, "[red]x[/red]", "训练" * 80, "a" * 300 + "1", "a" * 300 + "2", "..", "/", ".a"]
    columns = {f"grad_norm/{name}": [1e300, -1e300, math.nan] for name in names}
    columns["grad_norm/small"] = [1e-300, 5e-324, math.inf]
    shown = run("evil", [Rows([1, 2, 3], columns)])
    for size in ((120, 36), (40, 12), (16, 8)):
        async with staged(snapshot(shown), size) as (app, pilot):
            await pilot.press("2", "j", "j", "j", "{", "[", "[", "G", "enter", "escape", "o", "v", "]", "plus")
            await pilot.pause()
            assert {strip.cell_length for strip in app.screen._compositor.render_strips()} == {size[0]}
            assert "\x1b" not in text(app)


async def test_names_that_are_cut_stay_apart() -> None:
    names = [f"{'deep.' * 20}{k}.{'inner.' * 20}weight" for k in range(4)]
    shown = run("long", [Rows([1], {f"grad_norm/{name}": [1.0] for name in names})])
    async with staged(snapshot(shown), (80, 24)) as (app, pilot):
        await pilot.press("2")
        await pilot.pause()
        labels = [line[2:28] for line in lines(app)[2:6]]
        assert len(set(labels)) == 4


async def test_the_room_is_remembered() -> None:
    async with staged(snapshot(layered(families=("grad_norm", "weight_norm")))) as (app, pilot):
        await pilot.press("2", "v", "o", "{", "slash", *"mlp", "enter")
        await pilot.pause()
        room = app.screen
        assert isinstance(room, LayersRoom)
        memory = room.memory()
        assert (memory["family"], memory["order"], memory["filter"]) == ("weight_norm", "worst first", "mlp")
        other = LayersRoom(room._glyphs)
        other.recall(memory)
        assert other.memory() == memory
        other.recall({"family": 3, "order": "nonsense", "folded": None, "filter": "((("})
        assert other.memory()["order"] == "worst first"


async def test_without_colours_density_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with staged(snapshot(layered()), (80, 24)) as (app, pilot):
        await pilot.press("2")
        await pilot.pause()
        assert "░░░" in text(app)
        await pilot.press("G")
        await pilot.pause()
        assert "███" in text(app)
    async with staged(snapshot(layered()), (80, 24), ascii=True) as (app, pilot):
        await pilot.press("2", "G")
        await pilot.pause()
        assert "%%" in text(app) or "@@" in text(app)


async def test_the_overview_has_a_tile_of_the_layers() -> None:
    async with staged(snapshot(layered()), (120, 36)) as (app, pilot):
        assert "layers: 48, 1 dead ─ depth →" in text(app)
    async with staged(snapshot(run()), (120, 36)) as (app, pilot):
        assert "layers:" not in text(app)
        await pilot.pause()


async def test_long_names_are_cut_at_the_module_that_all_are_in() -> None:
    names = [f"transformer.h.{k}.attn.c_proj.weight" for k in range(4)] + ["lm_head"]
    shown = run("gpt", [Rows([1], {f"grad_norm/{name}": [1.0] for name in names})])
    async with staged(snapshot(shown), (80, 24)) as (app, pilot):
        await pilot.press("2")
        await pilot.pause()
        assert "…h.0.attn.c_proj.weight " in lines(app)[2]
        assert "lm_head " in lines(app)[6]
        assert "transformer.h.0.attn.c_proj.weight  step 1" in said(app)
