import math
import random

import numpy as np
import pytest
from layered import KINDS, WEIGHTS, layered, of_layers
from synthetic import Row, detector, found, loud, records

from gradtop.depth import depth_of
from gradtop.detect import Detector
from gradtop.detect.perlayer import Layers, printed
from gradtop.detect.signals import Signals
from gradtop.detect.wording import first_layers


def signals(seen: Detector) -> Signals:
    return seen._signals


def test_layers_are_ordered_from_input_to_output() -> None:
    names = ["lm_head.weight", "h.10.attn", "h.2.mlp", "h.2.attn", "wte.weight", "ln_f.weight"]
    ordered = [names[i] for i in depth_of(names).order]
    assert ordered == ["wte.weight", "h.2.attn", "h.2.mlp", "h.10.attn", "ln_f.weight", "lm_head.weight"]


def test_names_in_alphabetical_order_are_put_in_that_of_depth() -> None:
    names = sorted(["conv1.weight", "layer1.0.conv1.weight", "layer2.0.conv1.weight", "fc.weight"])
    assert list(depth_of(names).blocks) == ["conv1", "layer1.0", "layer2.0", "fc"]
    names = sorted(["encoder.block.0.w", "encoder.block.1.w", "decoder.block.0.w", "decoder.block.1.w"])
    assert [names[i][:7] for i in depth_of(names).order] == ["encoder", "encoder", "decoder", "decoder"]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("layers.0.attn.q_proj.weight", True),
        ("layers.0.attn", True),
        ("0.weight", True),
        ("lm_head.weight", True),
        ("layers.0.attn.q_proj.bias", False),
        ("layers.0.input_layernorm.weight", False),
        ("h.3.ln_1.weight", False),
        ("bn1.weight", False),
        ("wte.weight", False),
        ("model.embed_tokens.weight", False),
        ("layers.0.gamma", False),
    ],
)
def test_biases_gains_and_embeddings_are_told_from_weights(name: str, plain: bool) -> None:
    assert depth_of([name]).plain == (plain,)


def test_blocks_gather_the_weights_of_one_depth() -> None:
    names = [f"wav2vec2.layers.{i}.{part}.weight" for i in range(3) for part in ("q", "k", "norm")]
    blocks = depth_of([*names, "wav2vec2.head.weight", "wav2vec2.layers.0.q.bias"]).blocks
    assert list(blocks) == [f"wav2vec2.layers.{i}" for i in range(3)] + ["wav2vec2.head"]
    assert blocks["wav2vec2.layers.1"] == (3, 4)


def test_totals_are_no_layers() -> None:
    layers = Layers()
    assert not layers.block({"grad_norm/total": [1.0], "loss": [2.0]})
    assert layers.block({"grad_norm/total": [1.0], "grad_norm/a": [2.0]})
    assert layers.names == ["a"]


def test_a_layer_keeps_its_place_and_an_absent_one_has_no_value() -> None:
    layers = Layers()
    layers.block({"grad_norm/a": [1.0], "grad_norm/b": [2.0]})
    layers.block({"grad_norm/c": [3.0, 5.0], "grad_norm/a": [4.0, 6.0]})
    layers.at(1)
    row = layers.row("grad_norm")
    assert row is not None
    np.testing.assert_array_equal(row, [6.0, math.nan, 5.0])
    assert layers.named("grad_norm").tolist() == [True, False, True]
    assert layers.row("weight_norm") is None


def test_the_update_ratio_of_a_run_is_that_of_its_moving_weights() -> None:
    layers = Layers()
    ratios = {"a.weight": 1e-3, "b.weight": 0.0, "c.bias": 0.9, "d.weight": 3e-3}
    layers.block({f"update_ratio/{name}": [ratio] for name, ratio in ratios.items()})
    layers.at(0)
    assert layers.update_ratio is not None
    assert sorted(layers.update_ratio.tolist()) == [1e-3, 3e-3]


def test_update_norm_over_weight_norm_is_an_update_ratio() -> None:
    layers = Layers()
    layers.block({"weight_norm/a": [2.0], "weight_norm/b": [0.0]})
    layers.at(0)
    layers.block({"update_norm/a": [1.0], "update_norm/b": [1.0]})
    layers.at(0)
    assert layers.ratios is not None
    np.testing.assert_array_equal(layers.ratios, [0.5, math.nan])


@pytest.mark.parametrize(
    ("values", "half"),
    [
        ([0.1234, 1.5, 0.0, 0.25, 3.0], 5e-5),
        ([0.12, 0.1, 0.3, 0.25], 5e-3),
        ([1 / 3, 2 / 3, 0.5, 0.25], 0.0),
        ([1.0, 2.0, 3.0, 4.0], 0.0),
        ([0.5, 0.25], 0.0),
    ],
)
def test_rounded_values_tell_what_their_zeros_can_be(values: list[float], half: float) -> None:
    assert printed(np.array(values)) == pytest.approx(half)


def moved(rows: list[Row], step: float) -> str:
    return first_layers(signals(detector(records(rows))), step)


def test_the_layer_that_moved_first_is_named() -> None:
    rows = layered(120, families="g")
    for i, row in enumerate(rows[100:]):
        row["grad_norm/layers.3.weight"] *= 50
        if i >= 2:
            row["grad_norm/layers.5.weight"] *= 50
    assert moved(rows, 103) == "layers.3.weight moved first, at step 100"
    assert moved(rows, 60) == ""
    assert [move.layer for move in signals(detector(records(rows))).layers.moved_first(0)] == [
        "layers.3.weight",
        "layers.5.weight",
    ]


def test_one_wild_row_of_one_layer_is_no_move_and_of_most_layers_it_is() -> None:
    rows = layered(120, families="g")
    rows[100]["grad_norm/layers.3.weight"] *= 50
    assert moved(rows, 100) == ""
    for name in WEIGHTS:
        rows[105][f"grad_norm/{name}"] *= 50 if name != WEIGHTS[6] else 500
    assert moved(rows, 105) == "8 of 8 layers moved at once, at step 105, layers.6.weight the most"


def test_a_move_is_found_from_a_log_with_a_row_in_ten_steps() -> None:
    rows = layered(120, families="g", every=10)
    for row in rows[100:]:
        row["grad_norm/layers.3.weight"] *= 50
    assert moved(rows, 1030) == "layers.3.weight moved first, at step 1,000"


def test_what_is_not_finite_comes_from_the_layer_nearest_to_the_output() -> None:
    rows = layered(60, families="g")
    for row in rows[50:]:
        for name in WEIGHTS[:4]:
            row[f"grad_norm/{name}"] = math.nan
    assert moved(rows, 51) == "layers.3.weight was the first with a gradient that is not finite, at step 50"
    for name in WEIGHTS:
        rows[50][f"grad_norm/{name}"] = math.inf
    assert moved(rows, 51) == "the gradients of all 8 layers stopped being finite at once, at step 50"


@pytest.mark.parametrize("seed", range(12))
def test_healthy_layers_are_quiet(seed: int) -> None:
    random_ = random.Random(seed)
    rows = layered(500, seed, families=random_.choice(["g", "gw", "gwu"]), every=random_.choice([1, 10, 100]))
    for i, row in enumerate(rows):
        for name in WEIGHTS:
            if i < random_.randrange(6) or (seed % 3 == 0 and random_.random() < 0.3):
                row[f"grad_norm/{name}"] = 0.0
    assert not of_layers(rows)
    # The loss has come to its floor in the longest of them, and stays there.
    assert not [finding for finding in loud(found(rows)) if finding.kind != "loss_plateau"]


def test_the_blocks_of_a_stream_do_not_matter() -> None:
    rows = layered(200)
    for row in rows[100:]:
        del row["grad_norm/layers.2.weight"]
        row["update_ratio/layers.4.weight"] = 0.0
    whole = detector(records(rows)).findings()
    assert {finding.kind for finding in whole} >= {"dead_layer", "frozen_layer"}
    for cuts in ({50, 100, 117}, set(range(200))):
        assert detector(records(rows, cuts)).findings() == whole


def test_values_of_layers_in_rows_of_their_own_are_the_same() -> None:
    rows = layered(200)
    for row in rows[100:]:
        row["grad_norm/layers.2.weight"] = 0.0
    apart: list[Row] = []
    for row in rows:
        families = ("grad_norm/", "weight_norm/", "update_ratio/")
        apart.append({name: value for name, value in row.items() if not name.startswith(families)})
        apart += [
            {"step": row["step"], **{n: v for n, v in row.items() if n.startswith(family)}} for family in families
        ]
    together, separate = of_layers(rows), of_layers(apart)
    assert [(f.kind, f.raised_step, f.message) for f in separate] == [
        (f.kind, f.raised_step, f.message) for f in together
    ]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 0.0, 1e300, 1e-300, 5e-324])
@pytest.mark.parametrize("family", ["grad_norm", "weight_norm", "update_ratio", "update_norm"])
def test_odd_values_in_every_layer_are_no_fault_of_layers(family: str, value: float) -> None:
    rows = layered(100, families="gw")
    for row in rows:
        row |= {f"{family}/{name}": value for name in WEIGHTS}
    assert {finding.kind for finding in loud(of_layers(rows))} <= {"update_ratio"}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 1e300, 1e-300])
def test_odd_values_of_units_and_activations_raise_nothing_but_what_they_are(value: float) -> None:
    rows = layered(400, families="g")
    for row in rows[250:]:
        row |= {f"{family}/a": value for family in ("dead_fraction", "zero_fraction", "activation_rms")}
        row["max_attention_logit/a"] = value
    assert {finding.kind for finding in loud(of_layers(rows))} <= {"activation_growth"}


def test_steps_that_repeat_go_back_or_jump_are_no_fault_of_layers() -> None:
    rows = layered(300)
    rows += layered(300)[200:] + layered(300)[200:]
    rows += [{**row, "step": row["step"] + 1e12} for row in rows[:50]]
    rows += [rows[-1]] * 60
    assert not loud(of_layers(rows))


def test_no_finding_knows_the_future() -> None:
    rows = layered(160)
    for row in rows[60:120]:
        row["grad_norm/layers.2.weight"] = 0.0
    for upto in range(5, 160, 11):
        for finding in of_layers(rows[:upto]):
            assert finding.first_step <= finding.raised_step <= rows[upto - 1]["step"]


def test_a_log_without_layers_cannot_tell_and_says_why() -> None:
    seen = detector(records([{"step": float(i), "loss": 1.0} for i in range(5)]))
    blind = {one.kind: one.why for one in seen.coverage() if one.kind in KINDS}
    assert set(blind) == KINDS
    assert all(blind.values())
    assert blind["layer_imbalance"] == "no grad norm per layer in this log"


def test_alarms_of_others_about_layers_are_answered() -> None:
    from gradtop.record import Event

    alarms = [Event(event="alarm", step=30, data={"kind": kind}) for kind in sorted(KINDS)]
    for rows in (layered(100), [{"step": float(i), "loss": 1.0} for i in range(50)]):
        answers = detector([*records(rows), *alarms]).findings()
        assert {finding.kind for finding in answers} >= KINDS
        assert not loud(answers)


def test_how_far_apart_rows_are_is_told_of_the_newest_ones_and_anew_in_each_session() -> None:
    seen = Layers()
    for step in (*range(1, 31), *range(40, 400, 10)):
        seen.block({"grad_norm/layers.0": [1.0]})
        seen.at(0)
        seen.follow(float(step))
    assert (seen.interval, seen.rows_for(20, 5)) == (10.0, 5)
    seen.resume(anew=False)
    for step in (401, 402, 404):
        seen.follow(float(step))
    assert (seen.interval, seen.rows_for(20, 5)) == (1.5, 14)
