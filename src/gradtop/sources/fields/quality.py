"""Names of how well a model does that no synonym is known for: parts of losses, rewards, scores of vision and speech.

Users watch these beside the loss. All else that lines count (memory, time to go, files) is left out of prose.
"""

import re
from functools import lru_cache

_GOAL = re.compile(r"(?:^|[^a-z])(?:loss(?:es)?|rewards?|returns?)(?:[^a-z]|$)")
_SCORE = re.compile(
    r"(?:^|[^a-z])(?:kl|entropy|acc|accuracy|prec|precision|recall|f1|auc|auroc|m?ap|m?iou|dice|psnr|ssim|lpips|fid"
    r"|bleu|rouge|wer|cer|mae|mse|rmse|scores?|margins?|elbo|nll|bpc|perplexity|ppl|success)(?:[^a-z]|$)"
)
_SETTING = re.compile(
    r"(?:^|[^a-z])(?:weights?|coefs?|coeff|coefficient|lambda|scale|scaler|alpha|beta|gamma|best|min|max|target|limit"
    r"|threshold|counts?|nans?|infs?|num|fn|func|function|type|every|freq|interval|decay|lr|smoothing|patience|steps?|epochs?|time|seed|clip)"
    r"(?:[^a-z]|$)|\.(?:py|ipynb|cpp|cc|cu|rs|go|js)$"
)
"""What a name of a goal may be besides: a setting, a count of bad values, the name of a source file."""


@lru_cache(maxsize=4096)
def is_goal(name: str) -> bool:
    """The name is of something that a training makes smaller or larger: `D loss`, `loss_bbox`, `episodic_return`."""
    lowered = name.lower()
    return _GOAL.search(lowered) is not None and _SETTING.search(lowered) is None


@lru_cache(maxsize=4096)
def is_quality(name: str) -> bool:
    """The name is of a goal or of a score: `PSNR`, `mAP@0.5`, `actor/entropy`; a weight or a target of one is none."""
    lowered = name.lower()
    return is_goal(name) or (_SCORE.search(lowered) is not None and _SETTING.search(lowered) is None)
