"""The answer, in a box."""

from rich.cells import cell_len

from gradtop.ui.cells import shorten, wrap
from gradtop.ui.widgets import box
from gradtop.ui.widgets.canvas import Canvas, Row
from gradtop.view import Banner as BannerView
from gradtop.view.entry import MARKS

_INKS: dict[bool | None, str] = {True: "watch", False: "quiet", None: "unknown"}


class Banner(Canvas):
    """The verdict of the run: one of four words in one of four colours, and why."""

    rows = 0
    """Its height."""

    def show(self, view: BannerView, most: int) -> None:
        """Show the verdict in at most `most` rows, the frame included."""
        composed_rows = composed(view, self.app.size.width, most)
        if len(composed_rows) != self.rows:
            self.rows = len(composed_rows)
            self.styles.height = self.rows
        self.paint(composed_rows)


ROOMY = 8
"""Rows from which on the criteria have one of their own, with their names; in fewer they stand on the frame."""


def composed(view: BannerView, width: int, most: int) -> list[Row]:
    """The rows of a banner in its frame: why, the criteria, what to do next; the why is cut last."""
    inner = max(8, width - 4)
    text = [line for sentence in view.lines for line in wrap(sentence, inner)]
    checks = _criteria(view, inner) if most >= ROOMY else ()
    next_step = wrap(f"Next: {view.next_step}", inner) if view.next_step else []
    room = max(1, most - 2)
    headline = len(wrap(view.lines[0], inner)) if view.lines else 0
    kept = _shares(room, headline, len(text), 1 if checks else 0, len(next_step))
    rows: list[Row] = [((line, "plain"),) for line in _cut(text, kept[0], inner)]
    rows += [checks] if kept[1] and checks else []
    rows += [((line, "name"),) for line in _cut(next_step, kept[2], inner)]
    ink = view.tone.value
    framed = [box.side(((" ", "plain"), *row), width, ink) for row in rows]
    return [_top(view, width, named=bool(checks)), *framed, box.bottom(width, ink)]


def _top(view: BannerView, width: int, *, named: bool) -> Row:
    """The verdict on the frame, with the criteria where they have no row."""
    ink = view.tone.value
    word = view.word if len(view.word) <= width - 8 else view.word[: max(1, width - 8)]
    title: Row = ((f" {word} ", f"{ink} word"),) if ink in ("watch", "act") else ((word, f"{ink} word"),)
    if named or not view.count:
        return box.top(title, width, ink)
    hint: Row = ((" c", "key"), (" checklist ", "quiet")) if view.more else ()
    marks: Row = ((" ", "plain"), *((MARKS[met], _INKS[met]) for met, _ in view.criteria))
    few = view.count.partition(" reasons")[0]
    for count, signs, end in ((view.count, marks, hint), (view.count, marks, ()), (few, marks, ()), (few, (), ())):
        row: Row = (*title, (" ─ ", ink), (count, "plain"), *signs)
        if box.width_of(row) + box.width_of(end) <= width - 6:
            return box.top(row, width, ink, end)
    return box.top(title, width, ink)


def _shares(room: int, headline: int, text: int, checks: int, next_step: int) -> tuple[int, int, int]:
    """Rows for each: one for everything first, two of the headline, then what to do next in full, and all else."""
    got = [min(1, text), 0, 0]
    wants = ((2, min(1, next_step)), (1, checks), (0, min(2, headline)), (2, next_step), (0, headline), (0, text))
    for i, want in wants:
        got[i] += min(max(0, want - got[i]), room - sum(got))
    return got[0], got[1], got[2]


def _cut(lines: list[str], most: int, width: int) -> list[str]:
    if len(lines) <= most or most < 1:
        return lines[:most]
    rest = " ".join(lines[most - 1 :])
    return [*lines[: most - 1], rest if cell_len(rest) <= width else box.fit_end(rest, width)]


def _criteria(view: BannerView, width: int) -> Row:
    if not view.count:
        return ()
    hint: Row = (("c", "key"), (" checklist", "quiet")) if view.more else ()
    names: Row = tuple((f"  {MARKS[met]} {name}", _INKS[met]) for met, name in view.criteria)
    marks: Row = ((" ", "plain"), *((MARKS[met], _INKS[met]) for met, _ in view.criteria))
    full, few = f"{view.count}:", view.count.partition(" reasons")[0] + ":"
    for count, checks, end in ((full, names, hint), (few, names, hint), (few, names, ()), (view.count, marks, hint)):
        row: Row = ((count, "plain"), *checks)
        gap = width - box.width_of(row) - box.width_of(end)
        if gap >= (3 if end else 0):
            return (*row, (" " * gap, "plain"), *end)
    return ((shorten(view.count, width), "plain"),)
