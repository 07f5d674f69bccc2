"""Progress bars as tqdm, Keras, Rich and tqdm-loggable print them: what a bar counts, and the metrics it carries."""

import re
from functools import lru_cache
from typing import NamedTuple

from gradtop.sources.fields.number import MULTIPLES, Number, is_missing, parse
from gradtop.sources.fields.prefix import strip_prefix
from gradtop.sources.fields.printed import Fields
from gradtop.sources.text.keyvalue import key_values

TIME_PER_STEP = "time_per_step"
"""The name that is given to what a bar prints without one."""
MAX_BAR = 2_000
"""Characters of the longest bar, and of the longest label before one; what is longer is data."""

_INSIDE = r"[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*"
_TQDM = re.compile(
    r"(?:\d{1,3}%)?\|[^|\r\n]{0,400}\|\s*(?P<n>\d+)/(?P<total>\d+|\?) \[(?:(?P<elapsed>[\d:]+)|\?)<"
    rf"(?P<tail>{_INSIDE})\]"
)
# No digit before a count, and bounds on its digits: else a long number would be tried from each of its digits.
_ENDLESS = re.compile(rf"(?<!\d)(?P<n>\d{{1,15}})(?:it|batch|step)s? \[[\d:]+, (?P<tail>{_INSIDE})\]")
_KERAS = re.compile(
    r"\s*(?P<n>\d+)/(?P<total>\d+|Unknown) (?:(?:\[[=>.]*\]\s*+|[━\s]++)-?|-)\s*+(?:ETA: )?[\d:]{1,20}(?:m?s)?"
    r"\s*+-?\s*+(?P<tail>\d{0,12}(?:\.\d{0,12})?[mun]?s/(?:step|sample|epoch)\b.*|\w[^:]*: .*)"
)
_RICH = re.compile(
    r"(?<!\d)(?P<n>\d{1,15})/(?P<total>\d{1,15})\s++[-\d:]++\s++•\s++[-\d:]++\s++(?P<tail>[\d.]{1,20}(?:it/s|s/it).*)"
)
_LOGGABLE = re.compile(
    r"Progress on:\s?(?P<label>[^\n]{0,200}?) (?P<n>\d{1,15}(?:\.\d{0,6})?)(?P<scale>[kMGT]?)it/"
    r"(?P<total>\d{1,15}(?:\.\d{0,6})?|\?)(?P<of>[kMGT]?)(?:it)?\srate:\S{0,40}(?:.*?\spostfix:(?P<tail>.*))?"
)
_MARKS = ("%|", ": |", "it [", "/step", "/sample", "eta: ", " • ", "progress on:")
_RATE = re.compile(r"\s*(?:[\d.]+|\?)\s*([a-zA-Z]+)/s\Z|\s*(?:[\d.]+|\?)\s*s/([a-zA-Z]+)\Z")
_STEPS = frozenset(("it", "its", "iter", "iters", "batch", "batches", "step", "steps", "ba"))
_SAMPLES = frozenset(("img", "imgs", "image", "images", "ex", "example", "examples", "sample", "samples", "seq"))
_EPOCH = re.compile(r"\bepochs?\b[\s:=\[(#_]{0,4}(\d+)(?:\s*/\s*(\d+))?|\bep(\d+)\b", re.IGNORECASE)
_EPOCHS = re.compile(r"(?:training )?epochs?", re.IGNORECASE)
_OTHER = re.compile(
    r"val|test|eval|dev\b|infer|predict|generat|sampl|sanity|caching|download|loading|map\b", re.IGNORECASE
)
_TUNE = re.compile(r"(?P<epoch>\d+)\|(?P<step>\d+)\|(?P<rest>\w+: .+)\Z")
_PAIR = re.compile(r"([^=,\[\]]{1,80})=(\[[^\]]*\]|[^,\[\]]*)(?:,|\Z)")
_TELLS = re.compile(r"[:=]|loss", re.IGNORECASE)
_VERSIONS = frozenset(("v_num",))


class Bar(NamedTuple):
    """One state of one bar."""

    label: str
    n: int
    total: int | None
    unit: str = "step"
    """What it counts: `step`, `samples`, `epoch`, or empty for anything else (bytes, files)."""
    epoch: int | None = None
    """The epoch that it is within, from its label."""
    epochs: int | None = None
    """How many epochs there will be, from its label."""
    tail: str = ""
    """What stands behind its rate: metrics of the training."""
    rank: int | None = None
    """The process that draws it, where the line says it."""
    keras: bool = False
    """It counts the batches of the epoch that a line before it announced."""
    elapsed_s: float | None = None
    """Seconds since it began, where it shows them."""

    @property
    def counts_steps(self) -> bool:
        """It counts iterations of the run or of an epoch, as opposed to examples or bytes."""
        return self.unit == "step"

    @property
    def trains(self) -> bool:
        """Its label does not speak of anything but training."""
        return _OTHER.search(self.label) is None


def may_hold_bar(lowered: str) -> bool:
    """The text, in lower case, has the marks of a bar in it."""
    return bool([mark for mark in _MARKS if mark in lowered])


def split_bar(segment: str) -> tuple[Bar, str] | None:
    """The bar in a segment and the text glued behind it; None where there is no bar."""
    match = _TQDM.search(segment)
    if len(segment) > MAX_BAR and (match is None or match.end() - match.start() > MAX_BAR):
        return None
    if match or ("it [" in segment and (match := _ENDLESS.search(segment))):
        label = segment[max(0, match.start() - MAX_BAR) : match.start()]
        found = match.groupdict()
        total = None if found.get("total", "?") == "?" else int(found["total"])
        unit, tail = _rate_and_rest(found["tail"], endless="total" not in found)
        bar = _bar(label, int(found["n"]), total, unit, tail)
        return bar._replace(elapsed_s=_seconds(found.get("elapsed"))), segment[match.end() :]
    if match := _KERAS.match(segment):
        total = int(match["total"]) if match["total"].isdigit() else None
        unit = "samples" if "/sample" in match["tail"] else "step"
        return Bar("", int(match["n"]), total, unit, tail=match["tail"], keras=True), ""
    if "•" in segment and (match := _RICH.search(segment)):
        label = segment[: match.start()].rstrip("━╸╺ ")
        tail = match["tail"].partition(" ")[2]
        return _bar(label, int(match["n"]), int(match["total"]), "step", tail), ""
    if match := _LOGGABLE.search(segment):
        n, total = _scaled(match["n"], match["scale"]), _scaled(match["total"], match["of"])
        return (_bar(match["label"], n or 0, total, "step", match["tail"] or ""), "") if n is not None else None
    return None


def _bar(label: str, n: int, total: int | None, unit: str, tail: str) -> Bar:
    label, rank, epoch, epochs = _label(label)
    if epoch is None and unit == "step" and _EPOCHS.fullmatch(label):
        unit = "epoch"
    return Bar(label, n, total, unit, epoch, epochs, tail, rank)


def _seconds(elapsed: str | None) -> float | None:
    """The seconds of `03:20` or `1:03:20`."""
    parts = (elapsed or "").split(":")
    if not 2 <= len(parts) <= 3 or not all(part.isdigit() for part in parts):
        return None
    return float(sum(int(part) * 60**i for i, part in enumerate(reversed(parts))))


@lru_cache(maxsize=1024)
def _label(text: str) -> tuple[str, int | None, int | None, int | None]:
    """The label of a bar without prefixes, and the rank, the epoch and the number of epochs that it names."""
    prefix = strip_prefix(text)
    label = prefix.rest.strip().rstrip(":").strip()
    match = _EPOCH.search(label)
    if match is None:
        return label, prefix.rank, None, None
    return label, prefix.rank, int(match[1] or match[3]), int(match[2]) if match[2] else None


def _scaled(digits: str, suffix: str) -> int | None:
    return None if digits == "?" else round(float(digits) * MULTIPLES.get(suffix, 1.0))


def _rate_and_rest(tail: str, endless: bool) -> tuple[str, str]:
    """What a bar counts, from its rate, and what stands behind the rate."""
    parts = tail.split(",", 1 if endless else 2)
    rate = parts[0] if endless else parts[1] if len(parts) > 1 else ""
    match = _RATE.match(rate)
    word = (match[1] or match[2]).lower() if match else ""
    unit = "step" if word in _STEPS else "samples" if word in _SAMPLES else "epoch" if word.startswith("epoch") else ""
    return unit, parts[-1] if len(parts) > (1 if endless else 2) else ""


def metrics_of(bar: Bar) -> Fields:
    """The numbers that a bar carries, in its label and behind its rate; a bar at 0 still shows those of another."""
    if bar.n == 0:
        return []
    if match := _TUNE.match(bar.label):
        # torchtune: the epoch, the step of the run, the loss.
        return [
            ("epoch", Number(float(match["epoch"]))),
            ("step", Number(float(match["step"]))),
            *(key_values(match["rest"]) or []),
        ]
    if bar.keras:
        return _keras_pairs(bar.tail)
    if not bar.tail and not _TELLS.search(bar.label):
        return []
    return [f for f in (*(key_values(bar.label) or []), *_pairs(bar.tail)) if "epoch" not in f[0].lower()]


def _keras_pairs(tail: str) -> Fields:
    """`14ms/step - loss: 2.2084 - mae: 1.4082`: every cell is a value, or the time of a step."""
    fields: Fields = []
    for cell in tail.split(" - "):
        name, colon, value = cell.partition(":")
        if colon and (number := parse(value)) is not None:
            fields.append((name.strip(), number))
        elif cell.rstrip().endswith("/step") and (number := parse(cell.strip().removesuffix("/step"))) is not None:
            fields.append((TIME_PER_STEP, number))
    return fields


def _pairs(tail: str) -> Fields:
    fields: Fields = []
    for match in _PAIR.finditer(tail):
        name, value = match[1].strip(), match[2].strip()
        if name in _VERSIONS or is_missing(value):
            continue
        if (number := parse(value)) is not None:
            fields.append((name, number))
    return fields or (key_values(tail) or [])
