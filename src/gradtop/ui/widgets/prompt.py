"""One line to type a search or a filter into."""

from textual import events
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input


class Prompt(Input):
    """Hidden until it is opened; Enter searches, Escape closes."""

    class Closed(Message):
        """The prompt was left without a search."""

    def __init__(self) -> None:
        """A line that takes printable characters only."""
        super().__init__(id="prompt", restrict="[^\x00-\x1f\x7f-\x9f]*", select_on_focus=False, compact=True)
        self.display = False

    def open(self, value: str = "") -> None:
        """Show the prompt and type into it, from the next key on: `focus` would come after keys that wait already."""
        self.value = value
        self.cursor_position = len(value)
        self.display = True
        self.screen.set_focus(self)

    def close(self, to: Widget | None) -> None:
        """Hide the prompt; the keys of the room hold again, and `to` has the focus."""
        self.display = False
        self.screen.set_focus(to)

    def on_key(self, event: events.Key) -> None:
        """Escape leaves the prompt and nothing else."""
        if event.key == "escape":
            event.stop()
            event.prevent_default()
            self.post_message(self.Closed())
