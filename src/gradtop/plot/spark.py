"""A series in one row of text."""

from collections.abc import Sequence

from gradtop.plot.picture import ASCII, BRAILLE, Columns

SPARKS = "▁▂▃▄▅▆▇█"
ASCII_SPARKS = "_.-~=+*#"


def sparkline(data: Columns, ascii_only: bool = False) -> str:
    """The means of all columns as bars: a space where a column is empty, ✕ (X) where it was not finite.

    One column far above all others, as the first of a loss, does not flatten them: the next one is a full bar as well.
    """
    sparks = ASCII_SPARKS if ascii_only else SPARKS
    low, high = _ends(sorted(mean for mean in data.mean if mean == mean))
    out: list[str] = []
    for mean, nan, inf in zip(data.mean, data.nan, data.inf, strict=True):
        if nan or inf:
            out.append((ASCII if ascii_only else BRAILLE).nonfinite)
        elif mean != mean:
            out.append(" ")
        else:
            part = min(1.0, (mean / 2 - low / 2) / (high / 2 - low / 2)) if high > low else 0.0
            out.append(sparks[min(len(sparks) - 1, int(part * len(sparks)))])
    return "".join(out)


def _ends(rising: Sequence[float]) -> tuple[float, float]:
    """The least and the greatest value that are told apart."""
    if not rising:
        return 0.0, 0.0
    low, high = rising[0], rising[-1]
    second = rising[-2] if len(rising) > 2 else high
    return low, second if high / 2 - low / 2 > second - low > 0 else high
