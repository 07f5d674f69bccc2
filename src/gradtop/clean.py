"""Foreign text made harmless: the one door between any log, name or error text and a terminal."""

import re
import unicodedata

_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]?"  # CSI
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c|\Z)?"  # OSC DCS SOS PM APC
    r"|\x1b[ -/]{0,8}[0-~]?"  # two-character escapes
)
_SUSPECT = re.compile(
    "[^ -~\u00a1-\u00ac\u00ae-\u02ff\u0370-\u05cf\u2010-\u2027\u2030-\u205f\u2070-\u2fff\u3001-\ud7ff]"
)
_C1 = re.compile("[\x80-\x9f]")
_ELLIPSIS = "…"
MAX_MARKS = 4
"""Combining marks kept on one character; the rest of a taller pile is dropped."""


def strip_sequences(text: str) -> str:
    """The text without terminal control sequences (7- and 8-bit); single control characters stay."""
    return _SEQUENCES.sub("", text) if "\x1b" in text or (not text.isascii() and _C1.search(text)) else text


def clean(text: str, limit: int = 4096) -> str:
    """Text that a terminal can only show: no control sequence, control character, bidi or invisible mark.

    Args:
        text: anything from outside: a log line, a metric name, a file name, an error text.
        limit: characters kept; a longer text ends in an ellipsis.
    """
    cut = len(text) > limit
    # A sequence is cut whole, so look a little further than the limit before cutting.
    text = strip_sequences(text[: limit + 8192] if cut else text)
    if "\t" in text:
        text = text.expandtabs(4)
    if len(text) > limit:
        text, cut = text[:limit], True
    if _SUSPECT.search(text):
        text = _visible(text)
    return text[: limit - 1] + _ELLIPSIS if cut and limit > 0 else text


def _visible(text: str) -> str:
    """Replace every character that is not plainly visible; cap piles of combining marks."""
    out: list[str] = []
    marks = 0
    for ch in text:
        category = unicodedata.category(ch)
        if category in ("Mn", "Me"):
            marks += 1
            if marks > MAX_MARKS or not out:
                continue
        else:
            marks = 0
        out.append(_shown(ch, category))
    return "".join(out)


def _shown(ch: str, category: str) -> str:
    code = ord(ch)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if category == "Zs":
        return " "
    if category[0] == "C" or category in ("Zl", "Zp"):
        return "\ufffd"
    if "\ufe00" <= ch <= "\ufe0f" or code >= 0xE0000:
        return ""
    return ch


def shorten(text: str, width: int) -> str:
    """The text in at most `width` characters, cut in the middle so that both ends stay readable."""
    if len(text) <= width:
        return text
    if width <= 1:
        return _ELLIPSIS[:width]
    head = (width - 1) // 2
    return text[:head] + _ELLIPSIS + text[len(text) - (width - 1 - head) :]
