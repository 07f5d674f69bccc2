"""How the log of a run ends that does not say that it is over."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from gradtop.detect.process.gone import Close, LastWords
from gradtop.origin import OriginView
from gradtop.sources import Source

_FINISHED = re.compile(
    r"\b(?:done|finish(?:ed)?|complete[ds]?|exits? successfully|saved|early[ -]?stop\w*|exiting|bye"
    r"|(?:total|elapsed|training|run|wall)[ _-]?(?:wall[ _-]?)?time|took|end of (?:training|run)"
    r"|(?:best|final)\b.*\d)\b",
    re.IGNORECASE,
)
_NOT_SO = re.compile(
    r"\b(?:not|never|unsuccess\w*|incomplete\w*|error|fail\w*|kill\w*|sig[a-z]+|signal|abort\w*|warn\w*|exception)\b"
    r"|n't\b|\b(?:epoch|step|iter(?:ation)?)\b",
    re.IGNORECASE,
)
"""Words of an end that are none: they are denied, tell of a fault, or of a part of the training."""
_RANK = (Close.WORDS, Close.EVALUATION, Close.CUT, Close.OPEN)


def last_words(sources: Iterable[Source], origins: Iterable[OriginView], x_kind: str) -> LastWords:
    """The end of the logs of a run, the most telling one of several. `x_kind`: what the run counts by."""
    where: Mapping[Path, OriginView] = {origin.path: origin for origin in origins}
    found = [_of(source, where.get(source.status.path), x_kind) for source in sources]
    return min(found, key=lambda words: (_RANK.index(words.close), not words.text), default=LastWords())


def _of(source: Source, origin: OriginView | None, x_kind: str) -> LastWords:
    row, trained = _rows(origin, x_kind)
    behind = [(line, text) for line, text in source.account.newest_skipped if line > row]
    line, text = next(((n, t) for n, t in behind if _finished(t)), behind[-1] if behind else (0, ""))
    if text and _finished(text):
        return LastWords(Close.WORDS, text, line)
    if source.status.partial:
        return LastWords(Close.CUT, text, line)
    return LastWords(Close.EVALUATION if row > trained > 0 else Close.OPEN, text, line)


def _rows(origin: OriginView | None, x_kind: str) -> tuple[int, int]:
    """The lines of the last row, and of the last row of the training; 0 where there is none."""
    if origin is None or origin.read is None or not len(origin.read):
        return 0, 0
    trail = origin.trails.get(x_kind)
    return int(origin.read[-1]), trail.newest[1] if trail is not None and trail.newest is not None else 0


def _finished(text: str) -> bool:
    return _FINISHED.search(text) is not None and _NOT_SO.search(text) is None
