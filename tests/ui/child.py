"""Run in a pseudo-terminal by test_terminal.py: the app on a fake monitor. argv: how it is to fail."""

import os
import shutil
import signal
import sys
import time
from dataclasses import replace

import staging

from gradtop.snapshot import Snapshot
from gradtop.ui import terminal
from gradtop.ui.app import GradtopApp

polls = 0


def poll() -> Snapshot:
    global polls
    polls += 1
    if "crash" in sys.argv and polls > 2:
        secret = "hunter2"
        raise ValueError(f"broken \x1b]0;PWNED\x07 after {len(secret)} characters")
    if "hang" in sys.argv and polls > 2:
        time.sleep(60)
    return replace(staging.snapshot(staging.run(f"run-{polls % 2}")), now=time.time())


class Nohup(GradtopApp):
    def on_mount(self) -> None:
        # After the app has set its own handler.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


class Late:
    """Tells at the first look after a change the size that was there before."""

    before: "os.terminal_size | None" = None

    def __call__(self) -> os.terminal_size:
        now = os.get_terminal_size(0)
        told, self.before = self.before or now, now
        return told


if "late" in sys.argv:
    shutil.get_terminal_size = Late()  # type: ignore[assignment]
terminal.CHECK_S = 0.1
terminal.DEADLINE_S = 0.5
app = (Nohup if "nohup" in sys.argv else GradtopApp)(poll, lambda s: time.sleep(0.05))
app.run()
sys.exit(app.return_code)
