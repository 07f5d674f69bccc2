"""What the tests of following share: a tail with its decoder, used as a source uses them."""

from dataclasses import dataclass, field
from pathlib import Path

from gradtop.sources.reader import Line
from gradtop.sources.tail import CHUNK_BYTES, LineDecoder, Portion, Tail


@dataclass
class Follower:
    """Lines of one path, and what happened in between."""

    path: Path
    now: float = 0.0
    limit: int = CHUNK_BYTES
    said: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tail = Tail(self.path, lambda: self.now)
        self.decoder = LineDecoder()

    def look(self) -> Portion:
        portion = self.tail.read(self.limit)
        if portion.began:
            self.said.append(f"<{portion.began}>")
            self.decoder = LineDecoder()
        self._take(self.decoder.feed(portion.data))
        if portion.ended:
            self._take(self.decoder.finish())
            self.decoder = LineDecoder()
        return portion

    def _take(self, lines: list[Line]) -> None:
        self.said += [line.data.decode() for line in lines]
        self.numbers += [line.number for line in lines]

    def poll(self) -> list[str]:
        """Read until nothing is waiting; what was said since the last poll."""
        before = len(self.said)
        while self.look().more:
            pass
        return self.said[before:]


def append(path: Path, text: str) -> None:
    """Write as a training does."""
    with path.open("a") as out:
        out.write(text)
