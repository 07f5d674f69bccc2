"""What the rules cannot tell of a run, by the reason."""

from collections.abc import Iterable
from dataclasses import dataclass

from gradtop.finding import Coverage

REMEDY = "--profile supervised makes gradtop judge it all the same"
"""What to do where a loss has to fall, although the names of the metrics say otherwise."""
_LACKING = " in this log"


@dataclass(frozen=True, slots=True)
class Blindness:
    """Kinds of findings that cannot be told of a run, for one reason."""

    why: str
    """`no grad norm in this log`; it may quote foreign text."""
    kinds: tuple[str, ...]
    needs: tuple[str, ...]
    """What a log has to have for one or another of them."""


def blindness(coverage: Iterable[Coverage]) -> tuple[Blindness, ...]:
    """The kinds that cannot be told, together where the reason is the same.

    What a log could have comes before what only time tells, and of each the widest reason first.
    """
    reasons: dict[str, list[Coverage]] = {}
    for one in coverage:
        if one.why:
            reasons.setdefault(one.why, []).append(one)
    told = (
        Blindness(why, tuple(one.kind for one in of), tuple(dict.fromkeys(one.needs for one in of)))
        for why, of in reasons.items()
    )
    return tuple(sorted(told, key=lambda one: (not one.why.endswith(_LACKING), -len(one.kinds))))
