"""The general scan of a line for names with numbers: `loss: 2.31`, `lr=1e-4`, `step 100/19560 | loss 5.12`.

A name that ends in `:` or `=` is a name beyond doubt; one that only stands before its number counts when it is
one of the few that loops print that way. Of names that no synonym is known for, only those of a quality are kept,
beyond doubt and in a line that counts: prose is full of names.
"""

import math
import re
from functools import lru_cache

from gradtop.sources.fields.names import meaning_of, normalised
from gradtop.sources.fields.number import MULTIPLES, NON_FINITE, NUMBER, ODD_UNIT, UNIT, Number, finite, is_whole, parse
from gradtop.sources.fields.plan import COUNTERS, MEASURED
from gradtop.sources.fields.printed import Fields
from gradtop.sources.fields.quality import is_goal, is_quality

MAX_CHARS = 20_000
"""A longer segment is data, not a line for people."""
MAX_KEY = 160
"""Characters before a number in which its name is looked for."""

_TOKEN = re.compile(
    rf"(?<![\w.+\-])(?:({NUMBER})(?![.:\-]\d)(?:({UNIT})|\s(ms|us|µs|secs?|s|min)(?![\w:=]))?"
    rf"|({NON_FINITE})({ODD_UNIT})?)(?!\w)"
)
_IN_KEY = re.compile(r"\w*\)\s*[:=]")
_TOTAL = re.compile(r"\s*/\s*(\d[\d,]*)")
_CUT = re.compile(
    r".*(?:[|,;\t{}!?]|  | - |\) |\] |: |\]\[|[\d ]/s(?:/\w+)? |[a-z]\[(?=[a-z])|\w=[^\s=]+ )\s*", re.DOTALL
)
_LEADING = " /:*>#•]["
_INDEX = re.compile(r"\w\[\Z")
_IS = re.compile(rf"((?:^|[,;|]\s*)\w+) is (?=(?:{NUMBER}|{NON_FINITE})\s*(?:[,;|]|\Z))")
_OWN = re.compile(
    r"(?:\s*\(\s*[-+.\w]+\s*\))?[\s,;|•()\[\]{}<>*/-]*(?:(?:ms|s|secs?|it/s|img/s|%)[\s,;|]+)?"
    r"(?:(?P<name>(?!and |or |the |with |our )[a-z][\w@./+-]*(?: [a-z][\w@-]*){0,2}) ?[:=]\s*[\"']?|"
    r"(?P<ranked>(?:acc|prec|recall|map)@[\d.]+|acc(?:uracy)?)\s+)",
    re.IGNORECASE,
)
_LEAST = 3
"""Names with numbers in a line before ones of a quality are kept that no synonym is known for."""
_ORDINAL = re.compile(r"第\s*(\d+)\s*(?:/\s*\d+\s*)?(轮|回合|个epoch|步|次迭代)")
_UNIT_AFTER = re.compile(
    r"\s?(?:(ms)\b(?=\s*[|,)]|\s*\Z)|%\s*(?:\w+\s)?(mfu)\b|(tok(?:en)?s?/s(?:ec)?)\b"
    r"|(m?s)/(?:it|iter|step)\b(?=\s*[|,)]|\s*\Z))",
    re.IGNORECASE,
)
_COMMA = re.compile(r",\d+(?:[eE][-+]?\d+)?(?![.,]?\d)")
_DECIMAL_COMMAS = re.compile(r"[:=\s]-?\d+,(?:\d\d?|\d{4,9})(?![.,]?[\w])")
_THOUSANDS = re.compile(r"\d+,\d{3}")
_BEHIND = re.compile(
    r"\s?(?:%|[kKMGT]?i?B|bytes|[TPG]FLOPS?|/\d+(?![\d.])"
    r"|(?:(?P<samples>(?i:samples?|images?|imgs?|ex(?:amples?)?|seq(?:uence)?s?))|(?P<tokens>(?i:tok(?:en)?s?))"
    r"|[A-Za-z]{1,12})/s(?:ec(?:ond)?)?)(?![\w/])(?!\s*[:=]?\s*[-+.\d])"
)
"""The unit behind a number, as opposed to the name of the next one; or the whole that it is a part of."""
_ABSOLUTE = re.compile(
    rf"(?<![\w|])\|\|?(?:g|grad|grads|gradient|∇)\|\|?(?:_?2)?(?:\s*[:=]\s*|\s+)(?={NUMBER}|{NON_FINITE})"
)
"""A norm as mathematics writes it."""
_LIST = re.compile(r"(losses|损失)\s*[:=]\s*\[([^\[\]]+)\]", re.IGNORECASE)
_CONSTRUCTOR = re.compile(r"\b(?:np\.float\d*|tensor|Array)\(\[?\s*([^\s,()\[\]]+)[^()]*\)")
_WIDE = str.maketrans({"：": ":", "，": ",", "；": ";", "（": "(", "）": ")"})

_SOFT = frozenset(
    (
        *("step", "epoch", "loss", "val_loss", "lr", "grad_norm", "mfu", "tokens_per_s", "step_time_s", "data_time_s"),
        *("ppl", "val_ppl", "loss_scale"),
    )
)
_STEP_LEADS = frozenset(
    ("at", "after", "completed", "train", "training", "global", "validate", "validation", "eval", "evaluation", "test")
)
_LEVELS = frozenset(("debug", "info", "warning", "warn", "error", "critical"))
_TRAIN_WORDS = frozenset(("train", "training", "current", "avg", "average", "mean", "total", "global", "batch", "step"))
_QUALIFIERS = _TRAIN_WORDS | _LEVELS | {"running", "smoothed", "overall", "last", "the"}
_TOTALS = {"step": "total_steps", "epoch": "total_epochs"}
_SHARES = frozenset(("accuracy", "val_accuracy"))
_PURE = MEASURED - _SHARES | {"lr"}
"""Numbers without a unit, that are no part of a whole."""
_PER_STEP = frozenset(("avg", "average", "mean", "step", "batch", "iter"))
_VALIDATION_WORDS = frozenset(("val", "valid", "validation", "eval", "evaluation", "test", "dev"))
_VALIDATION_OF = {"loss": "val_loss", "ppl": "val_ppl", "accuracy": "val_accuracy"}
_VALIDATION_LINE = re.compile(
    r"\W*(?:epoch\W{0,3}\d+(?:/\d+)?\W{1,4})?(?:validat|valid\b|val\b|eval|test\b|testing|completed eval)",
    re.IGNORECASE,
)


def key_values(text: str, counted: bool = False, scored: bool = False) -> Fields | None:
    """The known names of a line with their numbers; a line that speaks of validation gives validation metrics only.

    `counted`: the line has told before this text where it stands; `scored`: it is the result of a validation.
    """
    if len(text) > MAX_CHARS:
        return None
    text = _plain(text)
    fields: Fields = []
    end = named_until = 0
    unknown = False
    commas = "," in text and _DECIMAL_COMMAS.search(text) is not None
    for match in _TOKEN.finditer(text):
        if match.start() < end:
            continue
        before = text[max(end, match.start() - MAX_KEY) : match.start()]
        follows_loss = end == named_until and bool(fields) and meaning_of(fields[-1][0]).canonical == "loss"
        name = _named(before, match[4] is not None)
        digits, glued, apart, odd, odd_unit = match.groups()
        number = finite(digits, glued or apart or "") if digits else Number(float(odd), odd_unit or "")
        if name is None:
            if (after := _named_after(text, match)) is not None:
                name, number = after[0], Number(number.value, after[1], number.below)
            elif (name := _own_beside(fields, before)) is not None:
                unknown = True
            else:
                end = match.end() if _stands_alone(before, text, match) else end
                continue
        counter = meaning_of(name).canonical
        end = _past_comma(text, match) if commas else match.end()
        beside = _BEHIND.match(text, match.end()) if counter in _PURE or counter == "tokens_per_s" else None
        if counter == "tokens_per_s" and beside is not None and beside["samples"]:
            name, counter = "samples/s", "samples_per_s"
        elif beside is not None and not (counter == "tokens_per_s" and beside["tokens"]):
            continue
        if end > match.end() or _misleads(counter, number) or (name.lower() == "val" and not follows_loss):
            continue
        fields.append((name, number))
        named_until = end
        if counter in _TOTALS and (total := _TOTAL.match(text, end)):
            end = total.end()
            fields.append((_TOTALS[counter], finite(total[1])))
        elif counter in _SHARES and (of := _TOTAL.match(text, end)) and finite(of[1]).value > 0:
            end = of.end()
            fields[-1] = (name, Number(number.value / finite(of[1]).value))
    if unknown and not (scored or _is_row(fields, counted)):
        fields = [field for field in fields if meaning_of(field[0]).known]
    return as_validation(fields) if fields and _VALIDATION_LINE.match(text) else fields


def _plain(text: str) -> str:
    """The line with colons, lists and words in the places where the scan looks for them."""
    if not text.isascii():
        text = _ORDINAL.sub(r"\2:\1 ", text.translate(_WIDE)).replace("个epoch", "epoch").replace("次迭代", "迭代")
    if "(" in text:
        text = _CONSTRUCTOR.sub(r"\1", text)
    if "|" in text and "g" in text:
        text = _ABSOLUTE.sub("grad_norm: ", text)
    if "[" in text:
        text = _LIST.sub(_total_loss, text)
    return _IS.sub(r"\1: ", text) if " is " in text else text


def _is_row(fields: Fields, counted: bool) -> bool:
    """A line with names that are not known is a row: it counts, and has what only a training knows."""
    names = [meaning_of(name).canonical for name, _ in fields]
    if not (counted or not COUNTERS.isdisjoint(names)):
        return False
    if any(is_goal(name) for name, _ in fields):
        return True
    return len(names) >= _LEAST and any(name in MEASURED for name in names)


def _misleads(counter: str, number: Number) -> bool:
    """A fraction is no step: what stands there is a time per step."""
    return counter == "step" and math.isfinite(number.value) and not is_whole(number.value)


def _past_comma(text: str, match: re.Match[str]) -> int:
    """The end of a number with the decimals behind a comma that some locales print; it is not read.

    For a line that has such a number for certain: there, one that looks like thousands is one as well.
    """
    digits = match[1] or ""
    if _THOUSANDS.fullmatch(digits):
        return match.end() + 1
    listed = text[match.start() - 1 : match.start()] in ("[", "(")
    comma = _COMMA.match(text, match.end()) if digits.isdigit() and not listed else None
    return match.end() if comma is None else comma.end()


def _own_beside(fields: Fields, before: str) -> str | None:
    """The name of a quality beside those found before it: a known one without a mark needs a loss."""
    name = _own(before)
    if name is None or not meaning_of(name).known:
        return name
    return name if any(meaning_of(other).canonical in ("loss", "val_loss") for other, _ in fields) else None


@lru_cache(maxsize=4096)
def _own(before: str) -> str | None:
    """The name of a quality that no synonym is known for, beyond doubt and right behind the number before it."""
    match = _OWN.fullmatch(before)
    if match is None:
        return None
    name = match["name"] or match["ranked"]
    return name if is_quality(name) else None


def _total_loss(match: re.Match[str]) -> str:
    """`Losses: [2.7, 7.2, 30.2]` are the parts of one objective: their sum is the loss."""
    parts = [parse(part) for part in match[2].split(",")]
    return f"loss: {sum(part.value for part in parts if part)!r}" if None not in parts else match[0]


def _stands_alone(before: str, text: str, match: re.Match[str]) -> bool:
    """A number with a name of its own that is not known, or a total: no part of the next name."""
    return before.rstrip(" \t([")[-1:] in (":", "=", "/") and not _IN_KEY.match(text, match.end())


@lru_cache(maxsize=8192)
def _named(before: str, odd: bool) -> str | None:
    """The name in the text before a number; `odd` numbers (nan, inf) need a name that is beyond doubt or known."""
    if _INDEX.search(before):
        return None
    text = before.rstrip(" \t([\"'")
    if not text:
        return None
    definite = text[-1] in ":="
    if not definite and before[-1] in "\"'":
        return None
    if definite:
        text = text.rstrip(":= \t")
    elif odd and not before[-1:].isspace():
        return None
    return _resolved(_CUT.sub("", text, count=1).strip(_LEADING).removeprefix("- "), definite)


@lru_cache(maxsize=4096)
def _resolved(key: str, definite: bool) -> str | None:
    """The name in a key such as `Total Grad Norm` or `current val loss`; None where nothing known is named."""
    words = key.split()
    for i in range(max(0, len(words) - 6), len(words)):
        name = " ".join(words[i:])
        meaning = meaning_of(name)
        if not meaning.known or not (definite or meaning.canonical in _SOFT):
            continue
        before = [normalised(word) for word in words[:i]]
        if meaning.canonical in ("step", "total_steps"):
            return name if _leads_to_step(before, definite) else None
        if not before:
            return name
        if any(word in _VALIDATION_WORDS for word in before):
            return _VALIDATION_OF.get(meaning.canonical)
        allowed = _PER_STEP if meaning.canonical == "step_time_s" else _QUALIFIERS
        return name if all(word in allowed for word in before) else None
    return None


def _leads_to_step(before: list[str], definite: bool) -> bool:
    """`at step 5`, but not `warm-up steps 5` or `every 100 steps: 5`."""
    if not before or before[-1] in _STEP_LEADS or before[-1] in _LEVELS:
        return True
    return definite and before[-1].endswith(("]", ">", ")"))


def _named_after(text: str, match: re.Match[str]) -> tuple[str, str] | None:
    """Name and unit of a number that its unit names: `845123 tok/s`, `58.2% bf16 MFU`, `310.21 ms`."""
    if match[1] is None:
        return None
    multiple = match[2] if match[2] in MULTIPLES else ""
    if (after := _UNIT_AFTER.match(text, match.end(2) if multiple else match.end(1))) is None:
        return None
    milliseconds, mfu, rate, per_step = after.groups()
    if per_step:
        alone = text[: match.start()].rstrip(" (")[-1:] in ("|", "")
        return ("time_per_step", per_step.lower()) if alone else None
    if milliseconds:
        # Only a cell of its own: `| 310.21 ms |`.
        return ("time", "ms") if text[: match.start()].rstrip(" (")[-1:] in ("|", "") else None
    return ("mfu", "%") if mfu else (rate, multiple)


def as_validation(fields: Fields) -> Fields:
    """The same fields as validation metrics; throughput and the like of a validation pass are not the training's."""
    found: Fields = []
    for name, number in fields:
        canonical = meaning_of(name).canonical
        explicit = normalised(name).startswith("train")
        if canonical in ("step", "total_steps", "epoch") or canonical.startswith("val_") or explicit:
            found.append((name, number))
        elif canonical in _VALIDATION_OF:
            found.append((_VALIDATION_OF[canonical], number))
        elif not meaning_of(name).known and is_quality(name):
            found.append((f"val_{canonical}", number))
    return found
