"""Every key, once: the bindings, the footer, the help screen and the README are made from this table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from textual.binding import Binding

ROOMS = {
    "everywhere": "Everywhere",
    "overview": "Overview",
    "layers": "Layers",
    "metrics": "Metrics",
    "findings": "Findings",
    "system": "System",
    "log": "Log",
    "runs": "Runs",
    "sheet": "Help and checklist",
    "commands": "Commands",
}
"""Where a key holds, and what the help screen calls that place."""


@dataclass(frozen=True, slots=True)
class Key:
    """One row of the table."""

    room: str
    """A key of `ROOMS`."""
    keys: str
    """Textual's names, separated by commas."""
    shown: str
    """As the footer and the help screen print it."""
    action: str
    label: str
    """One or two words for the footer; empty: help screen only."""
    help: str
    """What it does, as a phrase."""

    @property
    def id(self) -> str:
        """The name by which `[keys]` in gradtop.toml binds it anew: `overview.zoom`, and `overview.zoom_back`."""
        return f"{self.room}.{_name(self.action)}"


def _name(action: str) -> str:
    """What an action does, as one word."""
    verb, _, rest = action.partition("(")
    verb, argument = verb.rpartition(".")[2], rest.removesuffix(")")
    if not argument:
        return verb
    if argument.startswith("'"):
        word = argument.strip("'")
        return word if verb == "room" else f"{verb}_{word}"
    numbers = [float(number) for number in argument.split(",")]
    if len(numbers) == 2:
        return f"{verb}_{_WAYS[numbers[0], numbers[1]]}"
    verb = f"{verb}_far" if abs(numbers[0]) > 2 else verb
    return verb if numbers[0] >= 1 else f"{verb}_back"


_WAYS: dict[tuple[float, float], str] = {(1, 0): "right", (-1, 0): "left", (0, 1): "down", (0, -1): "up"}


TABLE = (
    Key("everywhere", "1", "1", "app.room('overview')", "Overview", "the verdict and the curves"),
    Key("everywhere", "2", "2", "app.room('layers')", "Layers", "every layer over all steps"),
    Key("everywhere", "3", "3", "app.room('metrics')", "Metrics", "every metric as a chart, and marked runs over it"),
    Key("everywhere", "4", "4", "app.room('findings')", "Findings", "all findings; acknowledge them, mute kinds"),
    Key("everywhere", "5", "5", "app.room('system')", "System", "GPUs, the training process and the host"),
    Key("everywhere", "6", "6", "app.room('log')", "Log", "the text of the run's files"),
    Key("everywhere", "r", "r", "app.room('runs')", "runs", "all runs that were found"),
    Key(
        "everywhere",
        "c",
        "c",
        "app.room('checklist')",
        "checklist",
        "the reasons to act, and what would change the verdict",
    ),
    Key("everywhere", "space", "space", "app.pause", "pause", "stop adopting new data; collecting goes on"),
    Key("everywhere", "t", "t", "app.next_theme", "", "other colours: dark, light, colour-blind safe, high contrast"),
    Key("everywhere", "p", "p", "app.picture", "", "save the screen as a picture (SVG) in the current directory"),
    Key("everywhere", "colon,ctrl+p", ":", "app.commands", "", "everything that can be done, by name"),
    Key("everywhere", "escape", "esc", "app.back", "", "back: leave the full screen, the cursor, the room"),
    Key("everywhere", "question_mark", "?", "app.room('help')", "help", "all keys"),
    Key("everywhere", "q,ctrl+c", "q", "app.quit", "quit", "leave gradtop"),
    Key("everywhere", "ctrl+z", "ctrl+z", "app.suspend_process", "", "suspend; `fg` comes back"),
    Key("overview", "tab", "tab", "screen.next_panel(1)", "panel", "next panel"),
    Key("overview", "shift+tab", "shift+tab", "screen.next_panel(-1)", "", "previous panel"),
    Key("overview", "enter", "enter", "screen.full", "full", "this panel on the whole screen, and back"),
    Key("overview", "y", "y", "screen.axis", "log/lin", "y axis: log, linear, symlog where values are 0 or less"),
    Key("overview", "x", "x", "screen.across", "x axis", "x axis of all charts: steps, time, epochs"),
    Key(
        "overview",
        "s",
        "s",
        "screen.smooth",
        "smooth",
        "smoothed line (EMA over so many rows) over the raw data, on or off",
    ),
    Key("overview", "plus,equals_sign", "+", "screen.zoom(2)", "zoom", "zoom in on the cursor, or on the newest steps"),
    Key("overview", "minus", "-", "screen.zoom(0.5)", "", "zoom out"),
    Key("overview", "0", "0", "screen.reset", "", "the whole run again"),
    Key("overview", "left", "←", "screen.cursor(-1)", "", "cursor one column back"),
    Key("overview", "right", "→", "screen.cursor(1)", "", "cursor one column on"),
    Key("overview", "shift+left", "shift+←", "screen.cursor(-10)", "", "cursor ten columns back"),
    Key("overview", "shift+right", "shift+→", "screen.cursor(10)", "", "cursor ten columns on"),
    Key("overview", "h", "h", "screen.pan(-1)", "", "a quarter of the window back"),
    Key("overview", "l", "l", "screen.pan(1)", "", "a quarter of the window on"),
    Key("overview", "g", "g", "screen.cursor_to('first')", "", "cursor to the first step"),
    Key("overview", "G", "G", "screen.cursor_to('last')", "", "cursor to the newest step"),
    Key("overview", "n", "n", "screen.mark(1)", "", "cursor to the next mark: finding or resume"),
    Key("overview", "N", "N", "screen.mark(-1)", "", "cursor to the previous mark"),
    Key("overview", "L", "L", "screen.jump('log')", "", "the line of the log at the cursor, or the newest"),
    Key("overview", "Y", "Y", "screen.copy", "", "copy the value under the cursor, or the newest one"),
    Key("layers", "down,j", "↓", "screen.move(1)", "", "next layer"),
    Key("layers", "up,k", "↑", "screen.move(-1)", "", "previous layer"),
    Key("layers", "right,l", "→", "screen.step(1)", "", "one cell on: later steps"),
    Key("layers", "left,h", "←", "screen.step(-1)", "", "one cell back: earlier steps"),
    Key("layers", "end", "end", "screen.step(1000000)", "", "to the newest step, and follow it"),
    Key("layers", "home", "home", "screen.step(-1000000)", "", "to the first step"),
    Key("layers", "pagedown", "pgdn", "screen.page(1)", "", "one page of layers down"),
    Key("layers", "pageup", "pgup", "screen.page(-1)", "", "one page of layers up"),
    Key("layers", "g", "g", "screen.move(-1000000)", "", "the first layer"),
    Key("layers", "G", "G", "screen.move(1000000)", "", "the last layer"),
    Key("layers", "enter", "enter", "screen.full", "layer", "one layer in full: curve, numbers, findings; and back"),
    Key(
        "layers", "v", "v", "screen.family(1)", "measure", "next measure: grad norm, weight norm, update ratio, others"
    ),
    Key("layers", "V", "V", "screen.family(-1)", "", "previous measure"),
    Key("layers", "o", "o", "screen.order", "order", "by depth, worst first, by name"),
    Key("layers", "slash", "/", "screen.filter", "filter", "show some: a b, a | b, !a, /re/"),
    Key("layers", "left_square_bracket", "[", "screen.fold", "fold", "fold the module around this layer into one line"),
    Key("layers", "right_square_bracket", "]", "screen.unfold", "unfold", "open this module"),
    Key("layers", "left_curly_bracket", "{", "screen.fold_all", "", "fold every block into one line"),
    Key("layers", "right_curly_bracket", "}", "screen.unfold_all", "", "open every module"),
    Key("layers", "plus,equals_sign", "+", "screen.zoom(2)", "zoom", "zoom in on the cursor"),
    Key("layers", "minus", "-", "screen.zoom(0.5)", "", "zoom out"),
    Key("layers", "0", "0", "screen.reset", "", "the whole run and the newest step again"),
    Key("metrics", "tab", "tab", "screen.next_panel(1)", "", "next chart"),
    Key("metrics", "shift+tab", "shift+tab", "screen.next_panel(-1)", "", "previous chart"),
    Key("metrics", "right,l", "→", "screen.walk('right')", "", "the chart on the right; in full screen, the cursor on"),
    Key("metrics", "left,h", "←", "screen.walk('left')", "", "the chart on the left; in full screen, the cursor back"),
    Key("metrics", "down,j", "↓", "screen.walk('down')", "", "the chart below; in full screen, the next one"),
    Key("metrics", "up,k", "↑", "screen.walk('up')", "", "the chart above; in full screen, the previous one"),
    Key("metrics", "pagedown", "pgdn", "screen.page(1)", "page", "next page of charts"),
    Key("metrics", "pageup", "pgup", "screen.page(-1)", "", "previous page of charts"),
    Key("metrics", "g,home", "g", "screen.first", "", "the first chart"),
    Key("metrics", "G,end", "G", "screen.last", "", "the last chart"),
    Key("metrics", "enter", "enter", "screen.full", "full", "this chart on the whole screen, and back"),
    Key("metrics", "slash", "/", "screen.filter", "filter", "show some: a b, a | b, !a, /re/, two words in quotes"),
    Key("metrics", "left_square_bracket", "[", "screen.density(-1)", "larger", "fewer and larger charts"),
    Key("metrics", "right_square_bracket", "]", "screen.density(1)", "smaller", "more and smaller charts"),
    Key("metrics", "y", "y", "screen.axis", "log/lin", "y axis: log, linear, symlog where values are 0 or less"),
    Key("metrics", "x", "x", "screen.across", "x axis", "x axis of all charts: steps, time, epochs"),
    Key(
        "metrics",
        "s",
        "s",
        "screen.smooth",
        "smooth",
        "smoothed line (EMA over so many rows) over the raw data, on or off",
    ),
    Key("metrics", "plus,equals_sign", "+", "screen.zoom(2)", "zoom", "zoom in on the cursor, or on the newest steps"),
    Key("metrics", "minus", "-", "screen.zoom(0.5)", "", "zoom out"),
    Key("metrics", "0", "0", "screen.reset", "", "the whole run again"),
    Key("metrics", "full_stop", ".", "screen.cursor(1)", "", "cursor one column on, in all charts"),
    Key("metrics", "comma", ",", "screen.cursor(-1)", "", "cursor one column back"),
    Key("metrics", "shift+right", "shift+→", "screen.cursor(10)", "", "cursor ten columns on"),
    Key("metrics", "shift+left", "shift+←", "screen.cursor(-10)", "", "cursor ten columns back"),
    Key("metrics", "greater_than_sign", ">", "screen.pan(1)", "", "a quarter of the window on"),
    Key("metrics", "less_than_sign", "<", "screen.pan(-1)", "", "a quarter of the window back"),
    Key("metrics", "n", "n", "screen.mark(1)", "", "cursor to the next mark: finding or resume"),
    Key("metrics", "N", "N", "screen.mark(-1)", "", "cursor to the previous mark"),
    Key("metrics", "Y", "Y", "screen.copy", "", "copy the value under the cursor, or the newest one"),
    Key("metrics", "L", "L", "screen.jump('log')", "", "the line of the log at the cursor, or the newest"),
    Key("findings", "down,j", "↓", "screen.move(1)", "", "next finding"),
    Key("findings", "up,k", "↑", "screen.move(-1)", "", "previous finding"),
    Key("findings", "g,home", "g", "screen.first", "", "the first finding"),
    Key("findings", "G,end", "G", "screen.last", "", "the last row: what the log cannot tell"),
    Key("findings", "pagedown", "pgdn", "screen.page(1)", "", "the rest of this finding"),
    Key("findings", "pageup", "pgup", "screen.page(-1)", "", "back to the start of this finding"),
    Key(
        "findings",
        "a",
        "a",
        "screen.acknowledge",
        "acknowledge",
        "this finding is known: it counts again if it gets worse",
    ),
    Key(
        "findings", "m", "m", "screen.mute", "mute", "findings of this kind do not count in this directory, or do again"
    ),
    Key("findings", "enter", "enter", "screen.open", "chart", "this finding in the charts; several in one row: unfold"),
    Key("findings", "L", "L", "screen.jump('log')", "log", "the line of the log that tells of this finding"),
    Key("findings", "o", "o", "screen.order", "order", "the worst first, or the newest"),
    Key("findings", "Y", "Y", "screen.copy", "copy", "copy this finding as text, to the terminal's clipboard"),
    Key("system", "tab", "tab", "screen.next_panel(1)", "panel", "next panel: GPU, process, host"),
    Key("system", "shift+tab", "shift+tab", "screen.next_panel(-1)", "", "previous panel"),
    Key(
        "system",
        "enter",
        "enter",
        "screen.full",
        "full",
        "this panel, or the selected GPU, on the whole screen; and back",
    ),
    Key("system", "down,j", "↓", "screen.move(1)", "", "next GPU; in the other panels one line down"),
    Key("system", "up,k", "↑", "screen.move(-1)", "", "previous GPU; in the other panels one line up"),
    Key("system", "g,home", "g", "screen.first", "", "the first GPU, or the top of the panel"),
    Key("system", "G,end", "G", "screen.last", "", "the last GPU, or the end of the panel"),
    Key("system", "pagedown", "pgdn", "screen.page(1)", "", "the rest of the panel, or of the list"),
    Key("system", "pageup", "pgup", "screen.page(-1)", "", "back to the start of the panel, or of the list"),
    Key("system", "v", "v", "screen.whose", "", "what was recorded beside the run, or this machine now"),
    Key("log", "down,j", "↓", "screen.scroll_lines(1)", "", "one line down"),
    Key("log", "up,k", "↑", "screen.scroll_lines(-1)", "", "one line up"),
    Key("log", "pagedown", "pgdn", "screen.scroll_pages(1)", "", "one page down"),
    Key("log", "pageup", "pgup", "screen.scroll_pages(-1)", "", "one page up"),
    Key("log", "right,l", "→", "screen.shift(1)", "", "the rest of long lines"),
    Key("log", "left,h", "←", "screen.shift(-1)", "", "back to the start of long lines"),
    Key("log", "g,home", "g", "screen.first", "first", "the first line"),
    Key("log", "G,end", "G", "screen.last", "follow", "the last line, and follow what is written"),
    Key("log", "slash", "/", "screen.search", "search", "search for text"),
    Key("log", "n", "n", "screen.next_match(1)", "next", "next match"),
    Key("log", "N", "N", "screen.next_match(-1)", "", "previous match"),
    Key("log", "enter", "enter", "screen.jump('overview')", "chart", "the step of the marked line in the charts"),
    Key("log", "number_sign", "#", "screen.numbers", "", "line numbers, on or off"),
    Key("log", "tab", "tab", "screen.next_source", "source", "next file of the run"),
    Key("runs", "down,j", "↓", "screen.move(1)", "", "next run"),
    Key("runs", "up,k", "↑", "screen.move(-1)", "", "previous run"),
    Key("runs", "pagedown", "pgdn", "screen.page(1)", "", "one page down"),
    Key("runs", "pageup", "pgup", "screen.page(-1)", "", "one page up"),
    Key("runs", "g,home", "g", "screen.first", "", "the first run of the list"),
    Key("runs", "G,end", "G", "screen.last", "", "the last run of the list"),
    Key("runs", "enter", "enter", "screen.open", "open", "open this run on the Overview"),
    Key("runs", "x", "x", "screen.mark", "compare", "draw this run over the open one in every chart, or not any more"),
    Key("runs", "X", "X", "screen.unmark", "", "draw no run over the open one"),
    Key("runs", "slash", "/", "screen.filter", "filter", "show some: a b, a | b, !a, /re/, state:live, verdict:watch"),
    Key("runs", "o", "o", "screen.sort", "order", "sort by newest, name, state, verdict, loss, steps"),
    Key("runs", "O", "O", "screen.turn", "", "sort the other way round"),
    Key("sheet", "down,j", "↓", "screen.move(1)", "", "one line down"),
    Key("sheet", "up,k", "↑", "screen.move(-1)", "", "one line up"),
    Key("sheet", "pagedown", "pgdn", "screen.page(1)", "", "one page down"),
    Key("sheet", "pageup", "pgup", "screen.page(-1)", "", "one page up"),
    Key("sheet", "g,home", "g", "screen.first", "", "to the top"),
    Key("sheet", "G,end", "G", "screen.last", "", "to the end"),
    Key("commands", "down", "↓", "screen.move(1)", "", "next command; enter does it"),
    Key("commands", "up", "↑", "screen.move(-1)", "", "previous command"),
    Key("commands", "pagedown", "pgdn", "screen.page(1)", "", "one page down"),
    Key("commands", "pageup", "pgup", "screen.page(-1)", "", "one page up"),
)
"""All keys. Nothing is bound that does not work."""


Table = Sequence[Key]
"""All keys as they are bound: `TABLE`, or what the user made of it."""
_NUMBERED = frozenset(key.id for key in TABLE if key.room == "everywhere" and key.keys.isdigit())


def bindings(room: str) -> list[Binding]:
    """What Textual binds in a room."""
    return [Binding(k.keys, k.action, k.label, show=False, id=k.id, tooltip=k.help) for k in TABLE if k.room == room]


@dataclass(frozen=True, slots=True)
class Hints:
    """What a footer says, as (key, label), the most needed first."""

    rooms: tuple[tuple[str, str], ...]
    """The numbered rooms."""
    here: str
    """The label of the one on the screen; empty in the others."""
    others: tuple[tuple[str, str], ...]
    ways_out: tuple[tuple[str, str], ...]
    """Help and quit, which stay at any width."""


def hints(room: str, table: Table = TABLE) -> Hints:
    """The footer of a room: the rooms, its own keys, then those that hold everywhere."""
    numbered = [key for key in table if key.id in _NUMBERED]
    own = [key for key in table if key.room == room != "everywhere"]
    *general, help_key, quit_key = (k for k in table if k.room == "everywhere" and k.label and k not in numbered)
    here = next((key.label for key in numbered if key.id == f"everywhere.{room}"), "")
    ordered = (*general[:1], *own, *general[1:])
    return Hints(_pairs(numbered), here, _pairs(ordered), _pairs((help_key, quit_key)))


def _pairs(table: Iterable[Key]) -> tuple[tuple[str, str], ...]:
    return tuple((key.shown, key.label) for key in table if key.label)


def rooms(table: Table = TABLE) -> Iterable[tuple[str, list[Key]]]:
    """(title, keys) of every place."""
    return ((title, [k for k in table if k.room == room]) for room, title in ROOMS.items())


def _cells(key: Key) -> str:
    shown, help = (text.replace("|", r"\|") for text in (key.shown, key.help))
    return f"| `{shown}` | {help} | `{key.id}` |"


def markdown() -> str:
    """The table for the README."""
    lines: list[str] = []
    for title, keys in rooms():
        lines += [f"| {title} | | |", "|---|---|---|", *map(_cells, keys), ""]
    return "\n".join(lines)
