"""Random programs of writers against a model of what a follower has to give; the tests run some, a benchmark many."""

import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from follower import Follower, Watcher, append

from gradtop.sources.follow import tail
from gradtop.sources.follow.tail import CHUNK_BYTES, RECHECK_S

open_regular = tail._open_regular


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the lines of one program."""

    actions: int
    lost: int
    """Lines that were written and not given."""
    doubled: int
    """Lines that were given more often than they were written."""
    in_order: bool


def outcome(actions: int, written: Iterable[object], given: Iterable[object]) -> Outcome:
    """Compare what was given with what was written."""
    wrote, gave = list(written), list(given)
    lost, more = Counter(wrote) - Counter(gave), Counter(gave) - Counter(wrote)
    return Outcome(actions, lost.total(), more.total(), wrote == gave)


class Program:
    """A writer that does to its file whatever writers do, and a follower that looks in between."""

    def __init__(self, path: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.path = path
        self.follower = Follower(path, limit=self.rng.choice((7, 64, 1000, CHUNK_BYTES)))
        self.written: list[str] = []
        self.open_line = ""
        self.serial = 0
        self.generation = 0
        self.known = False
        """The follower has looked at the file that is at the path now."""
        self.held = True
        """The follower has it open, or will have before anything happens to it."""
        self.denied = False
        """The file may not be opened."""

    def run(self, actions: int) -> Outcome:
        often = [self.write] * 8 + [self.look] * 6
        rare: list[Callable[[], None]] = [self.rename, self.replace, self.delete, self.turn, self.let_go, self.deny]
        with patch.object(tail, "_open_regular", self.open_regular):
            for _ in range(actions):
                self.rng.choice([*often, *rare, self.rewrite, self.hole])()
                self.follower.now += self.rng.choice((0.0, 0.1, RECHECK_S))
            self.end_line()
            self.poll()
        self.follower.tail.close()
        return outcome(actions, self.written, self.lines())

    def open_regular(self, path: str) -> int:
        """Open the file, unless its permission is lost at the moment."""
        if self.denied:
            raise PermissionError(13, "Permission denied")
        return open_regular(path)

    def next_line(self, kind: str) -> str:
        self.serial += 1
        return f"{self.serial}:{kind}"

    def write(self) -> None:
        """Append whole lines and, often, a piece of one."""
        for _ in range(self.rng.randrange(4)):
            self.put(self.next_line("x" * self.rng.choice((0, 3, 90))) + "\n")
        if self.rng.random() < 0.5:
            self.put(self.next_line("half"))

    def put(self, text: str) -> None:
        append(self.path, text)
        self.open_line += text
        *whole, self.open_line = self.open_line.split("\n")
        self.written += whole

    def end_line(self) -> None:
        """The file is complete: what is in its last line is a line."""
        if self.open_line:
            self.put("\n")

    def cut_off(self) -> None:
        """No end will come for the last line; a deleted or rotated file gives it as it is."""
        self.written += [self.open_line] if self.open_line else []
        self.open_line = ""

    def look(self) -> None:
        self.follower.look()

    def poll(self) -> None:
        """Read everything, permission and all."""
        self.denied = False
        self.follower.now += RECHECK_S
        self.follower.poll()
        self.known = self.held = True

    def settle(self, held: bool = True) -> None:
        """A file that came and went between two looks cannot be read, nor can a deleted one that nobody holds."""
        if self.denied or not self.known or (held and not self.held):
            self.poll()

    def deny(self) -> None:
        """Permission is lost until the next poll that has to succeed."""
        self.denied = True

    def let_go(self) -> None:
        """The next look must find the file again."""
        if self.path.exists():
            self.end_line()
            self.settle()
            self.follower.tail.close()
            self.held = False

    def begin(self) -> None:
        """A new file under the name, with at least one line."""
        self.put(self.next_line("new") + "\n")
        self.known = False

    def rename(self) -> None:
        if self.path.exists():
            self.settle(held=False)
            self.generation += 1
            os.rename(self.path, self.path.with_name(f"train.log.{self.generation}"))
            self.cut_off()
            self.begin()

    def fresh(self, kind: str) -> Path:
        """A file written aside, which takes the place of the one at the path."""
        self.settle()
        self.cut_off()
        self.generation += 1
        fresh = self.path.with_name(f"fresh.{self.generation}")
        self.written.append(self.next_line(kind))
        fresh.write_text(self.written[-1] + "\n")
        self.known = False
        return fresh

    def replace(self) -> None:
        if self.path.exists():
            os.replace(self.fresh("fresh"), self.path)

    def turn(self) -> None:
        """A link to another file takes the place of the file, or of the link, at the path."""
        if self.path.exists():
            link = self.path.with_name("link")
            link.symlink_to(self.fresh("linked"))
            os.replace(link, self.path)

    def delete(self) -> None:
        """The next file often gets the number of the deleted one."""
        if self.path.exists():
            self.settle()
            self.cut_off()
            self.path.unlink()
            if self.rng.random() < 0.5:
                self.look()
            self.begin()

    def rewrite(self) -> None:
        """Other content of the same size in the same file."""
        if self.path.exists() and (size := self.path.stat().st_size) > 20:
            self.end_line()
            self.poll()
            size = self.path.stat().st_size
            line = self.next_line("")
            self.written.append(line + "y" * (size - 1 - len(line)))
            self.path.write_text(self.written[-1] + "\n")
            self.known = False

    def hole(self) -> None:
        """The file is truncated under a writer that keeps its position: NULs come before its next line."""
        if self.path.exists():
            self.end_line()
            self.poll()
            with self.path.open("r+b", buffering=0) as writer:
                writer.seek(0, os.SEEK_END)
                os.truncate(self.path, 0)
                self.written.append(self.next_line("after"))
                writer.write(self.written[-1].encode() + b"\n")
            self.known = False

    def lines(self) -> list[str]:
        return [text for text in self.follower.said if not text.startswith("<")]


def truncations(path: Path, seed: int, actions: int) -> tuple[bool, Outcome]:
    """A program with truncations: whether what was given is whole, in order and complete since the last of them.

    What is truncated between two looks is lost, so that `lost` counts no fault.
    """
    rng = random.Random(seed)
    follower = Follower(path)
    written: list[str] = []
    since: list[str] = []
    for serial in range(actions):
        action = rng.random()
        if action < 0.6:
            written.append(f"{serial}:{'x' * rng.choice((0, 5, 80))}")
            since.append(written[-1])
            append(path, written[-1] + "\n")
        elif action < 0.7:
            path.write_text("")
            since.clear()
        else:
            follower.now += 0.5
            follower.poll()
    follower.now += RECHECK_S
    follower.poll()
    follower.tail.close()
    given = [text for text in follower.said if not text.startswith("<")]
    kept = set(given)
    sound = [text for text in written if text in kept] == given and given[len(given) - len(since) :] == since
    return sound, outcome(actions, written, given)


class Rows:
    """Rows of one run through the whole path: a writer that appends, rotates and replaces, and a monitor that polls."""

    def __init__(self, path: Path, seed: int, text: bool) -> None:
        self.rng = random.Random(seed)
        self.path, self.text = path, text
        self.written: list[float] = []
        self.rest = ""
        for _ in range(3):
            self.row()
        self.watcher = Watcher(path)

    def run(self, actions: int) -> Outcome:
        often = [self.row] * 8 + [self.half] * 4 + [self.poll] * 5
        for _ in range(actions):
            self.rng.choice([*often, self.rename, self.replace, self.delete])()
        self.end()
        given = self.watcher.losses()
        self.watcher.monitor.close()
        return outcome(actions, self.written, given)

    def next_row(self) -> str:
        step = len(self.written) + 1
        loss = round(5 - step / 1000, 4)
        self.written.append(loss)
        if self.text:
            return f"step {step}: loss {loss}, lr 0.0003\n"
        return json.dumps({"step": step, "loss": loss, "lr": 0.0003}) + "\n"

    def row(self) -> None:
        self.end()
        append(self.path, self.next_row())

    def half(self) -> None:
        """The beginning of a row; its end comes with the next action."""
        self.end()
        row = self.next_row()
        cut = self.rng.randrange(1, len(row))
        append(self.path, row[:cut])
        self.rest = row[cut:]

    def end(self) -> None:
        append(self.path, self.rest)
        self.rest = ""

    def poll(self) -> None:
        self.watcher.poll(after_s=self.rng.choice((0.0, 0.1, 1.0, 3.0)))

    def settle(self) -> None:
        """Everything of the file is read; a last line without its newline is whole, and held back."""
        self.end()
        if self.rng.random() < 0.5:
            append(self.path, self.next_row().rstrip("\n"))
        self.watcher.poll()

    def begin(self) -> None:
        for _ in range(3):
            self.row()

    def rename(self) -> None:
        self.settle()
        os.rename(self.path, self.path.with_suffix(".old"))
        self.begin()

    def replace(self) -> None:
        self.settle()
        fresh = self.path.with_suffix(".new")
        fresh.write_text("".join(self.next_row() for _ in range(3)))
        os.replace(fresh, self.path)

    def delete(self) -> None:
        self.settle()
        self.path.unlink()
        self.poll()
        self.begin()


def one_program(folder: Path, seed: int, actions: int = 60) -> Outcome:
    """Run one program in a directory of its own, which is removed afterwards."""
    place = folder / str(seed)
    place.mkdir()
    found = Program(place / "train.log", seed).run(actions)
    shutil.rmtree(place)
    return found
