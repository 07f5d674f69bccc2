"""The text of a run's files, as it was written."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Protocol

from textual.binding import BindingType
from textual.message import Message
from textual.widget import Widget

from gradtop import units
from gradtop.clean import clean
from gradtop.recollection import Memory
from gradtop.snapshot import RunState
from gradtop.sources.peek import LogPage
from gradtop.ui import keys
from gradtop.ui.place import Place
from gradtop.ui.scene import Scene
from gradtop.ui.screens.room import Room
from gradtop.ui.widgets.log import Log, LogText
from gradtop.ui.widgets.prompt import Prompt
from gradtop.view import first_source, line_at, no_line, row_lines, standing, step_at, unread_lines

MOST_LOOKS = 500
"""Looks at a file at most to number the lines of a page."""
SHIFT = 20
"""Characters that one key press moves long lines by."""


class Pages(Protocol):
    """Pages of one file; every call is bounded."""

    def last(self, n: int) -> LogPage:
        """The last lines."""
        ...

    def after(self, offset: int, n: int) -> LogPage:
        """Lines from a line start on."""
        ...

    def before(self, offset: int, n: int) -> LogPage:
        """Lines up to a line start."""
        ...

    def find(self, text: str, offset: int, n: int, forward: bool = True) -> LogPage:
        """Lines from the next match on."""
        ...

    def line(self, number: int, n: int) -> LogPage:
        """Lines around the one with a number."""
        ...


class PageReady(Message):
    """A page was read."""

    def __init__(self, path: Path, page: LogPage, follow: bool) -> None:
        """`follow`: the page is the end of the file and is to stay there."""
        super().__init__()
        self.path = path
        self.page = page
        self.follow = follow


class PageNumbered(Message):
    """The lines before a page were counted, or as many of them as one look may take."""

    def __init__(self, path: Path, start: int, number: int | None) -> None:
        """`number` is that of the line at byte `start`; None: not yet."""
        super().__init__()
        self.path = path
        self.start = start
        self.number = number


class LogRoom(Room):
    """One file of the run at a time, the end of it at first."""

    ROOM: ClassVar[str] = "log"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("log")]
    AUTO_FOCUS = "#log"

    def __init__(
        self, pages: Callable[[Path, int | None], Pages], background: Callable[[Callable[[], object]], object]
    ) -> None:
        """`pages` opens a file up to a byte, `background` runs a read off the event loop."""
        super().__init__()
        self._pages, self._background = pages, background
        self._run_id: str | None = None
        self._source: Path | None = None
        self._path: Path | None = None
        self._limit: int | None = None
        self._read_size: int | None = None
        self._page = LogPage()
        self._follow = True
        self._left = 0
        self._query = ""
        self._numbers = True
        self._looks = 0
        self._target: int | None = None
        self._told = self._said = ""

    def furniture(self) -> list[Widget]:
        """The text and the search prompt."""
        return [Log(id="log"), Prompt()]

    @property
    def _rows(self) -> int:
        return self.query_one(Log).page_rows

    def show_scene(self, scene: Scene) -> None:
        """Open the run's file; while following, read its end again when it grew."""
        sources = scene.run.sources if scene.run is not None else ()
        run_id = scene.run.id if scene.run is not None else None
        if run_id != self._run_id:
            self._run_id, self._source = run_id, None
        status = next((source for source in sources if source.path == self._source), None)
        if status is None and sources:
            status = sources[first_source(sources)]
            self._source = status.path
        path = status.path if status is not None else scene.run.path if scene.run is not None else None
        if path != self._path:
            self._path, self._read_size, self._page, self._follow, self._left = path, None, LogPage(), True, 0
            self._target, self._told, self._said = None, "", ""
        size = status.size if status is not None else 0
        # The text goes as far as the curves do: a replay has not written the rest of its file yet.
        self._limit = size if status is not None and not status.problem else None
        if self._follow and size != self._read_size:
            self._read_size = size
            self.action_last()
        self._show_page()

    def on_resize(self) -> None:
        """Read as many lines as there is room for now."""
        if self._path is not None and self.standing:
            self._again()

    def _again(self) -> None:
        if self._follow:
            self.action_last()
        elif self._target is not None:
            self._seek(self._target)
        else:
            start, n = self._page.start, self._rows
            self._read(lambda pages: _full(pages, start, n))

    def _read(self, read: Callable[[Pages], LogPage], follow: bool = False) -> None:
        self._target, self._said = None, ""
        if self._path is not None:
            self._background(partial(self._deliver, self._path, self._limit, read, follow))

    def _seek(self, line: int) -> None:
        n = self._rows
        self._read(lambda pages: pages.line(line, n))
        self._target, self._follow = line, False

    def _deliver(self, path: Path, limit: int | None, read: Callable[[Pages], LogPage], follow: bool) -> None:
        self.post_message(PageReady(path, read(self._pages(path, limit)), follow))

    def on_page_ready(self, message: PageReady) -> None:
        """Show a page that was read for the file that is still open."""
        if message.path != self._path or not self.standing:
            return
        page = message.page
        # A search without a match keeps the page and says so; a file that cannot be read has nothing to keep.
        if page.lines or not self._page.lines or not page.size:
            self._page, self._follow = page, message.follow
        else:
            kept = self._page
            self._page = replace(kept, size=page.size, problem=page.problem)
        self._show_page()

        self._count(MOST_LOOKS)

    def on_page_numbered(self, message: PageNumbered) -> None:
        """Number the lines of the page, where it is still the same, or go on counting."""
        if message.path != self._path or message.start != self._page.start or not self.standing:
            return
        if message.number is None:
            self._count(self._looks - 1)
        else:
            self._page = replace(self._page, number=message.number)
            self._show_page()

    def _count(self, looks: int) -> None:
        """Count the lines before the page in the background, which takes several looks in a large file."""
        self._looks, path, start = looks, self._path, self._page.start
        if self._numbers and path is not None and self._page.lines and self._page.number is None and looks > 0:
            self._background(partial(self._number, path, self._limit, start))

    def _number(self, path: Path, limit: int | None, start: int) -> None:
        self.post_message(PageNumbered(path, start, self._pages(path, limit).after(start, 1).number))

    def _show_page(self) -> None:
        page = self._page
        name = clean(str(self._path), 500) if self._path is not None else "no file"
        first = page.number if self._numbers else None
        text = LogText(
            name,
            self._note(page),
            self._texts(page),
            self._query,
            self._found,
            self._left,
            first,
            self._read_rows(page),
            frozenset(self._unread(page)),
        )
        self.query_one(Log).show(text)

    @property
    def _found(self) -> int | None:
        """The place of the line that a search, a jump or a click led to."""
        page = self._page
        return next((i for i, line in enumerate(page.lines) if line.offset == page.found), None)

    def _read_rows(self, page: LogPage) -> frozenset[int]:
        """The places of the lines that gave a row."""
        run = self.scene.run if self.scene is not None else None
        if page.number is None or not page.lines:
            return frozenset()
        rows = row_lines(run, self._path, page.number, page.number + len(page.lines) - 1)
        return frozenset(line - page.number for line in rows)

    def _unread(self, page: LogPage) -> dict[int, str]:
        """Why lines were rejected, by their places."""
        run = self.scene.run if self.scene is not None else None
        if page.number is None or not page.lines:
            return {}
        lines = unread_lines(run, self._path, page.number, page.number + len(page.lines) - 1)
        return {line - page.number: why for line, why in lines.items()}

    def _texts(self, page: LogPage) -> list[str]:
        """The lines as they are shown; of the one that a search led to, what was searched for is in sight."""
        return [clean(standing(line.text, self._query if line.offset == page.found else "")) for line in page.lines]

    def _note(self, page: LogPage) -> str:
        if self._said or page.problem:
            return clean(self._said or page.problem, 300)
        if not page.size:
            run = self.scene.run if self.scene is not None else None
            return "reading" if run is not None and run.state is RunState.LOADING else "empty"
        place = "end, following" if self._follow else f"{units.percent(page.stop / page.size)} of {page.size:,} bytes"
        shift = f" · from character {self._left + 1}" if self._left else ""
        told = f"{self._told} · " if self._told and self._found is not None else ""
        unread = self._unread(page)
        # Of several the marked one, else the last.
        why = unread.get(self._found if self._found is not None else -1) or next(reversed(unread.values()), "")
        return told + place + shift + (f" · ! not read: {why}" if why else "")

    def arrive(self, place: Place) -> None:
        """Show the line of a step, or a line itself."""
        run = self.scene.run if self.scene is not None else None
        at = line_at(run, place.step) if place.line is None and place.step is not None else None
        path, line = (at.path, at.line) if at is not None else (place.path or self._first, place.line)
        if run is None or self.scene is None or line is None:
            self._say(no_line(run))
            return
        if path is not None and path != self._source:
            self._source = path
            self.show_scene(self.scene)
        self._told = at.note if at is not None else f"line {line:,}"
        self._seek(line)

    @property
    def _first(self) -> Path | None:
        """The file that people read: a line of no file in particular is one of it."""
        sources = self.scene.run.sources if self.scene is not None and self.scene.run is not None else ()
        return sources[first_source(sources)].path if sources else None

    def here(self) -> Place | None:
        """The step of the marked line, or of the last one in sight that has one."""
        run, page = self.scene.run if self.scene is not None else None, self._page
        if page.number is None or not page.lines:
            self._say("its lines are not counted yet" if page.lines else "there is no line to go from")
            return None
        place = self._found if self._found is not None else max(self._read_rows(page), default=len(page.lines) - 1)
        step = step_at(run, self._path, page.number + place)
        if step is None:
            self._say("no step is known of this line")
        return Place(step=step.step) if step is not None else None

    def _say(self, what: str) -> None:
        """Tell why a key did nothing, until another one does something."""
        self._said = what
        self._show_page()

    def on_log_clicked(self, message: Log.Clicked) -> None:
        """Mark a line."""
        lines = self._page.lines
        if message.index < len(lines):
            self._page = replace(self._page, found=lines[message.index].offset, problem="")
            self._target, self._follow, self._told, self._said = None, False, "", ""
            self._show_page()

    def action_numbers(self) -> None:
        """Line numbers, or more room for the lines."""
        self._numbers = not self._numbers
        self._show_page()
        self._count(MOST_LOOKS)

    def memory(self) -> dict[str, str | float | bool | None]:
        """Whether lines have numbers."""
        return {"numbers": self._numbers}

    def recall(self, memory: Memory) -> None:
        """Take that up again."""
        self._numbers = memory.get("numbers") is not False

    def action_scroll_lines(self, lines: int) -> None:
        """Scroll by lines."""
        page, n = self._page, self._rows
        if lines > 0 and page.stop < page.size and len(page.lines) > lines:
            self._read(lambda pages: _full(pages, page.lines[lines].offset, n))
        elif lines > 0:
            self.action_last()
        elif page.start > 0:
            self._read(lambda pages: pages.after(pages.before(page.start, -lines).start, n))

    def action_scroll_pages(self, direction: int) -> None:
        """Scroll by pages, one line kept in sight."""
        self.action_scroll_lines(direction * max(1, self._rows - 1))

    def action_shift(self, direction: int) -> None:
        """Show what lies beyond the right edge."""
        longest = max(map(len, self._texts(self._page)), default=0)
        self._left = max(0, min(self._left + direction * SHIFT, longest - 1))
        self._show_page()

    def action_first(self) -> None:
        """The first line."""
        n = self._rows
        self._read(lambda pages: pages.after(0, n))

    def action_last(self) -> None:
        """The last line, and stay there."""
        n = self._rows
        self._read(lambda pages: pages.last(n), follow=True)

    def action_next_source(self) -> None:
        """The next file of the run."""
        sources = self.scene.run.sources if self.scene is not None and self.scene.run is not None else ()
        paths = [source.path for source in sources]
        if self.scene is not None and self._source in paths:
            self._source = paths[(paths.index(self._source) + 1) % len(paths)]
            self.show_scene(self.scene)

    def action_search(self) -> None:
        """Type what to look for."""
        self.query_one(Prompt).open()

    def on_input_submitted(self, message: Prompt.Submitted) -> None:
        """Look for it, backwards from the end while following, else forwards."""
        self.query_one(Prompt).close(self.query_one(Log))
        self._query = message.value
        self._search(forward=not self._follow, offset=self._page.stop if self._follow else self._page.start)

    def on_prompt_closed(self) -> None:
        """Back to the text."""
        self.query_one(Prompt).close(self.query_one(Log))

    def action_next_match(self, direction: int) -> None:
        """The next match down the file, or up."""
        at = self._page.found if self._page.found is not None else self._page.start
        self._search(forward=direction > 0, offset=at)

    def _search(self, forward: bool, offset: int) -> None:
        query, n = self._query, self._rows
        if query:
            self._read(lambda pages: pages.find(query, offset, n, forward))
        else:
            self._show_page()


def _full(pages: Pages, offset: int, n: int) -> LogPage:
    """`n` lines from `offset` on, or the last `n` where fewer are left."""
    page = pages.after(offset, n)
    return pages.last(n) if len(page.lines) < n and page.stop >= page.size else page
