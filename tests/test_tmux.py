"""The app in a real terminal multiplexer, as somebody sees it who works over SSH. Run by `pytest -m tmux`."""

import base64
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.tmux,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]
COLUMNS, LINES = 120, 36
LIMIT_S = 8.0
"""Seconds after which what is waited for will not come."""
BAIT = f"\x1b]0;PWNED\x07\x1b]2;PWNED\x07\x1b]52;c;{base64.b64encode(b'PWNED').decode()}\x07\x1b[2J"
"""Sets the title of the terminal, fills the clipboard and clears the screen, where it gets through."""


class Terminal:
    """A tmux server of its own with one pane."""

    def __init__(self, name: str) -> None:
        self._command = ["tmux", "-u", "-L", name, "-f", "/dev/null"]

    def tmux(self, *arguments: str) -> str:
        environment = os.environ | {"LC_ALL": "C.UTF-8"}
        return subprocess.run(
            [*self._command, *arguments], env=environment, check=True, capture_output=True, text=True, timeout=LIMIT_S
        ).stdout

    def open(self, *paths: Path, variables: tuple[str, ...] = (), again: bool = False) -> None:
        """The app on these paths, in a shell that says afterwards how it ended and how the terminal is."""
        app = shlex.join(["env", *variables, sys.executable, "-m", "gradtop", *map(str, paths)])
        script = f"{app}; echo ended with $?; stty -a; exec cat"
        how = ["respawn-pane", "-k"] if again else ["new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES)]
        self.tmux(*how, shlex.join(["sh", "-c", script]))
        # So that what should be kept away would get through.
        self.tmux("set-option", "-s", "set-clipboard", "on")

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def colours(self) -> set[str]:
        """Codes of colours that are on the screen."""
        codes = re.findall(r"\x1b\[([\d;:]*)m", self.tmux("capture-pane", "-p", "-e"))
        return {code for found in codes for code in re.split("[;:]", found)} - {"", "0", "1", "2", "4", "7", "39", "49"}

    def resize(self, width: int, height: int) -> None:
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def value(self, name: str) -> str:
        return self.tmux("display-message", "-p", f"#{{{name}}}").strip()

    def until(self, wanted: Callable[[str], object]) -> str:
        """The first screen that satisfies `wanted`."""
        deadline = time.monotonic() + LIMIT_S
        while not wanted(screen := self.screen()):
            assert time.monotonic() < deadline, f"not on the screen:\n{screen}"
            time.sleep(0.02)
        return screen

    def shows(self, *texts: str) -> str:
        return self.until(lambda screen: all(text in screen for text in texts))

    def kill_app(self, number: signal.Signals) -> None:
        shell = self.value("pane_pid")
        (app,) = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
        os.kill(int(app), number)

    def close(self) -> None:
        subprocess.run([*self._command, "kill-server"], check=False, capture_output=True, timeout=LIMIT_S)


@pytest.fixture
def terminal(request: pytest.FixtureRequest) -> Iterator[Terminal]:
    terminal = Terminal(f"gradtop-{os.getpid()}-{abs(hash(request.node.name))}")
    yield terminal
    terminal.close()


def line(step: int) -> str:
    return f"Step {step}: loss: {8 * (step + 1) ** -0.2:.4f}, grad_norm = {0.5 + 1 / (step + 1):.4f}, lr: 0.0003\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "train.log"
    path.write_text("".join(map(line, range(200))))
    return path


def test_a_log_shows_its_verdict_and_its_curves(terminal: Terminal, log: Path) -> None:
    terminal.open(log)
    screen = terminal.shows(
        "KEEP TRAINING", "─ grad norm 0.50", "─ loss 2.7", "─ learning rate 3e-4", "step 199", "q quit"
    )
    assert re.search("[\u2801-\u28ff]{8}", screen)
    shown = screen.splitlines()
    assert len(shown) == LINES
    assert "train.log" in shown[0]
    assert "? help" in shown[-1]
    assert "q quit" in shown[-1]


def test_a_line_that_is_written_now_is_on_the_screen(terminal: Terminal, log: Path) -> None:
    terminal.open(log)
    terminal.shows("step 199")
    with log.open("a") as file:
        file.write("Step 1234: loss: 1.2345, grad_norm = 0.5432, lr: 0.0003\n")
    written = time.monotonic()
    terminal.shows("step 1,234", "loss 1.234", "grad norm 0.5432")
    # Half a second is what is promised; a busy machine gets four times as much.
    assert time.monotonic() - written < 2.0


@pytest.mark.parametrize(("way_out", "code"), [("q", 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_terminal_is_left_as_it_was(
    terminal: Terminal, log: Path, way_out: str | signal.Signals, code: int
) -> None:
    terminal.open(log)
    terminal.shows("KEEP TRAINING")
    assert (terminal.value("alternate_on"), terminal.value("mouse_any_flag")) == ("1", "1")
    if isinstance(way_out, signal.Signals):
        terminal.kill_app(way_out)
    else:
        terminal.press(way_out)
    screen = terminal.shows(f"ended with {code}", "icanon")
    assert not re.search(r"-(icanon|echo|isig|icrnl|opost)\b", screen)
    flags = ("alternate_on", "mouse_any_flag", "bracket_paste_flag")
    assert [terminal.value(flag) for flag in flags] in (["0", "0", "0"], ["0", "0", ""])
    assert terminal.value("cursor_flag") == "1"


def test_every_room_opens_again_and_again(terminal: Terminal, tmp_path: Path) -> None:
    for modified, name in enumerate(("one.log", "two.log")):
        (tmp_path / name).write_text("".join(map(line, range(50))))
        os.utime(tmp_path / name, times=(1e9 + modified, 1e9 + modified))
    terminal.open(tmp_path)
    terminal.shows("KEEP TRAINING", "2 runs")
    for name in ("one", "two"):
        for key, title in (("r", "─ runs"), ("6", "end, following"), ("c", "─ checklist"), ("?", "─ help")):
            terminal.press(key)
            terminal.shows(title)
        terminal.press("r")
        terminal.shows("▸")
        # Typed ahead of the screen: no key may be lost or taken for another one.
        terminal.press("/", "C-u", *name[1:], ".", "Enter")
        terminal.shows(f"▸{name}.log")
        terminal.press("Enter")
        terminal.shows("KEEP TRAINING", f" {name}.log ")


ROOMS = (
    ("1", "─ KEEP TRAINING"), ("2", "2 Layers"), ("3", "─ grad norm"), ("4", "─ findings"), ("6", "─ /"),
    ("r", "─ runs"), ("c", "─ checklist"), ("?", "─ help"), (":", "─ commands"),
)  # fmt: skip


@pytest.mark.timeout(90)
def test_every_room_follows_the_log_and_the_size_of_the_terminal(terminal: Terminal, log: Path) -> None:
    terminal.open(log)
    terminal.shows("KEEP TRAINING", "step 199")
    step = 200
    for key, sign in ROOMS:
        terminal.resize(COLUMNS, LINES)
        terminal.press(key)
        terminal.shows(sign, "esc close" if key == ":" else "q quit")
        with log.open("a") as file:
            file.write(line(step))
        terminal.shows(f"step {step}")
        step += 1
        for width, height in ((80, 24), (40, 12), (10, 3), (200, 50)):
            terminal.resize(width, height)
            said = "too small" if width < 24 else "close" if key == ":" else "quit"
            terminal.until(lambda screen, said=said: said in screen)  # type: ignore[misc]
    terminal.press("Escape")
    terminal.until(lambda screen: "commands" not in screen)
    terminal.press("q")
    terminal.shows("ended with 0", "icanon")


def test_the_screen_is_as_it_was_left(terminal: Terminal, log: Path, tmp_path: Path) -> None:
    state = (f"XDG_STATE_HOME={tmp_path}/state",)
    terminal.open(log, variables=state)
    terminal.shows("KEEP TRAINING")
    terminal.press("t", "6")
    terminal.shows("end, following")
    terminal.press("q")
    terminal.shows("ended with 0")
    terminal.open(log, variables=state, again=True)
    terminal.shows("end, following", "KEEP TRAINING")
    terminal.press("t")
    terminal.shows("theme: colour-blind")


def test_a_picture_is_saved_where_gradtop_was_started(terminal: Terminal, log: Path, tmp_path: Path) -> None:
    terminal.open(log, variables=("-C", str(tmp_path)))
    terminal.shows("KEEP TRAINING")
    terminal.press("p")
    terminal.shows("saved gradtop-train.log-")
    (path,) = tmp_path.glob("gradtop-train.log-*.svg")
    assert path.read_text().endswith("</svg>\n")


SIXTEEN = frozenset(str(i) for i in (*range(30, 38), *range(40, 48), *range(90, 108)))


@pytest.mark.parametrize(
    ("variables", "allowed"), [(("NO_COLOR=1",), frozenset[str]()), (("-u", "COLORTERM", "TERM=xterm"), SIXTEEN)]
)
def test_a_terminal_gets_colours_that_it_has(
    terminal: Terminal, log: Path, variables: tuple[str, ...], allowed: frozenset[str]
) -> None:
    terminal.open(log, variables=variables)
    for key, sign in (("1", "KEEP TRAINING"), ("r", "─ runs"), ("6", "─ /")):
        terminal.press(key)
        terminal.shows(sign, "q quit")
        assert terminal.colours() <= allowed


def test_a_mistake_in_the_settings_is_said_on_the_screen_as_it_was(terminal: Terminal, log: Path) -> None:
    (log.parent / "gradtop.toml").write_text('[keys]\n"overview.full" = "q"\n')
    terminal.open(log)
    # Where the path is long, the line is wrapped within the sentence.
    screen = terminal.until(lambda screen: "ended with 3" in screen and "'q' is the key of" in screen.replace("\n", ""))
    assert "looking for runs" not in screen
    assert (terminal.value("alternate_on"), terminal.value("cursor_flag")) == ("0", "1")


def test_nothing_foreign_acts_on_the_terminal(terminal: Terminal, tmp_path: Path) -> None:
    path = tmp_path / f"train{BAIT}.jsonl"
    head = {"type": "run", "schema": "gradtop/1", "run": f"evil{BAIT}"}
    rows = [f'{{"step": {step}, "loss": {5 - step / 100}, "x{BAIT}": 1}}\n' for step in range(60)]
    path.write_text(repr(head).replace("'", '"').replace("\\x1b", "\\u001b").replace("\\x07", "\\u0007") + "\n")
    with path.open("a") as file:
        file.writelines(row.replace("\x1b", "\\u001b").replace("\x07", "\\u0007") for row in rows)
        file.write(f"Loss is NaN {BAIT}\n")
    terminal.open(path)
    title = terminal.value("pane_title")
    terminal.shows("evil", "step 59")
    for key, sign in (("6", "end, following"), ("r", "─ runs"), ("c", "─ checklist"), ("1", "─ loss")):
        terminal.press(key)
        terminal.shows("evil", sign)
        assert terminal.value("pane_title") == title
        assert terminal.tmux("list-buffers") == ""
    # The bait is a real one: shown raw, it takes hold.
    terminal.press("q")
    terminal.shows("ended with 0")
    octal = BAIT.replace("\x1b", "\\033").replace("\x07", "\\007")
    terminal.tmux("respawn-pane", "-k", shlex.join(["sh", "-c", f"printf {shlex.quote(octal)}; exec cat"]))
    deadline = time.monotonic() + LIMIT_S
    while not terminal.tmux("list-buffers"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert terminal.tmux("show-buffer") == "PWNED"
