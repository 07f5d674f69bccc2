"""The app: one feed, one message, one scene; rooms show it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.console import RenderableType
from textual import events
from textual.app import App
from textual.binding import BindingType
from textual.filter import LineFilter
from textual.screen import Screen

from gradtop import plot
from gradtop.clean import clean
from gradtop.config import Settings
from gradtop.recollection import Recollection
from gradtop.snapshot import RunSnapshot, Snapshot
from gradtop.ui import keys
from gradtop.ui.background import Background
from gradtop.ui.binding import keymap, rebound
from gradtop.ui.feed import Feed, FeedFailed, SnapshotReady
from gradtop.ui.habit import Habit
from gradtop.ui.palette import AsciiOnly, Colourless, toolkit_theme
from gradtop.ui.place import Jumped, Place
from gradtop.ui.rooms import Rooms, makers, prefetch
from gradtop.ui.scene import Scene, same
from gradtop.ui.screens.overview import Overview
from gradtop.ui.screens.room import Room
from gradtop.ui.terminal import guarded, look_at_size, report_crash
from gradtop.ui.theme import BARE, BY_NAME, SIXTEEN, THEMES
from gradtop.ui.way import Way
from gradtop.ui.widgets.machine import MachineTile
from gradtop.ui.widgets.profile import ProfileTile
from gradtop.view import Marks

if TYPE_CHECKING:  # what is not needed for the first picture is imported when it is
    from gradtop.ui.capture import Saved
    from gradtop.ui.screens.commands import CommandsRoom
    from gradtop.ui.screens.findings import Acknowledge, Mute
    from gradtop.ui.screens.log import Pages
    from gradtop.ui.widgets.runs import Runs

TICK_S = 1.0
"""Seconds between two looks at how old the data is."""


class GradtopApp(App[None]):
    """Watches what `poll` returns. `return_code` is the process's exit code."""

    CSS_PATH = Path(__file__).with_name("gradtop.tcss")
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("everywhere")]

    def __init__(
        self,
        poll: Callable[[], Snapshot],
        wait: Callable[[float], object],
        *,
        settings: Settings | None = None,
        select: Callable[[str], object] | None = None,
        compare: Callable[[tuple[str, ...]], object] = lambda _: None,
        acknowledge: "Acknowledge" = lambda *_: None,
        mute: "Mute" = lambda *_: None,
        pages: "Callable[[Path, int | None], Pages] | None" = None,
        background: Callable[[Callable[[], object]], object] | None = None,
        recollection: Recollection = Recollection(),  # noqa: B008  # frozen
        keep: Callable[[Recollection], object] = lambda _: None,
        ascii: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch what `poll` returns; it runs in a thread of its own while the app runs.

        Args:
            poll: takes a snapshot; may block.
            wait: `wait(timeout_s)` returns early when there is something to read.
            settings: how often to poll.
            select: told the id of the run that the user opens.
            compare: told the ids of the runs that are to be drawn over it.
            acknowledge: told what the user says of a finding.
            mute: told what the user says of a kind of findings.
            pages: opens a file for the Log, up to a byte.
            background: runs a read of the Log off the event loop.
            recollection: how the screen was left.
            keep: told how the screen is left, when it is.
            ascii: draw with ASCII characters only.
            clock: counts seconds.
        """
        super().__init__()
        settings = settings or Settings()
        self._table = rebound(settings)
        self.set_keymap(keymap(self._table))
        for theme in BY_NAME.values():
            self.register_theme(toolkit_theme(theme))
        self._themes = [BARE.name] if self.no_color else [theme.name for theme in THEMES]
        self._habit = Habit(recollection, settings.theme)
        self.theme = BARE.name if self.no_color else self._habit.theme
        self._feed = Feed(poll, wait, self.post_message, settings.interval_s, then=prefetch)
        self._select, self._compare = select, compare
        self._drawing = background or Background()
        self._clock = clock
        self._ascii = [AsciiOnly()] if ascii else []
        self._loop_of_app: asyncio.AbstractEventLoop | None = None
        self._leave_code: int | None = None
        self._snapshot = Snapshot(now=0.0)
        self._taken = clock()
        self._run_id: str | None = None
        self._paused = False
        self._way = Way()
        self._sought: Place | None = None
        self._keep = keep
        self._marks = Marks.recalled(recollection.rooms.get("runs", {}))
        self._told: tuple[str, ...] = ()
        glyphs = plot.ASCII if ascii else plot.BRAILLE
        self._overview = Overview(glyphs, (MachineTile(ascii), ProfileTile(ascii)))
        made = makers(self._overview, glyphs, acknowledge, mute, pages, background)
        self._rooms = Rooms(made, self._furnish)
        self._rooms["overview"]

    def run(self, **options: Any) -> None:
        """Run until the user or a signal ends it; the terminal is as it was afterwards."""
        if self.console.color_system == "standard" and not self.no_color:
            self.theme, self._themes = SIXTEEN.name, [SIXTEEN.name]
        with guarded(self.leave):
            try:
                super().run(**options)
            finally:
                self._feed.stop()
        if self._exception is not None:
            # It may be what was recalled that led there: the next start is a fresh one.
            self._keep(Recollection())
            report_crash(self._exception)

    def _furnish(self, name: str, room: Room) -> None:
        room.table, room.recalled = self._table, self._habit.rooms.get(name, {})
        # What is not installed is removed when it is left, and a removed screen never answers again.
        if room is not self._overview:
            self.install_screen(room, name)

    def leave(self, code: int) -> None:
        """End in order with an exit code. May be called from any thread and from a signal handler."""
        self._leave_code = code
        if self._loop_of_app is not None:
            self._loop_of_app.call_soon_threadsafe(lambda: self.exit(return_code=code))

    def get_default_screen(self) -> Screen[Any]:
        """The Overview is at the bottom of all rooms."""
        return self._overview

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's filters, and those that let no colour and, with `--ascii`, no other character through."""
        if self.no_color:
            # Textual's own answer to NO_COLOR is shades of grey.
            return [Colourless(), *self._ascii]
        return [*super().get_line_filters(), *self._ascii]

    def on_mount(self) -> None:
        """Begin to poll, in the terminal; a test posts its own snapshots."""
        self._loop_of_app = asyncio.get_running_loop()
        if self._leave_code is not None:
            self.exit(return_code=self._leave_code)
        elif self._habit.room in self._rooms:
            self.action_room(self._habit.room)
        self.set_interval(TICK_S, self._tick)
        # Textual leaves the screen blank after `fg`.
        self.app_resume_signal.subscribe(self, lambda _: self.screen.refresh(layout=True))
        if not self.is_headless:
            # After the first picture: what polls is imported by then.
            self.call_after_refresh(self._feed.start)

    def on_unmount(self) -> None:
        """Poll no more."""
        self._feed.stop()

    def exit(self, result: None = None, return_code: int = 0, message: RenderableType | None = None) -> None:
        """End in order; the rooms are asked what they want to be told again while they are still there."""
        self._keep(self.recollection)
        super().exit(result, return_code, message)

    @property
    def recollection(self) -> Recollection:
        """How the screen is left."""
        return self._habit.left(self._snapshot, self._run_id, self._here, self._rooms.items(), self.theme)

    @property
    def scene(self) -> Scene:
        """What there is to show now."""
        return Scene(self._snapshot, self._run, self._clock() - self._taken, self._paused, self._marks)

    @property
    def _run(self) -> RunSnapshot | None:
        runs = self._snapshot.runs
        return next((run for run in runs if run.id == self._run_id), runs[0] if runs else None)

    def on_snapshot_ready(self, message: SnapshotReady) -> None:
        """Adopt a snapshot, unless paused."""
        if self._paused:
            return
        before, self._snapshot, self._taken = self._snapshot, message.snapshot, self._clock()
        self._tell_compared()
        if (run_id := self._habit.run(message.snapshot, self._run_id)) is not None:
            self._open(run_id)
        if not same(before, message.snapshot):
            began = time.perf_counter()
            self._show()
            self._feed.shown(time.perf_counter() - began)

    def _open(self, run_id: str) -> None:
        self._run_id = run_id
        if self._select is not None:
            self._select(run_id)

    def on_feed_failed(self, message: FeedFailed) -> None:
        """What polling raised is this app's fault: end with it."""
        raise message.error

    def on_room_entered(self) -> None:
        """A room came onto the screen."""
        self._show()
        if (room := self._room) is not None and self._sought is not None:
            place, self._sought = self._sought, None
            room.arrive(place)

    def on_jumped(self, message: Jumped) -> None:
        """Go to a room to see a place there; one step back leads to where the jump began."""
        if self._room is None or self._room is self._rooms[message.room]:
            return
        self._sought = message.place
        self._way.jumped(self._here)
        self._enter(message.room)
        self._rooms[message.room].arrived = True

    def on_runs_opened(self, message: "Runs.Opened") -> None:
        """Open a run on the Overview."""
        self._visit(message.run_id)

    def _visit(self, run_id: str) -> None:
        self._open(run_id)
        self.action_room("overview")
        self._show()

    def on_runs_marked(self, message: "Runs.Marked") -> None:
        """Draw a run over the open one, or not any more."""
        self._marks = self._marks.toggled(message.run_id) if message.run_id is not None else Marks()
        self._tell_compared()
        self._show()

    def _tell_compared(self) -> None:
        """Say which runs are to be kept open; not before there is a monitor to hear it."""
        if self._marks.ids != self._told:
            self._told = self._marks.ids
            self._compare(self._told)

    def on_key(self, event: events.Key) -> None:
        """Give the prompt what was typed ahead of it: those keys went to the panel that had the focus before."""
        from gradtop.ui.widgets.prompt import Prompt

        # A key behind the one that ends the app finds no screen.
        focused = self.focused if self.screen_stack else None
        if isinstance(focused, Prompt) and event.is_printable and event.character is not None:
            focused.insert_text_at_cursor(event.character)
            event.prevent_default()

    @property
    def _room(self) -> Room | None:
        """The room on the screen; None while the app starts and ends."""
        top = self.screen_stack[-1] if self.screen_stack else None
        return top if isinstance(top, Room) and top.standing else None

    def _show(self) -> None:
        if (room := self._room) is not None:
            room.show(self.scene)

    def _tick(self) -> None:
        look_at_size()
        if (room := self._room) is not None:
            room.show_header(self.scene)

    def action_room(self, name: str) -> None:
        """Go to a room; one step back leads to the one before."""
        if self._choosing:
            self.pop_screen()
        if self.screen is self._rooms[name]:
            return
        if (place := self._selected_for(name)) is not None:
            self.on_jumped(Jumped(name, place))
            return
        self._way.went(self._here, name)
        self._enter(name)

    def _selected_for(self, name: str) -> Place | None:
        """What is selected in a list of findings, where the room to enter can show that by itself."""
        place = self._room.here() if self._room is not None and self._room.chosen is not None else None
        shown = {"checklist": place is not None, "layers": place is not None and place.layer is not None}
        return place if shown.get(name) else None

    @property
    def _here(self) -> str:
        """The room on the screen, or below the list of commands."""
        names = {room: name for name, room in self._rooms.items()}
        return next((names[screen] for screen in reversed(self.screen_stack) if screen in names), "overview")

    def _enter(self, name: str) -> None:
        room = self._rooms[name]
        if self._room is not None:
            self._room.arrived = False
            room.before = self._room.ROOM
        if self.screen is not self._overview:
            self.pop_screen()
        if room is not self._overview:
            self.push_screen(room)

    async def action_back(self) -> None:
        """One step back: inside the room, then to the room before; at last there is the Overview."""
        if self._room is None or self._room.leave():
            return
        before = self._way.back()
        if before is not None or self.screen is not self._overview:
            self._enter(before or "overview")

    def action_pause(self) -> None:
        """Keep what is on the screen, or show what there is now."""
        self._paused = not self._paused
        self._show()

    def action_next_theme(self) -> None:
        """The next colours."""
        self.set_theme(self._themes[(self._themes.index(self.theme) + 1) % len(self._themes)])

    def set_theme(self, name: str) -> None:
        """These colours, as far as the terminal has them."""
        if name in self._themes:
            self.theme = name
        why = {BARE.name: "NO_COLOR is set", SIXTEEN.name: "this terminal has 16 colours"}.get(self.theme)
        self.tell(f"theme: {self.theme}" + (f" ({why})" if why else ""))

    def action_commands(self) -> None:
        """Everything that can be done, by name; or nothing of it."""
        from gradtop.ui.screens.commands import CommandsRoom, commands_of

        if self._choosing:
            self.pop_screen()
        elif (room := self._room) is not None:
            commands = CommandsRoom(commands_of(self._table, room.ROOM, self._themes, self._snapshot.runs))
            commands.table = self._table
            self.push_screen(commands)

    @property
    def _choosing(self) -> bool:
        """The list of commands is open, over the room that they act on."""
        return isinstance(self.screen, Room) and self.screen.ROOM == "commands"

    async def on_commands_room_closed(self, message: "CommandsRoom.Closed") -> None:
        """Do what was chosen, in the room below."""
        if self._choosing:
            self.pop_screen()
        command = message.command
        if command is None:
            return
        if command.action == "theme":
            self.set_theme(command.argument or "")
        elif command.action == "run":
            self._visit(command.argument or "")
        else:
            await self.run_action(command.action)

    def action_picture(self) -> None:
        """Save the screen as a picture, off the event loop."""
        from gradtop.ui.capture import Saved, picture

        rows = [list(strip) for strip in self.screen._compositor.render_strips()]
        run, width, theme = self._run, self.size.width, BY_NAME[self.theme]
        name = clean(run.name, 200) if run is not None else "gradtop"
        self._drawing(lambda: self.post_message(Saved(picture(rows, width, theme, name))))

    def on_saved(self, message: "Saved") -> None:
        """Say where it is."""
        self.tell(message.told)

    def tell(self, done: str) -> None:
        """Say for a moment what was done; clean."""
        if (room := self._room) is not None:
            room.tell(done)

    def panic(self, *renderables: RenderableType) -> None:
        """End with exit code 1; what went wrong is said after the terminal is restored."""
        self._return_code = 1
        if self._exception is None:
            self._exception = RuntimeError("the terminal could not be read")
        self._close_messages_no_wait()

    def _fatal_error(self) -> None:
        # Textual's own report prints the values of variables, raw: ours is written by `run`.
        self._close_messages_no_wait()

    def _print_error_renderables(self) -> None:
        self._exit_renderables.clear()
