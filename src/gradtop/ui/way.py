"""The way back: the rooms that the user came through."""

MOST_STEPS_BACK = 8
"""Rooms that the user can go back through."""


class Way:
    """Rooms by name, the one before the present one last."""

    def __init__(self) -> None:
        """Nowhere to go back to."""
        self._rooms: list[str] = []

    def jumped(self, here: str) -> None:
        """A jump began `here`, and leads back to it whatever was seen before."""
        self._rooms = [*self._rooms, here][-MOST_STEPS_BACK:]

    def went(self, here: str, to: str) -> None:
        """From one room `to` another. Nobody walks back through a room that is entered again: its way is the way."""
        way = [*self._rooms, here]
        self._rooms = way[: way.index(to)] if to in way else way[-MOST_STEPS_BACK:]

    def back(self) -> str | None:
        """The room before, which is the present one now; None where there is none."""
        return self._rooms.pop() if self._rooms else None
