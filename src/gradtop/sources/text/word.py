"""The words without which a line says nothing that is read: most lines of a log are done with here."""

from gradtop.sources.text.bar import may_hold_bar
from gradtop.sources.text.crash import may_tell
from gradtop.sources.text.fact import may_state
from gradtop.sources.text.signs import signs_in

_WORDS = (
    "loss",
    "norm",
    "step",
    "iter",
    "epoch",
    "episode",
    "lr",
    "learning",
    "trl:",
    "tel:",
    "bpb",
    "ppl",
    "perplexity",
    "accuracy",
    "cost",
)
_FOREIGN_WORDS = (
    *("损失", "回合", "轮", "步", "迭代", "准确率", "損失", "エポック", "ステップ", "손실", "에포크", "스텝"),
    *("потер", "эпоха", "шаг", "étape", "époque", "pérdida", "época"),
)


def may_say(lowered: str) -> bool:
    """Something in the line may be read: a metric, a bar, a sign."""
    return (
        may_hold_row(lowered)
        or may_hold_bar(lowered)
        or may_tell(lowered)
        or may_state(lowered)
        or bool(signs_in(lowered))
    )


def may_hold_row(lowered: str) -> bool:
    """A word of metrics or steps is in the line."""
    if [word for word in _WORDS if word in lowered]:
        return True
    return not lowered.isascii() and any(word in lowered for word in _FOREIGN_WORDS)
