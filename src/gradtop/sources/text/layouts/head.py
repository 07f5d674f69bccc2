"""Lines that say where a block of metrics belongs: `[step=10/739328,epoch=0]`, `[batch=10/500]:`, `Epoch 3/10`."""

import re
from typing import NamedTuple

from gradtop.sources.fields.number import Number, finite
from gradtop.sources.fields.printed import Fields
from gradtop.sources.text.keyvalue import key_values
from gradtop.sources.text.layouts.pair import is_counter, is_measured

MAX_HEAD = 160
"""Characters of a line beyond which it is no head."""


class Head(NamedTuple):
    """What the first line of a block says."""

    fields: tuple[tuple[str, Number], ...] = ()
    """Its step or epoch; none for a validation, which belongs to the last step."""
    use: str = "training"
    """`training`, `validation`, or `none` for a block that is not read."""
    home_made: bool = False
    """No framework's own form: only a block with a metric in it is one."""
    before: str = ""
    """Stands before every name and is taken off."""
    instead: str = ""
    """Is put in its place."""
    phase: str = ""
    """`val`, where the head says that what follows is a validation's: `Epoch 3 Validation:`."""


_N = r"(\d[\d,]*)"
_OLMO = re.compile(rf"(?:.*\s)?\[step={_N}(?:/(?:{_N}|\?+))?(?:,epoch=(\d+))?(?:,\w+=[^\[\],]*)*\]\Z")
_OLMO_CORE_EVAL = re.compile(r"(?:.*\s)?Finished .{1,80} evals? in .{1,40} Metrics:\Z")
_COMPOSER = re.compile(r"\[(?:epoch=(\d+)\]\[)?(batch|token|sample|epoch|iteration)=(\d+)(?:/(\d+))?\]:\Z")
_COMPOSER_EVAL = re.compile(r"\[Eval batch=\d+(?:/\d+)?\] Eval on .{1,80} data(:?)\Z")
_COQUI = re.compile(r"--> (?:TIME: .{1,40} -- )?STEP: \d+(?:/\d+)?(?: -- GLOBAL_STEP: (\d+))?\Z")
_COQUI_AVERAGE = re.compile(r"--> TRAIN PERFORMA\w+ -- ")
_COQUI_EVAL = re.compile(r"--> EVAL PERFORMANCE\Z")

_COUNTER = (
    r"(?:training |train |global )?(?P<name{i}>{names})\s*(?:no\.?|number)?"
    r"[\s:=#\[(]{{0,6}}(?P<n{i}>\d{{1,12}})(?:\s*(?:/|of)\s*(?P<total{i}>\d[\d,]*))?(?![\w.])"
)
_FIRST = _COUNTER.format(i=1, names=r"epoch|global[ _]step|step|iteration|iter|update")
_SECOND = _COUNTER.format(i=2, names=r"epoch|global[ _]step|step|iteration|iter|update|batch")
_HOME_MADE = re.compile(rf"[^\w/\"']*{_FIRST}(?:\W+{_SECOND})?(?P<more>(?:\W.*)?)\Z", re.IGNORECASE)
_OF_VALIDATION = re.compile(r"\b(?:val(?:idation)?|eval(?:uation)?|test)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+")
_OF_TIME = ("s", "sec", "secs", "second", "seconds", "ms", "m", "min", "mins", "minutes", "h", "hr", "hours")
_OF_HEADS = (
    *("time", "elapsed", "eta", "took", "in", "duration", "complete", "completed", "done", "finished", "end"),
    *("result", "results", "summary", "metric", "metrics", "stats", "statistics", "report", "lr", "learning", "rate"),
    *("epoch", "step", "e", "train", "training", "val", "validation", "eval", "evaluation", "test"),
)
_SAID_OF_A_HEAD = frozenset((*_OF_TIME, *_OF_HEADS))
"""Words that may follow the counter of a head; any other word makes it a sentence."""


def head_of(text: str) -> Head | None:
    """What a line without prefixes is the head of; None where it is no head."""
    text = text.strip()
    if len(text) > MAX_HEAD:
        return None
    if text[-1:] == "]" and (match := _OLMO.match(text)):
        return Head(_counted(step=match[1], total_steps=match[2], epoch=match[3]))
    if text[:1] == "[" and (head := _composer(text)):
        return head
    if "--> " in text[:8] and (head := _coqui(text)):
        return head
    if text[-1:] == ":" and _OLMO_CORE_EVAL.match(text):
        return Head(use="validation")
    return _home_made(text)


def _composer(text: str) -> Head | None:
    if match := _COMPOSER_EVAL.match(text):
        return Head(use="validation" if match[1] else "none", before="Eval ")
    if (match := _COMPOSER.match(text)) is None:
        return None
    epoch, unit, n, total = match.groups()
    if unit == "batch" and epoch is None:
        return Head(_counted(step=n, total_steps=total), before="Train ")
    if unit == "batch" and total is not None:
        return Head(_counted(epoch=epoch, epoch_step=n, epoch_steps=total), before="Train ")
    # Tokens and samples: the block itself says its batch.
    return Head(_counted(epoch=epoch if unit == "batch" else None), before="Train ")


def _coqui(text: str) -> Head | None:
    if _COQUI_EVAL.match(text):
        return Head(use="validation", before="avg_", instead="eval_")
    if _COQUI_AVERAGE.match(text):
        return Head(use="none")
    if (match := _COQUI.match(text)) is None:
        return None
    # A batch of the validation has no global step.
    return Head(_counted(global_step=match[1]), use="training" if match[1] else "none")


def _home_made(text: str) -> Head | None:
    match = _HOME_MADE.match(text)
    if match is None or not _SAID_OF_A_HEAD.issuperset(_WORD.findall(match["more"].lower())):
        return None
    if match["name2"] is None:
        fields = _single(match["name1"], match["n1"], match["total1"])
    else:
        fields = tuple(found for found in key_values(text) or () if is_counter(found[0]))
    more: Fields = [found for found in key_values(match["more"]) or () if not is_counter(found[0])]
    if not fields or any(is_measured(name) for name, _ in more):
        return None
    return Head((*fields, *more), home_made=True, phase="val" if _OF_VALIDATION.search(match["more"]) else "")


def _single(name: str, n: str, total: str | None) -> tuple[tuple[str, Number], ...]:
    word = name.lower()
    if word.startswith("ep"):
        return _counted(epoch=n, total_epochs=total)
    return _counted(step=n, total_steps=total)


def _counted(**counters: str | None) -> tuple[tuple[str, Number], ...]:
    return tuple((name, finite(digits)) for name, digits in counters.items() if digits is not None)
