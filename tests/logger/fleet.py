"""Several ranks of one process group: real processes, forked from one that has loaded torch once for all tests.

As a program it is that one. A line of JSON on its standard input, `[module, duty, world, store, folder, environment]`,
has it fork a process that runs the function `duty` of a module beside it on every rank; what a rank returns is left in
the folder as JSON, and the exit codes are answered with a line. `store` is `tcp`, as with torchrun, or `file`. A rank
ends as any Python program does, with its destructors. The program ends with its input.
"""

import atexit
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

LIFE_S = 45


@dataclass(frozen=True, slots=True)
class Sailed:
    """What became of the ranks."""

    said: list[dict[str, Any] | None]
    """What each rank returned; None from one that did not get there."""
    codes: list[int]
    """Exit codes, negative for a signal."""
    stderr: str


def sail(module: str, duty: str, world: int, folder: Path, store: str = "tcp") -> Sailed:
    """Run a duty on `world` ranks; one that hangs is ended after `LIFE_S` seconds, by SIGALRM."""
    names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    orders, answers = _harbour().stdin, _harbour().stdout
    assert orders is not None
    assert answers is not None
    orders.write(json.dumps([module, duty, world, store, str(folder), environment]) + "\n")
    orders.flush()
    codes, stderr = json.loads(answers.readline()), (folder / "stderr").read_text()
    assert codes is not None, stderr
    files = [folder / f"{rank}.json" for rank in range(world)]
    said = [json.loads(file.read_text()) if file.exists() else None for file in files]
    return Sailed(said, codes, stderr)


@cache
def _harbour() -> "subprocess.Popen[str]":
    """The process that the ranks of this process's tests are forked from."""
    harbour = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(harbour.communicate)
    return harbour


def _rank(module: Any, duty: str, rank: int, world: int, meeting: str, folder: Path, home: int) -> None:
    """One rank's life; `home` is a pipe that ends when rank 0 has ended."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world)
    said = getattr(module, duty)(rank, home)
    (folder / f"{rank}.json").write_text(json.dumps(said))


def _code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _meeting(store: str, folder: str) -> str:
    """Where the ranks find each other."""
    if store == "file":
        return f"file://{folder}/store"
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"tcp://127.0.0.1:{server.getsockname()[1]}"


def _main() -> None:
    for order in sys.stdin:
        name, duty, world, store, folder, environment = json.loads(order)
        module, codes = importlib.import_module(name), Path(folder, "codes")
        gc.freeze()  # not looked through again by each rank at its end
        pid = os.fork()
        if not pid:
            _redirect(folder)
            os.environ.clear()
            os.environ.update(environment)
            return _fleet(module, duty, world, store, folder)
        done = _code(pid) == 0
        print(codes.read_text() if done else "null", flush=True)
    return None


def _redirect(folder: str) -> None:
    """Nothing to read, and nothing of the ranks on the line that answers."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    stderr = os.open(Path(folder, "stderr"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(stderr, 1)
    os.dup2(stderr, 2)


def _fleet(module: Any, duty: str, world: int, store: str, folder: str) -> None:
    """Fork the ranks, and leave their exit codes in the folder."""
    meeting, (home, ended) = _meeting(store, folder), os.pipe()
    pids = []
    for rank in range(world):
        pid = os.fork()
        if not pid:
            os.close(ended)
            signal.alarm(LIFE_S)
            return _rank(module, duty, rank, world, meeting, Path(folder), home)
        pids.append(pid)
    first = _code(pids[0])
    os.close(ended)
    Path(folder, "codes").write_text(json.dumps([first, *map(_code, pids[1:])]))
    return None


if __name__ == "__main__":
    _main()
