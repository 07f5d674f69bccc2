"""Jumps from one room to another: what the other one is to show, and the one message that asks for it."""

from dataclasses import dataclass
from pathlib import Path

from textual.message import Message


@dataclass(frozen=True, slots=True)
class Place:
    """What a room shows when somebody comes to it from another one; what is None says nothing."""

    step: float | None = None
    """As the run counts it."""
    path: Path | None = None
    line: int | None = None
    """Of the file at `path`, from 1; without a path, of the text that people read."""
    layer: str | None = None
    finding: str | None = None
    """Its id."""


class Jumped(Message):
    """The user wants to see a place in another room, and to come back from there."""

    def __init__(self, room: str, place: Place) -> None:
        """`room` is a name that the app knows."""
        super().__init__()
        self.room = room
        self.place = place
