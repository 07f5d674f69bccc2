"""Lines, folding, orders, scales and words of the Layers room; and names of every framework that arrive there."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from staging import EVIL, finding
from staging import run as live

from gradtop.clean import clean
from gradtop.config import Settings
from gradtop.filter import parsed
from gradtop.monitor import Monitor
from gradtop.plot.shade import DENSE_ASCII, HEAT, MISSING, NONFINITE, ZERO
from gradtop.record import Rows
from gradtop.snapshot import RunSnapshot, RunState
from gradtop.ui.widgets.profile import bars
from gradtop.view.layers import (
    LayersLook,
    LayersView,
    folded_further,
    layer_chart,
    layer_entries,
    profile,
    to_blocks,
    unfolded,
    without_layers,
)

NAMES = ("lm_head", "layers.10.attn.q", "layers.2.attn.q", "layers.2.mlp", "layers.10.mlp", "embed", "layers.2.attn.k")


def run(name: str = "deep", **changes: Any) -> RunSnapshot:
    return live(name, **({"state": RunState.FINISHED} | changes))


def made(values: Mapping[str, Sequence[float]], family: str = "grad_norm") -> Rows:
    steps = range(1, 1 + len(next(iter(values.values()))))
    return Rows(list(steps), {f"{family}/{name}": column for name, column in values.items()})


def layered(*names: str, n: int = 10) -> RunSnapshot:
    return run(records=[made({name: [10.0**-k] * n for k, name in enumerate(names or NAMES)})], findings=())


def keys(view: LayersView) -> list[str]:
    return [row.key for row in view.rows]


def test_layers_stand_from_input_to_output_with_numbers_as_numbers() -> None:
    order = ["embed", "layers.2.attn.q", "layers.2.mlp", "layers.2.attn.k", "layers.10.attn.q", "layers.10.mlp"]
    assert keys(LayersView(layered(), LayersLook())) == [*order, "lm_head"]


def test_by_name_and_worst_first() -> None:
    assert keys(LayersView(layered(), LayersLook(order="name")))[:3] == ["embed", "layers.2.attn.k", "layers.2.attn.q"]
    values = {"a": [1.0, 1.0], "b": [1.0, 0.0], "c": [1.0, math.nan], "d": [1.0, 1e-6], "e": [1.0, 1.1]}
    shown = run(records=[made(values)], findings=(replace(finding(), scope="layer:e"),))
    assert keys(LayersView(shown, LayersLook(order="worst first")))[:3] == ["c", "b", "d"]
    active = replace(finding(), scope="layer:e", state=type(finding().state).ACTIVE)
    assert keys(LayersView(replace(shown, findings=(active,)), LayersLook(order="worst first")))[0] == "e"


@pytest.mark.parametrize(
    ("text", "left"), [("mlp", 2), ("attn !k", 2), ("embed | lm_head", 2), (r"/\.2\./", 3), ("zz", 0)]
)
def test_a_filter_leaves_lines_out(text: str, left: int) -> None:
    assert len(LayersView(layered(), LayersLook(found=parsed(text))).rows) == left


def test_modules_fold_from_the_inside_and_open_step_by_step() -> None:
    names = LayersView(layered(), LayersLook()).grid
    assert names is not None
    view = LayersView(layered(), LayersLook())
    folded, at = folded_further(view.rows, frozenset(), "layers.2.attn.k")
    assert (folded, at) == (frozenset({"layers.2.attn"}), "layers.2.attn")
    view = LayersView(layered(), LayersLook(folded=folded))
    assert keys(view)[1:3] == ["layers.2.attn", "layers.2.mlp"]
    folded, at = folded_further(view.rows, folded, at)
    assert at == "layers.2"
    folded, at = folded_further(LayersView(layered(), LayersLook(folded=folded)).rows, folded, at)
    view = LayersView(layered(), LayersLook(folded=folded))
    assert (at, keys(view)) == ("layers", ["embed", "layers", "lm_head"])
    assert view.note(1) == "5"
    folded, at = unfolded(names.names, frozenset({"layers"}), "layers")
    assert keys(LayersView(layered(), LayersLook(folded=folded))) == ["embed", "layers.2", "layers.10", "lm_head"]
    assert at == "layers.2"
    assert to_blocks(names.names) == {"layers.2", "layers.10"}
    assert folded_further(view.rows, frozenset(), "embed") == (frozenset(), "embed")
    assert unfolded(names.names, frozenset(), "embed") == (frozenset(), "embed")


def test_a_folded_line_shows_the_greatest_of_its_layers_and_says_what_is_dead_in_it() -> None:
    values = {"h.0.a": [1e-3, 1e-3], "h.0.b": [10.0, 0.0], "h.1.a": [1e-3, math.nan], "h.1.b": [1e-3, 1e-3]}
    view = LayersView(run(records=[made(values)]), LayersLook(folded=frozenset({"h.0", "h.1"})))
    first, second = view.codes(0, 2, 2)
    assert (first[0], second[1]) == (HEAT - 1, NONFINITE)
    assert [view.note(i) for i in range(2)] == ["2, 1 dead", "2, 1 NaN/Inf"]


def test_cells_say_what_they_stand_for() -> None:
    values = {"a": [1.0, 2.0, 0.0, 0.0, math.nan, 0.5], "b": [1.0] * 6}
    view = LayersView(run(records=[made(values)]), LayersLook())
    assert [view.reading(0, 6, k).value for k in range(6)] == [
        "1.000",
        "2.000",
        "exactly 0",
        "exactly 0",
        "NaN",
        "0.5000",
    ]
    assert view.reading(0, 3, 0).value == "1.000 to 2.000 in 2 rows"
    assert view.reading(0, 3, 1).value == "exactly 0 in 2 rows"
    assert view.reading(0, 2, 0).value == "0 (exactly) to 2.000 in 3 rows"
    assert view.reading(0, 3, 2).value == "NaN, else 0.5000 in 2 rows"
    assert view.reading(0, 3, 2).step == "step 5 to 6"
    assert list(view.codes(0, 1, 6)[0])[2:5] == [ZERO, ZERO, NONFINITE]


def test_a_layer_that_never_has_a_gradient_has_a_line() -> None:
    rows = Rows([1], {"grad_norm/a": [1.0], "weight_norm/a": [3.0], "weight_norm/frozen": [3.0]})
    view = LayersView(run(records=[rows, replace(rows, steps=[2])]), LayersLook())
    assert keys(view) == ["a", "frozen"]
    assert set(view.codes(1, 2, 1)[0]) == {MISSING}
    assert view.reading(1, 1, 0).value == "no gradient in 2 rows"


def test_one_wild_value_does_not_flatten_the_scale() -> None:
    values = {f"l{k}": [0.1 + 0.01 * i for i in range(20)] for k in range(20)}
    values["l3"] = [*values["l3"][:10], 1e30, *values["l3"][11:]]
    view = LayersView(run(records=[made(values)]), LayersLook())
    assert (view.scale.low, view.scale.high) == (-1.5, -0.5)
    assert view.ends == ("0.032", "0.32")
    at = keys(view).index("l3")
    assert view.codes(at, at + 1, 20)[0][10] == HEAT - 1


def test_the_ends_of_a_scale_are_numbers_up_to_the_largest_ones() -> None:
    view = LayersView(run(records=[made({"a": [1.7e308] * 9, "b": [5e-324] * 9})]), LayersLook())
    assert view.ends == ("4.9e-324", "1e308")


def test_fractions_are_shown_from_zero_to_one_and_their_zeros_are_values() -> None:
    view = LayersView(run(records=[made({"a": [0.0, 0.5, 1.0]}, "dead_fraction")]), LayersLook("dead_fraction"))
    assert (view.family.label if view.family else "") == "dead units"
    assert list(view.codes(0, 1, 3)[0]) == [0, HEAT // 2, HEAT - 1]
    assert view.dead == 0


def test_a_run_without_layers_says_how_to_get_them() -> None:
    said = "\n".join(entry.text for entry in without_layers(run(EVIL)))
    assert "gradtop run -- python train.py" in said
    assert "from gradtop import Logger" in said
    assert "\x1b" not in said
    assert LayersView(run(), LayersLook()).rows == ()
    assert profile(run(), 10) is None
    assert LayersView(None, LayersLook()).codes(0, 1, 10) == []


def test_names_are_clean_and_never_markup() -> None:
    view = LayersView(layered(EVIL + "x", "a" * 400), LayersLook())
    assert all("\x1b" not in view.name(i) and len(view.name(i)) <= 300 for i in range(2))
    assert layer_chart(view, keys(view)[0]) is not None
    assert all("\x1b" not in entry.text for entry in layer_entries(view, keys(view)[0]))


def test_a_layer_in_full() -> None:
    values = {"a.b": [1.0, 4.0, 2.0, 0.0, 0.0], "c": [1.0, math.nan, 1.0, 1.0, 1.0]}
    about = replace(finding(message="a.b has had no gradient"), scope="layers")
    view = LayersView(run(records=[made(values), made(values, "weight_norm")], findings=(about,)), LayersLook())
    said = [entry.text for entry in layer_entries(view, "a.b")]
    assert said[:6] == [
        "a.b",
        "grad norm",
        "now exactly 0 at step 5",
        "median 2.000 · min 0 · max 4.000",
        "seen from 1 to 5, 5 values",
        "dead: exactly 0 since 4",
    ]
    assert "Vanishing gradient: a.b has had no gradient" in said
    other = [entry.text for entry in layer_entries(view, "c")]
    assert "1 NaN and 0 Inf of 5 values" in other
    assert "None names this layer." in other
    chart = layer_chart(view, "a.b")
    assert chart is not None
    assert (chart.value, chart.rows, chart.log) == ("exactly 0", 5, True)
    assert chart.data.envelope(5, 1, 5).high == [1.0, 4.0, 2.0, 0.0, 0.0]
    assert [chart.data.at(step) for step in (0, 2, 5)] == [None, 4.0, 0.0]
    assert chart.data.nearest_step(2.6) == 3


def test_the_profile_is_the_newest_row_over_depth() -> None:
    values = {
        "layers.0": 1e-4,
        "layers.1": 1e-3,
        "layers.2": 0.0,
        "layers.3": math.nan,
        "layers.4": 1e-2,
        "layers.5": 0.1,
    }
    seen = profile(run(records=[made({name: [value] for name, value in values.items()})]), 20)
    assert seen is not None
    assert (seen.layers, seen.dead, seen.step, seen.low, seen.high) == (6, 1, "1", "1e-4", "0.10")
    assert ["".join(text for text, _ in row) for row in bars(seen, 6, 3, DENSE_ASCII)] == ["   X #", "   X##", "_#0X##"]
    few = profile(run(records=[made({name: [value] for name, value in values.items()})]), 3)
    assert few is not None
    assert (few.each, [bar.kind for bar in few.bars]) == (2, ["", "nonfinite", ""])


@pytest.mark.parametrize(
    ("key", "family", "layer"),
    [
        ("grad_2.0_norm/layers.0.weight", "grad_norm", "layers.0.weight"),  # Lightning
        ("grad_inf_norm/layers.0.weight", "grad_norm", "layers.0.weight"),
        ("l2_norm/grad/module.layers.0.attn", "grad_norm", "layers.0.attn"),  # Composer
        ("l2_norm/param/layers.0.attn", "weight_norm", "layers.0.attn"),
        ("l2_norm/moment/layers.0.attn", "moment_norm", "layers.0.attn"),
        ("l2_norm/update/layers.0.attn", "update_norm", "layers.0.attn"),
        ("gradient_norms/sequential.3.mlp.weight", "grad_norm", "sequential.3.mlp.weight"),  # gpt-neox
        ("parameter_norms/sequential.3.mlp.weight", "weight_norm", "sequential.3.mlp.weight"),
        ("optimizer_state_norms/sequential.3.mlp.weight", "optimizer_state_norm", "sequential.3.mlp.weight"),
        (
            "optim/grad/transformer.blocks.0.ff_out.weight.norm",
            "grad_norm",
            "transformer.blocks.0.ff_out.weight",
        ),  # OLMo
        ("optim/exp_avg/transformer.blocks.0.ff_out.weight.norm", "exp_avg_norm", "transformer.blocks.0.ff_out.weight"),
        ("grad/norm/transformer/layers/0/mlp", "grad_norm", "transformer/layers/0/mlp"),  # Levanter
        ("params/norm/transformer/layers/0/mlp", "weight_norm", "transformer/layers/0/mlp"),
        ("updates/norm/transformer/layers/0/mlp", "update_norm", "transformer/layers/0/mlp"),
        ("gnorm_decoder.layers.0.fc1", "grad_norm", "decoder.layers.0.fc1"),  # metaseq
        ("pnorm_decoder.layers.0.fc1", "weight_norm", "decoder.layers.0.fc1"),
        ("gzero_decoder.layers.0.fc1", "zero_fraction", "decoder.layers.0.fc1"),
        ("gradients/layers.2.weight", "grad_norm", "layers.2.weight"),  # hand-written
        ("grad_norm/_orig_mod.module.layers.0.attn", "grad_norm", "layers.0.attn"),
        ("activation_rms/layers.0", "activation_rms", "layers.0"),
        ("max_attention_logit/layers.0.attn", "max_attention_logit", "layers.0.attn"),
    ],
)
def test_flat_keys_of_frameworks_arrive_here(tmp_path: Path, key: str, family: str, layer: str) -> None:
    rows = [{"step": step, "loss": 3.0 - step / 100, key: 0.25 + step / 1000} for step in range(1, 31)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monitor = Monitor((tmp_path,), Settings())
    shown = monitor.poll()
    while monitor.backlog:
        shown = monitor.poll()
    monitor.close()
    view = LayersView(shown.runs[0], LayersLook(family))
    assert view.family is not None
    assert (view.family.name, keys(view), view.grid.row_count if view.grid else 0) == (family, [clean(layer)], 30)
    assert not any("/" in name for name in shown.runs[0].view.series)
