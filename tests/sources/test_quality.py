"""Which names tell how well a model does."""

import pytest

from gradtop.sources.fields.quality import is_goal, is_quality


@pytest.mark.parametrize("name", ["D loss", "loss_bbox", "episodic_return", "critic/rewards/mean", "Loss1", "losses"])
def test_goals(name: str) -> None:
    assert is_goal(name)
    assert is_quality(name)


@pytest.mark.parametrize("name", ["PSNR", "mAP@0.5", "mAP50", "acc@1", "top acc", "kl", "actor/entropy", "val_dice"])
def test_scores(name: str) -> None:
    assert is_quality(name)
    assert not is_goal(name)


@pytest.mark.parametrize(
    "name", ["loss_weight", "reward_scale", "target_kl", "best loss", "entropy_coef", "eta", "mem", "glossary", "lrm"]
)
def test_settings_counts_and_other_words(name: str) -> None:
    assert not is_quality(name)
