"""A name with its number, as lines of a block print them: `train/CE loss=2.345`, `Train Loss: 0.65 | Acc: 62%`."""

import re
from typing import NamedTuple

from gradtop.sources.fields.names import meaning_of, normalised
from gradtop.sources.fields.number import MULTIPLES, Number, parse
from gradtop.sources.fields.plan import MEASURED
from gradtop.sources.text.keyvalue import key_values

MAX_LINE = 1000
"""Characters of a line beyond which it is no pair."""
_PLACES = frozenset(("step", "epoch", "epoch_step"))
COUNTERS = frozenset(("step", "total_steps", "epoch", "epoch_step", "epoch_steps", "total_epochs"))
"""Canonical names that say where a row is, as opposed to what was measured there."""

_SETTINGS = frozenset(("epochs", "steps", "iters", "iterations", "updates", "global_steps"))
_CONSTRUCTOR = re.compile(r"\b(?:tensor|array|Array|np\.\w+)\(")
_NAME = re.compile(r"[^\W\d][^:=|;{}\"'?!<>]{0,119}\Z")
_WITH_AVERAGE = re.compile(r"(\S+)\s+\(\s*[-+]?\S+\s*\)\Z")
_OF_TOTAL = re.compile(r"(\d[\d,]*)\s*/\s*\d[\d,]*\Z")
_BETWEEN = re.compile(r"\s*(?:[|;\t]|,\s|\s{2,}|\s-\s)\s*")
_ABBREVIATION = re.compile(r"\.(?=\s)")
_NOT_NOW = frozenset(("best", "min", "max", "lowest", "highest", "previous", "prev", "last", "target", "initial"))


class Pair(NamedTuple):
    """A name and what stands behind it."""

    name: str
    number: Number | None
    """None where it is no number."""


def pair(text: str) -> Pair | None:
    """The one pair that the text is, split at its last `=` or `: `; None where the text is something else."""
    # What a tensor is printed with (`device='cuda:0'`) is no pair of its own.
    end = made.start() if (made := _CONSTRUCTOR.search(text)) else len(text)
    at = max(text.rfind("=", 0, end), text.rfind(": ", 0, end))
    if at < 0 and (at := text.rfind(":", 0, end)) < 0:
        return None
    name = text[:at].strip()
    if len(text) > MAX_LINE or not _NAME.match(name):
        return None
    return Pair(name, value_of(text[at + 1 :]))


def pairs(text: str) -> list[Pair] | None:
    """The pairs that the whole text is made of, at least one; None where a part of it is no pair."""
    if (only := pair(text)) is not None:
        return [only]
    found = [pair(part) for part in _BETWEEN.split(text.strip(" \t|,;"))] if len(text) <= MAX_LINE else [None]
    return [each for each in found if each is not None] if None not in found else None


def value_of(text: str) -> Number | None:
    """The number of a value, with its multiple (`1.234B`) applied; of a value and its average the value."""
    token = text.strip().rstrip(" ,;|")
    if (found := parse(token)) is None:
        match = _WITH_AVERAGE.match(token) or _OF_TOTAL.match(token)
        found = parse(match[1]) if match else None
    if found is not None and found.unit in MULTIPLES:
        return Number(found.value * MULTIPLES[found.unit])
    return found


def told(name: str) -> str:
    """The name that a synonym is known for, where the name is a way of writing one (`Val. Loss`); else as it is."""
    if meaning_of(name).known or name.partition(" ")[0].lower() in _NOT_NOW:
        return name
    found = key_values(f"{_ABBREVIATION.sub('', name)}: 1")
    return found[0][0] if found and len(found) == 1 else name


def is_counter(name: str) -> bool:
    """The name is a step, an epoch or a total."""
    meaning = meaning_of(name)
    return meaning.known and meaning.canonical in COUNTERS


def is_place(name: str) -> bool:
    """The name is the step or the epoch of one row; in the plural it is how many there shall be."""
    meaning = meaning_of(name)
    return meaning.known and meaning.canonical in _PLACES and normalised(name) not in _SETTINGS


def is_measured(name: str) -> bool:
    """The name is that of a metric that only a training loop can know."""
    meaning = meaning_of(name)
    return meaning.known and (meaning.canonical in MEASURED or meaning.canonical.startswith("grad_norm/"))
