"""What a line says that is no number: others' alarms, skipped steps, checkpoints, resumes and ends."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gradtop.record import End, Event, Record, Restart, Scalar
from gradtop.sources.fields.names import normalised
from gradtop.sources.fields.number import NUMBER, parse
from gradtop.sources.reader import MAX_MESSAGE


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sign stands."""

    text: str
    """The line without prefixes; the message of an event."""
    line: int
    step: Scalar | None
    """The last step read before it."""
    time: float | None

    @property
    def message(self) -> str:
        """The text as an event carries it: without blanks around it, and not longer than `MAX_MESSAGE`."""
        return self.text.strip()[:MAX_MESSAGE]


Make = Callable[[re.Match[str], Place], Record | None]


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that lines say: searched for only where one of its words occurs."""

    rule: str
    """Its name in `explain`."""
    words: tuple[str, ...]
    """Lower case; one of them is in every line that shows the sign."""
    pattern: re.Pattern[str]
    make: Make


_KINDS = (
    ("vanish", "gradient_vanishing"),
    ("explod", "gradient_exploding"),
    ("spike", "loss_spike"),
    ("diverg", "loss_divergence"),
    ("plateau", "loss_plateau"),
    ("nan", "nonfinite"),
    ("inf", "nonfinite"),
    ("finite", "nonfinite"),
    ("no_learning", "no_learning"),
    ("overfit", "overfitting"),
    ("dead", "dead_layer"),
)


def kind_of(words: str) -> str | None:
    """The finding kind that another tool's word for an anomaly stands for; None where it is none of gradtop's."""
    name = normalised(words)
    return next((kind for part, kind in _KINDS if part in name), None)


def _alarm(place: Place, kind: str | None, limit: str | None = None, step: str | None = None) -> Event:
    number = parse(limit) if limit else None
    return Event(
        event="alarm",
        level="warning",
        message=place.message,
        step=int(step) if step else place.step,
        time=place.time,
        line=place.line,
        data={"kind": kind, "limit": number.value if number else None},
    )


def _anomaly(match: re.Match[str], place: Place) -> Event:
    return _alarm(place, kind_of(match["what"]), step=match["step"])


def _limit(match: re.Match[str], place: Place) -> Event:
    low = match["sign"].lower() in ("<", "<=", "below", "less than", "under")
    kind = "gradient_vanishing" if low else "gradient_exploding"
    return _alarm(place, kind, match["limit"], _step_in(place))


def _named_alarm(match: re.Match[str], place: Place) -> Event:
    return _alarm(place, kind_of(match[0]), step=_step_in(place))


def _nonfinite(match: re.Match[str], place: Place) -> Event:
    return _alarm(place, "nonfinite", step=_step_in(place))


def _step_in(place: Place) -> str | None:
    """The step that an alarm names."""
    found = _NAMED_STEP.search(place.text)
    return found[1] if found else None


def _skipped(match: re.Match[str], place: Place) -> Event:
    scale = next((parse(found) for found in match.groups() if found), None)
    return Event(
        event="skipped_step",
        level="warning",
        message=place.message,
        step=place.step,
        time=place.time,
        line=place.line,
        data={"loss_scale": scale.value} if scale else {},
    )


def _checkpoint(match: re.Match[str], place: Place) -> Event:
    step = next((int(found) for found in match.groups() if found), place.step)
    return Event(event="checkpoint", message=place.message, step=step, time=place.time, line=place.line)


def _resumed(match: re.Match[str], place: Place) -> Restart | None:
    step = next((int(found) for found in match.groups() if found), None)
    if step is not None and step <= 1 and "start" in match[0].lower():
        return None
    return Restart(reason="resumed", step=step, line=place.line)


def _ended(match: re.Match[str], place: Place) -> End:
    return End(status="finished", step=place.step, time=place.time, line=place.line)


def _aborted(match: re.Match[str], place: Place) -> End:
    return End(status="aborted", step=place.step, time=place.time, line=place.line)


def _sign(rule: str, words: str, pattern: str, make: Make) -> Sign:
    return Sign(rule, tuple(words.split("/")), re.compile(pattern, re.IGNORECASE), make)


_STEP = r"(?:step|iteration|iter)"
_NAMED_STEP = re.compile(rf"\b{_STEP}\D{{0,3}}(\d+)", re.IGNORECASE)
_QUOTED = re.compile(r"(?:[\w.]+\(|\A\s*)[rfbu]{0,2}[\"']|\A\s*--?[a-z]")
"""Before a sign: it is in the text of a call, or of a help page; nobody says it."""
_SUPPOSED = re.compile(
    r"\b(?:no|if|unless|without|whenever|avoids?|prevents?|may|might|could|can|would|should|will|to be)\b[^.:;!]*\Z",
    re.IGNORECASE,
)
"""Before a sign: it is denied, or told of as possible."""
MAX_CLAUSE = 80
"""Characters before a sign in which such a word is looked for."""
_HEAD = (
    r"(?:\A|[^\w\s,'\"]\s?)\W{0,4}(?:(?:successfully|training|trainer|run|job|model|auto|now|weights|state)[\s-]){0,2}"
)
"""What stands before a sign that prose has as well: nothing, a mark, or who does it."""
SIGNS: tuple[Sign, ...] = (
    _sign(
        "skipped step",
        "overflow",
        r"overflow!.*skipping step(?:.*attempted loss scale: [\d.]+, reducing to ([\d.]+))?"
        r"|gradient overflow\.?\s+(?:detected|skipping step).*?(?:setting|reducing) loss scale to:? ([\d.e+]+)"
        r"|overflow detected, setting (?:loss )?scale to:? ([\d.e+]+)|\A\s*grad overflow on iteration",
        _skipped,
    ),
    _sign("skipped step", "skipping update", r"skipping update due to (?:loss|grad) z-score of [\d.]+", _skipped),
    _sign(
        "alarm",
        "anomal",
        rf"anomal\w+(?: detected)?(?: at {_STEP}\s+(?P<step>\d+))?\s*[:\-]\s*(?P<what>[a-z][\w \-]{{2,60}})",
        _anomaly,
    ),
    _sign(
        "alarm",
        " < /<=/norm</ > />=/norm>/below/less than/under/above/exceeds/greater",
        r"(?<![\w.])grad(?:ient)?[_ ]?norm\b(?:\s*[=:(]?\s*[-+.\w]+\)?)??\s*(?:is |fell |rose |has |was )?\s*"
        r"(?P<sign><=?|>=?|below|less than|under|above|exceeds|greater than|over)"
        rf"\s*(?:the )?(?:threshold )?(?P<limit>{NUMBER})",
        _limit,
    ),
    _sign(
        "alarm",
        "vanish/explod",
        r"(?:(?:vanishing|exploding)[_ ]gradients?"
        r"|gradients?[_ ](?:is |are )?(?:vanishing|exploding|explosion|vanished|exploded))"
        r"(?=[\s.,:;!)\]]*(?:detected|at\b|in\b|found|\Z|[.!(:]))",
        _named_alarm,
    ),
    _sign(
        "alarm",
        "nan/inf/finite",
        r"grad(?:ient)?s?(?:[_ ]norm)? (?:is|are) (?:not finite|non-?finite|nan|inf)\b"
        r"|\bloss (?:is|was|became|becomes|has become|turned) (?:nan|inf\w*|infinite|not finite|non-?finite)"
        r"|loss nan/inf"
        r"|(?<![:=])(?<![:=] )\b(?:nan|inf|non-?finite) (?:loss|gradients?|grad norm)\b(?!\s*[:=]| check)"
        r"|\b(?:nan|inf)s? (?:detected|found|encountered)|aborting training due to (?:nan|inf)",
        _nonfinite,
    ),
    _sign(
        "checkpoint",
        "checkpoint/saved state",
        r"(?<!\ba )(?<!\bthe )(?<!\bin )(?<!\bfrom )(?<!\bof )(?:saving|saved|writing|wrote) (?:\w+ ){0,3}checkpoint\b"
        r"(?:.*?\b(?:iteration|step)[\s=:]+(\d+)|.*?checkpoint-(\d+)|\s+at (\d+) iterations\b)?"
        r"|saved state to \S+?-(\d+)\b",
        _checkpoint,
    ),
    _sign(
        "resume",
        "load/resum/restor/starts at/starting training/跳过",
        r"(?:loading|loaded) checkpoint from .* at iteration (\d+)"
        r"|loading the checkpoint from \S*?step-(\d+)|\A\s*resume checkpoint \S+"
        r"|resuming training from checkpoint with epoch \d+ and global step (\d+)"
        rf"|{_HEAD}resum(?:ing|ed) (?:training )?(?:from|at)\b(?:.*?(?:\bstep[\s=:]+|\bcheckpoint-)(\d+)\b(?!\.))?"
        r"|training starts at step (\d+)|loaded checkpoint .*\(epoch \d+ @ (\d+) updates\)"
        r"|resumed epoch: \d+, iter: (\d+)|starting training from iteration (\d+)"
        rf"|{_HEAD}restor(?:ing|ed) (?:all )?(?:states? )?from (?:the )?checkpoint|跳过前(\d+)个step",
        _resumed,
    ),
    _sign(
        "end",
        "train/exiting",
        r"\btraining (?:is )?(?:completed?|finished|done)\b(?!\s*(?:step|iter|epoch|:))|`?trainer\.fit`? stopped:"
        r"|exiting program at iteration \d+",
        _ended,
    ),
    _sign("end", "aborting", r"aborting training\b", _aborted),
)
"""Everything that lines say, in the order in which it is looked for."""


_BY_WORD: dict[str, tuple[Sign, ...]] = {
    word: tuple(sign for sign in SIGNS if word in sign.words) for sign in SIGNS for word in sign.words
}


_WARNINGS = frozenset(("alarm", "skipped step"))
"""A line that says that a step was skipped says as well why; it is one warning."""


def signs_in(lowered: str) -> list[Sign]:
    """The signs that a line may show, from its words alone, in the order in which they are looked for."""
    # A comprehension and not `any`: this runs for every line of a log, and most have none of the words.
    words = [word for word in _BY_WORD if word in lowered]
    if not words:
        return []
    if len(words) == 1:
        return list(_BY_WORD[words[0]])
    hit = {id(sign) for word in words for sign in _BY_WORD[word]}
    return [sign for sign in SIGNS if id(sign) in hit]


def found_in(candidates: list[Sign], place: Place) -> Iterator[tuple[str, Record]]:
    """(rule, record) of the signs that the line shows; of alarms and skipped steps only the first."""
    warned = False
    for sign in candidates:
        if (sign.rule in _WARNINGS and warned) or (match := sign.pattern.search(place.text)) is None:
            continue
        if not _is_said(place.text, match.start()):
            continue
        if (record := sign.make(match, place)) is not None:
            warned = warned or sign.rule in _WARNINGS
            yield sign.rule, record


def _is_said(text: str, at: int) -> bool:
    """The line itself says what begins at `at`: it is no text of a call, and not denied or only possible."""
    return _QUOTED.search(text, 0, at) is None and _SUPPOSED.search(text, max(0, at - MAX_CLAUSE), at) is None
