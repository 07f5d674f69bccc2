"""Which series are the training and the validation of one quantity."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from gradtop.plot import TRACES

_TRAINING = frozenset(("train", "training"))
_VALIDATION = frozenset(("val", "valid", "validation", "eval", "evaluation", "test", "dev"))
_WORDS = re.compile(r"([/_\-. ])")


@dataclass(frozen=True, slots=True)
class Group:
    """Series that share a chart."""

    name: str
    """The one that the chart is of: that of the training where there are several."""
    others: tuple[tuple[str, str], ...] = ()
    """(word, name) of those of other data: `val`, `test`."""


def grouped(names: Iterable[tuple[str, str]]) -> tuple[Group, ...]:
    """The series (name, what its steps count) in groups."""
    shared: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name, counts in names:
        quantity, word = part_of(name)
        shared.setdefault((quantity, counts), []).append((word, name))
    return tuple(group for parts in shared.values() for group in _groups(parts))


def _groups(parts: list[tuple[str, str]]) -> list[Group]:
    """One group for a quantity that was measured on several data; one for each series that is not part of it."""
    mains = [part for part in parts if part[0] not in _VALIDATION]
    others = [part for part in parts if part[0] in _VALIDATION]
    if not mains:
        return [Group(name) for _, name in others]
    # `loss` and `train/loss` may differ in what they average over: the one that says `train` goes with `val/loss`.
    main = next((part for part in mains if part[0]), mains[0])
    alone = [Group(name) for _, name in (*(part for part in mains if part is not main), *others[len(TRACES) :])]
    return [Group(main[1], tuple(others[: len(TRACES)])), *alone]


@lru_cache(maxsize=8192)
def part_of(name: str) -> tuple[str, str]:
    """(quantity, word for the data) of a series: `val/acc` is (`acc`, `val`), `loss` is (`loss`, nothing).

    The word is the first or the last of the name, or stands behind the first folder (`metrics/eval/acc`).
    """
    words = _WORDS.split(name)
    places = [0, *([2] if len(words) > 4 and words[1] == "/" else []), len(words) - 1]
    for at in places if len(words) > 2 else ():
        if (word := words[at].lower()) in _TRAINING | _VALIDATION:
            # Its separator goes with it.
            rest = words[:at] + words[at + 2 :] if at < len(words) - 1 else words[:-2]
            return "".join(rest), "train" if word in _TRAINING else word
    return name, ""
