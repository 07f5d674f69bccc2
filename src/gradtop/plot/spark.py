"""A series in one row of text."""

from gradtop.plot.picture import ASCII, BRAILLE, Columns

SPARKS = "▁▂▃▄▅▆▇█"
ASCII_SPARKS = "_.-~=+*#"


def sparkline(data: Columns, ascii_only: bool = False) -> str:
    """The means of all columns as bars: a space where a column is empty, ✕ (X) where it was not finite."""
    sparks = ASCII_SPARKS if ascii_only else SPARKS
    seen = [mean for mean in data.mean if mean == mean]
    low, high = min(seen, default=0.0), max(seen, default=0.0)
    out: list[str] = []
    for mean, nan, inf in zip(data.mean, data.nan, data.inf, strict=True):
        if nan or inf:
            out.append((ASCII if ascii_only else BRAILLE).nonfinite)
        elif mean != mean:
            out.append(" ")
        else:
            part = (mean / 2 - low / 2) / (high / 2 - low / 2) if high > low else 0.0
            out.append(sparks[min(len(sparks) - 1, int(part * len(sparks)))])
    return "".join(out)
