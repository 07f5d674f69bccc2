"""Rooms with a filter: it is typed into a line at the bottom, holds from key to key, and stays until it is cleared."""

from collections.abc import Collection
from typing import ClassVar

from textual.widget import Widget

from gradtop.filter import Typed
from gradtop.recollection import Memory
from gradtop.ui.screens.room import Room
from gradtop.ui.widgets.prompt import Prompt


class FilteredRoom(Room):
    """A room whose `furniture` has a Prompt, and which shows anew in `refilter`."""

    FIELDS: ClassVar[Collection[str]] = ()
    """What a filter can name beside the name of a thing."""
    typed = Typed()

    @property
    def filtered(self) -> Widget | None:
        """What has the focus when the prompt is closed."""
        return None

    def refilter(self) -> None:
        """Another filter holds, or something is wrong with what is typed."""

    def action_filter(self) -> None:
        """Type a filter, or change the one that holds."""
        self.query_one(Prompt).open(self.typed.text)

    def on_input_changed(self, message: Prompt.Changed) -> None:
        """It holds as it is typed."""
        if message.value != self.typed.text:
            self.typed = self.typed.retyped(message.value, self.FIELDS)
            self.refilter()

    def on_input_submitted(self) -> None:
        """Keep it; of one that cannot be used, the last that could."""
        self.typed = Typed(self.typed.filter.text, self.typed.filter)
        self._close()

    def on_prompt_closed(self) -> None:
        """Clear it."""
        self.typed = Typed()
        self._close()

    def _close(self) -> None:
        self.query_one(Prompt).close(self.filtered)
        self.refilter()

    def leave(self) -> bool:
        """Out of what the room itself can be left of, then without the filter."""
        if super().leave():
            return True
        if not self.typed.text:
            return False
        self.typed = Typed()
        self.refilter()
        return True

    def memory(self) -> dict[str, str | float | bool | None]:
        """The filter."""
        return super().memory() | {"filter": self.typed.filter.text}

    def recall(self, memory: Memory) -> None:
        """The filter, if it is one."""
        super().recall(memory)
        if isinstance(text := memory.get("filter"), str):
            typed = Typed().retyped(text, self.FIELDS)
            self.typed = Typed() if typed.problem else typed
