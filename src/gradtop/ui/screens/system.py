"""The machine beside the curves: its GPUs, the training process, the host. Read only."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.widget import Widget

from gradtop.recollection import Memory
from gradtop.ui import keys
from gradtop.ui.scene import Scene
from gradtop.ui.screens.room import Room
from gradtop.ui.widgets.devices import Devices
from gradtop.ui.widgets.facts import Facts
from gradtop.ui.widgets.note import Note
from gradtop.view.system import SystemView, seen, system

_SIDE_BY_SIDE, _THREE = 100, 170
"""Columns of the screen from which the process and the host stand beside the GPU, and beside each other."""
_OPEN_ROWS = 4
"""Least rows of a panel that is not folded up."""
PANELS = ("gpu", "process", "host")


class SystemRoom(Room):
    """A list of GPUs where there are several, and three panels: the selected GPU, the process, the host."""

    ROOM: ClassVar[str] = "system"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("system")]
    AUTO_FOCUS = ""

    def __init__(self, ascii: bool) -> None:
        """`ascii`: bars and histories in ASCII."""
        super().__init__()
        self._ascii = ascii
        self._view = SystemView()
        self._selected: str | None = None
        self._run_id: str | None = None
        self._live = False
        self._full = False
        self._panel = "gpu"
        self._begin = ""
        self._known: object = None
        self._stood: object = None
        self._wanted: dict[str, int] = {}

    def furniture(self) -> list[Widget]:
        """The list, the panels, and the line below them."""
        gpu, process, host = (Facts(self._ascii, id=name) for name in PANELS)
        panels = Container(gpu, Vertical(process, host, id="beside"), id="panels")
        return [Devices(self._ascii, id="devices"), panels, Note(id="note")]

    def show_scene(self, scene: Scene) -> None:
        """Show the newest samples."""
        if scene.run is not None and scene.run.id != self._run_id:
            # What was selected for another run means nothing here; what was recalled does, once.
            if self._run_id is not None:
                self._selected, self._live = None, False
            self._run_id = scene.run.id
        self._look(scene)

    def show_header(self, scene: Scene) -> None:
        """Say how old the samples are, too: none may come any more."""
        super().show_header(scene)
        if self.scene is scene or self.scene is None:
            return
        self._look(scene)

    def _look(self, scene: Scene) -> None:
        stale, run = 0.0 if scene.paused else scene.stale_s, scene.run
        when = seen(scene.snapshot, run, stale, self._live).when
        of_run = (run.machine, run.id, run.state) if run is not None else None
        known = (scene.snapshot.machine, of_run, self._selected, self._live, when)
        # Rows come in more often than samples.
        if known == self._known:
            return
        self._known = known
        self._view = system(scene.snapshot, scene.run, stale, self._selected, self._live)
        self.query_one(Devices).show(self._view.title, self._view.rows, self._view.selected)
        for name, panel in zip(PANELS, (self._view.gpu, self._view.process, self._view.host), strict=True):
            self.query_one(f"#{name}", Facts).show(panel)
        self.query_one(Note).show(self._view.note)
        self._arrange()

    def on_resize(self) -> None:
        """Choose what there is room for."""
        if self.scene is not None:
            self._arrange()

    @property
    def _listed(self) -> bool:
        """There is a list: one device needs none."""
        return len(self._view.rows) > 1

    def _arrange(self) -> None:
        """Heights and places: the focused panel is open, the others as far as there is room."""
        size, devices = self.app.size, self.query_one(Devices)
        note = self.query_one(Note)
        free = size.height - 2 - (note.styles.height.value if note.display and note.styles.height else 0)
        devices.display = self._listed and not self._full
        listed = self._list_rows(int(free)) if devices.display else 0
        devices.styles.height = listed
        self._place(int(free) - listed, size.width)
        if self.focused is None or not self.focused.display:
            names = (self._begin, "devices", self._panel) if devices.display else (self._panel,)
            self._begin = ""
            self._focus(next(filter(None, names)))

    def _list_rows(self, free: int) -> int:
        """All devices while the keys act on the list, if need be above folded panels; else three fifths of the rows."""
        chosen = not isinstance(self.focused, Facts)
        return min(len(self._view.rows) + 3, max(5, free - len(PANELS) if chosen else free * 3 // 5))

    def _place(self, height: int, width: int) -> None:
        """The three panels in `width` by `height` cells."""
        gpu, process, host = (self.query_one(f"#{name}", Facts) for name in PANELS)
        panels, beside = self.query_one("#panels"), self.query_one("#beside")
        # Without a device there is a line in its place, and no need of a column.
        apart = width >= _SIDE_BY_SIDE and not self._full and bool(self._view.rows)
        three = width >= _THREE and apart
        panels.styles.layout = "horizontal" if apart else "vertical"
        beside.styles.layout = "horizontal" if three else "vertical"
        panels.styles.height = max(1, height)
        shown = {self._panel} if self._full else set(PANELS)
        for name, panel in zip(PANELS, (gpu, process, host), strict=True):
            panel.display = name in shown
        beside.display = bool(shown & {"process", "host"})
        left = width * 11 // 20 if not three else width * 2 // 5
        gpu.styles.width = left if apart else "100%"
        beside.styles.width = "1fr"
        beside.styles.height = "100%" if apart else "auto"
        if self._full:
            (gpu if self._panel == "gpu" else process if self._panel == "process" else host).styles.height = height
        elif three:
            gpu.styles.height = process.styles.height = host.styles.height = height
            process.styles.width = host.styles.width = "1fr"
        elif apart:
            gpu.styles.height = height
            self._stack({"process": process, "host": host}, height, width - left)
        else:
            self._stack({"gpu": gpu, "process": process, "host": host}, height, width)
        if not three:
            process.styles.width = host.styles.width = "100%"

    def _stack(self, stacked: dict[str, Facts], height: int, width: int) -> None:
        names = list(stacked)
        first = names.index(self._panel) if self._panel in names else 0
        place = (names, first, height, width, self._view.selected, self._run_id)
        if place != self._stood:
            self._stood, self._wanted = place, {}
        for name, panel in stacked.items():
            # Lines come and go with the values: what had room keeps it.
            self._wanted[name] = max(self._wanted.get(name, 0), panel.wanted(width))
        heights = shares([self._wanted[name] for name in names], first, height)
        for panel, rows in zip(stacked.values(), heights, strict=True):
            panel.styles.height = rows

    def _focus(self, name: str) -> None:
        if name in PANELS:
            self._panel = name
        self.query_one(f"#{name}").focus()

    def leave(self) -> bool:
        """Out of the full screen."""
        if self._full:
            self.action_full()
            return True
        return False

    def on_devices_moved(self, message: Devices.Moved) -> None:
        """Another GPU in full."""
        self._selected = message.device
        self._again()

    def on_devices_opened(self) -> None:
        """The GPU on the whole screen."""
        self._panel = "gpu"
        self.action_full()

    def on_descendant_focus(self) -> None:
        """Open the panel that got the focus, by mouse too."""
        name = self.focused.id if self.focused is not None else None
        if name in PANELS:
            self._panel = name
        self._arrange()

    def action_move(self, rows: int) -> None:
        """Another GPU; in the other panels, scroll."""
        focused = self.focused
        if isinstance(focused, Facts) and focused.id != "gpu":
            focused.scroll_rows(rows)
        elif self._listed:
            self.query_one(Devices).move(rows)
        elif isinstance(focused, Facts):
            focused.scroll_rows(rows)

    def action_page(self, pages: int) -> None:
        """Scroll the panel, or the list."""
        devices = self.query_one(Devices)
        if isinstance(panel := self.focused, Facts):
            panel.scroll_rows(pages * max(1, panel.page_rows - 1))
        else:
            devices.move(pages * devices.page_rows)

    def action_first(self) -> None:
        """The first GPU, or the top."""
        self.action_move(-(10**9))

    def action_last(self) -> None:
        """The last GPU, or the end."""
        self.action_move(10**9)

    def action_next_panel(self, direction: int) -> None:
        """Focus the next panel, or the one before."""
        names: Sequence[str] = ("devices", *PANELS) if self._listed and not self._full else PANELS
        here = self.focused.id if self.focused is not None else None
        at = names.index(here) if here in names else 0
        self._panel = name if (name := names[(at + direction) % len(names)]) in PANELS else self._panel
        self._arrange()
        self._focus(name)

    def action_full(self) -> None:
        """One panel on the whole screen, the GPU from the list; or all of them again."""
        if not self._full and isinstance(self.focused, Devices):
            self._panel = "gpu"
        self._full = not self._full
        self._arrange()
        self._focus(self._panel)

    def action_whose(self) -> None:
        """This machine, or what was recorded beside the run."""
        if self.scene is not None and self.scene.run is not None and self.scene.run.machine is not None:
            self._live = not self._live
            self._again()

    def _again(self) -> None:
        if self.scene is not None:
            self._look(self.scene)

    def memory(self) -> dict[str, str | float | bool | None]:
        """The selected GPU, the open panel, and whether it fills the screen."""
        focused = self.focused.id if self.focused is not None else None
        return {
            "gpu": self._selected,
            "panel": self._panel,
            "focus": focused,
            "full": self._full,
        }

    def recall(self, memory: Memory) -> None:
        """The same again."""
        gpu, panel, focus = memory.get("gpu"), memory.get("panel"), memory.get("focus")
        self._begin = focus if focus in PANELS and isinstance(focus, str) else ""
        self._selected = gpu if isinstance(gpu, str) else None
        self._panel = panel if panel in PANELS and isinstance(panel, str) else "gpu"
        self._full = memory.get("full") is True


def shares(wanted: Sequence[int], first: int, height: int) -> list[int]:
    """Rows for panels one above the other: one each, what the `first` wants, then the others in order.

    What nobody wants is the last one's.
    """
    got = [1] * len(wanted)
    left = height - len(wanted)
    for i in sorted(range(len(wanted)), key=lambda i: (i != first, i)):
        more = min(wanted[i] - 1, left)
        if more >= _OPEN_ROWS - 1 or more == wanted[i] - 1 or i == first:
            got[i] += max(0, more)
            left -= max(0, more)
    open_ones = [i for i, rows in enumerate(got) if rows > 1] or [first]
    got[open_ones[-1]] += max(0, left)
    return got
