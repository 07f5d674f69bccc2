"""The keys of a room in one line, and the settings that are not as usual; for a moment, what was done."""

from collections.abc import Sequence

from textual.timer import Timer

from gradtop.ui.cells import shorten, width_of
from gradtop.ui.keys import Hints
from gradtop.ui.widgets.box import cropped
from gradtop.ui.widgets.canvas import Canvas, Row

NOTICE_S = 4.0
"""Seconds for which it stays what was done."""
_Pairs = Sequence[tuple[str, str]]


class Footer(Canvas):
    """One line. Where there is no room, the numbered rooms become one word and the last of the other keys go."""

    def __init__(self, hints: Hints, *, id: str | None = None) -> None:
        """`hints` are the keys of its room."""
        super().__init__(id=id)
        self._hints = hints
        self._state: Sequence[str] = ()
        self._notice = ""
        self._forgetting: Timer | None = None

    def show(self, state: Sequence[str]) -> None:
        """Show settings, as a word or two each; clean."""
        if state != self._state:
            self._state = state
            self.on_resize()

    def tell(self, done: str) -> None:
        """Show what was done for `NOTICE_S` seconds; clean."""
        self._notice = done
        if self._forgetting is not None:
            self._forgetting.stop()
        self._forgetting = self.set_timer(NOTICE_S, self.forget)
        self.on_resize()

    def forget(self) -> None:
        """Show the keys again."""
        self._notice = ""
        self.on_resize()

    def on_resize(self) -> None:
        """Fit the keys."""
        width = self.size.width
        if self._notice:
            self.paint([cropped(((f" {shorten(self._notice, width - 2)} ", "notice"),), width)])
        else:
            self.paint([cropped(fitted(self._hints, self._state, width), width)])


def fitted(hints: Hints, state: Sequence[str], width: int) -> Row:
    """Keys at the left, settings at the right; help and quit stay, and so do the settings up to half of the line."""
    settings = _settings(state, width // 2)
    room = width - width_of(settings)
    for rooms in (_rooms(hints), _together(hints)):
        kept = list(hints.others)
        while kept and width_of(rooms + _row([*kept, *hints.ways_out])) > room:
            kept.pop()
        row = rooms + _row([*kept, *hints.ways_out])
        # Better few words for the rooms than no key of this one.
        if width_of(row) <= room and len(kept) >= min(3, len(hints.others)):
            break
    else:
        row = row if width_of(row) <= room else _row(hints.ways_out)
    gap = max(0, width - width_of(row) - width_of(settings))
    return (*row, (" " * gap, "plain"), *settings) if settings and width_of(row) + width_of(settings) <= width else row


def _rooms(hints: Hints) -> Row:
    return tuple(
        cell
        for key, label in hints.rooms
        for cell in ((f" {key}", "key"), (f" {label} ", "value" if label == hints.here else "quiet"))
    )


def _together(hints: Hints) -> Row:
    """`1-6 rooms`."""
    names = [key for key, _ in hints.rooms]
    if not names:
        return ()
    short = f"{names[0]}-{names[-1]}" if all(len(name) == 1 for name in names) else "/".join(names)
    return _row([(short, "rooms")])


def _row(pairs: _Pairs) -> Row:
    return tuple(cell for key, label in pairs for cell in ((f" {key}", "key"), (f" {label} ", "quiet")))


def _settings(state: Sequence[str], most: int) -> Row:
    """The last settings go where there is no room for all."""
    kept = list(state)
    while kept and sum(len(text) + 3 for text in kept) > most:
        kept.pop()
    row: list[tuple[str, str]] = []
    for text in kept:
        row += [("· " if row else " ", "quiet"), (f"{text} ", "plain")]
    return tuple(row)
