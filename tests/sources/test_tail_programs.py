"""Random programs of writers against a model: nothing is lost, doubled or torn."""

import os
import random
import shutil
from pathlib import Path

from following import Follower, append

from gradtop.sources.tail import CHUNK_BYTES, RECHECK_S


class Program:
    """A writer that appends in pieces, rotates, replaces and deletes, and a follower that looks in between."""

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

    def run(self, actions: int) -> None:
        weighted = [self.write] * 8 + [self.look] * 6 + [self.rename, self.replace, self.delete, self.let_go]
        for _ in range(actions):
            self.rng.choice(weighted)()
            self.follower.now += self.rng.choice((0.0, 0.1, RECHECK_S))
        self.end_line()
        self.follower.poll()

    def write(self) -> None:
        """Append whole lines and, often, a piece of one."""
        for _ in range(self.rng.randrange(4)):
            self.serial += 1
            self.put(f"{self.serial}:{'x' * self.rng.choice((0, 3, 90))}\n")
        if self.rng.random() < 0.5:
            self.serial += 1
            self.put(f"{self.serial}:half")

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

    def let_go(self) -> None:
        """The next look must find the file again."""
        if self.path.exists():
            self.end_line()
            self.settle()
            self.follower.tail.close()
            self.held = False

    def begin(self) -> None:
        """A new file under the name, with at least one line."""
        self.serial += 1
        self.put(f"{self.serial}:new\n")
        self.known = False

    def rename(self) -> None:
        if self.path.exists():
            self.settle(held=False)
            self.generation += 1
            os.rename(self.path, self.path.with_name(f"train.log.{self.generation}"))
            self.cut_off()
            self.begin()

    def replace(self) -> None:
        if self.path.exists():
            self.settle()
            self.cut_off()
            self.serial += 1
            fresh = self.path.with_name("fresh")
            fresh.write_text(f"{self.serial}:fresh\n")
            self.written.append(f"{self.serial}:fresh")
            os.replace(fresh, self.path)
            self.known = False

    def delete(self) -> None:
        if self.path.exists():
            self.settle()
            self.cut_off()
            self.path.unlink()
            if self.rng.random() < 0.5:
                self.look()
            self.begin()

    def settle(self, held: bool = True) -> None:
        """A file that came and went between two looks cannot be read, nor can a deleted one that nobody holds."""
        if not self.known or (held and not self.held):
            self.follower.poll()
            self.known = self.held = True

    def lines(self) -> list[str]:
        return [text for text in self.follower.said if not text.startswith("<")]


def check_programs(folder: Path, seeds: range, actions: int = 60) -> None:
    for seed in seeds:
        place = folder / str(seed)
        place.mkdir()
        program = Program(place / "train.log", seed)
        program.run(actions)
        program.follower.tail.close()
        assert program.lines() == program.written, f"seed {seed}"
        shutil.rmtree(place)


def test_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    check_programs(tmp_path, range(250))


def test_with_truncations_no_line_is_torn_or_invented(tmp_path: Path) -> None:
    """What is truncated between two looks is lost; what is given was written, whole, and in order."""
    for seed in range(150):
        rng = random.Random(seed)
        path = tmp_path / f"{seed}.log"
        follower = Follower(path)
        written: list[str] = []
        since: list[str] = []
        for serial in range(60):
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
        got = [text for text in follower.said if not text.startswith("<")]
        assert [text for text in written if text in set(got)] == got, f"seed {seed}"
        assert got[len(got) - len(since) :] == since, f"seed {seed}"
