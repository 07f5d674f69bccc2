"""A command run as if we were not there: its terminal, output, signals and exit code; its output is recorded beside.

The command stays in our session and process group and keeps the user's terminal as its input, so that keys and job
control never go through us. Where we are killed with no time to end, it goes on until its next line of output fails.
"""

import os
import resource
import signal
import subprocess
import tempfile
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gradtop.launch.account import Account, read_account
from gradtop.launch.ending import STOPPED_S, STOPPING, grown, sizes, tell_ending
from gradtop.launch.leftover import leave_behind
from gradtop.launch.output import NAME, OutputLog
from gradtop.launch.plan import Plan, environment
from gradtop.launch.pump import Pump
from gradtop.launch.relay import Relay
from gradtop.launch.stream import Channel, distinct, open_channels


@dataclass(frozen=True, slots=True)
class Screen:
    """What is shown instead of the output."""

    show: Callable[[], object]
    """Returns when the user leaves it."""
    left: Callable[[], None]
    """Called then, where the command still runs: its output is shown from there on."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and what was recorded of it."""

    code: int
    """Its exit code; minus the number of the signal that killed it."""
    account: Account
    streams: tuple[Path, ...]
    """The streams that its processes wrote."""
    lost_bytes: int
    """Output that is not in the record."""
    problem: str
    """Why it is not."""
    left_behind: bool
    """Processes that it started still hold its output; it is recorded for as long as they do."""
    mid_line: bool
    """What was shown last on standard error was no whole line."""


def launch(
    plan: Plan,
    log: OutputLog,
    environ: Mapping[str, str],
    closed: Container[int] = (),
    screen: Screen | None = None,
) -> Ended:
    """Run the command to its end, its output going where ours goes and to `log`; raises OSError where it cannot start.

    Args:
        plan: the command.
        log: takes its output, and is closed at the end.
        environ: what its environment is made from.
        closed: standard streams that were closed when we were started, by `fill_closed`.
        screen: shown instead of the output until the user leaves it; the command then has no input.
    """
    before = sizes(plan.directory)
    channels: dict[int, Channel] = {}
    relay = Relay(lambda: _resize(channels))
    channels.update(open_channels(closed))
    over, ending = os.pipe()
    with ExitStack() as at_end:
        at_end.callback(relay.stop)
        said = at_end.enter_context(_status_file())
        command = _start(plan, channels, environment(plan, environ, said), no_input=screen is not None)
        pumps = {channel: Pump(channel, log, over, shown=screen is None) for channel in _ours(channels)}
        relay.start(command)
        if screen is not None:
            screen.show()
            relay.catch()
            _resize(channels)
            # Before it is said: what is printed right after that must not be missing.
            for pump in pumps.values():
                pump.shown = True
            if command.poll() is None:
                screen.left()
        code = command.wait()
        # While signals are still caught: a terminal that goes away sends a second one.
        streams = grown(plan.directory, before) if not log.problem else {}
        tell_ending(streams, command.pid, code, stopped=relay.caught(STOPPING, STOPPED_S))
        account = read_account(said)
    os.close(ending)
    for pump in pumps.values():
        pump.join()
    log.end(code)
    log.close()
    held = [channel.outlet for channel, pump in pumps.items() if pump.held]
    if held:
        leave_behind(plan.directory / NAME, held)
    mid_line = 2 in channels and pumps[channels[2]].mid_line
    return Ended(code, account, tuple(streams), log.lost_bytes, log.problem, bool(held), mid_line)


def _start(
    plan: Plan, channels: Mapping[int, Channel], environ: Mapping[str, str], no_input: bool
) -> "subprocess.Popen[bytes]":
    """The command with its streams; whatever else is open to it through us stays open, as without us."""
    return subprocess.Popen(
        plan.command,
        stdin=subprocess.DEVNULL if no_input else None,
        stdout=channels[1].inlet if 1 in channels else None,
        stderr=channels[2].inlet if 2 in channels else None,
        env=environ,
        close_fds=False,
    )


def end_like(code: int) -> None:
    """Die of the signal that killed the command, so that whoever waits for us sees the same; else return."""
    if code >= 0:
        return
    # A dump of our own memory would be in the way of the command's.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with suppress(OSError):
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)


def _resize(channels: dict[int, Channel]) -> None:
    """Pass a new size on; the command and those it started may have looked before it was there."""
    changed = [channel.resize() for channel in distinct(channels)]
    if any(changed):
        os.killpg(os.getpgrp(), signal.SIGWINCH)


def _ours(channels: dict[int, Channel]) -> Iterator[Channel]:
    """Each channel, its inlet closed on our side, so that it ends with the last process that writes to it."""
    for channel in distinct(channels):
        os.close(channel.inlet)
        yield channel


@contextmanager
def _status_file() -> Iterator[Path]:
    """An empty file that the command's processes may append to, for as long as it runs."""
    fd, name = tempfile.mkstemp(prefix="gradtop-run-", suffix=".jsonl")
    os.close(fd)
    try:
        yield Path(name)
    finally:
        with suppress(OSError):
            os.unlink(name)
