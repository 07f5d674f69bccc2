"""Lines that begin with where they are: `Epoch: [0][  10/5005]`, `Iter(train) [  50/7330]`, `Epoch:[1/2](100/1000)`.

The head gives the counters, the general scan reads what follows. Such lines print a value with its average in
parentheses behind it: the value counts, and in a validation, whose last line is its result, the average.
"""

import re

from gradtop.sources.fields.number import Number
from gradtop.sources.fields.printed import Fields
from gradtop.sources.text.keyvalue import as_validation, key_values
from gradtop.sources.text.trailing import trailing

_TRAIN = r"train(?:ing)?"
_CHECK = r"val(?:id(?:ation)?)?|eval(?:uation)?|test(?:ing)?"
_OF = r"\s*(?P<at>\d+)\s*/\s*(?P<of>\d+)\s*(?P<percent>[(,]\s*[\d.]+\s*%\s*\)?)?\s*"
_HEADS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # timm, imagenet, DETR, Swin, mmengine, MiniMind, PaddlePaddle: the epoch, then the batch of it in brackets.
        rf"\[?(?:(?P<word>{_TRAIN}|{_CHECK})\]?[\s:]*)?(?:\[?(?P<named>epoch|ep)\s?(?:\((?P<mode>\w+)\))?[\s:]*)?"
        r"\[?\s*(?P<epoch>\d+)(?:\s*/\s*(?P<epochs>\d+))?\s*\]?[\s,:]*"
        rf"[\[(](?:(?:iter|batch|step)[\s:]*)?{_OF}[\])]",
        # Their validation, without an epoch.
        rf"\[?(?P<check>{_CHECK})\]?\s?(?:\(\w+\))?[\s:]*\[{_OF}\]",
        # DINOv2, whose epochs are none.
        rf"(?P<word>{_TRAIN})[\s:]*\[{_OF}\]",
        # TensorFlow's tutorials, icefall, GANs: the batch of the epoch in words.
        r"[\[(]?(?P<named>epoch)[\s:#\[]*(?P<epoch>\d+)(?:\s*/\s*(?P<epochs>\d+))?[\s\],:;|\[(-]*"
        r"(?:mini-?)?batch[\s:#=\[]*(?P<at>\d+)(?![.\d])(?:\s*/\s*(?P<of>\d+))?[\])]?",
        # CycleGAN and its heirs.
        r"\((?P<named>epoch): (?P<epoch>\d+), iters: (?P<at>\d+),[^()]*(?P<losses>\)) (?=\w+: )",
        # WeNet: the epoch, then the batch of it.
        r"(?P<word>(?-i:TRAIN|CV)) Batch (?P<named>)(?P<epoch>\d+)/(?P<at>\d+)(?= loss )",
        # Loops of reinforcement learning, which count episodes.
        r"(?P<games>episode)[\s:#=\[(]{1,3}(?P<episode>\d+)(?![.\d])(?:\s*/\s*\d+)?[\])]?(?=[\s,:;|-])",
        # Marian.
        r"(?P<named>ep)\. (?P<epoch>\d+) : up\. (?P<run>)(?P<at>\d+)",
        # XGBoost, LightGBM; TensorFlow's metric writers, whose names tell the part of the data.
        rf"\[(?P<run>)(?P<at>\d+)\]\t(?=(?:{_TRAIN}|{_CHECK})[\w']*[ -])",
        rf"\[(?P<run>)(?P<at>\d+)\]\s(?=(?:\w+=[^\s,]+, )*(?:{_TRAIN}|{_CHECK})_\w+=)",
        # mmengine and mmcv, by iterations.
        rf"iter\s?(?:\((?P<mode>\w+)\))?[\s:]*\[(?P<run>){_OF}\]",
        # fairseq.
        rf"(?:\|\s?)?(?P<named>epoch)\s(?P<epoch>\d+):{_OF}(?=\s\w+=)",
        # PyTorch's examples: the language model, and the tutorial of a classifier.
        rf"(?P<named>epoch)\s+(?P<epoch>\d+)\s*\|{_OF}batches\b",
        r"\[(?P<epoch>\d+),\s+(?P<at>\d+)\](?P<named>)(?=\s+(?:train(?:ing)?[ _])?loss\b)",
        # DCGAN.
        r"\[(?P<epoch>\d+)/(?P<epochs>\d+)\]\s?\[(?P<at>\d+)/(?P<of>\d+)\](?P<named>)(?=\s)",
        # ESPnet: batches from, to.
        rf"(?P<epoch>\d+)(?P<named>epoch):(?P<word>{_TRAIN}|{_CHECK}):\d+-(?P<at>\d+)batch:",
    )
)
_MAY = re.compile(
    r"[\[|(\s]{0,3}(?:\d+epoch:|cv batch|\d+,\s+\d+\] |averaged stats"
    r"|(?:train|val|eval|test|epoch|ep\b|episode|iter)[^\n]{0,40}?\d"
    r"|\d+\]\s[a-z]|\d+/\d+\]\s?\[\d)",
    re.IGNORECASE,
)
_MAY_TRAIL = re.compile(r"\s*(?:\d+:?\s+[-+.\d]|(?:train(?:ing)?\s)?(?:loss|cost)\b)", re.IGNORECASE)
_REPEATED = re.compile(r"\s*averaged stats", re.IGNORECASE)
"""DETR and its heirs print the averages of what they have printed, of training and validation alike."""
_LEAD = re.compile(r"[|>\s-]*")
_AVERAGED = re.compile(r"(?P<key>[:=\s])\s*[-+.\w]+\s?\(\s*(?P<average>[-+.\w]+?)\s*\)")

_NAME = re.compile(r"\w+(?=: )")
_OWN_WORDS = (
    # ESPnet's word for the time that it waits for data.
    ("optim0_lr0", "iter_time=", "data_time="),
    # Marian's time is that of all the updates since its last line.
    ("L.r. ", ": Time ", ": took "),
)
"""What only one project's lines have, a word of theirs that means something else there, and the usual word for that."""

_HEADING = re.compile(
    r"[\s\W]*(?:(?:start(?:ing|ed)?|begin(?:ning)?|running|train(?:ing)?)\W{1,3})*(?:of\s)?"
    r"(?:epoch|训练回合|第)\W{0,4}(\d{1,7})(?:\s*(?:/|of)\s*(\d{1,7}))?[\])]?\s*(?:轮|\[\s*[\d.]+%\])?[\s\W]*",
    re.IGNORECASE,
)


def headed(text: str) -> Fields | None:
    """The counters in the head of a line and the known names behind it; None where a line has no such head."""
    if _MAY.match(text) is None:
        return trailing(text) if _MAY_TRAIL.match(text) else None
    if _REPEATED.match(text):
        return []
    start = _LEAD.match(text)
    at = start.end() if start else 0
    for pattern in _HEADS:
        match = pattern.match(text, at)
        if match is not None and _is_head(match.groupdict()):
            return _read(match, text)
    return trailing(text) if _MAY_TRAIL.match(text) else None


def _is_head(found: dict[str, str | None]) -> bool:
    """Two numbers in brackets alone are no head: a word says what is counted."""
    return any(found.get(name) is not None for name in ("word", "named", "check", "run", "games"))


def _read(match: re.Match[str], text: str) -> Fields:
    found = match.groupdict()
    if found.get("word") == "CV":
        # Its result is told in a line of its own.
        return []
    word = (found.get("mode") or found.get("word") or found.get("check") or "").lower()
    checks = bool(word) and not word.startswith("train")
    rest = text[match.end() :].lstrip(" \t,:;]")
    if found.get("losses"):
        rest = _NAME.sub(r"loss/\g<0>", rest)
    for told, word, own in _OWN_WORDS:
        if told in rest:
            rest = rest.replace(word, own)
    if checks:
        rest = _AVERAGED.sub(r"\g<key>\g<average>", rest)
    fields = key_values(rest, counted=True, scored=checks) or []
    return _counters(found, checks) + (as_validation(fields) if checks else fields)


def _counters(found: dict[str, str | None], checks: bool) -> Fields:
    """What the head counts: by the run, by the batch of an epoch, or by its sample."""
    if found.get("run") is not None and not checks:
        names = ("step", "total_steps")
    elif found.get("percent") and found.get("word") and found.get("named"):
        # `Train Epoch: 1 [640/60000 (1%)]` counts the samples of the data set.
        names = ("epoch_sample", "epoch_samples")
    else:
        names = ("epoch_step", "epoch_steps")
    pairs = (
        ("epoch", found.get("epoch")),
        ("total_epochs", found.get("epochs")),
        ("episode", found.get("episode")),
        (names[0], found.get("at")),
        (names[1], found.get("of")),
    )
    return [(name, Number(float(digits))) for name, digits in pairs if digits is not None]


def heading(text: str) -> tuple[int, int | None] | None:
    """The epoch that a line announces, and the planned number of them where it is told; None for any other line."""
    match = _HEADING.fullmatch(text)
    return (int(match[1]), int(match[2]) if match[2] else None) if match else None
