import json

import pytest
from reading import SHARED

from gradtop.sources.fields.names import MAX_NAME, canonical, is_twin, meaning_of, scale_for


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("lm loss", "loss"),
        ("lm-loss", "loss"),
        ("'loss'", "loss"),
        ("Total Grad Norm", "grad_norm"),
        ("train/grad_norm", "grad_norm"),
        ("optim/lr", "lr"),
        ("lr-AdamW", "lr"),
        ("elapsed time per iteration (ms)", "step_time_s"),
        ("mfu(%)", "mfu"),
        ("tokens per gpu per second (tgs)", "tokens_per_s"),
        ("eval_loss", "val_loss"),
        ("number of skipped iterations", "skipped"),
    ],
)
def test_names_as_written_become_canonical(raw: str, name: str) -> None:
    assert canonical(raw) == name


@pytest.mark.parametrize("raw", ["lrm", "aux_loss", "batch_size", "lr-AdamW-momentum", "loss_cls", "train_runtime"])
def test_parts_and_settings_are_not_taken_for_the_whole(raw: str) -> None:
    assert canonical(raw) is None


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("grad_norm/layers.0.attn", "grad_norm/layers.0.attn"),
        ("grad_norm/_orig_mod.module.layers.0.attn", "grad_norm/layers.0.attn"),
        ("grad_2.0_norm/l1.weight", "grad_norm/l1.weight"),
        ("l2_norm/param/blocks.3.mlp", "weight_norm/blocks.3.mlp"),
        ("gradient_norms/layers.3.bias", "grad_norm/layers.3.bias"),
        ("optim/grad/transformer.h.0.norm", "grad_norm/transformer.h.0"),
        ("grad/norm/transformer/layers", "grad_norm/transformer/layers"),
        ("gnorm_layer.3.fc1", "grad_norm/layer.3.fc1"),
        ("gradients/layers.2.weight", "grad_norm/layers.2.weight"),
        ("update_ratio/lm_head", "update_ratio/lm_head"),
    ],
)
def test_per_layer_families_share_one_spelling(raw: str, name: str) -> None:
    assert canonical(raw) == name


def test_an_unknown_name_stays_itself_as_it_is_spelt_and_short() -> None:
    assert meaning_of("coco/AP .5").canonical == "coco/AP .5"
    assert len(meaning_of("x" * 1000).canonical) == MAX_NAME


def test_copies_over_samples_are_twins() -> None:
    assert is_twin("lm loss vs samples")
    assert not is_twin("lm loss")


@pytest.mark.parametrize(
    ("name", "unit", "scaled"),
    [
        ("step_time_s", "ms", (1e-3, "ms → s")),
        ("step_time_s", "s", (1.0, "")),
        ("mfu", "%", (0.01, "% → ratio")),
        ("tokens_per_s", "k", (1e3, "k → 1000")),
        ("loss", "", (1.0, "")),
        ("loss", "ms", None),
        ("lr", "%", None),
    ],
)
def test_units_fit_their_metric_or_the_value_is_not_one(name: str, unit: str, scaled: tuple[float, str] | None) -> None:
    assert scale_for(name, unit) == scaled


def test_every_collected_synonym_is_known() -> None:
    table = SHARED / "fixtures" / "synonyms.json"
    if not table.exists():
        pytest.skip(f"no collection of synonyms at {table}")
    unlike = {
        raw: canonical(raw)
        for name, raws in json.loads(table.read_text()).items()
        for raw in raws
        if canonical(raw) != name
    }
    assert unlike == {}
